//! Derives a deadline from an objective: the one place where its number comes from.
//!
//! # Limit
//!
//! With an objective that is met within `t`, a request is given
//!
//! ```text
//! limit = max(t, min(max(10 t, 1 s), 15 s))
//! ```
//!
//! from its arrival. What is left of it goes on with every call that the request
//! causes, and a call that comes when nothing is left is refused where a deadline
//! holds, too. An objective without `t` implies none. The target plays no part: how
//! many may be late says nothing about when an answer has become useless.
//!
//! - **Why refuse.** What comes later than `t` is bad for the objective already, so
//!   refusing it costs nothing of its budget, and what is not done for it is done
//!   for those who still wait. Servers that work on requests whose callers have given
//!   up are how an overload goes on after its cause is gone (SRE book, chapter 22,
//!   "Addressing Cascading Failures": "Latency and Deadlines", "Deadline propagation").
//! - **Ten times.** Where the tail of the latencies is no heavier than that of a Pareto
//!   distribution of index 1, `P(later than 10 t | later than t)` is at most a tenth. So
//!   in health, when at most `1 - target` are late, at most a tenth of that is touched,
//!   and of those only what still has something to ask for then; a third with `t = 5 s`, and all
//!   from 15 s on. Heavier tails have no mean: such a service is not well.
//! - **1 s at least.** A collected heap, a new connection or a packet sent again takes
//!   tens to hundreds of milliseconds, whatever `t` is.
//! - **15 s at most.** That is Envoy's default for a route (`RouteAction.timeout`): who
//!   asked through it has an answer by then, 504, and hears no other.
//! - **`t` at least.** Whoever declares more than 15 s has routes that wait longer, and
//!   what is good is never refused. Above [`DeadlineLimit::MAX`] none is derived.
//!
//! # What it does not do
//!
//! - Nothing that runs is cut off. A request that takes a minute and then answers is served.
//! - An objective that counts requests of any latency as good, on the same scope, can lose
//!   by it: at most the share above. It is the price of not working for nobody.
//! - Work that outlives its request (a task in the background, a queue, a stream that
//!   asks for something for hours) and copies its `tracestate` is late, too. An SLO of
//!   such a service says `sloop.dev/deadline: off`.
//!
//! # Several on one scope
//!
//! The latest holds, among objectives of one SLO and among SLOs: a request that is late for
//! one may be good for another. A deadline that acts comes before one in shadow.
//!
//! Numbers and worked examples, from 10 ms to 60 s: `controlplane/DERIVATION.md`, which a test compares with this.

use core::fmt::Write as _;
use core::time::Duration;

use sloop_model::{DeadlineLimit, Mode, Policy, Rule, Target, WallTime};

use super::derive::trip_level;
use super::derived::AllDerived;
use crate::by_scope::ByScope;
use crate::lease;
use crate::slo::{DeadlineChoice, DeadlineStatus, Indicator};
use crate::words::Length;
use crate::{Decision, SloIntent};

/// How many times the threshold.
const TIMES: u64 = 10;
/// See *Limit* above, in milliseconds.
const LEAST_MS: u64 = 1_000;
/// Envoy's default for a route, in milliseconds.
const MOST_MS: u64 = 15_000;

/// The deadline that an objective implies; nothing where any latency is good, or everything may be bad.
pub(crate) fn deadline_limit(target: Target, within_us: Option<u64>) -> Option<DeadlineLimit> {
    trip_level(target)?;
    let within_ms = within_us?.div_ceil(1_000);
    let times = within_ms.saturating_mul(TIMES);
    let limit = times.clamp(LEAST_MS, MOST_MS).max(within_ms);
    DeadlineLimit::try_from(limit).ok()
}

/// The deadline that holds when the SLO chose this, and its objective implies `derived`.
fn chosen(choice: DeadlineChoice, derived: Option<DeadlineLimit>) -> Option<DeadlineLimit> {
    match choice {
        DeadlineChoice::Derived => derived,
        DeadlineChoice::Off => None,
        DeadlineChoice::Limit(limit) => Some(limit),
    }
}

/// Adds the deadlines that `intent` implies or declares.
pub(super) fn added(
    mut decision: Decision,
    (intent, derived): (&SloIntent, &AllDerived),
    mode: Mode,
    now: WallTime,
) -> Decision {
    let sources = intent.counted().zip(derived.iter());
    let limits = sources
        .filter_map(|((_, _, source), derived)| {
            let limit = chosen(intent.deadline, derived.deadline)?;
            Some((source.scope(), limit))
        })
        .collect();
    let limits: ByScope<DeadlineLimit> = ByScope::new(limits, DeadlineLimit::max);
    say(&limits, mode, &mut decision.because);
    let deadlines = limits.into_pairs().map(|(scope, limit_ms)| Policy {
        scope,
        rule: Rule::Deadline {
            mode,
            limit_ms,
            expires_at_ms: lease::BREAKERS.ends_at(now),
        },
    });
    decision.policies.extend(deadlines);
    decision
}

/// Says how long requests have, if any have.
fn say(limits: &ByScope<DeadlineLimit>, mode: Mode, because: &mut String) {
    let lengths = || limits.iter().map(|(_, limit)| limit);
    let (Some(least), Some(most)) = (lengths().min(), lengths().max()) else {
        return;
    };
    let (have, then) = match mode {
        Mode::Enforce => ("have", "calls that come later are refused"),
        Mode::Shadow => ("would have", "calls that come too late are counted"),
    };
    write!(because, "; requests {have} ").ok();
    if least < most {
        write!(because, "{} to ", Length(least.length())).ok();
    }
    write!(because, "{}, and {then}", Length(most.length())).ok();
}

/// The deadline for people; nothing when there is none.
pub(crate) fn deadline_status(
    choice: DeadlineChoice,
    target: Target,
    indicator: &Indicator,
) -> Option<DeadlineStatus> {
    let within_us = indicator.within_us;
    let limit = chosen(choice, deadline_limit(target, within_us))?;
    let length = Length(limit.length());
    let derivation = match (choice, within_us) {
        (DeadlineChoice::Derived, Some(within)) => format!(
            "what takes longer than {within} is bad already, and at most a tenth of that takes ten times as long; \
             so requests have {length} (ten times, but {} to {}, and never less than what is good), and a call that comes when nothing is left is refused",
            Length(Duration::from_millis(LEAST_MS)),
            Length(Duration::from_millis(MOST_MS)),
            within = Length(Duration::from_micros(within)),
        ),
        (DeadlineChoice::Derived | DeadlineChoice::Off | DeadlineChoice::Limit(_), _) => {
            format!("requests have {length}, as declared")
        }
    };
    Some(DeadlineStatus {
        limit_ms: limit.as_millis(),
        derivation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(fraction: f64) -> Target {
        Target::parse(fraction).unwrap()
    }

    fn limit_ms(fraction: f64, within_us: u64) -> Option<u32> {
        deadline_limit(target(fraction), Some(within_us)).map(DeadlineLimit::as_millis)
    }

    /// Both sides of each bound.
    #[test]
    fn limits_are_ten_times_the_threshold_within_their_bounds() {
        for (within_us, expected) in [
            (1, Some(1_000)),
            (10_000, Some(1_000)),
            (100_000, Some(1_000)),
            (100_001, Some(1_010)),
            (300_000, Some(3_000)),
            (1_500_000, Some(15_000)),
            (1_500_001, Some(15_000)),
            (5_000_000, Some(15_000)),
            (15_000_000, Some(15_000)),
            (15_000_001, Some(15_001)),
            (60_000_000, Some(60_000)),
            (600_000_000, Some(600_000)),
            (600_000_001, None),
            (u64::MAX, None),
        ] {
            assert_eq!(limit_ms(0.99, within_us), expected, "{within_us}");
        }
        assert_eq!(deadline_limit(target(0.99), None), None);
        assert_eq!(limit_ms(0.0, 300_000), None, "everything may be late");
    }

    #[test]
    fn the_target_plays_no_part() {
        for fraction in [0.99, 0.5, 0.99999] {
            assert_eq!(limit_ms(fraction, 300_000), Some(3_000), "{fraction}");
        }
    }

    #[test]
    fn what_is_good_is_never_refused() {
        for within_ms in (1..600_000).step_by(7) {
            let limit = limit_ms(0.999, within_ms * 1_000).unwrap();
            assert!(within_ms <= u64::from(limit), "{within_ms}");
        }
    }

    #[test]
    fn an_slo_may_choose_another_or_none() {
        let derived = deadline_limit(target(0.99), Some(300_000));
        let two = DeadlineLimit::try_from(2_000_u32).unwrap();
        assert_eq!(chosen(DeadlineChoice::Derived, derived), derived);
        assert_eq!(chosen(DeadlineChoice::Off, derived), None);
        assert_eq!(chosen(DeadlineChoice::Limit(two), derived), Some(two));
        assert_eq!(chosen(DeadlineChoice::Limit(two), None), Some(two));
    }

    #[test]
    fn people_read_where_the_limit_comes_from() {
        let indicator = Indicator {
            within_us: Some(300_000),
            ..Indicator::default()
        };
        let says = |choice| deadline_status(choice, target(0.99), &indicator);
        let derived = says(DeadlineChoice::Derived).unwrap();
        assert_eq!(derived.limit_ms, 3_000);
        for part in ["longer than 300 ms", "requests have 3 s", "1 s to 15 s"] {
            assert!(derived.derivation.contains(part), "{}", derived.derivation);
        }
        assert_eq!(says(DeadlineChoice::Off), None);
        let two = DeadlineLimit::try_from(2_000_u32).unwrap();
        let declared = says(DeadlineChoice::Limit(two)).unwrap();
        assert_eq!(declared.derivation, "requests have 2 s, as declared");
    }
}
