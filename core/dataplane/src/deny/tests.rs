//! What the deny rules promise.

use super::*;
use crate::headers::{HeaderMap, serialised};
use proptest::prelude::*;
use sloop_model::{DenyWritten, HeaderMatch, PathMatch, RequestMatch, WallTime};

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn written(id: &str) -> DenyWritten {
    DenyWritten {
        id: id.into(),
        mode: Mode::Enforce,
        matches: None,
        caller: Some("wild".into()),
        status: 403,
        share_max: Share::WHOLE,
        expires_at_ms: WallTime::default(),
    }
}

fn half(id: &str) -> DenyWritten {
    DenyWritten {
        share_max: Share::HALF,
        ..written(id)
    }
}

const ROUTE: ScopeId = ScopeId(7);

/// Rules, a route, and the words of the tests.
struct Bench {
    rules: DenyRules,
    budget: DenyBudget,
}

impl Bench {
    fn new(rules: Vec<DenyWritten>) -> Self {
        let mut bench = Self {
            rules: DenyRules::default(),
            budget: DenyBudget::default(),
        };
        for rule in rules {
            let rule = DenyRule::try_from(rule).unwrap();
            assert!(bench.rules.push(&rule, None, at(1_000_000)));
        }
        bench
    }

    fn ask(&mut self, headers: &[(&str, &str)], caller: &str, millis: u64) -> Denial {
        let headers: Vec<(&str, &[u8])> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()))
            .collect();
        let bytes = serialised(&headers);
        let request = Request::read(HeaderMap::new(&bytes));
        let asked = Asked {
            request: &request,
            scope: ROUTE,
            caller: caller.as_bytes(),
        };
        self.rules.decide(asked, &mut self.budget, at(millis))
    }

    fn status(&mut self, headers: &[(&str, &str)], caller: &str) -> Option<u16> {
        self.ask(headers, caller, 0)
            .refused
            .map(|refusal| refusal.status)
    }

    fn is_refused(&mut self, caller: &str, millis: u64) -> bool {
        self.ask(&[], caller, millis).refused.is_some()
    }

    fn counts(&mut self) -> Vec<(String, DenyCounts)> {
        let counts = self.rules.take_counts();
        counts
            .into_iter()
            .map(|(id, counts)| (id.into(), counts))
            .collect()
    }
}

#[test]
fn a_caller_is_refused_by_its_whole_name() {
    let mut bench = Bench::new(vec![written("a")]);
    assert_eq!(bench.status(&[], "wild"), Some(403));
    for other in ["wil", "wilder", "Wild", ""] {
        assert_eq!(bench.status(&[], other), None, "{other}");
    }
}

#[test]
fn all_conditions_must_hold() {
    let mut bench = Bench::new(vec![DenyWritten {
        matches: Some(RequestMatch {
            method: vec!["POST".into()],
            path: Some(PathMatch::Prefix("/admin".into())),
            headers: vec![HeaderMatch {
                name: "x-key".into(),
                exact: Some("stolen".into()),
                prefix: None,
            }],
            ..RequestMatch::default()
        }),
        status: 429,
        ..written("a")
    }]);
    let fits = [
        (":method", "POST"),
        (":path", "/admin/x?y"),
        ("x-key", "stolen"),
    ];
    assert_eq!(bench.status(&fits, "wild"), Some(429));
    assert_eq!(bench.status(&fits, "tame"), None);
    for without in 0..fits.len() {
        let mut fewer = fits.to_vec();
        fewer.remove(without);
        assert_eq!(bench.status(&fewer, "wild"), None, "{fewer:?}");
    }
}

#[test]
fn a_rule_on_a_scope_leaves_others_alone() {
    let rule = DenyRule::try_from(written("a")).unwrap();
    for (scope, expected) in [(ROUTE, true), (ScopeId(8), false)] {
        let mut bench = Bench::new(vec![]);
        bench.rules.push(&rule, Some(scope), at(1_000));
        assert_eq!(bench.is_refused("wild", 0), expected);
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    let mut bench = Bench::new(vec![
        DenyWritten {
            caller: Some("other".into()),
            ..written("a")
        },
        DenyWritten {
            status: 400,
            ..written("b")
        },
        written("c"),
    ]);
    let refusal = bench.ask(&[], "wild", 0).refused.unwrap();
    assert_eq!(refusal.status, 400);
    assert_eq!(bench.rules.id(refusal.rule), Some("b"));
    let one = DenyCounts {
        refused: 1,
        ..DenyCounts::default()
    };
    assert_eq!(bench.counts(), [("b".to_owned(), one)]);
    assert_eq!(bench.counts(), []);
}

#[test]
fn the_moment_of_expiry_is_too_late() {
    let rule = DenyRule::try_from(written("a")).unwrap();
    let mut bench = Bench::new(vec![]);
    bench.rules.push(&rule, None, at(200));
    bench.rules.push(&rule, None, at(100));
    assert!(bench.is_refused("wild", 99));
    assert!(bench.is_refused("wild", 100), "by the other one");
    assert!(bench.is_refused("wild", 199));
    assert!(!bench.is_refused("wild", 200));
    assert!(bench.rules.is_empty());
    assert!(!bench.is_refused("wild", 201));
}

#[test]
fn there_is_room_for_sixty_four_rules() {
    let rule = DenyRule::try_from(written("a")).unwrap();
    let mut rules = DenyRules::default();
    let pushed = (0..100).filter(|_| rules.push(&rule, None, at(1))).count();
    assert_eq!(pushed, DenyRule::MAX);
}

#[test]
fn what_is_over_the_share_passes_and_is_counted() {
    let mut bench = Bench::new(vec![DenyWritten {
        share_max: Share::HALF,
        ..written("a")
    }]);
    let refused: Vec<bool> = (0..6).map(|_| bench.is_refused("wild", 10)).collect();
    assert_eq!(refused, [false, true, false, true, false, true]);
    let counts = DenyCounts {
        refused: 3,
        over_share: 3,
        shadow_refused: 0,
    };
    assert_eq!(bench.counts(), [("a".to_owned(), counts)]);
    // What others send counts for the share, in the same second alone.
    for _ in 0..10 {
        assert!(!bench.is_refused("tame", 20));
    }
    assert_eq!((0..20).filter(|_| bench.is_refused("wild", 30)).count(), 15);
    assert!(!bench.is_refused("wild", 1_000));
}

/// In each of many workers there is less than one request a second.
#[test]
fn what_comes_seldom_is_refused_by_the_share_too() {
    for (share, came, expected) in [(5_000, 100, 50), (8_000, 100, 80), (100, 600, 6)] {
        let mut bench = Bench::new(vec![DenyWritten {
            share_max: Share::try_from(share).unwrap(),
            ..written("a")
        }]);
        let seldom = (0..came).map(|request| bench.is_refused("wild", request * 1_500));
        assert_eq!(seldom.filter(|it| *it).count(), expected, "{share}");
    }
}

/// What was not refused is no store for later: of minutes of others, one refusal is left.
#[test]
fn what_others_sent_before_is_kept_for_one_refusal() {
    let mut bench = Bench::new(vec![DenyWritten {
        share_max: Share::HALF,
        ..written("a")
    }]);
    for second in 0..900 {
        assert!(!bench.is_refused("tame", second * 1_000));
    }
    let refused: Vec<bool> = (0..5).map(|_| bench.is_refused("wild", 900_000)).collect();
    assert_eq!(refused, [true, true, false, true, false]);
}

#[test]
fn two_rules_are_not_twice_as_dangerous() {
    let mut bench = Bench::new(vec![half("a"), half("b")]);
    assert_eq!((0..100).filter(|_| bench.is_refused("wild", 0)).count(), 50);
}

#[test]
fn a_rule_in_shadow_mode_is_noted_and_passed_over() {
    let shadow = |id: &str| DenyWritten {
        mode: Mode::Shadow,
        ..written(id)
    };
    let mut bench = Bench::new(vec![shadow("a"), shadow("b")]);
    let denial = bench.ask(&[], "wild", 0);
    assert!(denial.shadow_refused && denial.refused.is_none());
    let counts = DenyCounts {
        shadow_refused: 1,
        ..DenyCounts::default()
    };
    assert_eq!(bench.counts(), [("a".to_owned(), counts)]);
    let mut bench = Bench::new(vec![shadow("a"), written("b")]);
    let denial = bench.ask(&[], "wild", 0);
    assert!(denial.shadow_refused && denial.refused.is_some());
}

/// What came before there was a rule, or while there was one elsewhere alone, is nobody's to refuse by.
#[test]
fn what_came_before_a_rule_was_there_is_no_store_for_it() {
    let elsewhere = DenyRule::try_from(written("a")).unwrap();
    let half = DenyRule::try_from(half("b")).unwrap();
    let mut bench = Bench::new(vec![]);
    bench
        .rules
        .push(&elsewhere, Some(ScopeId(8)), at(1_000_000));
    for second in 0..20 {
        assert!(!bench.is_refused("tame", second * 1_000));
    }
    bench.rules.push(&half, Some(ROUTE), at(1_000_000));
    let refused = (0..10).filter(|_| bench.is_refused("wild", 20_000));
    assert_eq!(refused.count(), 5);
}

/// As when one waits for many requests until it may refuse one, and is then replaced by one that waits for few.
#[test]
fn what_one_rule_waited_for_is_no_store_for_another() {
    let rule = |share| DenyWritten {
        share_max: Share::try_from(share).unwrap(),
        ..written("a")
    };
    let mut bench = Bench::new(vec![rule(1)]);
    for second in 0..100 {
        assert!(!bench.is_refused("tame", second * 1_000));
    }
    bench.rules = Bench::new(vec![rule(5_000)]).rules;
    let refused = (0..10).filter(|_| bench.is_refused("wild", 99_500));
    assert_eq!(refused.count(), 6);
}

/// Though another rule on the route needs less to refuse one.
#[test]
fn a_small_share_is_refused_beside_a_wider_one() {
    let small = DenyWritten {
        share_max: Share::HUNDREDTH,
        ..written("a")
    };
    let wide = DenyWritten {
        caller: Some("other".into()),
        ..half("b")
    };
    let mut bench = Bench::new(vec![small, wide]);
    let seldom = (0..600).map(|request| bench.is_refused("wild", request * 1_500));
    assert_eq!(seldom.filter(|it| *it).count(), 6);
}

/// Whatever share it has, and whatever it would have refused.
#[test]
fn a_rule_in_shadow_mode_changes_nothing_for_others() {
    let refused = |shadows: &[u16]| {
        let shadows = shadows.iter().map(|share| DenyWritten {
            mode: Mode::Shadow,
            share_max: Share::try_from(*share).unwrap(),
            ..written("s")
        });
        let mut bench = Bench::new(shadows.chain([half("a")]).collect());
        let mut refused = Vec::new();
        for second in 0..100 {
            let caller = if second % 40 < 20 { "tame" } else { "wild" };
            let burst = if second == 80 { 20 } else { 1 };
            for _ in 0..burst {
                refused.push(bench.is_refused(caller, second * 1_000));
            }
        }
        refused
    };
    let alone = refused(&[]);
    assert!(alone.contains(&true));
    for shadows in [&[1][..], &[10_000], &[1, 10_000]] {
        assert_eq!(refused(shadows), alone, "{shadows:?}");
    }
}

#[test]
fn rules_in_shadow_mode_alone_count_what_they_would_refuse() {
    let mut bench = Bench::new(vec![DenyWritten {
        mode: Mode::Shadow,
        ..half("a")
    }]);
    let seldom = (0..100).map(|request| bench.ask(&[], "wild", request * 1_500));
    assert_eq!(seldom.filter(|denial| denial.shadow_refused).count(), 50);
}

/// A rule, or what comes: so many requests at once, after so many milliseconds.
#[derive(Clone, Debug)]
enum Event {
    Push(u16, Mode, ScopeId),
    Come(u64, bool, u16),
}

fn event() -> impl Strategy<Value = Event> {
    let share = prop_oneof![1u16..10, 100u16..1_000, 2_000u16..9_900];
    let mode = prop_oneof![Just(Mode::Enforce), Just(Mode::Shadow)];
    let scope = prop_oneof![Just(ROUTE), Just(ScopeId(8))];
    prop_oneof![
        1 => (share, mode, scope).prop_map(|(share, mode, scope)| Event::Push(share, mode, scope)),
        9 => (0u64..1_500, any::<bool>(), 1u16..20)
            .prop_map(|(wait, is_wild, count)| Event::Come(wait, is_wild, count)),
    ]
}

proptest! {
    /// From any moment on, no more is refused than the widest share of what comes, and of what came in the second before,
    /// and one more.
    #[test]
    fn no_rule_takes_a_route_down(events in prop::collection::vec(event(), 1..60)) {
        let mut bench = Bench::new(vec![]);
        bench.rules.push(&DenyRule::try_from(half("z")).unwrap(), Some(ScopeId(8)), at(1_000_000));
        let (mut now, mut widest, mut refused) = (0, 0, 0);
        // When each came, how many had come a second before, and how many were refused until then.
        let mut seen: Vec<(u64, usize, u64)> = vec![];
        for event in events {
            match event {
                Event::Push(share, mode, scope) => {
                    let rule = DenyWritten {
                        mode,
                        share_max: Share::try_from(share).unwrap(),
                        ..written("a")
                    };
                    bench.rules.push(&DenyRule::try_from(rule).unwrap(), Some(scope), at(1_000_000));
                    if mode == Mode::Enforce && scope == ROUTE {
                        widest = widest.max(u64::from(share));
                    }
                }
                Event::Come(wait, is_wild, count) => {
                    now += wait;
                    let earlier = seen.partition_point(|(then, ..)| then + 1_000 <= now);
                    for _ in 0..count {
                        seen.push((now, earlier, refused));
                        refused += u64::from(bench.is_refused(if is_wild { "wild" } else { "tame" }, now));
                    }
                }
            }
            for (since, earlier, before) in &seen {
                let came = u64::try_from(seen.len() - earlier).unwrap();
                let refused = refused - before;
                prop_assert!(refused * 10_000 <= widest * came + 10_000, "{refused} of {came} since {since} ms");
            }
        }
    }
}
