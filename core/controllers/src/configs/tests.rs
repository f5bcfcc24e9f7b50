use sloop_model::{
    BreakerMode, BreakerRule, Criticality, DeadlineMode, DenyRule, Judge, Mode, Module, Objective,
    ObjectiveId, PathMatch, RequestMatch, Rule, SloName, Target, TraceResponse, Trip, WallTime,
};

use super::*;
use crate::{FilterSettings, NamedRoute};

fn service(name: &str) -> ServiceName {
    ServiceName::try_from(name).unwrap()
}

fn path(prefix: &str) -> RequestMatch {
    RequestMatch {
        path: Some(PathMatch::Prefix(prefix.into())),
        ..RequestMatch::default()
    }
}

fn routes(name: &str, authorities: &[&str], routes: &[&str]) -> RouteSet {
    RouteSet {
        name: name.into(),
        service: service(name),
        authorities: authorities.iter().map(ToString::to_string).collect(),
        routes: routes
            .iter()
            .map(|route| NamedRoute {
                name: RouteName::try_from(*route).unwrap(),
                matches: vec![path(&format!("/{route}"))],
                criticality: None,
            })
            .collect(),
    }
}

fn policy(name: &str, route: &str, side: Side, rule: Rule) -> Policy {
    Policy {
        scope: Scope {
            service: service(name),
            route: RouteName::try_from(route).unwrap(),
            side,
        },
        rule,
    }
}

fn count(index: u32) -> Rule {
    Rule::Count(Box::new(Objective {
        id: ObjectiveId {
            slo: SloName::try_from("pay").unwrap(),
            index,
        },
        total: None,
        good: None,
        bad: None,
        within_us: None,
        guards: None,
        only: None,
    }))
}

fn limits(target: f64) -> BreakerRule {
    crate::circuit_break::derived_limits(Target::parse(target).unwrap(), None).unwrap()
}

fn breaks(target: f64) -> Rule {
    Rule::Break {
        mode: BreakerMode::Enforce,
        limits: limits(target),
        expires_at_ms: WallTime::from_millis(9),
    }
}

fn trip(id: u64) -> Rule {
    Rule::Trip(Trip {
        id,
        until_ms: WallTime::from_millis(9),
    })
}

/// Without what settings say.
fn bare(side: Side, sets: &[RouteSet], policies: &[Policy]) -> Configured {
    let settings = ConfigSettings {
        report: None,
        trace: TraceSettings::default(),
    };
    filter_config(&service("payments"), side, sets, policies, &settings)
}

fn made(side: Side, sets: &[RouteSet], policies: &[Policy]) -> Configured {
    let made = bare(side, sets, policies).with(&[], sets);
    made.config.check().unwrap();
    let json = serde_json::to_vec(&made.config).unwrap();
    assert_eq!(FilterConfig::parse(&json).unwrap(), made.config);
    made
}

/// Scopes as `service route`, in their order.
fn names(made: &Configured) -> Vec<String> {
    let scopes = made.config.scopes.iter();
    scopes
        .map(|scope| format!("{} {}", scope.service, scope.route))
        .collect()
}

/// As [`count`], about some requests only.
fn count_only(index: u32, only: &str) -> Rule {
    let Rule::Count(mut objective) = count(index) else {
        panic!("it counts")
    };
    objective.only = Some(serde_json::from_str(only).unwrap());
    Rule::Count(objective)
}

/// Which objectives are told to sidecars of `payments`, and what is left of their `only`.
fn told(made: &Configured) -> Vec<(u32, Option<String>)> {
    let scopes = made.config.scopes.iter();
    let objectives = scopes.flat_map(|scope| &scope.objectives);
    let text = |only| serde_json::to_string(only).unwrap();
    objectives
        .map(|one| (one.id.index, one.only.as_ref().map(text)))
        .collect()
}

#[test]
fn outbound_a_caller_is_the_service_whose_sidecar_it_is() {
    let sets = [routes("shop", &[], &["cart"])];
    let rules = [
        r#"{"caller": ["payments"]}"#,
        r#"{"caller": ["web", "payments"], "method": ["GET"]}"#,
        r#"{"caller": ["web"]}"#,
        r#"{"method": ["GET"]}"#,
    ];
    let rules: Vec<Policy> = (0..)
        .zip(rules)
        .map(|(index, only)| policy("shop", "cart", Side::Client, count_only(index, only)))
        .collect();
    let get = || Some(r#"{"method":["GET"]}"#.to_owned());
    assert_eq!(
        told(&made(Side::Client, &sets, &rules)),
        [(0, None), (1, get()), (3, get())]
    );
    let others = made(Side::Client, &[], &rules[2..3]);
    assert_eq!(names(&others), [""; 0], "nobody here is asked to count it");
}

#[test]
fn what_asks_for_a_dimension_that_is_not_there_is_left_out_and_said() {
    let sets = [routes("payments", &[], &["charge"])];
    let rules = [
        policy(
            "payments",
            "charge",
            Side::Server,
            count_only(0, r#"{"caller": ["web"]}"#),
        ),
        policy(
            "payments",
            "charge",
            Side::Server,
            count_only(1, r#"{"origin": ["app"]}"#),
        ),
        policy(
            "payments",
            "charge",
            Side::Server,
            count_only(2, r#"{"method": ["GET"]}"#),
        ),
    ];
    let with = |dimensions: &str| {
        let json = format!(r#"{{"name": "a", "dimensions": {dimensions}}}"#);
        let settings = serde_json::from_str(&json).unwrap();
        bare(Side::Server, &sets, &rules).with(&[settings], &sets)
    };
    let indexes = |made: &Configured| -> Vec<u32> {
        told(made).into_iter().map(|(index, _)| index).collect()
    };
    let callers = with(r#"{"caller": {"xfcc": true}}"#);
    assert_eq!(indexes(&callers), [0, 2]);
    assert_eq!(
        callers.left_out,
        [
            "objective 1 of SLO pay on payments charge: is about some origins only, and the FilterSettings that hold here have no dimensions.origin"
        ]
    );
    let both = with(r#"{"caller": {"xfcc": true}, "origin": {"baggage": "o"}}"#);
    assert_eq!(indexes(&both), [0, 1, 2]);
    assert_eq!(both.left_out, [""; 0]);
    assert_eq!(with("{}").left_out.len(), 2);
}

#[test]
fn the_server_side_gets_the_services_own_routes() {
    let sets = [
        routes("payments", &["pay"], &["charge"]),
        routes("shop", &[], &["cart"]),
    ];
    let rules = [
        policy("payments", "charge", Side::Server, count(0)),
        policy("payments", "charge", Side::Client, count(1)),
        policy("shop", "cart", Side::Server, count(2)),
    ];
    let made = made(Side::Server, &sets, &rules);
    assert_eq!(names(&made), ["payments charge"]);
    assert_eq!(made.config.scopes[0].matches, [path("/charge")]);
    assert_eq!(made.config.scopes[0].objectives.len(), 1);
    assert!(!made.config.route_names);
}

#[test]
fn the_client_side_gets_every_service_told_apart_by_authority() {
    let sets = [
        routes("shop", &[], &["cart"]),
        routes("payments", &["pay:80", "pay"], &["charge"]),
    ];
    let rules = [policy("mail", "*", Side::Client, count(0))];
    let made = made(Side::Client, &sets, &rules);
    assert_eq!(
        names(&made),
        [
            "mail other",
            "payments charge",
            "payments other",
            "shop cart",
            "shop other"
        ]
    );
    let authorities: Vec<&[String]> = made
        .config
        .scopes
        .iter()
        .map(|scope| &scope.matches[0].authority[..])
        .collect();
    assert_eq!(authorities[0], ["mail"]);
    assert_eq!(authorities[1], ["pay:80", "pay"]);
    assert_eq!(authorities[3], ["shop"]);
}

#[test]
fn what_holds_on_all_routes_holds_on_each_and_on_other() {
    let sets = [routes("payments", &[], &["charge", "refund"])];
    let rules = [
        policy("payments", "*", Side::Server, count(0)),
        policy("payments", "*", Side::Server, breaks(0.9)),
        policy("payments", "refund", Side::Server, count(1)),
        policy("payments", "refund", Side::Server, breaks(0.999)),
        policy("payments", "refund", Side::Server, trip(7)),
    ];
    let made = made(Side::Server, &sets, &rules);
    assert_eq!(
        names(&made),
        ["payments charge", "payments refund", "payments other"]
    );
    let counted: Vec<usize> = made
        .config
        .scopes
        .iter()
        .map(|scope| scope.objectives.len())
        .collect();
    assert_eq!(counted, [1, 2, 1]);
    let breakers: Vec<_> = made
        .config
        .scopes
        .iter()
        .filter_map(|scope| scope.breaker)
        .collect();
    assert_eq!(breakers[0].limits, limits(0.9));
    assert_eq!(breakers[1].limits, limits(0.999), "its own comes first");
    assert_eq!(breakers[1].trip.unwrap().id, 7);
    assert_eq!(breakers[2].trip, None, "an order is for its own route");
}

#[test]
fn without_routes_envoys_names_tell_them_apart_unless_something_holds_on_all() {
    let named = policy("payments", "charge", Side::Server, count(0));
    let by_name = made(Side::Server, &[], std::slice::from_ref(&named));
    assert!(by_name.config.route_names);
    assert_eq!(names(&by_name), ["payments charge"]);

    let all = policy("payments", "*", Side::Server, count(1));
    let as_other = made(Side::Server, &[], &[named, all]);
    assert!(!as_other.config.route_names, "other must see every request");
    assert_eq!(names(&as_other), ["payments other"]);
    assert_eq!(
        as_other.left_out,
        ["payments charge (server): no RouteSet says which requests these are"]
    );
}

#[test]
fn what_is_too_much_is_said() {
    let sets = [routes("payments", &[], &["charge"])];
    let rules: Vec<Policy> = (0..=32)
        .map(|index| policy("payments", "charge", Side::Server, count(index)))
        .collect();
    let made = made(Side::Server, &sets, &rules);
    assert_eq!(
        made.config.scopes[0].objectives.len(),
        FilterConfig::OBJECTIVES_MAX
    );
    assert_eq!(
        made.left_out,
        ["objective 32 of SLO pay on payments charge: a scope may have 32"]
    );
}

#[test]
fn what_counts_nothing_or_only_counts_takes_no_room_of_what_guards() {
    let guards = |judge: Judge, only: &str, dimensions: &str| {
        let (breaker, mut last) = (judging(judge), guarding(32, Mode::Enforce));
        if let Rule::Count(objective) = &mut last {
            objective.id.slo = SloName::try_from("shop").unwrap();
        }
        let some = (0..32).map(|index| count_only(index, only));
        let rules = some.chain([last, count(33), breaker]);
        let rules: Vec<Policy> = rules
            .map(|rule| policy("payments", "charge", Side::Server, rule))
            .collect();
        let json = format!(r#"{{"name": "a", "dimensions": {dimensions}}}"#);
        let settings = serde_json::from_str(&json).unwrap();
        let made = bare(Side::Server, &[], &rules).with(&[settings], &[]);
        made.config.check().unwrap();
        let objectives = &made.config.scopes[0].objectives;
        assert!(objectives.is_sorted());
        assert_eq!(objectives.len() + made.left_out.len(), 34);
        let guard = objectives.iter().filter(|one| one.guards.is_some());
        let guard: Vec<u32> = guard.map(|one| one.id.index).collect();
        assert!(objectives.iter().any(|one| one.id.index == 33), "about all");
        (objectives.len(), guard)
    };
    let caller = r#"{"caller": ["web"]}"#;
    let judge = Judge::Objectives;
    assert_eq!(guards(judge, caller, "{}"), (2, vec![32]));
    let all = r#"{"caller": {"xfcc": true}}"#;
    assert_eq!(guards(judge, caller, all), (32, vec![32]));
    assert_eq!(guards(Judge::Outcomes, caller, all), (32, vec![]));
}

#[test]
fn too_many_scopes_and_matches_are_left_out() {
    let many: Vec<String> = (0..1_100).map(|number| format!("r{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let made_all = made(Side::Server, &[routes("payments", &[], &many)], &[]);
    assert_eq!(made_all.config.scopes.len(), FilterConfig::SCOPES_MAX);
    assert_eq!(made_all.left_out.len(), 76);

    let mut set = routes("payments", &[], &["charge"]);
    set.routes[0].matches = vec![path("/a"); 70];
    set.routes[0].matches.push(path("no slash"));
    let made_one = made(Side::Server, &[set], &[]);
    assert_eq!(
        made_one.config.scopes[0].matches.len(),
        FilterConfig::MATCHES_MAX
    );
    assert_eq!(made_one.left_out.len(), 2, "{:?}", made_one.left_out);
}

#[test]
fn the_order_of_arguments_does_not_matter() {
    let mut sets = [
        routes("shop", &[], &["cart"]),
        routes("payments", &[], &["charge"]),
    ];
    let mut rules = [
        policy("shop", "*", Side::Client, count(0)),
        policy("payments", "*", Side::Client, count(1)),
    ];
    let one = made(Side::Client, &sets, &rules);
    sets.reverse();
    rules.reverse();
    assert_eq!(made(Side::Client, &sets, &rules), one);
}

fn budget(least: u32) -> Rule {
    let json = format!(
        r#"{{"retry_budget": {{"mode": "shadow", "limits": {{"share": 1000, "least": {least}}}, "expires_at_ms": 9}}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

#[test]
fn of_retry_budgets_that_of_the_route_comes_first() {
    let sets = [routes("payments", &[], &["charge", "refund"])];
    let rules = |side| {
        [
            policy("payments", "*", side, budget(7)),
            policy("payments", "charge", side, budget(5)),
        ]
    };
    let least = |side| {
        let config = made(side, &sets, &rules(side)).config;
        let scopes = config.scopes.iter();
        let least = |scope: &ScopeConfig| scope.retries.map(|it| it.limits.limits().least);
        scopes.map(least).collect::<Vec<_>>()
    };
    for side in [Side::Server, Side::Client] {
        assert_eq!(least(side), [Some(5), Some(7), Some(7)]);
    }
}

fn deny(id: &str) -> Rule {
    let json = format!(r#"{{"id": "{id}", "caller": "batch", "expires_at_ms": 9}}"#);
    Rule::Deny(serde_json::from_str(&json).unwrap())
}

fn ids(rules: &[DenyRule]) -> Vec<&str> {
    rules.iter().map(DenyRule::id).collect()
}

#[test]
fn what_is_denied_on_all_routes_stands_beside_the_scopes_of_a_server() {
    let sets = [routes("payments", &[], &["charge"])];
    let rules = |side| {
        [
            policy("payments", "*", side, deny("all")),
            policy("payments", "charge", side, deny("one")),
        ]
    };
    let server = made(Side::Server, &sets, &rules(Side::Server));
    assert_eq!(ids(&server.config.deny), ["all"]);
    assert_eq!(names(&server), ["payments charge"]);
    assert_eq!(ids(&server.config.scopes[0].deny), ["one"]);
    let client = made(Side::Client, &sets, &rules(Side::Client));
    assert_eq!(ids(&client.config.deny), [""; 0], "others are asked, too");
    assert_eq!(ids(&client.config.scopes[0].deny), ["one", "all"]);
    assert_eq!(ids(&client.config.scopes[1].deny), ["all"], "other");
    let by_name = made(Side::Server, &[], &rules(Side::Server)[..1]);
    assert!(by_name.config.route_names);
}

#[test]
fn deny_rules_beyond_what_a_filter_takes_are_said() {
    let sets = [routes("payments", &[], &["charge"])];
    let rules: Vec<Policy> = (0..70)
        .map(|number| {
            let route = if number < 40 { "*" } else { "charge" };
            policy("payments", route, Side::Server, deny(&format!("r{number}")))
        })
        .collect();
    let made = made(Side::Server, &sets, &rules);
    assert_eq!(made.config.deny.len(), 40);
    assert_eq!(made.config.scopes[0].deny.len(), 24);
    assert_eq!(made.left_out.len(), 6, "{:?}", made.left_out);
}

fn deadline(mode: Mode, limit_ms: u32) -> Rule {
    Rule::Deadline {
        mode,
        limit_ms: limit_ms.try_into().unwrap(),
        expires_at_ms: WallTime::from_millis(9),
    }
}

#[test]
fn a_scope_has_its_own_deadline_or_that_of_all_routes() {
    let sets = [routes("payments", &[], &["charge", "refund"])];
    let rules = [
        policy("payments", "*", Side::Server, deadline(Mode::Shadow, 7)),
        policy(
            "payments",
            "refund",
            Side::Server,
            deadline(Mode::Enforce, 8),
        ),
    ];
    let made = made(Side::Server, &sets, &rules);
    let deadlines: Vec<_> = made
        .config
        .scopes
        .iter()
        .filter_map(|scope| scope.deadline)
        .map(|deadline| (deadline.mode, deadline.limit_ms.as_millis()))
        .collect();
    assert_eq!(
        deadlines,
        [(Mode::Shadow, 7), (Mode::Enforce, 8), (Mode::Shadow, 7)]
    );
}

#[test]
fn while_a_deadline_is_given_anywhere_all_carry_what_is_left_but_for_what_settings_say() {
    let on_mail = |mode| policy("mail", "*", Side::Server, deadline(mode, 8));
    let carries = |rules: &[Policy], settings: &str| {
        let settings: Vec<FilterSettings> = serde_json::from_str(settings).unwrap();
        [Side::Server, Side::Client].map(|side| {
            let made = made(side, &[], rules).with(&settings, &[]);
            made.config.trace.context.deadlines
        })
    };
    let (ignore, carry) = (DeadlineMode::Ignore, DeadlineMode::Carry);
    let enforced = [on_mail(Mode::Enforce)];
    assert_eq!(carries(&enforced, "[]"), [carry, carry]);
    assert_eq!(carries(&[], "[]"), [ignore, ignore]);
    assert_eq!(carries(&[on_mail(Mode::Shadow)], "[]"), [ignore, ignore]);
    for (context, expected) in [
        (r#""context": {"b3": "single"}"#, carry),
        (
            r#""context": {"deadlines": "enforce"}"#,
            DeadlineMode::Enforce,
        ),
        (
            r#""context": {"deadlines": "ignore"}, "ignores_deadlines": true"#,
            ignore,
        ),
    ] {
        let settings = format!(r#"[{{"name": "a", "side": "client", {context}}}]"#);
        assert_eq!(
            carries(&enforced, &settings),
            [carry, expected],
            "{context}"
        );
    }
}

#[test]
fn what_the_module_cannot_do_is_left_out_and_said() {
    let sets = [routes("payments", &[], &["charge"])];
    let fault = |id: &str, more: &str| {
        let json =
            format!(r#"{{"id": "{id}", "share": 100, "delay_ms": 5, "expires_at_ms": 9{more}}}"#);
        let rule = Rule::Fault(serde_json::from_str(&json).unwrap());
        policy("payments", "charge", Side::Server, rule)
    };
    let rules = [
        fault("asks", ""),
        fault("answers", r#", "side_of_exchange": "response""#),
    ];
    let settings = [FilterSettings {
        respond: Some(TraceResponse::Always),
        ..FilterSettings::default()
    }];
    let made = || made(Side::Server, &sets, &rules).with(&settings, &sets);
    assert!(made().config.asks_for_answers().is_some());
    assert_eq!(made().fitting(Module::Answers), made());
    let fitting = made().fitting(Module::Requests);
    assert_eq!(fitting.config.asks_for_answers(), None);
    assert_eq!(fitting.config.scopes[0].faults.len(), 1);
    for (left_out, part) in fitting.left_out.iter().zip([
        "trace.respond: only sloop_filter_answers.wasm",
        "fault answers on payments charge: side_of_exchange: only",
    ]) {
        assert!(left_out.starts_with(part), "{left_out}");
    }
    assert_eq!(fitting.left_out.len(), 2);
}

#[test]
fn routes_have_their_criticality_and_filters_their_settings() {
    let mut sets = [routes("payments", &[], &["charge", "export"])];
    sets[0].routes[1].criticality = Some(Criticality::Sheddable);
    let settings: FilterSettings = serde_json::from_str(
        r#"{"name": "a", "service": "payments", "dimensions": {"caller": {"header": "x-caller"}, "values_max": 8}}"#,
    )
    .unwrap();
    let made = made(Side::Server, &sets, &[]).with(&[settings], &sets);
    let classes: Vec<_> = made
        .config
        .scopes
        .iter()
        .map(|scope| scope.criticality)
        .collect();
    assert_eq!(classes, [None, Some(Criticality::Sheddable)]);
    assert_eq!(made.config.dimensions.unwrap().values_max, 8);
}

/// An objective of an SLO of `mode` that selects what it counts.
fn checks(json: &str) -> FilterSettings {
    serde_json::from_str(json).unwrap()
}

/// Whatever holds on all routes does not hold on health checks.
#[test]
fn health_checks_are_set_apart_and_nothing_holds_on_them() {
    let all = checks(
        r#"{"name": "all", "health_checks": [
            {"headers": [{"name": "user-agent", "prefix": "kube-probe/"}]}, {"path": {"exact": "/healthz"}}]}"#,
    );
    let sets = [routes("payments", &[], &["charge", "refund"])];
    let mut policies = Vec::new();
    for side in [Side::Server, Side::Client] {
        let rules = [
            count(0),
            breaks(0.99),
            deny("d"),
            budget(1),
            deadline(Mode::Enforce, 9),
        ];
        policies.extend(rules.map(|rule| policy("payments", "*", side, rule)));
    }
    for (side, own) in [(Side::Server, "payments"), (Side::Client, "unknown")] {
        let made = bare(side, &sets, &policies).with(core::slice::from_ref(&all), &sets);
        made.config.check().unwrap();
        assert_eq!(made.left_out, [""; 0]);
        let expected = ["health-checks", "charge", "refund", "other"];
        let routes = made.config.scopes.iter().map(|scope| scope.route.as_str());
        assert_eq!(routes.collect::<Vec<_>>(), expected, "before all others");
        let apart = &made.config.scopes[0];
        assert_eq!(apart.service.as_str(), own);
        assert_eq!(Some(&apart.matches), all.health_checks.as_ref());
        let written = serde_json::to_value(apart).unwrap();
        let mut fields: Vec<&String> = written.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["match", "route", "service", "spared"]);
        for scope in &made.config.scopes[1..] {
            assert!(!scope.spared && scope.breaker.is_some(), "{}", scope.route);
        }
    }
}

#[test]
fn a_service_may_say_that_it_has_no_health_checks() {
    let all = checks(r#"{"name": "all", "health_checks": [{"path": {"exact": "/healthz"}}]}"#);
    let none = checks(r#"{"name": "none", "service": "payments", "health_checks": []}"#);
    let other = checks(r#"{"name": "other", "service": "shop", "health_checks": []}"#);
    for (settings, expected) in [
        (vec![], 0),
        (vec![all.clone()], 1),
        (vec![all.clone(), other], 1),
        (vec![all, none], 0),
    ] {
        let made = bare(Side::Server, &[], &[]).with(&settings, &[]);
        assert_eq!(made.config.scopes.len(), expected, "{settings:?}");
    }
}

#[test]
fn what_health_checks_leave_no_room_for_is_said() {
    let all = checks(r#"{"name": "all", "health_checks": [{"path": {"exact": "/healthz"}}]}"#);
    let named: Vec<String> = (1..FilterConfig::SCOPES_MAX)
        .map(|number| format!("r{number}"))
        .chain(["health-checks".to_owned()])
        .collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let sets = [routes("payments", &[], &named)];
    let settings = core::slice::from_ref(&all);
    let made = bare(Side::Server, &sets, &[]).with(settings, &sets);
    made.config.check().unwrap();
    assert_eq!(made.config.scopes.len(), FilterConfig::SCOPES_MAX);
    assert_eq!(
        made.left_out,
        [
            "payments health-checks (server): the FilterSettings that hold here keep this name for health checks"
        ]
    );
    let sets = [
        routes("payments", &[], &named[..named.len() - 1]),
        routes("payments", &[], &["z"]),
    ];
    let made = bare(Side::Server, &sets, &[]).with(settings, &sets);
    made.config.check().unwrap();
    assert_eq!(
        made.left_out,
        ["payments z (server): a filter may have 1024 scopes, and one is for health checks"]
    );
}

fn guarding(index: u32, mode: Mode) -> Rule {
    let Rule::Count(mut objective) = count(index) else {
        unreachable!()
    };
    objective.guards = Some(mode);
    Rule::Count(objective)
}

/// A breaker that judges by `judge`.
fn judging(judge: Judge) -> Rule {
    let mut limits = *limits(0.99).limits();
    limits.manner.judge = judge;
    Rule::Break {
        mode: BreakerMode::Enforce,
        limits: limits.try_into().unwrap(),
        expires_at_ms: WallTime::from_millis(9),
    }
}

/// The objectives that guard, when a breaker judges by `judge`.
fn guards(judge: Judge, rules: &[Rule]) -> Vec<u32> {
    let policies: Vec<Policy> = rules
        .iter()
        .chain([&judging(judge)])
        .map(|rule| policy("payments", "charge", Side::Server, rule.clone()))
        .collect();
    let made = made(Side::Server, &[], &policies);
    let objectives = made.config.scopes[0].objectives.iter();
    objectives
        .filter(|objective| objective.guards.is_some())
        .map(|objective| objective.id.index)
        .collect()
}

#[test]
fn those_guard_that_the_breaker_is_derived_from() {
    let (acts, watches) = (guarding(0, Mode::Enforce), guarding(1, Mode::Shadow));
    let all = [acts, watches.clone(), count(2)];
    assert_eq!(guards(Judge::Objectives, &all), [0]);
    assert_eq!(guards(Judge::Both, &all), [0]);
    assert_eq!(guards(Judge::Objectives, &[watches, count(2)]), [1]);
    assert_eq!(guards(Judge::Outcomes, &all), [0; 0], "nobody asks them");
}
