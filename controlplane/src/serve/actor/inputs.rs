//! What comes to the loop, and what it measures by.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use sloop_xds::fleet::Cohort;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::super::watch::Update;
use crate::ads;
use crate::engine::Engine;
use crate::ingest::Arrival;
use crate::metrics::{DocumentMetrics, IngestMetrics, PushMetrics, StepMetrics};

/// A look at the engine, between two things that happen.
pub type View = Box<dyn FnOnce(&Engine) + Send>;

/// A change of the engine that somebody asked for.
pub struct Change {
    /// What to do.
    pub change: Box<dyn FnOnce(&mut Engine) + Send>,
    /// Who hears then whether it is stored: as soon as it is, or is known not to be.
    pub stored: oneshot::Sender<Stored>,
}

/// Whether what somebody asked for is stored. It holds in any case.
#[derive(Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is durable.
    Durable,
    /// The store takes nothing: it is tried again, and forgotten by a kill.
    NotYet,
}

impl fmt::Debug for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Change").finish_non_exhaustive()
    }
}

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
