//! What the report says in words.

use sloop_page::Card;

use super::super::result::{Mitigation, Report, Run};

/// Title and what it is about.
pub(super) fn head(report: &Report) -> String {
    let seconds = report.enforced.whole.lasting_ms / 1_000;
    let lead = format!(
        "A shop of three services, one of them twice, behind real Envoy sidecars; {:.0} requests of users per second. In {seconds} seconds \
         payments breaks three times, each time in another way, and heals. The same story is told twice with the same requests: once Sloop only watches, \
         once it acts on the declared objectives.",
        report.rate
    );
    sloop_page::header("What happened when payments broke", &lead)
}

/// The four numbers that matter.
pub(super) fn headlines(report: &Report) -> String {
    let (shadow, enforced) = (&report.shadow, &report.enforced);
    let slowest = |pick: fn(&Mitigation) -> Option<u64>| {
        let all: Option<Vec<u64>> = enforced.troubles.iter().map(pick).collect();
        all.and_then(|all| all.into_iter().max())
            .map_or("never".to_owned(), seconds)
    };
    let bad = |run: &Run| run.whole.kinds.total() - run.whole.kinds.good();
    let cards = [
        (
            "Whole fleet protected in",
            slowest(|trouble| trouble.fleet_ms),
            format!(
                "of the first bad answer, in the worst of three troubles. The first sidecar needed at most {}.",
                slowest(|trouble| trouble.local_ms)
            ),
        ),
        (
            "Good answers during trouble",
            format!(
                "{:.0}/s <small>not {:.0}/s</small>",
                enforced.in_trouble.goodput, shadow.in_trouble.goodput
            ),
            format!(
                "Answered well within {} s.",
                report.objective_ms as f64 / 1e3
            ),
        ),
        (
            "Wait, 99 of 100 users",
            format!(
                "{} <small>not {}</small>",
                seconds(enforced.in_trouble.p99_us / 1_000),
                seconds(shadow.in_trouble.p99_us / 1_000)
            ),
            "At most, while payments was in trouble.".to_owned(),
        ),
        (
            "Requests gone wrong",
            format!("{} <small>not {}</small>", bad(enforced), bad(shadow)),
            format!(
                "Failed, refused or too late, of {}. Failed by Sloop itself without need: {}.",
                enforced.whole.kinds.total(),
                shadow.failed_by_sloop.len() + enforced.failed_by_sloop.len()
            ),
        ),
    ];
    let cards = cards.map(|(title, big, text)| Card {
        title: title.to_owned(),
        big,
        text,
    });
    sloop_page::cards(&cards)
}

/// A duration for people.
pub(super) fn seconds(ms: u64) -> String {
    if ms < 1_000 {
        format!("{ms} ms")
    } else {
        format!("{:.1} s", ms as f64 / 1e3)
    }
}

/// How it was measured.
pub(super) fn notes(report: &Report) -> String {
    let (shadow, enforced) = (&report.shadow, &report.enforced);
    let late = |run: &Run| {
        format!(
            "{:.1} ms for 99 of 100 requests and {:.1} ms at most",
            run.lateness.p99_us as f64 / 1e3,
            run.lateness.max_us as f64 / 1e3
        )
    };
    let notes = [
        "Nothing here is assumed. Moments of mitigation are those at which the sidecars say their breakers opened; they count from the moment at which payments itself recorded its first bad answer.".to_owned(),
        "Both runs go on at the same time on the same machine, each with a control plane and sidecars of its own.".to_owned(),
        "A slow answer is known to be bad only when it comes, so the time for slowness counts from the first late answer, not from its request.".to_owned(),
        "Users do not wait for each other: requests come at random moments, however slow the shop is, and their latency counts from the moment at which they were meant to start.".to_owned(),
        format!("The load generator itself was late by {} (without enforcement: {}).", late(enforced), late(shadow)),
        "When its sidecar refuses a call to payments, checkout knows that no money moved: it accepts the order and charges it later. After an error it does not know, tries once more and then has to fail.".to_owned(),
        format!("Of {} orders that were accepted without a charge, {} had been charged when the run ended; {} still waited.", enforced.orders.accepted, enforced.orders.charged_later, enforced.orders.waiting),
        format!("Seed of the arrivals: {}. All numbers are in report.json beside this file.", report.seed),
    ];
    sloop_page::notes("How this was measured", &notes)
}
