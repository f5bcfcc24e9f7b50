//! From what was seen to what it means. Pure, so that it can be tested on invented runs.

use std::collections::BTreeMap;
use std::time::Duration;

use sloop_bench::{Cell, Ending, Quantile};

use super::heard::known_after;
use super::observed::{BreakerState, Change, Enforcement, Observed, Seen};
use super::plan::OBJECTIVE;
use super::result::{Band, Kinds, Mitigation, Opened, Run, Slice, Spread, Summary, Wrong};
use crate::shop::{Episode, Trouble};

/// Half a second: 40 requests at the demo's rate, enough to draw and short enough to see a reaction.
const SLICE_MS: u64 = 500;
/// After healing, requests from before it still end, and retries with them.
const SETTLE_MS: u64 = 6_000;

/// What `observed` means.
#[must_use]
pub(super) fn measure(observed: &Observed) -> Run {
    let end = observed.phases.last().map_or(0, |phase| phase.to_ms);
    let troubled = |seen: &&Seen| {
        observed.phases.iter().any(|phase| {
            phase.trouble != Trouble::None && (phase.from_ms..phase.to_ms).contains(&seen.at_ms)
        })
    };
    let troubled_ms = observed
        .phases
        .iter()
        .filter(|phase| phase.trouble != Trouble::None)
        .map(|phase| phase.to_ms - phase.from_ms)
        .sum();
    let mut by_route: BTreeMap<String, Vec<&Seen>> = BTreeMap::new();
    for seen in &observed.seen {
        by_route.entry(seen.route.clone()).or_default().push(seen);
    }
    let bands = bands(observed);
    Run {
        enforcement: observed.enforcement,
        began_ms: observed.began_ms,
        phases: observed.phases.clone(),
        sent_requests: observed.sent_requests,
        counted_requests: observed.counted_requests,
        whole: summary(observed.seen.iter(), end),
        in_trouble: summary(observed.seen.iter().filter(troubled), troubled_ms),
        routes: by_route
            .into_iter()
            .map(|(route, seen)| (route, summary(seen.into_iter(), end)))
            .collect(),
        troubles: mitigations(observed),
        push_to_effect: spread(observed),
        counted: observed.counted.clone(),
        ordered: observed.ordered.clone(),
        spent: observed.spent.clone(),
        heard: observed.heard.clone(),
        orders: observed.orders,
        failed_by_sloop: failed_by_sloop(observed, &bands),
        lateness: observed.lateness,
        slices: slices(&observed.seen, end),
        bands,
        burns: burns(observed),
    }
}

/// What became of one request, for its user.
fn count(kinds: &mut Kinds, seen: &Seen) {
    let in_time = u128::from(seen.latency_us) <= OBJECTIVE.as_micros();
    let place = match (seen.ending, seen.answer.as_deref()) {
        (Ending::Status(_), Some("refused")) => &mut kinds.refused,
        (Ending::Status(200), Some("degraded")) if in_time => &mut kinds.degraded,
        (Ending::Status(200), _) if in_time => &mut kinds.full,
        (Ending::Status(200), _) => &mut kinds.late,
        (Ending::Status(_) | Ending::NotConnected | Ending::Broken | Ending::TimedOut, _) => {
            &mut kinds.failed
        }
    };
    *place += 1;
}

fn summary<'a>(of: impl Iterator<Item = &'a Seen>, lasting_ms: u64) -> Summary {
    let mut cell = Cell::default();
    let mut kinds = Kinds::default();
    for seen in of {
        cell.record(seen.ending, Duration::from_micros(seen.latency_us));
        count(&mut kinds, seen);
    }
    let seconds = Duration::from_millis(lasting_ms.max(1)).as_secs_f64();
    let at = |share| {
        let latency = cell.latency(share).unwrap_or_default();
        u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)
    };
    Summary {
        lasting_ms,
        kinds,
        goodput: kinds.good() as f64 / seconds,
        p50_us: at(Quantile::P50),
        p99_us: at(Quantile::P99),
    }
}

fn slices(seen: &[Seen], end: u64) -> Vec<Slice> {
    let mut of_slice: BTreeMap<u64, Vec<&Seen>> = (0..end.div_ceil(SLICE_MS))
        .map(|index| (index, Vec::new()))
        .collect();
    for one in seen {
        of_slice.entry(one.at_ms / SLICE_MS).or_default().push(one);
    }
    of_slice
        .into_iter()
        .map(|(index, seen)| {
            let any = !seen.is_empty();
            let summary = summary(seen.into_iter(), SLICE_MS);
            Slice {
                from_ms: index * SLICE_MS,
                kinds: summary.kinds,
                p50_us: any.then_some(summary.p50_us),
                p99_us: any.then_some(summary.p99_us),
            }
        })
        .collect()
}

fn bands(observed: &Observed) -> Vec<Band> {
    observed
        .callers
        .iter()
        .map(|node| {
            let mut breakers: BTreeMap<&str, BreakerState> = BTreeMap::new();
            let mut states = vec![(0, BreakerState::Closed)];
            let mut changes: Vec<&Change> = observed
                .changes
                .iter()
                .filter(|change| change.node == *node)
                .collect();
            changes.sort_by_key(|change| change.at_ms);
            for change in changes {
                breakers.insert(&change.breaker, change.to);
                let state = least_closed(breakers.values().copied());
                if states.last().is_none_or(|(_, last)| *last != state) {
                    states.push((change.at_ms.saturating_sub(observed.began_ms), state));
                }
            }
            Band {
                node: node.clone(),
                states,
            }
        })
        .collect()
}

/// Open beats probing beats ramping beats closed.
fn least_closed(states: impl Iterator<Item = BreakerState>) -> BreakerState {
    states
        .max_by_key(|state| match state {
            BreakerState::Closed => 0,
            BreakerState::Ramping => 1,
            BreakerState::Probing => 2,
            BreakerState::Open => 3,
        })
        .unwrap_or(BreakerState::Closed)
}

fn mitigations(observed: &Observed) -> Vec<Mitigation> {
    let ends = observed
        .episodes
        .iter()
        .skip(1)
        .map(|episode| episode.since_ms);
    let mut names = observed
        .phases
        .iter()
        .filter(|phase| phase.trouble != Trouble::None)
        .map(|phase| phase.name.clone());
    let pairs: Vec<(&Episode, u64)> = observed
        .episodes
        .iter()
        .zip(ends.chain([u64::MAX]))
        .collect();
    pairs
        .iter()
        .enumerate()
        .filter(|(_, (episode, _))| episode.trouble != Trouble::None)
        .map(|(index, (episode, healed))| {
            let until = pairs.get(index + 1).map_or(u64::MAX, |(_, end)| *end);
            let name = names.next().unwrap_or_default();
            mitigation(observed, name, episode, (*healed, until))
        })
        .collect()
}

/// What was done about the trouble of `episode`, which ended at `healed`; the next one began at `until`.
fn mitigation(
    observed: &Observed,
    name: String,
    episode: &Episode,
    (healed, until): (u64, u64),
) -> Mitigation {
    let since_began = |at: u64| at.saturating_sub(observed.began_ms);
    let first_bad = episode.first_bad_ms;
    let mut opened: Vec<Opened> = observed
        .callers
        .iter()
        .filter_map(|node| {
            let change = observed
                .changes
                .iter()
                .filter(|change| change.node == *node && change.to == BreakerState::Open)
                .filter(|change| (episode.since_ms..healed).contains(&change.at_ms))
                .min_by_key(|change| change.at_ms)?;
            Some(Opened {
                node: node.clone(),
                after_ms: change.at_ms.saturating_sub(first_bad?),
                cause: change.cause,
            })
        })
        .collect();
    opened.sort_by_key(|one| one.after_ms);
    let fleet = opened
        .last()
        .filter(|_| opened.len() == observed.callers.len());
    Mitigation {
        name,
        first_hit_ms: episode.first_hit_ms.map(since_began),
        first_bad_ms: first_bad.map(since_began),
        local_ms: opened.first().map(|one| one.after_ms),
        fleet_ms: fleet.map(|one| one.after_ms),
        relaxed_ms: all_closed(observed, healed, until).map(|at| at - healed),
        heard_ms: first_bad
            .and_then(|bad| known_after(&observed.heard, since_began(bad), since_began(healed))),
        opened,
    }
}

/// When, from `healed` on and before `until`, the last of the breakers closed; `healed` when none was open then.
fn all_closed(observed: &Observed, healed: u64, until: u64) -> Option<u64> {
    bands(observed)
        .iter()
        .map(|band| {
            let (at, state) = band
                .states
                .iter()
                .map(|(at, state)| (at + observed.began_ms, *state))
                .rfind(|(at, _)| *at < until)?;
            (state == BreakerState::Closed).then_some(at.max(healed))
        })
        .collect::<Option<Vec<u64>>>()?
        .into_iter()
        .max()
}

fn spread(observed: &Observed) -> Spread {
    let mut all: Vec<u64> = observed
        .effects
        .iter()
        .map(|effect| effect.after_ms)
        .collect();
    all.sort_unstable();
    Spread {
        count: u64::try_from(all.len()).unwrap_or(u64::MAX),
        p50_ms: all.get(all.len().saturating_sub(1) / 2).copied(),
        max_ms: all.last().copied(),
    }
}

/// Requests that went wrong by Sloop, when nothing gave it a reason:
///
/// - refused in shadow mode,
/// - refused while every breaker was closed and `payments` was well (in trouble, load is shed before breakers open),
/// - failed while `payments` was well and everything from before had settled.
fn failed_by_sloop(observed: &Observed, bands: &[Band]) -> Vec<Wrong> {
    let is_wrong = |seen: &&Seen| {
        let ended_ms = seen.at_ms + seen.latency_us / 1_000 + 1;
        let is_refusal = matches!(seen.answer.as_deref(), Some("refused" | "degraded"));
        let armed = bands
            .iter()
            .any(|band| !closed_throughout(band, seen.at_ms, ended_ms));
        let is_wrong = is_refusal || seen.ending != Ending::Status(200);
        match (observed.enforcement, is_refusal) {
            (Enforcement::Shadow, true) => true,
            (Enforcement::Shadow, false) | (Enforcement::Enforced, _) => {
                is_wrong && !armed && is_calm(observed, seen.at_ms, ended_ms)
            }
        }
    };
    let wrong = observed.seen.iter().filter(is_wrong);
    wrong
        .map(|seen| Wrong {
            route: seen.route.clone(),
            at_ms: seen.at_ms,
            ending: seen.ending,
            answer: seen.answer.clone(),
        })
        .collect()
}

fn closed_throughout(band: &Band, from_ms: u64, to_ms: u64) -> bool {
    let ends = band.states.iter().skip(1).map(|(at, _)| *at);
    band.states
        .iter()
        .zip(ends.chain([u64::MAX]))
        .filter(|((begins, _), ends)| *begins <= to_ms && from_ms <= *ends)
        .all(|((_, state), _)| *state == BreakerState::Closed)
}

/// Whether `payments` was well from long before `from_ms` until `to_ms`.
fn is_calm(observed: &Observed, from_ms: u64, to_ms: u64) -> bool {
    observed
        .phases
        .iter()
        .filter(|phase| phase.trouble != Trouble::None)
        .all(|phase| to_ms < phase.from_ms || phase.to_ms + SETTLE_MS < from_ms)
}

fn burns(observed: &Observed) -> BTreeMap<String, Vec<(u64, f64)>> {
    let mut burns: BTreeMap<String, Vec<(u64, f64)>> = BTreeMap::new();
    for burn in &observed.burns {
        let at = burn.at_ms.saturating_sub(observed.began_ms);
        burns
            .entry(burn.slo.clone())
            .or_default()
            .push((at, burn.rate));
    }
    burns
}

#[cfg(test)]
mod tests;
