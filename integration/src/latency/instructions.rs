//! What a filter costs, in instructions of the worker: repeatable on any machine, whoever else is on it.
//!
//! Envoy runs under callgrind, fifty times as slow. V8 reserves so much
//! address space for each VM that Valgrind bears three, so the variants are
//! measured in groups, each with a baseline of its own.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sloop_bench::callgrind::Callgrind;
use sloop_bench::closed::{Dial, Protocol};
use sloop_bench::paired::{Estimate, median};

use super::aims::Aims;
use super::lanes::{Lane, Lanes};
use super::live::Live;
use super::stage::Stage;
use super::variants::{AGAIN, BASELINE, NAIVE, Variant};
use super::{machine, made_ms, on_thread};
use crate::envoy::Options;

/// What the JSON is called: changes when a reader would have to.
pub(super) const SCHEMA: &str = "sloop-bench-instructions/1";

/// Requests of a variant between two counts.
const SLICE: usize = 200;
/// Requests of each variant before the first count.
const WARM_UP: usize = 200;
/// How long the worker is watched doing nothing.
const IDLE: Duration = Duration::from_secs(3);
/// VMs in one Envoy, at most.
const VMS_MAX: usize = 3;
/// Starting V8 and compiling three modules takes two minutes of a processor that is shared by others.
const READY_WITHIN: Duration = Duration::from_secs(1_200);
/// How far the baseline may be from itself, as a share of it: ten times of what is usual.
pub(super) const DISAGREEMENT_MAX: f64 = 0.002;

/// What was counted.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Instructions {
    /// What it is.
    pub schema: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// Why the numbers must not be used; empty when they may.
    pub refusals: Vec<String>,
    /// Envoy's version.
    pub envoy: String,
    /// Counts for each variant.
    pub rounds: usize,
    /// Instructions of a request without a filter.
    pub baseline: f64,
    /// What each variant costs.
    pub variants: Vec<Counted>,
    /// What Sloop is meant to cost, by these counts; absent without it.
    #[serde(default)]
    pub aims: Option<Aims>,
}

/// What one variant costs, in instructions per request.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Counted {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// All of the worker, from the smallest to the largest of the counts.
    pub all: Estimate,
    /// What it adds to the baseline of its group.
    pub added: f64,
    /// How many times as many as the baseline of its group.
    pub ratio: f64,
    /// What it adds as a share of what `naive` adds; absent without `naive`.
    pub of_naive: Option<f64>,
}

impl Instructions {
    /// Whether the numbers may be used.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.refusals.is_empty()
    }
}

/// Counts the instructions of `variants`, the first two of which are the baseline and its double.
///
/// # Errors
///
/// When Valgrind is not there, Envoy does not start, or a variant does not do what it is said to do.
pub async fn instructions(
    variants: Vec<Variant>,
    rounds: usize,
    mut live: Live,
) -> anyhow::Result<Instructions> {
    if rounds == 0 {
        bail!("0 rounds are too few; at least 1 is needed");
    }
    let groups = groups(&variants);
    let mut counted = Vec::new();
    let mut baselines = Vec::new();
    let mut envoy = String::new();
    for (index, group) in groups.iter().enumerate() {
        live.say(&format!(
            "group {} of {}: {}; starting Envoy under Valgrind takes minutes",
            index + 1,
            groups.len(),
            names(group).join(", ")
        ));
        let (version, rows) = count(group, rounds, &mut live).await?;
        envoy = version;
        let baseline = rows.first().context("there is no baseline")?.all.median;
        baselines.push(baseline);
        counted.extend(rows.into_iter().skip(1));
    }
    share_of_naive(&mut counted);
    let mut counted = Instructions {
        schema: SCHEMA.to_owned(),
        made_ms: made_ms()?,
        refusals: refusals(&counted),
        envoy,
        rounds,
        baseline: median(&baselines).context("nothing was counted")?,
        variants: counted,
        aims: None,
    };
    counted.aims = Aims::counted(&counted).filter(|_| counted.refusals.is_empty());
    Ok(counted)
}

/// Groups that begin with the baseline and its double, and have at most so many VMs as Valgrind bears.
fn groups(variants: &[Variant]) -> Vec<Vec<Variant>> {
    let is_base = |one: &&Variant| one.name == BASELINE || one.name == AGAIN;
    let base: Vec<Variant> = variants.iter().filter(is_base).cloned().collect();
    let mut groups = vec![base.clone()];
    let mut vms: Vec<&str> = Vec::new();
    for variant in variants.iter().filter(|one| !is_base(one)) {
        if let Some(vm) = variant.vm.as_deref()
            && !vms.contains(&vm)
        {
            if vms.len() == VMS_MAX {
                vms.clear();
                groups.push(base.clone());
            }
            vms.push(vm);
        }
        if let Some(group) = groups.last_mut() {
            group.push(variant.clone());
        }
    }
    groups
}

/// Envoy's version, and the rows of one group, the baseline first.
async fn count(
    group: &[Variant],
    rounds: usize,
    live: &mut Live,
) -> anyhow::Result<(String, Vec<Counted>)> {
    let folder = tempfile::tempdir().context("making a folder")?;
    let callgrind = Callgrind::new(folder.path())?;
    let options = Options {
        under: callgrind.command(),
        ready_within: READY_WITHIN,
        ..Options::default()
    };
    let mut stage = Stage::start(group, options).await?;
    live.say("counting");
    let process = stage.envoy.process().id();
    let lanes = stage.lanes(&Dial::plain(Protocol::Http1), 0).await?;
    let (lanes, counts) = on_thread(move || {
        let counter = Counter {
            callgrind,
            process,
            worker: 0,
            idle_per_second: 0.0,
        };
        rounds_of(lanes, counter, rounds)
    })
    .await?;
    stage.settle(&lanes).await?;
    let version = machine::of(&stage.envoy).await?.envoy;
    let rows = rows(&lanes, &counts).context("nothing was counted")?;
    Ok((version, rows))
}

/// The worker's instructions, without those of an idle one.
#[derive(Debug)]
struct Counter {
    callgrind: Callgrind,
    process: u32,
    /// Its number, by Valgrind.
    worker: u32,
    idle_per_second: f64,
}

impl Counter {
    fn take(&self) -> anyhow::Result<f64> {
        let counts = self.callgrind.take(self.process)?;
        Ok(counts.get(&self.worker).copied().unwrap_or(0) as f64)
    }

    /// Learns which thread is the worker, and what it does when there is nothing to do.
    fn learn(&mut self, lanes: &mut Lanes) -> anyhow::Result<()> {
        self.callgrind.take(self.process)?;
        lanes.warm_up(WARM_UP)?;
        let counts = self.callgrind.take(self.process)?;
        let busiest = counts.into_iter().max_by_key(|(_, count)| *count);
        self.worker = busiest.context("no thread has done anything")?.0;
        std::thread::sleep(IDLE);
        self.idle_per_second = self.take()? / IDLE.as_secs_f64();
        Ok(())
    }

    /// Instructions per request of the variant `index`.
    fn slice(&self, lanes: &mut Lanes, index: usize) -> anyhow::Result<f64> {
        let begun = Instant::now();
        lanes.send(index, SLICE)?;
        // Under Valgrind nothing happens at the same time; 400 µs are not enough here.
        std::thread::sleep(Duration::from_millis(100));
        let count = self.take()?;
        let idle = self.idle_per_second * begun.elapsed().as_secs_f64();
        Ok((count - idle) / SLICE as f64)
    }
}

/// The counts of each lane, in the order of lanes.
fn rounds_of(
    mut lanes: Lanes,
    mut counter: Counter,
    rounds: usize,
) -> anyhow::Result<(Vec<Lane>, Vec<Vec<f64>>)> {
    counter.learn(&mut lanes)?;
    let mut counts = vec![Vec::new(); lanes.lanes.len()];
    for _ in 0..rounds {
        for (index, counts) in counts.iter_mut().enumerate() {
            counts.push(counter.slice(&mut lanes, index)?);
        }
    }
    Ok((lanes.lanes, counts))
}

fn rows(lanes: &[Lane], counts: &[Vec<f64>]) -> Option<Vec<Counted>> {
    let baseline = median(counts.first()?)?;
    let row = |(lane, counts): (&Lane, &Vec<f64>)| {
        let all = Estimate {
            low: counts.iter().copied().reduce(f64::min)?,
            median: median(counts)?,
            high: counts.iter().copied().reduce(f64::max)?,
        };
        Some(Counted {
            name: lane.variant.name.clone(),
            about: lane.variant.about.clone(),
            all,
            added: all.median - baseline,
            ratio: all.median / baseline,
            of_naive: None,
        })
    };
    lanes.iter().zip(counts).map(row).collect()
}

fn share_of_naive(rows: &mut [Counted]) {
    let naive = rows.iter().find(|row| row.name == NAIVE);
    let Some(naive) = naive.map(|row| row.added).filter(|added| 0.0 < *added) else {
        return;
    };
    for row in rows
        .iter_mut()
        .filter(|row| row.name != AGAIN && 0.0 < row.added)
    {
        row.of_naive = Some(row.added / naive);
    }
}

fn refusals(rows: &[Counted]) -> Vec<String> {
    let doubles = rows.iter().filter(|row| row.name == AGAIN);
    let off = doubles.filter(|row| DISAGREEMENT_MAX < (row.ratio - 1.0).abs());
    off.map(|row| {
        format!(
            "A/A is off by {:.2} %, more than {:.1} %: Envoy did something beside the requests. \
             Run it again, with more --rounds",
            (row.ratio - 1.0) * 100.0,
            DISAGREEMENT_MAX * 100.0
        )
    })
    .collect()
}

fn names(variants: &[Variant]) -> Vec<&str> {
    variants.iter().map(|one| one.name.as_str()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::variants::{Modules, all};
    use super::*;

    /// Counts of one variant.
    pub(in super::super) fn counted_of(name: &str, added: f64) -> Instructions {
        Instructions {
            schema: SCHEMA.to_owned(),
            made_ms: 1,
            refusals: vec![],
            envoy: "1.40.0".into(),
            rounds: 1,
            baseline: 1_000.0,
            variants: vec![counted(name, 1_000.0 + added)],
            aims: None,
        }
    }

    fn ours() -> Vec<Variant> {
        let modules = Modules {
            sloop: "/m/sloop_filter.wasm".into(),
            naive: "/m/naive.wasm".into(),
            raw: "/m/raw.wasm".into(),
        };
        all(&modules, 60_000).unwrap()
    }

    #[test]
    fn no_group_has_more_vms_than_valgrind_bears_and_each_has_a_baseline() {
        let ours = ours();
        let groups = groups(&ours);
        let mut seen = Vec::new();
        for group in &groups {
            let names = names(group);
            assert_eq!(names[..2], [BASELINE, AGAIN]);
            let mut vms: Vec<_> = group.iter().filter_map(|one| one.vm.as_deref()).collect();
            vms.dedup();
            assert!(vms.len() <= VMS_MAX, "{names:?}");
            seen.extend(names[2..].iter().map(|name| (*name).to_owned()));
        }
        assert_eq!(groups.len(), 2);
        assert_eq!(seen, names(&ours[2..]));
    }

    fn counted(name: &str, median: f64) -> Counted {
        Counted {
            name: name.into(),
            about: String::new(),
            all: Estimate {
                low: median,
                median,
                high: median,
            },
            added: median - 1_000.0,
            ratio: median / 1_000.0,
            of_naive: None,
        }
    }

    #[test]
    fn a_share_is_of_what_naive_adds_and_what_saves_has_none() {
        let mut rows = vec![
            counted(AGAIN, 1_001.0),
            counted(NAIVE, 1_400.0),
            counted("sloop", 1_200.0),
            counted("sloop_refused", 500.0),
        ];
        share_of_naive(&mut rows);
        let shares: Vec<_> = rows.iter().map(|row| row.of_naive).collect();
        assert_eq!(shares, [None, Some(1.0), Some(0.5), None]);
        assert!(refusals(&rows).is_empty());
    }

    #[test]
    fn counts_that_do_not_repeat_are_refused() {
        assert_eq!(refusals(&[counted(AGAIN, 1_003.0)]).len(), 1);
        assert_eq!(refusals(&[counted(AGAIN, 997.0)]).len(), 1);
        assert_eq!(refusals(&[counted(AGAIN, 1_001.9)]).len(), 0);
    }
}
