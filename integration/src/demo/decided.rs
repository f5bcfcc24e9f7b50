//! What the control plane decided, what came of it, and who spent the budget: as `sloop explain` and `sloop describe` say it.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use sloop_controllers::{Spent, SpentBy, Stage};
use sloop_controlplane::admin::api::DecisionExplained;
use sloop_model::Rule;

use super::admin::Admin;
use super::heard::during;
use super::result::Run;

/// The SLO whose spending is shown.
const SLO: &str = "payments-availability";
/// Longer than a run, and short enough to be known to ten seconds.
const WINDOW: Duration = Duration::from_secs(120);

/// A decision by which breakers were ordered to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ordered {
    /// Its number.
    pub decision: u64,
    /// When, in milliseconds after the beginning of the run.
    pub at_ms: u64,
    /// What it protects, as `SLO/payments-latency`.
    pub intent: String,
    /// Why.
    pub because: String,
    /// Requests that breakers refused while it held.
    pub refused: u64,
    /// Those among them that would have failed, by what passed meanwhile.
    pub refused_bad: u64,
    /// Those of which that is not known.
    pub refused_unknown: u64,
}

impl Ordered {
    /// The order that `explained` gave, if it did, in a run that began at `began_ms` since the Unix epoch.
    fn of(explained: DecisionExplained, began_ms: u64) -> Option<Self> {
        let is_order = |rule: &Rule| matches!(rule, Rule::Trip(_));
        if !explained.given.iter().any(|policy| is_order(&policy.rule)) {
            return None;
        }
        let breakers = explained.effects.iter().map(|effect| effect.acted.breakers);
        let (refused, refused_bad, refused_unknown) =
            breakers.fold((0, 0, 0), |(refused, bad, unknown), one| {
                (
                    refused + one.refused,
                    bad + one.refused_bad,
                    unknown + one.refused_unknown,
                )
            });
        let decision = explained.decision;
        // What follows says what else protects the SLO all the time.
        let because = decision.because.split("; ").next().unwrap_or_default();
        Some(Self {
            decision: decision.id,
            at_ms: decision.at_ms.saturating_sub(began_ms),
            because: because.to_owned(),
            intent: decision.intent,
            refused,
            refused_bad,
            refused_unknown,
        })
    }
}

/// The orders since `began_ms`, in milliseconds since the Unix epoch.
///
/// # Errors
///
/// When the control plane does not answer.
pub(super) async fn ordered(admin: &Admin, began_ms: u64) -> anyhow::Result<Vec<Ordered>> {
    let mut ordered = Vec::new();
    for decision in admin.decisions().await? {
        if decision.stage == Stage::Protect && began_ms <= decision.at_ms {
            let explained = admin.decision(decision.id).await?;
            ordered.extend(Ordered::of(explained, began_ms));
        }
    }
    ordered.sort_by_key(|one| one.decision);
    Ok(ordered)
}

/// What each sidecar that calls `payments` spent of its budget of availability, the most first.
///
/// # Errors
///
/// When the control plane does not answer.
pub(super) async fn spent(admin: &Admin) -> anyhow::Result<Vec<Spent>> {
    let mut spent = admin.spent(SLO, WINDOW).await?;
    spent.retain(|spent| spent.by == SpentBy::Sidecar);
    Ok(spent)
}

/// What was decided in `run` and what came of it, in a few lines.
#[must_use]
pub fn decided(run: &Run) -> String {
    let mut text = "  What Sloop ordered, why, and what came of it:\n".to_owned();
    for one in &run.ordered {
        let (name, after_ms) = during(run, one.at_ms);
        // Writing into a string cannot fail.
        writeln!(
            text,
            "    {name} +{:.1} s, decision {}, {}: {}\n      refused {} requests while it held, of which about {} would have failed, {} not known",
            Duration::from_millis(after_ms).as_secs_f64(),
            one.decision,
            one.intent,
            one.because,
            one.refused,
            one.refused_bad,
            one.refused_unknown,
        )
        .ok();
    }
    if run.ordered.is_empty() {
        text.push_str("    nothing: all breakers opened by themselves\n");
    }
    let all: u64 = run.spent.iter().map(|spent| spent.bad).sum();
    let of = |spent: &Spent| {
        let share = spent.bad as f64 / all.max(1) as f64;
        format!("{} {:.0} %", spent.name, share * 100.0)
    };
    let spenders: Vec<String> = run.spent.iter().map(of).collect();
    if !spenders.is_empty() {
        let spenders = spenders.join(", ");
        writeln!(text, "  Who spent the budget of {SLO}: {spenders}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::invented;
    use super::super::measure::measure;
    use super::super::observed::Enforcement;
    use super::*;

    #[test]
    fn orders_are_told_with_their_trouble_and_spenders_with_their_share() {
        let mut run = measure(&invented::run(Enforcement::Enforced));
        let text = decided(&run);
        for part in [
            "    errors +0.9 s, decision 7, SLO/payments-availability: too much is bad\n",
            "      refused 40 requests while it held, of which about 38 would have failed, 2 not known\n",
            "payments-availability: checkout-1 75 %, edge-1 25 %\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        run.ordered.clear();
        run.spent.clear();
        let text = decided(&run);
        assert!(text.ends_with("opened by themselves\n"), "{text}");
    }

    #[test]
    fn a_decision_that_orders_nothing_is_none() {
        let explained = |given: &str| -> DecisionExplained {
            let json = format!(
                r#"{{"id": 7, "at_ms": 1900, "intent": "SLO/pay", "stage": "protect", "policies": 1,
                "because": "too much is bad; and more", "withdrawn": [], "signals": [], "objectives": [],
                "given": [{given}], "effects": []}}"#
            );
            serde_json::from_str(&json).unwrap()
        };
        assert_eq!(Ordered::of(explained(""), 1_000), None);
        let trip = r#"{"scope": {"service": "a", "route": "b", "side": "client"},
            "rule": {"trip": {"id": 7, "until_ms": 11000}}}"#;
        let ordered = Ordered::of(explained(trip), 1_000).unwrap();
        assert_eq!((ordered.decision, ordered.at_ms), (7, 900));
        assert_eq!(ordered.because, "too much is bad");
    }
}
