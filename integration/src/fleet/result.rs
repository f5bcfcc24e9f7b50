//! What was measured, for people and for programs.

use serde::{Deserialize, Serialize};

/// What the JSON is called: changes when a reader would have to.
pub(super) const SCHEMA: &str = "sloop-bench-fleet/2";

/// Everything about one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// What it is.
    pub schema: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// Where it was made.
    pub machine: Machine,
    /// Fleets, in the order in which they were measured.
    pub runs: Vec<Run>,
    /// What was churned for long; absent when that was not asked for.
    pub soak: Option<Soak>,
}

impl Report {
    /// Nodes that did not come back from a storm, or did not have the push that came after it or at the end of a soak.
    #[must_use]
    pub fn lost(&self) -> usize {
        let storms = self.runs.iter().filter_map(Run::lost);
        let soak = self
            .soak
            .iter()
            .map(|it| it.nodes.saturating_sub(it.at_newest));
        storms.chain(soak).sum()
    }
}

impl Run {
    /// Nodes that did not come back from the storm, or did not have the push after it; `None` without one.
    #[must_use]
    pub fn lost(&self) -> Option<usize> {
        let storm = self.storm?;
        Some(self.nodes.saturating_sub(storm.back.min(storm.reached)))
    }
}

/// Where it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The processor, as the kernel calls it.
    pub processor: String,
    /// Processors.
    pub processors: usize,
    /// The kernel.
    pub kernel: String,
    /// Threads that wanted to run, on average over a minute, before it began.
    pub load_before: Option<f64>,
}

/// One fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Simulated nodes.
    pub nodes: usize,
    /// How they speak.
    pub variants: String,
    /// Bytes of what each says about itself; 0 stands for its names alone.
    pub node_bytes: usize,
    /// Whether connections are TLS 1.3 with client certificates.
    pub tls: bool,
    /// All of them connect.
    pub connect: Connect,
    /// Memory, from the control plane without nodes on.
    pub memory: Memory,
    /// Pushes to a fleet that does nothing else.
    pub push: Push,
    /// Reports; empty when none were measured.
    pub reports: Vec<Reports>,
    /// Pushes while reports come; absent as above.
    pub push_with_reports: Option<Push>,
    /// All vanish at one moment and come back at once.
    pub storm: Option<Storm>,
    /// Real Envoys among the nodes; absent when there were none.
    pub envoys: Option<Envoys>,
}

/// All nodes connect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connect {
    /// Until the last has what it asked for, in milliseconds.
    pub all_ms: f64,
    /// The control plane's processor time for each, in microseconds.
    pub cpu_us: f64,
    /// The simulator's own.
    pub own_cpu_us: f64,
    /// Connections that were tried in vain.
    pub refused: u64,
}

/// Bytes of the control plane that belong to no file, for each node, beyond what it has without nodes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Without nodes, of all.
    pub empty_bytes: u64,
    /// When all are connected, for each.
    pub connected_bytes: f64,
    /// After all pushes, for each.
    pub pushed_bytes: f64,
    /// After everything, for each.
    pub end_bytes: f64,
}

/// How long changes took to reach all nodes, from the moment at which the configuration was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// Bytes of one response.
    pub bytes: usize,
    /// Each push, in milliseconds.
    pub pushes: Vec<Pushed>,
    /// The control plane's processor time for one node and push, with the node's acknowledgement, in microseconds.
    pub cpu_us: f64,
    /// The simulator's own.
    pub own_cpu_us: f64,
}

/// When nodes had one push, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pushed {
    /// The first node.
    pub first_ms: f64,
    /// Half of them.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// The last.
    pub last_ms: f64,
}

impl Push {
    /// The median over all pushes.
    #[must_use]
    pub fn median(&self, of: fn(&Pushed) -> f64) -> f64 {
        let mut all: Vec<f64> = self.pushes.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The most over all pushes.
    #[must_use]
    pub fn most(&self, of: fn(&Pushed) -> f64) -> f64 {
        self.pushes.iter().map(of).fold(f64::NAN, f64::max)
    }
}

impl Pushed {
    /// From what passed until each node had it.
    pub(super) fn of(mut all_ms: Vec<f64>) -> Option<Self> {
        all_ms.sort_by(f64::total_cmp);
        let at =
            |part: usize, of: usize| all_ms.get((all_ms.len() * part).div_ceil(of) - 1).copied();
        Some(Self {
            first_ms: *all_ms.first()?,
            p50_ms: at(1, 2)?,
            p99_ms: at(99, 100)?,
            last_ms: *all_ms.last()?,
        })
    }
}

/// Reports, sent in one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// In which.
    pub name: String,
    /// Nodes that report, and their VMs.
    pub nodes: usize,
    /// VMs of each.
    pub each: usize,
    /// Bytes of what is counted in one.
    pub bytes: usize,
    /// Durable, a second.
    pub per_second: f64,
    /// The control plane's processor time for one, in microseconds: its reciprocal is what a core takes.
    pub cpu_us: f64,
    /// Until half are acknowledged, in milliseconds.
    pub p50_ms: f64,
    /// Until 99 of 100 are.
    pub p99_ms: f64,
    /// Put off: they were sent again.
    pub refused: u64,
    /// Not sent, since all that could be sent waited for answers.
    pub skipped: u64,
}

impl Reports {
    /// What one core would take in a second, at this cost.
    #[must_use]
    pub fn per_core(&self) -> f64 {
        1e6 / self.cpu_us
    }
}

/// All nodes vanish and come back at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// Until the stream of the last is accepted again, in milliseconds.
    pub all_ms: f64,
    /// The control plane's processor time for each, in microseconds.
    pub cpu_us: f64,
    /// Connections tried in vain.
    pub refused: u64,
    /// Streams that the control plane ended.
    pub ended: u64,
    /// Nodes whose stream was accepted within a minute.
    pub back: usize,
    /// Nodes that had the push after it within another.
    pub reached: usize,
    /// Its memory at most a second after it, for each node.
    pub bytes: f64,
}

/// Real Envoys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envoys {
    /// How many.
    pub count: usize,
    /// Memory for each, with the connections of its reports; few of them say little.
    pub bytes: f64,
    /// How many had accepted the last that they were sent, at the end.
    pub up_to_date: usize,
}

/// A long time with changes, reports, and nodes that go and come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Soak {
    /// Simulated nodes.
    pub nodes: usize,
    /// How long, in seconds.
    pub seconds: u64,
    /// Pushes.
    pub pushes: u64,
    /// Pushes that had not reached every node when the next one came, of those connected for a second; or reached none.
    pub overtaken: u64,
    /// Nodes that vanished and came back.
    pub churned: u64,
    /// Reports that are durable, and those that were put off.
    pub reports: u64,
    /// Put off.
    pub refused: u64,
    /// Streams that the control plane ended.
    pub ended: u64,
    /// Nodes that have the last push at the end.
    pub at_newest: usize,
    /// Memory of the control plane: (seconds, bytes).
    pub memory: Vec<(u64, u64)>,
}

impl Soak {
    /// Bytes in the middle of the third quarter against those in the middle of the last: 0 is flat.
    ///
    /// What a control plane takes at first (histories that fill up) is in the first half.
    #[must_use]
    pub fn growth(&self) -> f64 {
        let quarter = |part: usize| {
            let length = self.memory.len() / 4;
            let mut all: Vec<u64> = self
                .memory
                .iter()
                .skip(part * length)
                .take(length)
                .map(|it| it.1)
                .collect();
            all.sort_unstable();
            all.get(all.len() / 2)
                .map_or(f64::NAN, |bytes| *bytes as f64)
        };
        quarter(3) / quarter(2) - 1.0
    }
}

/// A latency in milliseconds, or none.
pub(super) fn ms(of: Option<std::time::Duration>) -> f64 {
    of.map_or(f64::NAN, |it| it.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_told_by_rank() {
        let pushed = Pushed::of((1..=200).rev().map(f64::from).collect()).unwrap();
        let Pushed {
            first_ms,
            p50_ms,
            p99_ms,
            last_ms,
        } = pushed;
        assert_eq!(
            [first_ms, p50_ms, p99_ms, last_ms],
            [1.0, 100.0, 198.0, 200.0]
        );
        assert_eq!(Pushed::of(vec![]), None);
    }

    #[test]
    fn memory_that_stays_has_not_grown() {
        let soak = |bytes: fn(u64) -> u64| Soak {
            nodes: 1,
            seconds: 40,
            pushes: 0,
            overtaken: 0,
            churned: 0,
            reports: 0,
            refused: 0,
            ended: 0,
            at_newest: 1,
            memory: (0..40).map(|second| (second, bytes(second))).collect(),
        };
        let fills = soak(|second| 1_000 + second.min(15));
        assert!(fills.growth().abs() < 1e-9);
        let leaks = soak(|second| 1_000 + 100 * second);
        assert!(0.2 < leaks.growth(), "{}", leaks.growth());
    }
}
