//! Where requests are counted.

use super::*;

#[test]
fn rules_come_first_then_envoys_name_then_other() {
    let mut bench = Bench::new(&config(&scope("a", "")));
    bench.request("a", 200, 0);
    bench.request("b", 200, 0);
    bench.request("", 200, 0);
    assert_eq!(
        routes(&bench.scopes(1_000)),
        [("a", 1), ("b", 1), ("other", 1)]
    );
}

#[test]
fn without_route_names_all_the_rest_is_other() {
    let json = config("").replace("true", "false");
    let mut bench = Bench::new(&json);
    bench.request("b", 200, 0);
    assert_eq!(routes(&bench.scopes(1_000)), [("other", 1)]);
}

#[test]
fn a_configured_scope_without_rules_is_found_by_envoys_name() {
    let named =
        r#"{"service": "shop", "route": "b", "objectives": [{"id": {"slo": "s", "index": 0}}]}"#;
    let mut bench = Bench::new(&config(named));
    bench.request("b", 500, 0);
    let scopes = bench.scopes(1_000);
    assert_eq!(scopes[0].objectives.len(), 1);
}

#[test]
fn rules_for_other_hold_on_other() {
    let other = r#"{"service": "shop", "route": "other", "objectives": [{"id": {"slo": "s", "index": 0}}]}"#;
    let mut bench = Bench::new(&config(other));
    bench.request("", 200, 0);
    assert_eq!(bench.scopes(1_000)[0].objectives[0].good, 1);
}

#[test]
fn names_have_a_maximum_and_what_is_beyond_is_counted() {
    let mut bench = Bench::new(&config(&scope("a", "")));
    for number in 0..300 {
        bench.request(&format!("r{number}"), 200, 0);
    }
    bench.request("a", 200, 0);
    let report = bench.report(1_000).unwrap();
    assert_eq!(
        report.trouble.routes_over_cap,
        300 - SideState::NAMED_MAX as u64
    );
    let all = routes(&report.scopes);
    assert_eq!(all.len(), SideState::NAMED_MAX + 2);
    assert!(all.contains(&("other", 44)) && all.contains(&("a", 1)));
}

#[test]
fn names_that_are_none_are_other() {
    let mut bench = Bench::new(&config(""));
    for name in [&b"\xff"[..], b"", b"a\nb", &[b'a'; 254]] {
        let id = bench.plane.named(Side::Server, name);
        assert_eq!(id, bench.plane.server.other(), "{name:?}");
    }
}

#[test]
fn the_client_side_does_not_know_whose_its_unclaimed_requests_are() {
    let client = config("").replace("\"server\"", "\"client\"");
    let mut bench = Bench::new(&client);
    assert_eq!(bench.claim(Side::Server, "a"), None);
    let id = bench.claim(Side::Client, "a").unwrap();
    let entry = bench.plane.client.entry(id).unwrap();
    assert_eq!(entry.service, sloop_model::ServiceName::unknown());
}

#[test]
fn scopes_that_went_are_forgotten_when_nothing_of_theirs_is_left() {
    let mut bench = Bench::new(&config(""));
    for push in 0..1_000_u64 {
        bench.configure(&config(&scope(&format!("r{push}"), "")), push * 1_000);
        bench.request(&format!("r{push}"), 200, push * 1_000);
        assert_eq!(bench.scopes((push + 1) * 1_000).len(), 1);
    }
    assert!(bench.plane.server.len() < 5);
}

#[test]
fn scopes_that_went_unreported_have_a_maximum_and_end_up_as_other() {
    let mut bench = Bench::new(&config(""));
    for push in 0..1_100 {
        bench.configure(&config(&scope(&format!("r{push}"), "")), 0);
        bench.request(&format!("r{push}"), 200, 0);
    }
    bench.configure(&config(""), 0);
    assert!(bench.plane.server.len() <= SideState::RETIRED_MAX + 2);
    let report = bench.report(1_000).unwrap();
    let total: u64 = report.scopes.iter().map(|delta| delta.requests).sum();
    assert_eq!(total, 1_100);
    assert!(0 < report.trouble.routes_over_cap);
}
