//! `sloop explain`: why a decision was made, and what became of it.

use std::io::{self, Write};

use clap::Args;
use sloop_controllers::{Acted, Refusals};
use sloop_model::{Rule, WallTime};

use super::policy::sentence;
use super::table::{Table, ago};
use super::{AdminArgs, CliError, client, describe};
use crate::admin::api::{DecisionEffect, DecisionExplained};
use crate::clock;

const EXAMPLE: &str = "Example:
  sloop get decisions
  sloop explain 42";

/// What to explain.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct ExplainArgs {
    /// The number of a decision.
    #[arg(value_name = "DECISION")]
    number: u64,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) fn run(args: &ExplainArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let path = format!("/v1/decisions/{}", args.number);
    let decision: DecisionExplained = client::get(&args.admin.admin, &path)?;
    Ok(explain(&decision, clock::wall(), out)?)
}

fn explain(one: &DecisionExplained, now: WallTime, out: &mut dyn Write) -> io::Result<()> {
    let decision = &one.decision;
    let mut head = Table::plain();
    let mut line = |name: &str, value: String| head.row(vec![format!("{name}:"), value]);
    line("Decision", decision.id.to_string());
    line("About", decision.intent.clone());
    line("Stage", format!("{:?}", decision.stage).to_lowercase());
    line("Ago", ago(now.as_millis(), Some(decision.at_ms)));
    line("Because", decision.because.clone());
    head.print(out)?;
    let at = WallTime::from_millis(decision.at_ms);
    for (title, policies) in [("Since then", &one.given), ("No longer", &one.withdrawn)] {
        let shown = policies
            .iter()
            .filter(|policy| !matches!(policy.rule, Rule::Count(_)));
        let sentences: Vec<String> = shown.map(|policy| sentence(policy, at)).collect();
        describe::paragraphs(title, &sentences, out)?;
    }
    for effect in &one.effects {
        describe::section(&title(effect), out)?;
        writeln!(out, "  {}", balance(effect.acted))?;
        if let Some(shared) = shared(effect) {
            writeln!(out, "  {shared}")?;
        }
    }
    for objective in &one.objectives {
        describe::describe_objective(objective, out)?;
    }
    Ok(())
}

fn title(effect: &DecisionEffect) -> String {
    let still = if effect.until_ms.is_some() {
        "While it held"
    } else {
        "So far"
    };
    format!("{still}, on {}", effect.scope)
}

/// What acting saved and cost, against letting everything pass.
pub(super) fn balance(acted: Acted) -> String {
    let Acted {
        breakers,
        shed,
        denied,
        late,
    } = acted;
    let of = [
        ("refused", breakers),
        ("shed", shed),
        ("refused by deny rules", denied),
    ];
    let was = of.into_iter().filter(|(_, it)| 0 < it.refused);
    let mut parts: Vec<String> = was.map(|(verb, it)| saved(verb, it)).collect();
    if 0 < late {
        parts.push(format!(
            "{late} refused after their deadline, when nobody waited"
        ));
    }
    if parts.is_empty() {
        parts.push("nothing was refused".to_owned());
    }
    let would = of.into_iter().filter(|(_, it)| 0 < it.shadow_refused);
    parts.extend(would.map(|(verb, it)| would_have_saved(verb, it)));
    parts.join("; ")
}

fn saved(verb: &str, it: Refusals) -> String {
    format!(
        "{} {verb}: about {} would have failed (saved), about {} would have been served (cost), {} not known",
        it.refused,
        it.refused_bad,
        it.refused_good(),
        it.refused_unknown,
    )
}

fn would_have_saved(verb: &str, it: Refusals) -> String {
    let bad = it.shadow_refused.saturating_sub(it.shadow_refused_good);
    format!(
        "{} would have been {verb} by what only watches: {bad} of them failed (would have saved), {} were served (would have cost)",
        it.shadow_refused, it.shadow_refused_good,
    )
}

/// Whose doing it is, too; nothing when it is nobody's.
fn shared(effect: &DecisionEffect) -> Option<String> {
    let others: Vec<String> = effect.shared_with.iter().map(u64::to_string).collect();
    (!others.is_empty()).then(|| format!("together with decision {}", others.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saving_and_cost_are_told_apart() {
        let some = Refusals {
            refused: 100,
            refused_bad: 90,
            refused_unknown: 2,
            ..Refusals::default()
        };
        let acted = Acted {
            breakers: some,
            ..Acted::default()
        };
        assert_eq!(
            balance(acted),
            "100 refused: about 90 would have failed (saved), about 8 would have been served (cost), 2 not known"
        );
        assert_eq!(balance(Acted::default()), "nothing was refused");
        let shadow = Refusals {
            shadow_refused: 10,
            shadow_refused_good: 3,
            ..Refusals::default()
        };
        let acted = Acted {
            shed: some,
            denied: shadow,
            ..Acted::default()
        };
        let text = balance(acted);
        assert!(text.starts_with("100 shed: about 90"), "{text}");
        let rest =
            "10 would have been refused by deny rules by what only watches: 7 of them failed";
        assert!(text.contains(rest), "{text}");
        let late = Acted {
            late: 4,
            ..Acted::default()
        };
        let text = balance(late);
        assert_eq!(text, "4 refused after their deadline, when nobody waited");
    }

    #[test]
    fn a_decision_is_explained_with_its_inputs() {
        let json = r#"{
            "id": 7, "at_ms": 1000, "intent": "SLO/pay", "stage": "protect", "policies": 1,
            "because": "too much is bad", "withdrawn": [], "signals": [], "objectives": [],
            "given": [{"scope": {"service": "a", "route": "b", "side": "server"},
                "rule": {"trip": {"id": 7, "until_ms": 11000}}}],
            "effects": [{"scope": {"service": "a", "route": "b", "side": "server"}, "since_ms": 1000,
                "before": {"refused": 5, "shadow_refused": 0, "shadow_refused_good": 0},
                "acted": {"refused": 10, "shadow_refused": 0, "shadow_refused_good": 0, "refused_bad": 10},
                "by": ["break"], "shared_with": [4, 5]}]
        }"#;
        let one: DecisionExplained = serde_json::from_str(json).unwrap();
        let mut out = Vec::new();
        explain(&one, WallTime::from_millis(3_000), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in [
            "SLO/pay",
            "too much is bad",
            "(order 7)",
            "So far, on a b (server)",
            "10 refused",
            "together with decision 4, 5",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
