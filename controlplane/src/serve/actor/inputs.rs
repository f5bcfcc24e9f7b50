//! What comes to the loop, and what it measures by.

use std::collections::BTreeSet;
use std::sync::Arc;

use sloop_xds::fleet::Cohort;
use tokio::sync::{broadcast, mpsc, watch};

use super::super::watch::Update;
use crate::ads;
use crate::engine::Engine;
use crate::ingest::Arrival;
use crate::metrics::{DocumentMetrics, IngestMetrics, PushMetrics, StepMetrics};

/// A look at the engine, between two things that happen.
pub type View = Box<dyn FnOnce(&Engine) + Send>;

/// A change of the engine that somebody asked for.
pub type Change = Box<dyn FnOnce(&mut Engine) + Send>;

/// What comes to the loop.
#[derive(Debug)]
pub(in crate::serve) struct Inputs {
    pub(in crate::serve) arrivals: mpsc::Receiver<Arrival>,
    pub(in crate::serve) views: mpsc::Receiver<View>,
    pub(in crate::serve) changes: mpsc::Receiver<Change>,
    pub(in crate::serve) documents: mpsc::Receiver<Update>,
    pub(in crate::serve) ads: broadcast::Receiver<Arc<ads::Event>>,
    pub(in crate::serve) cohorts: watch::Receiver<BTreeSet<Cohort>>,
    pub(in crate::serve) stop: watch::Receiver<bool>,
}

/// What the loop measures.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Meters {
    pub(in crate::serve) ingest: IngestMetrics,
    pub(in crate::serve) step: StepMetrics,
    pub(in crate::serve) push: PushMetrics,
    pub(in crate::serve) documents: DocumentMetrics,
}
