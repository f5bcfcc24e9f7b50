//! The last seconds of a scope: what filters are told about the fleet, and what people see of latency.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sloop_controllers::ScopeCounts;
use sloop_model::{ObjectiveId, Outcome, WallTime};

use super::effects::Effected;
use super::values::Values;
use crate::admin::api::Latency;
use crate::ingest::Details;

/// The longest time that readings for filters are about, as the wire contract says.
const READING: Duration = Duration::from_secs(10);

/// Requests that are enough for a reading: what was before them would only make it late. A share of a hundred is known to
/// three times 5 % at worst.
const ENOUGH: u64 = 100;

/// The time that latency is about.
const LATENCY: Duration = Duration::from_secs(60);

/// Latencies are forgotten in steps of this.
const LATENCY_STEP: Duration = Duration::from_secs(10);

/// Latencies of one step that are told apart: more than the buckets of filters, which older ones did not keep to.
const LATENCIES_MAX: usize = 4_096;

/// Filters count in the same buckets, so what comes next is nearly always one of those that are known next.
const NEAR: usize = 4;

/// Requests that say whether the service is well, and how many of them were good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Requests that the objective counts which speaks for shedding ([`fleet_objective`](sloop_controllers::fleet_objective)); where there
    /// is none, those whose outcome is evidence. So neither counts what was refused, shed, denied or given up on.
    pub requests: u64,
    /// Those that met that objective, or were served.
    pub good: u64,
}

/// The last seconds of one scope, by the control plane's own clock.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    seconds: VecDeque<(u64, Reading)>,
    /// Latencies in microseconds and how often they were, ascending. Halves of numbers do, for an hour and four billion requests
    /// in ten seconds: of tens of thousands of scopes this is much of what there is.
    latency: VecDeque<(u64, Vec<(u32, u32)>)>,
    /// Who asked, and how often again.
    pub(super) values: Values,
    /// What was done on purpose, and how experiments went.
    pub(super) effected: Effected,
    /// When the newest report about it came.
    pub reported: WallTime,
    /// The objective that readings are of, by the policies of this step: to find it looks through all of them.
    judged: (u64, Option<ObjectiveId>),
}

impl Recent {
    /// Takes in what a report said, at the moment when it came. After so many steps its reading is of the objective that `find` finds.
    pub fn take(
        &mut self,
        counts: &ScopeCounts,
        (steps, find): (u64, impl FnOnce() -> Option<ObjectiveId>),
        details: &Details,
        now: WallTime,
    ) {
        let (found_at, known) = core::mem::take(&mut self.judged);
        let judged = if found_at == steps { known } else { find() };
        self.add(counts, judged.as_ref(), details, now);
        self.judged = (steps, judged);
    }

    fn add(
        &mut self,
        counts: &ScopeCounts,
        judged: Option<&ObjectiveId>,
        details: &Details,
        now: WallTime,
    ) {
        self.reported = now;
        self.values.add(details);
        self.effected.add(&details.effects, &counts.arms);
        let reading = reading(counts, judged);
        let current = slot(&mut self.seconds, now, Duration::from_secs(1), READING);
        current.requests = current.requests.saturating_add(reading.requests);
        current.good = current.good.saturating_add(reading.good);
        if counts.latency.is_empty() {
            return;
        }
        let index = now.as_millis() / millis(LATENCY_STEP);
        if let Some((_, ended)) = self.latency.back_mut().filter(|(at, _)| *at != index) {
            ended.shrink_to_fit();
        }
        let current = slot(&mut self.latency, now, LATENCY_STEP, LATENCY);
        add(current, &counts.latency);
    }

    /// What the fleet saw up to `now`, in as many of the last ten seconds as it takes to have seen enough, and to have heard
    /// of all who report every `interval`: the newest alone may be of one sidecar.
    #[must_use]
    pub fn reading(&self, interval: Duration, now: WallTime) -> Reading {
        let second = |at: WallTime| at.as_millis() / 1_000;
        let from = second(now.before(READING));
        // A report may be late by as much again.
        let all = second(now.before(interval * 2));
        let mut sum = Reading::default();
        for (at, one) in self.seconds.iter().rev().take_while(|(at, _)| *at > from) {
            if *at < all && ENOUGH <= sum.requests {
                break;
            }
            sum.requests = sum.requests.saturating_add(one.requests);
            sum.good = sum.good.saturating_add(one.good);
        }
        sum
    }

    /// Percentiles of the minute up to `now`; `None` when nothing had a latency.
    #[must_use]
    pub fn latency(&self, now: WallTime) -> Option<Latency> {
        let from = now.before(LATENCY).as_millis() / millis(LATENCY_STEP);
        let mut all: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, counts) in self.latency.iter().filter(|(step, _)| *step > from) {
            for &(value, count) in counts {
                let known = all.entry(value.into()).or_default();
                *known = known.saturating_add(count.into());
            }
        }
        let count = all
            .values()
            .fold(0_u64, |sum, &one| sum.saturating_add(one));
        Some(Latency {
            count,
            p50_us: percentile(&all, count, 50)?,
            p99_us: percentile(&all, count, 99)?,
        })
    }
}

/// Adds `more`, which nearly always ascend and are known, to what ascends. What there is no room for counts as its
/// neighbour.
fn add(known: &mut Vec<(u32, u32)>, more: &[(u64, u64)]) {
    let half = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let mut next: usize = 0;
    let mut last = 0;
    for &(value, count) in more {
        let (value, count) = (half(value), half(count));
        if value < last {
            next = 0;
        }
        last = value;
        let rest = known.get(next..).unwrap_or_default();
        let near = rest.iter().take(NEAR).position(|(at, _)| value <= *at);
        next += near.unwrap_or_else(|| rest.partition_point(|(at, _)| *at < value));
        let is_full = LATENCIES_MAX <= known.len();
        let place = if is_full {
            next.min(known.len() - 1)
        } else {
            next
        };
        match known.get_mut(place) {
            Some((at, sum)) if *at == value || is_full => *sum = sum.saturating_add(count),
            _ => known.insert(place, (value, count)),
        }
    }
}

/// What `counts` say of `judged`; nothing when they do not say anything of it. By outcomes when it is none.
fn reading(counts: &ScopeCounts, judged: Option<&ObjectiveId>) -> Reading {
    if let Some(judged) = judged {
        let mut objectives = counts.objectives.iter();
        let objective = objectives.find(|objective| objective.id == *judged);
        return objective.map_or_else(Reading::default, |objective| Reading {
            requests: objective.total,
            good: objective.good.min(objective.total),
        });
    }
    let mut reading = Reading::default();
    for (outcome, count) in Outcome::ALL.iter().zip(counts.outcomes) {
        if outcome.is_evidence() {
            let good = if outcome.is_served() { count } else { 0 };
            reading.requests = reading.requests.saturating_add(count);
            reading.good = reading.good.saturating_add(good);
        }
    }
    reading
}

/// The slot that `now` falls into, after dropping those that ended before `keep`.
fn slot<T: Default>(
    slots: &mut VecDeque<(u64, T)>,
    now: WallTime,
    step: Duration,
    keep: Duration,
) -> &mut T {
    let index = now.as_millis() / millis(step);
    let oldest = now.before(keep).as_millis() / millis(step);
    // A clock that went backwards leaves slots of the future behind; they go too.
    slots.retain(|(at, _)| (oldest..=index).contains(at));
    let current = match slots.pop_back() {
        Some((at, current)) if at == index => current,
        Some(earlier) => {
            slots.push_back(earlier);
            T::default()
        }
        None => T::default(),
    };
    &mut slots.push_back_mut((index, current)).1
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The smallest value that `percent` of `count` values do not exceed.
pub(super) fn percentile(counts: &BTreeMap<u64, u64>, count: u64, percent: u64) -> Option<u64> {
    let rank = (u128::from(count) * u128::from(percent)).div_ceil(100);
    let mut seen = 0_u128;
    counts.iter().find_map(|(&value, &one)| {
        seen += u128::from(one);
        (seen >= rank && one > 0).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use sloop_controllers::ObjectiveCounts;
    use sloop_model::{ObjectiveId, RouteName, Scope, ServiceName, Side, SloName};

    use super::*;
    use crate::ingest::{Effects, Retries};

    const NONE: Details = Details {
        retries: 0,
        values: Vec::new(),
        effects: Effects {
            delayed: 0,
            aborted: 0,
            shed: None,
            shadow_denied: 0,
            shadow_denied_good: 0,
            retries: Retries {
                refused: 0,
                shadow: 0,
                shadow_good: 0,
            },
        },
    };

    const NOW: WallTime = WallTime::from_millis(1_000_000);
    /// How often sidecars report.
    const EVERY: Duration = Duration::from_secs(1);

    fn id(index: u32) -> ObjectiveId {
        ObjectiveId {
            slo: SloName::try_from("slo").unwrap(),
            index,
        }
    }

    fn counts(requests: u64, bad: &[u64], latency: &[(u64, u64)]) -> ScopeCounts {
        let objective = |(index, &bad): (u32, &u64)| ObjectiveCounts {
            id: id(index),
            total: requests,
            good: requests - bad,
        };
        ScopeCounts {
            requests,
            outcomes: Outcome::ALL.map(|outcome| match outcome.index() {
                0 => requests,
                _ => 0,
            }),
            objectives: (0..).zip(bad).map(objective).collect(),
            latency: latency.to_vec(),
            ..ScopeCounts::nothing(Scope {
                service: ServiceName::unknown(),
                route: RouteName::other(),
                side: Side::Server,
            })
        }
    }

    #[test]
    fn a_reading_is_about_the_newest_that_are_enough_and_all_who_report() {
        const TENTH: Duration = Duration::from_millis(100);
        let mut recent = Recent::default();
        let at = |second| NOW.after(Duration::from_secs(second));
        let all = [(0, 500, 500), (1, 60, 30), (2, 60, 0), (3, 5, 0)];
        for (second, count, bad) in all {
            recent.add(&counts(count, &[bad], &[]), Some(&id(0)), &NONE, at(second));
        }
        let of = |recent: &Recent, interval| {
            let reading = recent.reading(interval, at(3));
            (reading.requests, reading.good)
        };
        assert_eq!(of(&recent, TENTH), (125, 95));
        recent.add(&counts(95, &[0], &[]), Some(&id(0)), &NONE, at(3));
        assert_eq!(
            of(&recent, TENTH),
            (160, 160),
            "those before may have been others'"
        );
        assert_eq!(of(&recent, Duration::from_secs(1)), (220, 190));
        assert_eq!(of(&recent, Duration::from_secs(10)), (720, 190));
    }

    #[test]
    fn a_reading_is_about_ten_seconds_at_most() {
        let mut recent = Recent::default();
        recent.add(&counts(10, &[1, 3], &[]), Some(&id(0)), &NONE, NOW);
        recent.add(
            &counts(10, &[0], &[]),
            Some(&id(0)),
            &NONE,
            NOW.after(Duration::from_secs(5)),
        );
        let reading = |after| recent.reading(EVERY, NOW.after(Duration::from_millis(after)));
        assert_eq!((reading(5_000).requests, reading(5_000).good), (20, 19));
        assert_eq!(reading(9_999).requests, 20);
        assert_eq!(reading(10_000).requests, 10);
        assert_eq!(reading(15_000).requests, 0);
    }

    #[test]
    fn what_readings_are_of_is_looked_for_once_a_step() {
        let mut recent = Recent::default();
        let mut looked = Vec::new();
        for steps in [0, 1, 1, 1, 2, 2] {
            let find = || {
                looked.push(steps);
                Some(id(0))
            };
            recent.take(&counts(10, &[1], &[]), (steps, find), &NONE, NOW);
        }
        assert_eq!(
            looked,
            [1, 2],
            "before the first step there are no policies"
        );
        let reading = recent.reading(Duration::from_secs(1), NOW);
        assert_eq!((reading.requests, reading.good), (60, 55));
    }

    #[test]
    fn what_was_shed_says_nothing_of_the_service_nor_do_other_objectives() {
        let reading = |counts: &ScopeCounts, judged: Option<&ObjectiveId>| {
            let reading = reading(counts, judged);
            (reading.requests, reading.good)
        };
        let mut counts = counts(100, &[90, 0], &[]);
        counts.objectives[1].total = 50;
        counts.objectives[1].good = 40;
        assert_eq!(reading(&counts, Some(&id(1))), (50, 40));
        assert_eq!(reading(&counts, Some(&id(2))), (0, 0));
        for (outcome, count) in [
            (Outcome::Success, 30),
            (Outcome::ClientError, 10),
            (Outcome::ServerError, 10),
            (Outcome::Shed, 50),
            (Outcome::Refused, 50),
            (Outcome::ClientCancel, 50),
        ] {
            counts.outcomes[outcome.index()] = count;
        }
        assert_eq!(reading(&counts, None), (50, 40));
    }

    #[test]
    fn latency_is_about_a_minute() {
        let mut recent = Recent::default();
        assert_eq!(recent.latency(NOW), None);
        recent.add(
            &counts(100, &[], &[(10, 50), (20, 48), (900, 2)]),
            Some(&id(0)),
            &NONE,
            NOW,
        );
        let latency = recent.latency(NOW).unwrap();
        assert_eq!(
            (latency.count, latency.p50_us, latency.p99_us),
            (100, 10, 900)
        );
        recent.add(
            &counts(1, &[], &[(7, 1)]),
            Some(&id(0)),
            &NONE,
            NOW.after(Duration::from_secs(70)),
        );
        let latency = recent.latency(NOW.after(Duration::from_secs(70))).unwrap();
        assert_eq!((latency.count, latency.p99_us), (1, 7));
    }

    #[test]
    fn a_latency_of_hours_is_one_of_an_hour() {
        let mut recent = Recent::default();
        recent.add(&counts(1, &[], &[(u64::MAX, 1)]), Some(&id(0)), &NONE, NOW);
        let latency = recent.latency(NOW).unwrap();
        assert_eq!((latency.count, latency.p50_us), (1, u32::MAX.into()));
    }

    #[test]
    fn latencies_of_a_time_that_is_over_take_no_more_room_than_they_need() {
        let mut recent = Recent::default();
        for second in 0..60 {
            let now = NOW.after(Duration::from_secs(second));
            let latency: Vec<_> = (0..33).map(|value| (value, 1)).collect();
            recent.add(&counts(33, &[], &latency), Some(&id(0)), &NONE, now);
        }
        let room = recent.latency.iter().map(|(_, all)| all.capacity());
        let over: Vec<usize> = room.take(recent.latency.len() - 1).collect();
        assert_eq!(over, [33; 5]);
    }

    #[test]
    fn latencies_add_up_in_whatever_order_they_come() {
        let mut known = Vec::new();
        for more in [
            &[(5, 1), (9, 1)][..],
            &[(1, 1), (5, 2), (7, 1), (20, 1)],
            &[(9, 1), (9, 1), (5, 1), (2, u64::MAX)],
            &[(2, 1)],
            &[],
        ] {
            add(&mut known, more);
        }
        let all = [(1, 1), (2, u32::MAX), (5, 4), (7, 1), (9, 3), (20, 1)];
        assert_eq!(known, all);
    }

    #[test]
    fn so_many_latencies_are_told_apart_and_the_others_count_as_their_neighbours() {
        let mut known = Vec::new();
        let all = 0..2 * LATENCIES_MAX as u64;
        add(&mut known, &all.map(|value| (value, 1)).collect::<Vec<_>>());
        assert_eq!(known.len(), LATENCIES_MAX);
        let counted: u64 = known.iter().map(|(_, count)| u64::from(*count)).sum();
        assert_eq!(counted, 2 * LATENCIES_MAX as u64);
        add(&mut known, &[(0, 1)]);
        assert_eq!(known[0], (0, 2));
    }

    #[test]
    fn a_clock_that_goes_backwards_does_no_harm() {
        let mut recent = Recent::default();
        recent.add(&counts(10, &[0], &[]), Some(&id(0)), &NONE, NOW);
        recent.add(
            &counts(1, &[], &[]),
            Some(&id(0)),
            &NONE,
            WallTime::default(),
        );
        assert_eq!(
            recent.reading(EVERY, WallTime::default()).requests,
            0,
            "before the first second"
        );
        assert_eq!(recent.seconds.len(), 1);
    }
}
