//! Policies as sentences.

use sloop_model::{
    BreakerMode, BreakerRule, BreakerWindow, DelaySpread, DenyRule, ExchangeSide, FaultEnding,
    FaultRule, Judge, Mode, Pace, Policy, RetryRule, Rule, Share, ShedRule, WallTime,
};

use super::table::percent;
use crate::metrics::{rough_span, span};

/// What `policy` does, on one line, as seen at `now`.
pub(super) fn sentence(policy: &Policy, now: WallTime) -> String {
    let rule = match &policy.rule {
        Rule::Count(objective) => format!("counts for objective {}", objective.id.index),
        Rule::Break {
            mode,
            limits,
            expires_at_ms,
        } => {
            let does = match mode {
                BreakerMode::Enforce => format!("a breaker opens {}", breaker(limits)),
                BreakerMode::Shadow => format!(
                    "a breaker in shadow, which only counts, opens {}",
                    breaker(limits)
                ),
                BreakerMode::MetricsOnly => "a breaker counts and never opens".to_owned(),
                BreakerMode::Disabled => "no breaker, as declared".to_owned(),
                BreakerMode::ForcedOpen => "a breaker refuses everything, as declared".to_owned(),
            };
            let left = left(*expires_at_ms, now);
            format!("{does}; the lease ends in {left} unless renewed")
        }
        Rule::Trip(trip) => format!(
            "every breaker opens once (order {}); the order ends in {}",
            trip.id,
            left(trip.until_ms, now)
        ),
        Rule::Shed {
            mode,
            limits,
            expires_at_ms,
        } => {
            let left = left(*expires_at_ms, now);
            format!(
                "{}; the lease ends in {left} unless renewed",
                shedding(*mode, limits.as_ref())
            )
        }
        Rule::RetryBudget {
            mode,
            limits,
            expires_at_ms,
        } => {
            let left = left(*expires_at_ms, now);
            format!(
                "{}; the lease ends in {left} unless renewed",
                retry_budget(*mode, limits)
            )
        }
        Rule::Deny(rule) => {
            let left = left(rule.expires_at(), now);
            format!("{}; ends in {left} unless renewed", denial(rule))
        }
        Rule::Deadline {
            mode,
            limit_ms,
            expires_at_ms,
        } => {
            let left = left(*expires_at_ms, now);
            let limit = span(limit_ms.as_millis().into());
            let does = match mode {
                Mode::Enforce => format!("requests have {limit}, and what comes later is refused"),
                Mode::Shadow => {
                    "in shadow, what comes after its deadline is only counted".to_owned()
                }
            };
            format!("{does}; the lease ends in {left} unless renewed")
        }
        Rule::Fault(rule) => format!("{}; ends in {}", fault(rule), left(rule.expires_at(), now)),
    };
    format!("{}: {rule}", policy.scope)
}

fn breaker(rule: &BreakerRule) -> String {
    let limits = rule.limits();
    let slow = limits
        .slow_max
        .zip(limits.slow_us)
        .map_or_else(String::new, |(share, slow_us)| {
            let share = percent(Some(share.as_fraction()));
            format!(" or more than {share} took longer than {}", length(slow_us))
        });
    let bad = match limits.manner.judge {
        Judge::Outcomes => "failed",
        Judge::Objectives => "were bad as objectives count them",
        Judge::Both => "failed or were bad as objectives count them",
    };
    let millis = |millis: u32| span(millis.into());
    let window = match rule.window() {
        BreakerWindow::Time { length, .. } => {
            format!(
                "requests in {}",
                span(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
            )
        }
        BreakerWindow::Calls(calls) => format!("of the last {calls} requests"),
    };
    format!(
        "when more than {} {bad}{slow}, of at least {} {window}; \
         stays open for {}, at most {}; closes after {} probes and {}{}",
        percent(Some(limits.failed_max.as_fraction())),
        rule.calls_min(),
        millis(limits.open_ms),
        millis(limits.open_max_ms),
        limits.probes,
        millis(limits.ramp_ms),
        match limits.manner.pace {
            Pace::Time => "",
            Pace::Traffic => ", or sooner, at the pace of the traffic",
        },
    )
}

fn shedding(mode: Mode, limits: Option<&ShedRule>) -> String {
    let Some(rule) = limits else {
        return "sheds as SLOs imply".to_owned();
    };
    let limits = rule.limits();
    let share = |share: Share| percent(Some(share.as_fraction()));
    let slow = limits.slow_max.zip(limits.slow_us).map(|(of, slow_us)| {
        format!(
            "more than {} take longer than {}",
            share(of),
            length(slow_us)
        )
    });
    let bad = match limits.judge {
        Judge::Outcomes => "fail",
        Judge::Objectives => "are bad as objectives count them",
        Judge::Both => "fail or are bad as objectives count them",
    };
    let failed = limits
        .failed_max
        .map(|of| format!("more than {} {bad}", share(of)));
    let in_flight = limits
        .in_flight_max
        .map(|of| format!("more than {of} are under way in a worker"));
    let missed: Vec<String> = [slow, failed, in_flight].into_iter().flatten().collect();
    let acts = match mode {
        Mode::Enforce => "sheds",
        Mode::Shadow => "in shadow, which only counts, sheds",
    };
    format!(
        "{acts} up to {} of requests, the least critical first, while {}",
        share(limits.share_max),
        missed.join(" or ")
    )
}

fn retry_budget(mode: Mode, rule: &RetryRule) -> String {
    let limits = rule.limits();
    let acts = match mode {
        Mode::Enforce => "refuses",
        Mode::Shadow => "in shadow, which only counts, refuses",
    };
    format!(
        "{acts} retries beyond {} of first attempts and {} per second and worker, while more of them are in vain than not",
        percent(Some(limits.share.as_fraction())),
        limits.least
    )
}

fn denial(rule: &DenyRule) -> String {
    let acts = match rule.mode() {
        Mode::Enforce => "refuses",
        Mode::Shadow => "in shadow, which only counts, refuses",
    };
    let caller = rule
        .caller()
        .map_or_else(String::new, |caller| format!(" of {caller}"));
    format!(
        "rule {} {acts} requests{caller} that fit with {}, up to {}",
        rule.id(),
        rule.status(),
        percent(Some(rule.share_max().as_fraction()))
    )
}

fn fault(rule: &FaultRule) -> String {
    let effect = rule.effect();
    let headers = (!effect.headers.is_empty()).then(|| "sent on with other headers".to_owned());
    let delay = effect.delay.as_ref().map(delay);
    let ending = effect.ending.map(|ending| match ending {
        FaultEnding::Abort { status } => format!("answered with {status}"),
        FaultEnding::AbortGrpc { status } => format!("answered with gRPC status {status}"),
        FaultEnding::Reset => "reset".to_owned(),
    });
    let body = effect.body.map(|_| "spoiled in their bodies".to_owned());
    let asked = effect
        .is_asked
        .then(|| "treated as their headers ask".to_owned());
    let effects: Vec<String> = [headers, delay, ending, body, asked]
        .into_iter()
        .flatten()
        .collect();
    let effects = if effects.is_empty() {
        "only counted".to_owned()
    } else {
        effects.join(", then ")
    };
    let half = match effect.on {
        ExchangeSide::Request => "requests",
        ExchangeSide::Response => "responses",
    };
    let share = |share: Share| percent(Some(share.as_fraction()));
    let control = match rule.shares().control() {
        Share::NONE => String::new(),
        control => format!(", compared with {}", share(control)),
    };
    format!(
        "fault {}: {} of {half} are {effects}{control}",
        rule.id(),
        share(rule.share()),
    )
}

fn delay(spread: &DelaySpread) -> String {
    let millis = |millis: u32| span(millis.into());
    match spread {
        DelaySpread::Fixed(delay) => {
            let micros = u64::try_from(delay.duration().as_micros()).unwrap_or(u64::MAX);
            format!("held back for {}", length(micros))
        }
        DelaySpread::Uniform { min_ms, max_ms } => {
            format!("held back for {} to {}", millis(*min_ms), millis(*max_ms))
        }
        DelaySpread::Exponential { mean_ms } => {
            format!("held back for {} on average", millis(*mean_ms))
        }
        DelaySpread::Pareto { scale_ms, .. } => {
            format!("held back for {} and more", millis(*scale_ms))
        }
        DelaySpread::Quantiles(_) | DelaySpread::Histogram(_) => {
            "held back as a table says".to_owned()
        }
    }
}

/// A length of time that somebody wrote down, in full.
fn length(micros: u64) -> String {
    if micros.is_multiple_of(1_000) {
        span(micros / 1_000)
    } else {
        format!("{micros}us")
    }
}

fn left(end: WallTime, now: WallTime) -> String {
    let left = end.since(now).as_secs().saturating_mul(1_000);
    rough_span(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rule: &str) -> String {
        let scope = r#"{"service": "checkout", "route": "pay", "side": "server"}"#;
        let policy = format!(r#"{{"scope": {scope}, "rule": {rule}}}"#);
        let policy = serde_json::from_str(&policy).unwrap();
        sentence(&policy, WallTime::from_millis(1_000))
    }

    #[test]
    fn a_breaker_says_when_it_opens_and_closes() {
        let rule = |mode: &str, slow: &str| {
            format!(
                r#"{{"break": {{"mode": "{mode}", "expires_at_ms": 901500, "limits":
                {{"window_ms": 1000, "calls_min": 5, "failed_max": 2000, {slow}
                "open_ms": 500, "open_max_ms": 90000, "probes": 3, "ramp_ms": 0}}}}}}"#
            )
        };
        assert_eq!(
            read(&rule("enforce", "")),
            "checkout pay (server): a breaker opens when more than 20% failed, of at least 5 \
             requests in 1s; stays open for 500ms, at most 1m30s; closes after 3 probes and 0s; \
             the lease ends in 15m unless renewed"
        );
        let slow = read(&rule("shadow", r#""slow_max": 8000, "slow_us": 250000,"#));
        assert!(
            slow.contains("a breaker in shadow, which only counts, opens"),
            "{slow}"
        );
        assert!(
            slow.contains("20% failed or more than 80% took longer than 250ms, of"),
            "{slow}"
        );
    }

    #[test]
    fn a_deadline_says_how_long_requests_have() {
        let rule = |mode: &str| {
            format!(
                r#"{{"deadline": {{"mode": "{mode}", "limit_ms": 3000, "expires_at_ms": 901500}}}}"#
            )
        };
        assert_eq!(
            read(&rule("enforce")),
            "checkout pay (server): requests have 3s, and what comes later is refused; the lease \
             ends in 15m unless renewed"
        );
        let shadow = read(&rule("shadow"));
        assert!(shadow.contains("is only counted"), "{shadow}");
    }

    #[test]
    fn a_retry_budget_says_how_many_pass() {
        assert_eq!(
            read(
                r#"{"retry_budget": {"mode": "shadow", "limits": {"share": 1440, "least": 3}, "expires_at_ms": 61000}}"#
            ),
            "checkout pay (server): in shadow, which only counts, refuses retries beyond 14.4% of first attempts and 3 \
             per second and worker, while more of them are in vain than not; the lease ends in 1m unless renewed"
        );
    }

    #[test]
    fn orders_and_faults_say_when_they_end() {
        assert_eq!(
            read(r#"{"trip": {"id": 7, "until_ms": 11000}}"#),
            "checkout pay (server): every breaker opens once (order 7); the order ends in 10s"
        );
        let fault = r#"{"fault": {"id": "slow", "share": 500, "delay_ms": 300,
            "abort_status": 503, "expires_at_ms": 7262000}}"#;
        assert_eq!(
            read(fault),
            "checkout pay (server): fault slow: 5% of requests are held back for 300ms, \
             then answered with 503; ends in 2h1m"
        );
        let experiment = r#"{"fault": {"id": "e", "share": 500, "control": 500, "reset": true,
            "delay": {"uniform": {"min_ms": 5, "max_ms": 1000}}, "expires_at_ms": 2000}}"#;
        assert_eq!(
            read(experiment),
            "checkout pay (server): fault e: 5% of requests are held back for 5ms to 1s, \
             then reset, compared with 5%; ends in 1s"
        );
        let answers = r#"{"fault": {"id": "b", "share": 10000, "side_of_exchange": "response",
            "body": {"corrupt": 5}, "expires_at_ms": 2000}}"#;
        assert!(
            read(answers).contains("100% of responses are spoiled in their bodies;"),
            "{}",
            read(answers)
        );
    }
}
