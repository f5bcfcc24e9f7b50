//! The table at the end, for a terminal.

use std::fmt::Write as _;

use super::observed::Counted;
use super::result::{Report, Run};

/// Bad requests of an objective, and how many times as many as its target allows.
///
/// The budget of a month would be no measure for a run of a minute, so this is
/// the budget of the run's own requests.
#[must_use]
pub(super) fn spent(counted: &Counted) -> String {
    let allowed_share = 1.0 - counted.target;
    let allowed = counted.total as f64 * allowed_share;
    if allowed <= 0.0 {
        return "nothing counted".to_owned();
    }
    let times = counted.bad as f64 / allowed;
    format!(
        "{} of {} ({times:.1}× its budget)",
        counted.bad, counted.total
    )
}

/// Both runs and the promises.
#[must_use]
pub fn table(report: &Report) -> String {
    let (shadow, enforced) = (&report.shadow, &report.enforced);
    let mut text = String::new();
    let mut line = |name: &str, of: &dyn Fn(&Run) -> String| {
        // Writing into a string cannot fail.
        writeln!(text, "  {name:<44}{:>30}{:>30}", of(shadow), of(enforced)).ok();
    };
    line("", &|run| run.enforcement.name().to_owned());
    for index in 0..enforced.troubles.len() {
        let name = enforced
            .troubles
            .get(index)
            .map_or("", |trouble| trouble.name.as_str());
        let after = |ms: Option<u64>| ms.map_or("never".to_owned(), |ms| format!("{ms} ms"));
        line(&format!("{name}: first breaker open after"), &|run| {
            after(run.troubles.get(index).and_then(|one| one.local_ms))
        });
        line(&format!("{name}: all callers' open after"), &|run| {
            after(run.troubles.get(index).and_then(|one| one.fleet_ms))
        });
        line(&format!("{name}: people told after"), &|run| {
            let heard_ms = run.troubles.get(index).and_then(|one| one.heard_ms);
            match heard_ms {
                Some(0) => "told before".to_owned(),
                heard_ms => after(heard_ms),
            }
        });
    }
    line("push to effect, median", &|run| {
        run.push_to_effect
            .p50_ms
            .map_or("-".to_owned(), |ms| format!("{ms} ms"))
    });
    line("good answers/s in trouble", &|run| {
        format!("{:.1}", run.in_trouble.goodput)
    });
    line("p50 in trouble", &|run| ms(run.in_trouble.p50_us));
    line("p99 in trouble", &|run| ms(run.in_trouble.p99_us));
    line("failed", &|run| run.whole.kinds.failed.to_string());
    line("too late", &|run| run.whole.kinds.late.to_string());
    line("refused", &|run| run.whole.kinds.refused.to_string());
    line("accepted, charged later", &|run| {
        run.whole.kinds.degraded.to_string()
    });
    line("generator late, p99", &|run| ms(run.lateness.p99_us));
    for counted in &enforced.counted {
        line(&format!("bad for {}", counted.slo), &|run| {
            run.counted
                .iter()
                .find(|other| other.slo == counted.slo)
                .map_or("-".to_owned(), spent)
        });
    }
    line("failed by Sloop itself", &|run| {
        run.failed_by_sloop.len().to_string()
    });
    text
}

fn ms(us: u64) -> String {
    format!("{:.0} ms", us as f64 / 1e3)
}
