//! Schedules over each variant, and the latency that comes out.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use sloop_bench::Arrivals;
use sloop_bench::open::{Open, Slice};

use super::OpenSettings;
use super::result::{OpenPair, Percentiles};
use crate::latency::variants::Variant;

/// A variant and the connections to it.
#[derive(Debug)]
pub(super) struct OpenLane {
    pub(super) variant: Variant,
    /// Requests that it was sent.
    pub(super) sent: u64,
    /// One pair for each round, in the order of time. Empty for the baseline.
    pub(super) pairs: Vec<OpenPair>,
    /// All slices together.
    pub(super) all: Slice,
    open: Open,
}

/// All variants, the baseline first, behind one worker.
#[derive(Debug)]
pub(super) struct OpenLanes {
    pub(super) lanes: Vec<OpenLane>,
    settings: OpenSettings,
    random: SmallRng,
}

impl OpenLane {
    pub(super) fn open(
        variant: Variant,
        to: SocketAddr,
        request: &[u8],
        settings: OpenSettings,
    ) -> anyhow::Result<Self> {
        let open = Open::connect(to, settings.connections, request.to_vec(), variant.status);
        Ok(Self {
            open: open.with_context(|| format!("connecting to {}", variant.name))?,
            variant,
            sent: 0,
            pairs: Vec::new(),
            all: Slice::default(),
        })
    }

    fn run(&mut self, arrivals: &Arrivals) -> anyhow::Result<Slice> {
        let slice = self.open.run(arrivals);
        let slice = slice.with_context(|| format!("{} failed", self.variant.name))?;
        self.sent += slice.latency.len();
        Ok(slice)
    }

    fn slice(&mut self, arrivals: &Arrivals) -> anyhow::Result<Percentiles> {
        let slice = self.run(arrivals)?;
        self.all.add(&slice);
        Percentiles::of(&slice.latency).context("a slice without requests")
    }
}

impl OpenLanes {
    pub(super) fn new(lanes: Vec<OpenLane>, settings: OpenSettings, seed: u64) -> Self {
        Self {
            lanes,
            settings,
            random: SmallRng::seed_from_u64(seed),
        }
    }

    /// Sends requests to each variant that are not measured.
    pub(super) fn warm_up(&mut self, lasting: Duration) -> anyhow::Result<()> {
        let arrivals = self.arrivals(lasting)?;
        let warm_up = |lane: &mut OpenLane| lane.run(&arrivals).map(drop);
        self.lanes.iter_mut().try_for_each(warm_up)
    }

    /// One pair of slices for each variant, in random order.
    pub(super) fn round(&mut self) -> anyhow::Result<()> {
        let mut order: Vec<usize> = (1..self.lanes.len()).collect();
        order.shuffle(&mut self.random);
        for index in order {
            let lasting = Duration::from_millis(self.settings.slice_ms);
            let arrivals = self.arrivals(lasting)?;
            let pair = if self.random.random() {
                let baseline = self.slice(0, &arrivals)?;
                let variant = self.slice(index, &arrivals)?;
                OpenPair { baseline, variant }
            } else {
                let variant = self.slice(index, &arrivals)?;
                let baseline = self.slice(0, &arrivals)?;
                OpenPair { baseline, variant }
            };
            if let Some(lane) = self.lanes.get_mut(index) {
                lane.pairs.push(pair);
            }
        }
        Ok(())
    }

    fn slice(&mut self, index: usize, arrivals: &Arrivals) -> anyhow::Result<Percentiles> {
        let lane = self.lanes.get_mut(index);
        lane.context("there is no such lane")?.slice(arrivals)
    }

    /// Another schedule each time.
    fn arrivals(&mut self, lasting: Duration) -> anyhow::Result<Arrivals> {
        let seed = self.random.random();
        Ok(Arrivals::poisson(self.settings.rate, lasting, &[1], seed)?)
    }
}
