//! What the report says in numbers.

use sloop_page::{escaped, section};

use super::super::observed::BreakerCause;
use super::super::result::{Report, Run, Summary};
use super::text::seconds;

/// All tables.
pub(super) fn all(report: &Report) -> String {
    [troubles(report), comparison(report), promises(report)].concat()
}

fn table(title: &str, why: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    section(title, why, &sloop_page::table(head, rows))
}

fn troubles(report: &Report) -> String {
    let after = |ms: Option<u64>| ms.map_or("never".to_owned(), seconds);
    let rows: Vec<Vec<String>> = report
        .enforced
        .troubles
        .iter()
        .map(|trouble| {
            let opened: Vec<String> = trouble
                .opened
                .iter()
                .map(|one| {
                    let why = match one.cause {
                        BreakerCause::Fleet => "told by the control plane",
                        BreakerCause::Failures => "saw failures itself",
                        BreakerCause::Slowness => "saw slowness itself",
                        BreakerCause::Time | BreakerCause::Recovered => "tried again too early",
                    };
                    format!(
                        "{} after {} ({})",
                        escaped(&one.node),
                        seconds(one.after_ms),
                        why
                    )
                })
                .collect();
            vec![
                escaped(&trouble.name),
                after(trouble.local_ms),
                after(trouble.fleet_ms),
                match trouble.heard_ms {
                    Some(0) => "told before".to_owned(),
                    heard_ms => after(heard_ms),
                },
                after(trouble.relaxed_ms),
                opened.join("<br>"),
            ]
        })
        .collect();
    table(
        "How fast Sloop acted",
        "From the first bad answer of payments to the breakers that opened and to the alert, and from healing until all were closed again.",
        &[
            "trouble",
            "first sidecar",
            "every caller",
            "people told",
            "relaxed after healing",
            "who opened when, and why",
        ],
        &rows,
    )
}

fn comparison(report: &Report) -> String {
    let (shadow, enforced) = (&report.shadow, &report.enforced);
    let mut rows = Vec::new();
    let mut row = |name: &str, of: &dyn Fn(&Run) -> String| {
        rows.push(vec![escaped(name), of(shadow), of(enforced)]);
    };
    row("good answers per second, whole run", &|run| {
        rate(&run.whole)
    });
    row("good answers per second, in trouble", &|run| {
        rate(&run.in_trouble)
    });
    row("median latency, in trouble", &|run| {
        seconds(run.in_trouble.p50_us / 1_000)
    });
    row("99th percentile of latency, in trouble", &|run| {
        seconds(run.in_trouble.p99_us / 1_000)
    });
    row("failed", &|run| run.whole.kinds.failed.to_string());
    row("served too late", &|run| run.whole.kinds.late.to_string());
    row("refused at once", &|run| {
        run.whole.kinds.refused.to_string()
    });
    row("orders accepted and charged later", &|run| {
        run.whole.kinds.degraded.to_string()
    });
    for counted in &enforced.counted {
        row(&format!("budget spent, {}", counted.slo), &|run| {
            run.counted
                .iter()
                .find(|other| other.slo == counted.slo)
                .map_or("not known".to_owned(), super::super::table::spent)
        });
    }
    row("median from a push to its effect", &|run| {
        run.push_to_effect
            .p50_ms
            .map_or("nothing pushed".to_owned(), seconds)
    });
    row("failed by Sloop itself", &|run| {
        run.failed_by_sloop.len().to_string()
    });
    table(
        "Both runs in numbers",
        "Budget: how many requests missed the objective, and how many times as many as its target allows.",
        &["", "without enforcement", "with enforcement"],
        &rows,
    )
}

fn rate(summary: &Summary) -> String {
    format!("{:.1}", summary.goodput)
}

fn promises(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .promises
        .iter()
        .map(|promise| {
            let (class, word) = if promise.kept {
                ("kept", "kept")
            } else {
                ("broken", "not kept")
            };
            vec![
                escaped(&promise.what),
                escaped(&promise.measured),
                format!("<span class={class}>{word}</span>"),
            ]
        })
        .collect();
    table(
        "Promises",
        "What Sloop promises, held against this run.",
        &["promise", "measured", ""],
        &rows,
    )
}
