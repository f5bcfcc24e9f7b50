use sloop_model::{RouteName, ServiceName};

use super::*;

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    let texts = texts.iter();
    texts
        .map(|text| Pattern::try_from(*text).unwrap())
        .collect()
}

fn rule(identity: &str, services: &[&str], calls: Option<&[&str]>) -> AccessRule {
    AccessRule {
        name: "a".to_owned(),
        identities: patterns(&[identity]),
        services: patterns(services),
        calls: calls.map(patterns),
    }
}

fn id(name: &str) -> SpiffeId {
    SpiffeId::try_from(format!("spiffe://a/{name}").as_str()).unwrap()
}

fn scope(side: Side, service: &str) -> Scope {
    Scope {
        service: ServiceName::try_from(service).unwrap(),
        route: RouteName::try_from("pay").unwrap(),
        side,
    }
}

#[test]
fn without_rules_nobody_may_do_anything() {
    let access = Access::default();
    assert!(access.is_nobodys());
    assert!(access.sidecar(&id("shop"), "shop").is_err());
    assert!(access.report(&id("shop"), "shop", []).is_err());
}

#[test]
fn a_name_is_a_sidecar_of_its_services_alone() {
    let access = Access::new(vec![rule("spiffe://a/shop", &["shop", "cart-*"], None)]);
    for (name, service, expected) in [
        ("shop", "shop", true),
        ("shop", "cart-1", true),
        ("shop", "cart", false),
        ("shop", "shops", false),
        ("shop", "", false),
        ("shop2", "shop", false),
        ("other", "shop", false),
    ] {
        let is_allowed = access.sidecar(&id(name), service).is_ok();
        assert_eq!(is_allowed, expected, "{name} as {service}");
    }
}

#[test]
fn rules_about_one_name_add_up() {
    let access = Access::new(vec![
        rule("spiffe://a/*", &["shop"], Some(&[])),
        rule("spiffe://a/both", &["cart"], Some(&["pay"])),
    ]);
    assert!(access.sidecar(&id("both"), "shop").is_ok());
    assert!(access.sidecar(&id("both"), "cart").is_ok());
    assert!(access.sidecar(&id("one"), "cart").is_err());
    let called = scope(Side::Client, "pay");
    assert!(access.report(&id("both"), "shop", [&called]).is_ok());
    assert!(access.report(&id("one"), "shop", [&called]).is_err());
}

#[test]
fn reports_are_about_own_services_and_those_that_are_called() {
    let access = Access::new(vec![rule("spiffe://a/shop", &["shop"], Some(&["pay"]))]);
    let (own, others) = (scope(Side::Server, "shop"), scope(Side::Server, "pay"));
    let (called, not_called) = (scope(Side::Client, "pay"), scope(Side::Client, "bank"));
    let report = |scopes: &[&Scope]| access.report(&id("shop"), "shop", scopes.iter().copied());
    assert_eq!(report(&[]), Ok(()));
    assert_eq!(report(&[&own, &called]), Ok(()));
    let nobodys = scope(Side::Client, ServiceName::unknown().as_str());
    assert_eq!(
        report(&[&own, &nobodys]),
        Ok(()),
        "it went where no route is"
    );
    let denied = |side, service: &str| {
        Err(Denied::Report {
            identity: id("shop"),
            service: service.to_owned(),
            side,
        })
    };
    assert_eq!(report(&[&own, &others]), denied(Side::Server, "pay"));
    assert_eq!(report(&[&not_called]), denied(Side::Client, "bank"));
    let as_another = access.report(&id("shop"), "pay", [&called]);
    assert!(matches!(as_another, Err(Denied::Service { .. })));
}

#[test]
fn calls_that_are_not_said_are_any() {
    let access = Access::new(vec![rule("spiffe://a/shop", &["shop"], None)]);
    let called = scope(Side::Client, "anything");
    assert_eq!(access.report(&id("shop"), "shop", [&called]), Ok(()));
}

#[test]
fn a_star_stands_at_the_end_alone() {
    assert_eq!(patterns(&["*"]), [Pattern::Prefix(String::new())]);
    assert_eq!(Pattern::try_from(""), Err(InvalidPattern::Empty));
    for given in ["a*b", "*a", "**"] {
        let given = given.to_owned();
        assert_eq!(
            Pattern::try_from(given.as_str()),
            Err(InvalidPattern::Star { given })
        );
    }
    for text in ["a", "a*", "*"] {
        assert_eq!(Pattern::try_from(text).unwrap().to_string(), text);
    }
}
