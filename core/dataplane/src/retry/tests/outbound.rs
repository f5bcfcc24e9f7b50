//! What a retry budget promises where requests go out.

use super::*;

/// What Envoy's policy gives each request.
const RETRIES: u32 = 2;

/// Requests that go out and end at once.
struct Out {
    budget: RetryBudget,
    made: u64,
    requests: u64,
}

impl Out {
    fn new(config: &RetryConfig) -> Self {
        Self {
            budget: RetryBudget::new(config, at(0)),
            made: 0,
            requests: 0,
        }
    }

    /// So many requests at a moment; `answer` says of each attempt, from 1, whether it is good. How many had no retries.
    fn send(&mut self, count: u32, millis: u64, answer: impl Fn(u32) -> bool) -> u32 {
        let nanos = millis * 1_000_000;
        let all = (0..count).map(|_| self.one(Strain::None, nanos, &answer));
        all.map(|allowance| u32::from(allowance == Allowance::None))
            .sum()
    }

    fn one(&mut self, strain: Strain, nanos: u64, answer: impl Fn(u32) -> bool) -> Allowance {
        let allowance = self.budget.allow(strain, Time::from_nanos(nanos));
        let most = if allowance == Allowance::None {
            0
        } else {
            RETRIES
        };
        let needed = (0..=most).find(|made| answer(made + 1));
        let (retries, is_good) = (needed.unwrap_or(most), needed.is_some());
        // Nobody asks of a good answer when nothing is wrong.
        let is_known = allowance != Allowance::Free || !is_good || self.budget.is_watching();
        self.budget
            .settle(allowance, retries, Time::from_nanos(nanos));
        self.budget.learn_tried(Tried {
            retries: if is_known { retries } else { 0 },
            wants_more: !is_good,
            is_good,
        });
        self.made += u64::from(retries);
        self.requests += 1;
        allowance
    }
}

const FAILS: fn(u32) -> bool = |_| false;
const WELL: fn(u32) -> bool = |_| true;

/// 500 requests per second, all of which fail: the worked example of `sloop_controllers`.
#[test]
fn the_worked_example() {
    let mut out = Out::new(&config(1_440, 3));
    assert_eq!(out.send(5, 0, FAILS), 0);
    assert_eq!(out.made, 10);
    // The sixth is the one after which it is known; three more have what a second gives.
    for tenth in 0..20 {
        out.send(50, tenth * 100, FAILS);
    }
    let (made, requests) = (out.made, out.requests);
    for tenth in 20..120 {
        out.send(50, tenth * 100, FAILS);
    }
    let (made, requests) = (out.made - made, out.requests - requests);
    assert_eq!(requests, 5_000);
    assert!((745..=755).contains(&made), "75 per second: {made}");
}

#[test]
fn it_is_known_after_eleven_in_vain() {
    let mut out = Out::new(&config(0, 1));
    assert_eq!(out.send(5, 0, FAILS), 0);
    assert!(out.budget.helps());
    assert_eq!(out.send(1, 0, FAILS), 0);
    assert!(!out.budget.helps());
    // What a second gives is one, and it owes one.
    assert_eq!(out.send(10, 0, FAILS), 9);
    assert_eq!(out.send(10, 1_000, FAILS), 10, "it pays");
    assert_eq!(out.send(10, 2_000, FAILS), 9);
}

#[test]
fn what_was_saved_up_while_nobody_counted_is_no_credit() {
    let mut out = Out::new(&config(2_000, 10));
    out.send(10_000, 0, WELL);
    out.send(6, 0, FAILS);
    assert!(!out.budget.helps());
    // Ten that a second gives and twenty that these earn, two for each.
    assert_eq!(out.send(100, 0, FAILS), 85);
}

/// One of three hosts is down, and Envoy goes on to the next.
#[test]
fn retries_that_help_are_all_made() {
    let mut out = Out::new(&config(1_000, 1));
    let mut refused = 0;
    for request in 0..30_000_u32 {
        let is_up = move |attempt: u32| !(request + attempt).is_multiple_of(3);
        refused += out.send(1, 0, is_up);
    }
    assert_eq!((refused, out.made), (0, 10_000));
}

#[test]
fn ten_retries_that_helped_end_it() {
    let mut out = Out::new(&config(1_000, 3));
    out.send(1_000, 0, FAILS);
    assert!(!out.budget.helps());
    let second = |attempt| attempt == 2;
    let needed = (1..).find(|second_of| {
        out.send(3, second_of * 1_000, second);
        out.budget.helps()
    });
    // Some of the time the debt is paid.
    assert!(needed.unwrap() <= 14, "{needed:?}");
    assert_eq!(out.send(1_000, 60_000, second), 0);
}

#[test]
fn a_hundred_that_want_none_end_it_and_one_that_does_begins_the_count_anew() {
    let mut out = Out::new(&config(0, 1));
    out.send(1_000, 0, FAILS);
    out.send(RetryBudget::CALM - 1, 0, WELL);
    out.send(1, 0, FAILS);
    out.send(RetryBudget::CALM - 1, 0, WELL);
    assert!(!out.budget.helps() && out.budget.is_watching());
    out.send(1, 0, WELL);
    assert!(out.budget.helps() && !out.budget.is_watching());
}

#[test]
fn what_fails_and_is_not_tried_again_anyway_says_nothing() {
    let mut out = Out::new(&config(0, 1));
    for _ in 0..1_000 {
        assert_eq!(out.budget.allow(Strain::None, at(0)), Allowance::Free);
        out.budget.learn_tried(Tried {
            retries: 0,
            wants_more: false,
            is_good: false,
        });
    }
    assert!(out.budget.helps() && !out.budget.is_watching());
}

#[test]
fn in_shadow_it_forbids_nothing() {
    let mut out = Out::new(&RetryConfig {
        mode: Mode::Shadow,
        ..config(0, 1)
    });
    assert_eq!(out.send(1_000, 0, FAILS), 0);
    assert_eq!(out.made, 2_000);
    let would = out.budget.allow(Strain::None, at(0));
    assert_eq!(would, Allowance::Shadow);
}

#[test]
fn while_the_scope_sheds_only_the_least_are_made() {
    let mut out = Out::new(&config(2_000, 2));
    out.send(1_000, 0, WELL);
    let taken = |out: &mut Out| {
        let allowed = (0..10).map(|_| out.budget.allow(Strain::Sheds, at(0)));
        let taken = allowed.filter(|one| *one != Allowance::None);
        taken.collect::<Vec<_>>()
    };
    for _ in 0..100 {
        let all = taken(&mut out);
        assert_eq!(all, [Allowance::Taken(Pool::Timely); 2]);
        // They needed none, and so the next ones may.
        all.into_iter()
            .for_each(|one| out.budget.settle(one, 0, at(0)));
    }
    assert_eq!(taken(&mut out).len(), 2);
    assert_eq!(
        out.budget.allow(Strain::None, at(0)),
        Allowance::Free,
        "they help"
    );
}

#[test]
fn what_is_owed_is_forgotten_when_the_service_is_back() {
    let mut out = Out::new(&config(0, 1));
    out.send(7, 0, FAILS);
    assert_eq!(
        out.budget.allow(Strain::Sheds, at(1_000)),
        Allowance::None,
        "it pays"
    );
    out.send(1, 2_000, FAILS);
    out.budget.forget(at(2_000));
    // What took one before, and made more, ends late.
    for _ in 0..100 {
        out.budget
            .settle(Allowance::Taken(Pool::Timely), RETRIES, at(1_999));
    }
    let taken = Allowance::Taken(Pool::Timely);
    assert_eq!(out.budget.allow(Strain::Sheds, at(3_000)), taken);
    assert!(!out.budget.learns_from(at(1_999)) && out.budget.learns_from(at(2_000)));
}

#[test]
fn what_needs_none_gives_back_what_it_took() {
    for share in [0, 1_000] {
        let mut out = Out::new(&config(share, 1));
        out.send(6, 0, FAILS);
        for _ in 0..5 {
            let allowance = out.budget.allow(Strain::None, at(0));
            assert!(matches!(allowance, Allowance::Taken(_)), "{allowance:?}");
            out.budget.settle(allowance, 0, at(0));
        }
    }
}

/// What comes after so many nanoseconds, and which attempt of it is good.
fn calls() -> impl Strategy<Value = Vec<(u64, Strain, u32)>> {
    let strain = prop_oneof![4 => Just(Strain::None), 1 => Just(Strain::Sheds)];
    prop::collection::vec((0..SECOND / 10, strain, 1..=RETRIES + 2), 0..400)
}

/// What comes after so many nanoseconds, whether it fails, and how many begin before it ends.
fn slow_calls() -> impl Strategy<Value = Vec<(u64, Strain, bool, usize)>> {
    let strain = prop_oneof![4 => Just(Strain::None), 1 => Just(Strain::Sheds)];
    prop::collection::vec(
        (0..SECOND / 10, strain, any::<bool>(), 0..=UNDER_WAY),
        0..400,
    )
}

/// Requests that begin before an earlier one ends, at most.
const UNDER_WAY: usize = 5;

proptest! {
    #[test]
    fn retries_in_vain_are_never_more_than_the_budget(
        calls in slow_calls(), share in 0..=10_000_u16, least in 1..=20_u32,
    ) {
        let mut budget = in_vain(share, least);
        let (mut nanos, mut made) = (0, 0_u32);
        let mut under_way = Vec::new();
        for (index, (after, strain, fails, others)) in calls.iter().copied().enumerate() {
            nanos += after;
            let allowance = budget.allow(strain, Time::from_nanos(nanos));
            under_way.push((index + others, allowance, fails, Time::from_nanos(nanos)));
            let (ended, rest) = under_way.into_iter().partition(|(end, ..)| *end <= index);
            under_way = rest;
            let ended: Vec<(usize, Allowance, bool, Time)> = ended;
            for (_, allowance, fails, began) in ended {
                let may = fails && allowance != Allowance::None;
                let retries = if may { RETRIES } else { 0 };
                budget.settle(allowance, retries, began);
                let is_good = !fails;
                budget.learn_tried(Tried { retries, wants_more: fails, is_good });
                made += retries;
            }
        }
        let earned = calls.len() as u128 * u128::from(share) / 10_000;
        let timely = u128::from(nanos) * u128::from(least) / u128::from(SECOND);
        let beyond = u128::from(RETRIES - 1) * (UNDER_WAY as u128 + 1);
        let bound = earned + timely + u128::from(least) * 11 + beyond;
        prop_assert!(!budget.helps());
        prop_assert!(u128::from(made) <= bound, "{made} of {bound}");
    }

    #[test]
    fn whatever_came_before_it_ends_when_all_is_well(
        calls in calls(), share in 0..=10_000_u16, least in 1..=20_u32,
    ) {
        let mut out = Out { budget: in_vain(share, least), made: 0, requests: 0 };
        let mut nanos = 0;
        for (after, strain, good) in calls {
            nanos += after;
            out.one(strain, nanos, |attempt| good <= attempt);
        }
        for _ in 0..RetryBudget::CALM {
            out.one(Strain::None, nanos, WELL);
        }
        prop_assert!(out.budget.helps() && !out.budget.is_watching());
        prop_assert_eq!(out.budget.allow(Strain::None, Time::from_nanos(nanos)), Allowance::Free);
    }
}
