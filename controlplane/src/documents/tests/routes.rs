//! Routes that documents name and no filter knows.

use super::*;

fn on(spec: &str) -> String {
    slo("a", &threshold(spec), "{op: lte, value: 1, target: 0.9}")
}

fn set(routes: &str) -> String {
    format!(
        "{{apiVersion: sloop.dev/v1, kind: RouteSet, metadata: {{name: r}}, spec: {{service: checkout, routes: [{routes}]}}}}"
    )
}

fn document(kind: &str, spec: &str) -> String {
    format!("{{apiVersion: sloop.dev/v1, kind: {kind}, metadata: {{name: x}}, spec: {spec}}}")
}

/// What is noted of routes, with `texts` beside each other.
fn said(texts: &[String]) -> Vec<String> {
    let names = ["a.yaml", "b.yaml", "c.yaml"];
    let files: Vec<_> = names
        .into_iter()
        .zip(texts.iter().map(String::as_str))
        .collect();
    let loaded = load(&files);
    assert_eq!(loaded.problems, [], "{texts:?}");
    let notes = loaded.notes.into_iter().map(|note| note.message);
    let notes = notes.filter(|note| note.starts_with("fits no request"));
    notes.collect()
}

#[test]
fn a_route_that_is_left_out_of_configurations_is_noted() {
    let start = |side: &str| {
        format!("fits no request: no RouteSet names the route pay of checkout, and {side}")
    };
    let in_sets = start("where a service has a RouteSet, Envoy's own names are not used");
    let outbound = start("on the client side there are no other names");
    let held = |by: &str| {
        start(&format!(
            "where something holds on all routes of a service, Envoy's own names are not used: {by} does"
        ))
    };
    let pay = || on("{route: pay}");
    let order = set("{name: order, match: [{path: {exact: /a}}]}");
    let slip = set("{name: pays, match: [{path: {exact: /a}}]}");
    let shedding = document(
        "LoadShedding",
        "{service: checkout, retries: {share: 5%, least: 1}}",
    );
    let bare = document("LoadShedding", "{service: checkout, mode: shadow}");
    let fault = |day: &str| {
        let fault = format!("{{share: 100, abort_status: 503, expires_at: '{day}T00:00:00Z'}}");
        document(
            "FaultInjection",
            &format!("{{service: checkout, fault: {fault}}}"),
        )
    };
    let denied = document(
        "DenyRule",
        "{service: checkout, rule: {caller: batch, status: 429, share_max: 100%, expires_at: '2026-01-15T01:00:00Z'}}",
    );
    let outward = shedding.replace("retries", "side: client, retries");
    for (texts, expected) in [
        (vec![pay()], None),
        (vec![pay(), set("")], Some(in_sets.clone())),
        (
            vec![pay(), order],
            Some(format!("{in_sets}; known are order")),
        ),
        (
            vec![pay(), slip],
            Some(format!("{in_sets}; did you mean \"pays\"?")),
        ),
        (vec![on("{route: other}"), set("")], None),
        (vec![on("{route: pay, side: client}")], Some(outbound)),
        (vec![pay(), shedding.clone()], Some(held("LoadShedding x"))),
        (vec![pay(), shedding.replace("checkout", "payments")], None),
        (
            vec![pay(), shedding.replace("retries", "route: b, retries")],
            None,
        ),
        (vec![pay(), bare], None),
        (
            vec![pay(), fault("2026-01-16")],
            Some(held("FaultInjection x")),
        ),
        (vec![pay(), fault("2026-01-14")], None),
        (vec![pay(), denied], None),
        (vec![pay(), outward], None),
        (
            vec![pay(), on("{route: '*'}").replace("name: a,", "name: b,")],
            Some(held("SLO b")),
        ),
    ] {
        assert_eq!(said(&texts), Vec::from_iter(expected), "{texts:?}");
    }
}
