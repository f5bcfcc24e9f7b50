//! Every count is shown once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sloop_model::{
    Ended, Flags, Objective, ObjectiveId, OwnVerdict, RouteName, Scope, ServiceName, Side, SloName,
};

use super::*;
use crate::report::Trouble;
use crate::sli::{About, Cells, Counts, Place, Request};

/// Envoy: names by number, and sums by name.
#[derive(Default)]
struct Envoy {
    names: Vec<String>,
    sums: BTreeMap<String, u64>,
    calls: usize,
}

impl Envoy {
    fn take(&mut self, book: &mut StatsBook) {
        for StatDelta { metric, name, by } in book.take_deltas() {
            assert_ne!(by, 0, "Envoy refuses it");
            self.calls += 1;
            let id = book.id(metric).unwrap_or_else(|| {
                self.names
                    .push(name.expect("a name for what Envoy does not know"));
                let id = u32::try_from(self.names.len() - 1).unwrap();
                book.defined(metric, id);
                id
            });
            *self
                .sums
                .entry(self.names[id as usize].clone())
                .or_default() += by;
        }
    }

    fn sum(&self, name: &str) -> u64 {
        self.sums.get(name).copied().unwrap_or(0)
    }
}

fn scope(route: &str) -> Scope {
    Scope {
        service: ServiceName::try_from("shop").unwrap(),
        route: RouteName::try_from(route).unwrap(),
        side: Side::Server,
    }
}

fn objectives() -> [Objective; 1] {
    [Objective {
        id: ObjectiveId {
            slo: SloName::try_from("up").unwrap(),
            index: 0,
        },
        total: None,
        good: None,
        bad: None,
        within_us: None,
        guards: None,
        only: None,
    }]
}

fn book(metrics_max: u32) -> StatsBook {
    let mut book = StatsBook::default();
    book.set_metrics_max(metrics_max);
    book
}

fn add(counts: &mut Counts, status: u16, latency_us: u64) {
    counts.add(Request {
        objectives: &objectives(),
        about: About::all(&objectives()),
        ended: &Ended {
            verdict: OwnVerdict::Passed,
            status: Some(status),
            flags: Flags::default(),
            grpc: None,
        },
        latency_us,
        place: Place::Cells(Cells::default()),
        is_in_force: false,
    });
}

const PAY: &str = "sloop_service=.=shop;.;sloop_route=.=pay;.;sloop_side=.=server;.;";

#[test]
fn names_and_sums_are_as_documented() {
    let mut counts = Counts::default();
    counts.adopt(&objectives());
    add(&mut counts, 200, 900);
    add(&mut counts, 200, 3_000);
    add(&mut counts, 500, 20_000_000);
    let (mut book, mut envoy) = (book(100), Envoy::default());
    counts.show(&scope("pay"), &mut book);
    envoy.take(&mut book);
    let of = |labels: &str, name: &str| envoy.sum(&format!("{labels}{PAY}{name}"));
    assert_eq!(of("sloop_outcome=.=success;.;", "sloop_requests"), 2);
    assert_eq!(of("sloop_outcome=.=server_error;.;", "sloop_requests"), 1);
    let slo = |result| format!("sloop_slo=.=up;.;sloop_objective=.=0;.;sloop_result=.={result};.;");
    assert_eq!(of(&slo("good"), "sloop_objective_requests"), 2);
    assert_eq!(of(&slo("bad"), "sloop_objective_requests"), 1);
    let bucket = |le| {
        of(
            &format!("le=.={le};.;"),
            "sloop_latency_microseconds_bucket",
        )
    };
    assert_eq!(
        [
            bucket("1000"),
            bucket("2500"),
            bucket("5000"),
            bucket("+Inf")
        ],
        [1, 1, 2, 3]
    );
    assert_eq!(of("", "sloop_latency_microseconds_count"), 3);
    let sum = of("", "sloop_latency_microseconds_sum");
    assert!(sum.abs_diff(20_003_900) <= 20_003_900 / 64, "{sum}");
    let calls = envoy.calls;
    counts.show(&scope("pay"), &mut book);
    envoy.take(&mut book);
    assert_eq!(envoy.calls, calls, "nothing new, no call");
}

#[test]
fn what_would_break_a_name_is_replaced() {
    let name = name_of(&RETRIES, &["a;.;b=.=c", "GET /x y\n", "server"]);
    assert_eq!(
        name,
        "sloop_service=.=a_._b_._c;.;sloop_route=.=GET_/x_y_;.;sloop_side=.=server;.;sloop_retries"
    );
}

#[test]
fn beyond_the_cap_nothing_is_defined_and_it_is_counted() {
    let (mut book, mut envoy) = (book(16), Envoy::default());
    for route in ["a", "b", "c"] {
        let mut counts = Counts::default();
        add(&mut counts, 200, 10);
        counts.show(&scope(route), &mut book);
        counts.show(&scope(route), &mut book);
    }
    envoy.take(&mut book);
    assert_eq!(envoy.names.len(), 16);
    // Outcome, 14 bounds, sum, count, objective: 18 each.
    assert_eq!(
        (book.take_over_cap(), book.take_over_cap()),
        (3 * 18 - 16, 0)
    );
}

#[test]
fn a_cap_that_is_raised_lets_in_what_it_kept_out() {
    let (mut book, mut envoy) = (book(16), Envoy::default());
    let mut counts = Counts::default();
    let mut show = |book: &mut StatsBook, requests| {
        add(&mut counts, 200, requests);
        counts.show(&scope("pay"), book);
        envoy.take(book);
        envoy.names.len()
    };
    assert_eq!(show(&mut book, 10), 16);
    book.set_metrics_max(18);
    assert_eq!((show(&mut book, 1), book.take_over_cap()), (18, 2));
}

#[test]
fn a_scope_that_comes_back_is_the_same_statistic() {
    let (mut book, mut envoy) = (book(20), Envoy::default());
    for _ in 0..10 {
        let mut counts = Counts::default();
        add(&mut counts, 200, 10);
        counts.show(&scope("pay"), &mut book);
        envoy.take(&mut book);
    }
    assert_eq!(book.take_over_cap(), 0);
    assert_eq!(envoy.names.len(), 18);
    assert_eq!(
        envoy.sum(&format!("sloop_outcome=.=success;.;{PAY}sloop_requests")),
        10
    );
}

#[test]
fn trouble_is_shown_by_kind() {
    let (mut book, mut envoy) = (book(20), Envoy::default());
    let mut shown = [Metric::NONE; Trouble::KINDS];
    let trouble = Trouble {
        hostcalls_failed: 3,
        ..Trouble::default()
    };
    show_trouble(&mut shown, &trouble, &mut book);
    envoy.take(&mut book);
    assert_eq!(
        envoy.sum("sloop_kind=.=hostcalls_failed;.;sloop_trouble"),
        3
    );
    assert_eq!(envoy.names.len(), 1);
}

/// The lists are what is written: every statistic that a name can be of, and every label.
#[test]
fn the_list_is_complete_and_without_repeats() {
    let names: BTreeSet<_> = STATS.iter().map(|stat| stat.name).collect();
    assert_eq!(names.len(), STATS.len());
    for stat in STATS {
        assert!(
            stat.help.ends_with('.') && stat.name.starts_with("sloop_"),
            "{stat:?}"
        );
        let labels: BTreeSet<_> = stat.labels.iter().collect();
        assert_eq!(labels.len(), stat.labels.len());
    }
    assert!(LATENCY_BOUNDS_US.is_sorted());
}

#[test]
fn a_pattern_takes_its_label_out() {
    assert_eq!(tag_pattern("sloop_route"), r"(sloop_route=\.=(.*?);\.;)");
    assert_eq!(tag_pattern("le"), r"^wasmcustom\.(le=\.=(.*?);\.;)");
    let firsts = STATS.iter().filter(|stat| stat.labels.contains(&"le"));
    assert!(
        firsts
            .clone()
            .all(|stat| stat.labels.first() == Some(&"le"))
    );
    assert_eq!(firsts.count(), 1);
}

proptest! {
    /// However showing, reporting and folding take turns, Envoy's sums are what happened.
    #[test]
    fn sums_always_equal_what_happened(events in prop::collection::vec(0u8..6, 0..100)) {
        let (mut book, mut envoy) = (book(1_000), Envoy::default());
        // Counting for statistics begins with the first time that they are shown.
        let begun = |route: &str, book: &mut StatsBook| {
            let mut counts = Counts::default();
            counts.show(&scope(route), book);
            counts
        };
        let mut all = [begun("a", &mut book), begun("b", &mut book)];
        let mut happened = 0;
        for event in events {
            let [a, b] = &mut all;
            match event {
                0 => { add(a, 200, 1_000); happened += 1; }
                1 => { add(b, 200, 1_000); happened += 1; }
                2 => a.show(&scope("a"), &mut book),
                3 => b.show(&scope("b"), &mut book),
                4 => drop(a.take(0)),
                _ => {
                    b.fold(a);
                    *a = begun("a", &mut book);
                }
            }
            envoy.take(&mut book);
        }
        let [a, b] = &mut all;
        a.show(&scope("a"), &mut book);
        b.show(&scope("b"), &mut book);
        // What is folded or taken before it was shown is still shown, where it went.
        envoy.take(&mut book);
        let total: u64 = ["a", "b"]
            .map(|route| envoy.sum(&format!("sloop_outcome=.=success;.;{}sloop_requests", PAY.replace("pay", route))))
            .iter()
            .sum();
        prop_assert_eq!(total, happened);
    }
}
