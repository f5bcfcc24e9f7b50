//! An invented run, for tests: simple enough to know what must come out.

use sloop_bench::{Arrivals, Ending, Lateness};
use sloop_controllers::{Spent, SpentBy};

use super::decided::Ordered;
use super::heard::Heard;
use super::observed::{
    BreakerCause, BreakerState, Burn, Change, Counted, Effect, Enforcement, Observed, Seen,
};
use super::plan::{Phase, Plan, USERS_DO};
use crate::shop::{CheckoutStatus, Episode, Trouble};

/// When invented runs begin, in milliseconds since the Unix epoch.
pub(super) const BEGAN_MS: u64 = 1_700_000_000_000;
/// From the beginning of a trouble to its first bad answer.
const FIRST_BAD_AFTER_MS: u64 = 100;
/// From there until `checkout`'s breaker opens, and until that of `edge` does.
pub(super) const LOCAL_MS: u64 = 400;
pub(super) const FLEET_MS: u64 = 900;
/// From healing until both are closed.
pub(super) const RELAXED_MS: u64 = 3_000;

/// A run of the story in which everything goes as it should.
pub(super) fn run(enforcement: Enforcement) -> Observed {
    let plan = Plan::story(7);
    let weights: Vec<u32> = USERS_DO.iter().map(|(_, _, _, weight)| *weight).collect();
    let arrivals = Arrivals::poisson(plan.rate, plan.lasting(), &weights, plan.seed).unwrap();
    let changes = changes(&plan.phases);
    let seen: Vec<Seen> = arrivals
        .as_slice()
        .iter()
        .map(|arrival| {
            let at_ms = u64::try_from(arrival.at.as_millis()).unwrap();
            request(&plan.phases, enforcement, arrival.call, at_ms)
        })
        .collect();
    Observed {
        enforcement,
        began_ms: BEGAN_MS,
        episodes: plan.phases.iter().map(episode).collect(),
        burns: burns(&plan),
        phases: plan.phases,
        sent_requests: u64::try_from(seen.len()).unwrap(),
        counted_requests: u64::try_from(seen.len()).unwrap(),
        seen,
        changes,
        callers: vec!["checkout-1".to_owned(), "edge-1".to_owned()],
        effects: [12, 5, 30].map(|after_ms| Effect { after_ms }).to_vec(),
        counted: vec![Counted {
            slo: "payments-availability".to_owned(),
            target: 0.99,
            total: 1_000,
            bad: 240,
        }],
        ordered: vec![Ordered {
            decision: 7,
            at_ms: 5_900,
            intent: "SLO/payments-availability".to_owned(),
            because: "too much is bad".to_owned(),
            refused: 40,
            refused_bad: 38,
            refused_unknown: 2,
        }],
        spent: [("checkout-1", 180), ("edge-1", 60)]
            .map(|(name, bad)| Spent {
                by: SpentBy::Sidecar,
                name: name.to_owned(),
                bad,
            })
            .to_vec(),
        heard: [
            ("payments-availability", 6_300, Some(62_300)),
            ("payments-latency", 24_300, None),
        ]
        .map(|(slo, at_ms, over_ms)| Heard {
            slo: slo.to_owned(),
            at_ms,
            summary: "it burns".to_owned(),
            acting: over_ms.map(|_| "ordered to open".to_owned()),
            over_ms,
            reason: over_ms.map(|_| "withdrawn".to_owned()),
        })
        .to_vec(),
        orders: CheckoutStatus {
            accepted: 10,
            charged_later: 10,
            waiting: 0,
        },
        lateness: Lateness::default(),
    }
}

fn episode(phase: &Phase) -> Episode {
    let first_bad_ms =
        (phase.trouble != Trouble::None).then_some(BEGAN_MS + phase.from_ms + FIRST_BAD_AFTER_MS);
    Episode {
        trouble: phase.trouble,
        since_ms: BEGAN_MS + phase.from_ms,
        first_hit_ms: first_bad_ms,
        first_bad_ms,
        hit: 1,
    }
}

fn changes(phases: &[Phase]) -> Vec<Change> {
    let mut changes = Vec::new();
    for phase in phases.iter().filter(|phase| phase.trouble != Trouble::None) {
        let bad_ms = phase.from_ms + FIRST_BAD_AFTER_MS;
        for (node, open_ms, cause) in [
            ("checkout-1", bad_ms + LOCAL_MS, BreakerCause::Failures),
            ("edge-1", bad_ms + FLEET_MS, BreakerCause::Fleet),
        ] {
            for (at_ms, to, cause) in [
                (open_ms, BreakerState::Open, cause),
                (open_ms + 1_000, BreakerState::Probing, BreakerCause::Time),
                (open_ms + 1_100, BreakerState::Open, cause),
                (phase.to_ms + 300, BreakerState::Probing, BreakerCause::Time),
                (
                    phase.to_ms + 1_000,
                    BreakerState::Ramping,
                    BreakerCause::Recovered,
                ),
                (
                    phase.to_ms + RELAXED_MS,
                    BreakerState::Closed,
                    BreakerCause::Time,
                ),
            ] {
                changes.push(Change {
                    node: node.to_owned(),
                    breaker: "vm/charge".to_owned(),
                    at_ms: BEGAN_MS + at_ms,
                    to,
                    cause,
                });
            }
        }
    }
    changes
}

fn request(phases: &[Phase], enforcement: Enforcement, call: usize, at_ms: u64) -> Seen {
    let trouble = phases.iter().find(|phase| {
        phase.trouble != Trouble::None && (phase.from_ms..phase.to_ms).contains(&at_ms)
    });
    let guarded = enforcement == Enforcement::Enforced
        && trouble.is_some_and(|phase| phase.from_ms + FIRST_BAD_AFTER_MS + FLEET_MS <= at_ms);
    let (latency_us, status, answer) = match (trouble.is_some(), guarded, call) {
        (false, _, _) | (true, true, 0) => (12_000 + at_ms % 9_000, 200, "full"),
        (true, true, 1) => (15_000, 200, "degraded"),
        (true, true, _) => (6_000, 503, "refused"),
        (true, false, 0) => (900_000 + at_ms % 1_000_000, 200, "full"),
        (true, false, _) => (2_500_000, 502, "failed"),
    };
    Seen {
        route: USERS_DO[call].0.to_owned(),
        at_ms,
        latency_us,
        ending: Ending::Status(status),
        answer: Some(answer.to_owned()),
    }
}

fn burns(plan: &Plan) -> Vec<Burn> {
    let mut burns = Vec::new();
    for phase in &plan.phases {
        let rate = if phase.trouble == Trouble::None {
            0.3
        } else {
            45.0
        };
        for at_ms in (phase.from_ms..phase.to_ms).step_by(500) {
            for (slo, times) in [("payments-availability", 1.0), ("payments-latency", 0.4)] {
                burns.push(Burn {
                    slo: slo.to_owned(),
                    at_ms: BEGAN_MS + at_ms,
                    rate: rate * times,
                });
            }
        }
    }
    burns
}
