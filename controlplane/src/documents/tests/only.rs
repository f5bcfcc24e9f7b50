//! SLOs on some requests of a route only: by method, caller and origin.

use super::*;

/// A monitored SLO on these requests.
fn on(spec: &str) -> String {
    slo("a", &threshold(spec), "{op: lte, value: 1, target: 0.9}")
        .replace("actionable", "monitored")
}

/// What is left of `metricSource` in the filter's words.
fn only(text: &str) -> String {
    let intent: SloIntent = intent(text);
    let source = intent.objectives[0].source.as_ref().unwrap();
    serde_json::to_string(&source.indicator.only).unwrap()
}

#[test]
fn a_name_is_a_list_of_one_and_order_means_nothing() {
    for (spec, expected) in [
        ("{route: x}", "null"),
        ("{method: null}", "null"),
        ("{method: GET}", r#"{"method":["GET"]}"#),
        ("{method: PROPFIND}", r#"{"method":["PROPFIND"]}"#),
        (
            "{caller: [web, 'spiffe://a/b', web], origin: unknown}",
            r#"{"caller":["spiffe://a/b","web"],"origin":["unknown"]}"#,
        ),
    ] {
        assert_eq!(only(&on(spec)), expected, "{spec}");
    }
}

#[test]
fn what_one_part_of_a_ratio_says_holds_for_all() {
    let text = |total: &str, good: &str| {
        let ratio = ratio(total, &format!("good {good}"));
        slo("a", &ratio, "{target: 0.9}").replace("actionable", "monitored")
    };
    let same = text("{caller: [a, b]}", "{caller: [b, a], method: GET}");
    assert_eq!(only(&same), r#"{"method":["GET"],"caller":["a","b"]}"#);
    let differs = wrong(&text("{caller: a}", "{caller: b}"));
    assert!(
        differs.len() == 1
            && differs[0].contains("good.metricSource.spec.caller: differs from the one in total"),
        "{differs:?}"
    );
}

#[test]
fn what_is_no_name_is_refused_in_its_place() {
    let long = "x".repeat(65);
    for (spec, expected) in [
        (
            "{method: get}".to_owned(),
            r#"spec.method: is "get"; methods are compared with case: did you mean "GET"?"#,
        ),
        (
            "{method: [GET, /pay.Pay/Charge]}".to_owned(),
            r#"spec.method[1]: is "/pay.Pay/Charge"; it must be a method of HTTP as GET. Those of gRPC are paths: give them a route in a RouteSet"#,
        ),
        (
            "{caller: []}".to_owned(),
            "spec.caller: is an empty list; leave it out to count all",
        ),
        (
            "{caller: ''}".to_owned(),
            r#"spec.caller: is ""; it must have 1 to 256 bytes of visible ASCII"#,
        ),
        (
            "{caller: 7}".to_owned(),
            "spec.caller: is 7; it must be a name or a list of names",
        ),
        (
            "{caller: [a, 7]}".to_owned(),
            "spec.caller[1]: is 7; it must be a text",
        ),
        (
            "{origin: other}".to_owned(),
            r#"spec.origin: is "other", which stands for origins that there is no room to tell apart; name the origin itself"#,
        ),
        (
            format!("{{origin: {long}}}"),
            "spec.origin: has 65 bytes; of baggage at most 64 are read",
        ),
        (
            format!("{{caller: [{}]}}", ["a"; 18].join(", ")),
            "spec.caller: has 18 items; it may have at most 17",
        ),
        (
            "{calller: a}".to_owned(),
            r#"spec.calller: unknown field; did you mean "caller"?"#,
        ),
    ] {
        let wrong = wrong(&on(&spec));
        assert!(
            wrong.len() == 1 && wrong[0].ends_with(expected),
            "{spec}: {wrong:?}"
        );
    }
    let loaded = load(&[("a.yaml", &on("{method: PSOT}"))]);
    assert_eq!(loaded.problems, []);
    assert!(noted(&loaded, "did you mean \"POST\"?"), "{loaded:?}");
}

#[test]
fn nothing_acts_on_a_part_of_a_route() {
    let acting = on("{caller: web, method: GET}").replace("monitored", "actionable");
    for (text, mode) in [
        (acting.clone(), "actionable"),
        (acting.replace("actionable", "shadow"), "shadow"),
    ] {
        let expected = format!(
            "metadata.annotations['sloop.dev/mode']: is {mode}, but the metricSource of objective 0 has method and caller: \
             breakers, shedding and the like are for all requests of a route; make it monitored, or give these requests a \
             route of their own in a RouteSet"
        );
        assert_eq!(wrong(&text), std::slice::from_ref(&expected));
        let one = "{op: lte, value: 1, target: 0.9}";
        let both = text.replace(one, &format!("{one}, {}", one.replace("0.9", "0.99")));
        let expected = expected.replace("objective 0 has", "objectives 0, 1 has");
        assert_eq!(wrong(&both), [expected]);
    }
}

const CALLERS: &str = "apiVersion: sloop.dev/v1
kind: FilterSettings
metadata: {name: callers}
spec: {service: SERVICE, SIDE dimensions: {caller: {xfcc: true}}}
";

#[test]
fn whom_no_filter_tells_apart_is_noted() {
    let caller = on("{service: pay, caller: web}");
    let settings =
        |service: &str, side: &str| CALLERS.replace("SERVICE", service).replace("SIDE", side);
    let is_noted = |slo: &str, settings: &str| {
        let loaded = load(&[("a.yaml", slo), ("b.yaml", settings)]);
        assert_eq!(loaded.problems, []);
        noted(&loaded, "counts nothing: its metricSource has")
    };
    assert!(is_noted(&caller, &settings("shop", "")));
    assert!(is_noted(&caller, &settings("pay", "side: client,")));
    assert!(!is_noted(&caller, &settings("pay", "")));
    let origin = on("{service: pay, origin: app}");
    assert!(is_noted(&origin, &settings("pay", "")));
    let outbound = on("{service: pay, side: client, caller: web}");
    assert!(!is_noted(&outbound, &settings("shop", "side: server,")));
    let alone = load(&[("a.yaml", &caller)]);
    let expected = "counts nothing: its metricSource has caller, and what FilterSettings say for pay (server) has no dimensions.caller";
    assert!(noted(&alone, expected), "{alone:?}");
}

/// `FilterSettings` with these `dimensions`; `about` is empty for all sidecars.
fn settings(name: &str, about: &str, dimensions: &str) -> String {
    format!(
        "---\napiVersion: sloop.dev/v1\nkind: FilterSettings\nmetadata: {{name: {name}}}\nspec: {{{about}dimensions: {dimensions}}}\n"
    )
}

#[test]
fn of_two_settings_those_about_the_fewest_say_who_is_told_apart() {
    let notes = |slo: &str, documents: &[String]| {
        let loaded = load(&[("a.yaml", slo), ("b.yaml", &documents.concat())]);
        assert_eq!(loaded.problems, []);
        let notes = loaded.notes.iter().map(|note| note.message.clone());
        let notes = notes.filter(|note| note.starts_with("counts nothing"));
        notes.collect::<Vec<_>>()
    };
    let all = settings("all", "", "{caller: {xfcc: true}}");
    let pay = settings("pay", "service: pay, ", "{origin: {baggage: origin}}");
    let caller = on("{service: pay, caller: web}");
    assert_eq!(notes(&caller, std::slice::from_ref(&all)), [""; 0]);
    assert_eq!(
        notes(&caller, &[all.clone(), pay.clone()]),
        [
            "counts nothing: its metricSource has caller, and what FilterSettings say for pay (server) has no dimensions.caller"
        ]
    );
    let of_shop = [
        "counts nothing of shop: its metricSource has origin, and what FilterSettings say for shop (client) has no dimensions.origin",
    ];
    let outbound = on("{service: x, side: client, origin: app, caller: [pay, shop]}");
    assert_eq!(notes(&outbound, &[all.clone(), pay.clone()]), of_shop);
    let shop = settings(
        "shop",
        "service: shop, side: client, ",
        "{origin: {baggage: o}}",
    );
    assert_eq!(notes(&outbound, &[all.clone(), pay.clone(), shop]), [""; 0]);
    let of_anybody = on("{service: x, side: client, origin: app}");
    assert_eq!(notes(&of_anybody, &[all.clone(), pay]), [""; 0]);
    assert_eq!(notes(&of_anybody, &[all]).len(), 1);
}

#[test]
fn outbound_a_caller_is_a_service_with_a_name() {
    let outbound = |callers: &str| on(&format!("{{side: client, caller: {callers}}}"));
    let refused = wrong(&outbound("[shop, unknown]"));
    let expected = r#"metricSource.spec.caller: is "unknown", but side is client: there callers are the services whose sidecars count"#;
    assert!(
        refused.len() == 1 && refused[0].contains(expected),
        "{refused:?}"
    );
    let ratio = ratio("{side: client}", "good {caller: unknown}");
    let refused = wrong(&slo("a", &ratio, "{target: 0.9}").replace("actionable", "monitored"));
    let expected = r#"good.metricSource.spec.caller: is "unknown""#;
    assert!(
        refused.len() == 1 && refused[0].contains(expected),
        "{refused:?}"
    );
    let is_noted = |text: &str| {
        let loaded = load(&[("a.yaml", text)]);
        assert_eq!(loaded.problems, []);
        noted(&loaded, "hardly one is named so")
    };
    assert!(is_noted(&outbound("'spiffe://a/b'")));
    assert!(!is_noted(&outbound("shop")));
    assert!(!is_noted(&on("{caller: [unknown, 'spiffe://a/b']}")));
}
