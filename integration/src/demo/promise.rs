//! What the demo promises, and whether it was kept.

use std::fmt::Write as _;

use super::result::{Promise, Run, Wrong};

/// Longest time from the first bad answer to the first breaker that opens.
const LOCAL_MS: u64 = 1_000;
/// Requests that went wrong by Sloop that are told one by one.
const SHOWN: usize = 5;
/// Longest time from the first bad answer to the last sidecar's breaker that opens.
const FLEET_MS: u64 = 3_000;
/// Longest time from the first bad answer until people hear of it: a report of the next second, a step of the one after that
/// and a call on a machine with much to do, twice.
const HEARD_MS: u64 = 5_000;

/// Holds both runs against what was promised.
#[must_use]
pub(super) fn promises(shadow: &Run, enforced: &Run) -> Vec<Promise> {
    let mut promises = vec![
        within(
            "the first sidecar protects itself",
            LOCAL_MS,
            enforced,
            |trouble| trouble.local_ms,
        ),
        within(
            "every calling sidecar is protected",
            FLEET_MS,
            enforced,
            |trouble| trouble.fleet_ms,
        ),
    ];
    for run in [shadow, enforced] {
        let name = run.enforcement.name();
        let what = format!("people hear of it, or know already ({name}),");
        promises.push(within(&what, HEARD_MS, run, |trouble| trouble.heard_ms));
    }
    for run in [shadow, enforced] {
        let over = run.heard.iter().filter(|one| one.over_ms.is_some()).count();
        promises.push(Promise {
            what: format!(
                "who heard of trouble hears of its end ({})",
                run.enforcement.name()
            ),
            kept: !run.heard.is_empty() && over == run.heard.len(),
            measured: format!("{over} of {} alerts", run.heard.len()),
        });
    }
    for run in [shadow, enforced] {
        promises.push(Promise {
            what: format!(
                "no request failed by Sloop itself ({})",
                run.enforcement.name()
            ),
            kept: run.failed_by_sloop.is_empty(),
            measured: wrong(&run.failed_by_sloop),
        });
    }
    for run in [shadow, enforced] {
        promises.push(Promise {
            what: format!("every request is counted once ({})", run.enforcement.name()),
            kept: run.counted_requests == run.sent_requests,
            measured: format!(
                "{} counted of {} sent",
                run.counted_requests, run.sent_requests
            ),
        });
    }
    promises.push(Promise {
        what: "in trouble, more users are served well with enforcement than without".to_owned(),
        kept: shadow.in_trouble.goodput < enforced.in_trouble.goodput,
        measured: format!(
            "{:.1}/s instead of {:.1}/s",
            enforced.in_trouble.goodput, shadow.in_trouble.goodput
        ),
    });
    promises.push(Promise {
        what: "all breakers close again after each healing".to_owned(),
        kept: enforced
            .troubles
            .iter()
            .all(|trouble| trouble.relaxed_ms.is_some()),
        measured: list(enforced, |trouble| trouble.relaxed_ms),
    });
    promises
}

/// How many, and the first of them.
fn wrong(all: &[Wrong]) -> String {
    let mut text = all.len().to_string();
    for wrong in all.iter().take(SHOWN) {
        let answer = wrong.answer.as_deref().unwrap_or("no answer of the shop");
        let seconds = wrong.at_ms as f64 / 1e3;
        // Writing into a string cannot fail.
        write!(
            text,
            "; {} at {seconds:.1} s: {:?}, {answer}",
            wrong.route, wrong.ending
        )
        .ok();
    }
    text
}

fn within(
    what: &str,
    limit_ms: u64,
    run: &Run,
    measured: impl Fn(&super::result::Mitigation) -> Option<u64>,
) -> Promise {
    let all_in_time = run
        .troubles
        .iter()
        .all(|trouble| measured(trouble).is_some_and(|after| after < limit_ms));
    Promise {
        what: format!("{what} within {limit_ms} ms of the first bad answer"),
        kept: !run.troubles.is_empty() && all_in_time,
        measured: list(run, measured),
    }
}

fn list(run: &Run, measured: impl Fn(&super::result::Mitigation) -> Option<u64>) -> String {
    run.troubles
        .iter()
        .map(|trouble| {
            let after = measured(trouble).map_or("never".to_owned(), |after| format!("{after} ms"));
            format!("{}: {after}", trouble.name)
        })
        .collect::<Vec<_>>()
        .join(", ")
}
