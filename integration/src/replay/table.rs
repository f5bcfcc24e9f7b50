//! What came of a replay, for people.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Replayed;

/// A line per route, and what it comes to.
#[must_use]
pub fn table(replayed: &Replayed) -> String {
    let mut text = format!("  {:<44}{:>10}{:>10}\n", "route", "recorded", "counted");
    let routes: BTreeSet<&String> = replayed
        .recorded
        .keys()
        .chain(replayed.counted.keys())
        .collect();
    // Writing into a string cannot fail.
    for route in routes {
        let of = |counts: &std::collections::BTreeMap<String, u64>| {
            counts.get(route).copied().unwrap_or_default()
        };
        let (recorded, counted) = (of(&replayed.recorded), of(&replayed.counted));
        let mark = if recorded == counted {
            ""
        } else {
            "  <- differs"
        };
        writeln!(text, "  {route:<44}{recorded:>10}{counted:>10}{mark}").ok();
    }
    let sum = |counts: &std::collections::BTreeMap<String, u64>| counts.values().sum::<u64>();
    writeln!(
        text,
        "  {:<44}{:>10}{:>10}",
        format!("all {} routes", replayed.recorded.len()),
        sum(&replayed.recorded),
        sum(&replayed.counted)
    )
    .ok();
    let restarted = if replayed.restarted {
        "; the control plane was killed and started again in between"
    } else {
        ""
    };
    let seconds = replayed.took.as_secs_f64();
    writeln!(text, "\n  took {seconds:.1} s{restarted}").ok();
    for (ending, count) in &replayed.wrong {
        writeln!(text, "  {count} not answered as recorded: {ending:?}").ok();
    }
    let verdict = if replayed.is_exact() {
        "every request was answered as recorded and counted once"
    } else {
        "NOT every request was answered as recorded and counted once"
    };
    writeln!(text, "  {verdict}").ok();
    text
}
