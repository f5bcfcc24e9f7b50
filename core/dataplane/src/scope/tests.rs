//! Which rule claims which request.

use super::*;
use crate::headers::{HeaderMap, serialised};
use sloop_model::PathMatch;

fn claims(rule: &RequestMatch, headers: &[(&str, &str)]) -> bool {
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_bytes()))
        .collect();
    let bytes = serialised(&headers);
    let mut rules = Rules::default();
    rules.push(rule, ScopeId(0));
    rules.find(&Request::read(HeaderMap::new(&bytes))).is_some()
}

fn path(path: PathMatch) -> RequestMatch {
    RequestMatch {
        path: Some(path),
        ..RequestMatch::default()
    }
}

#[test]
fn an_authority_without_a_port_fits_any() {
    let rule = |authority: &str| RequestMatch {
        authority: vec!["zzz".into(), authority.into()],
        ..RequestMatch::default()
    };
    for (authority, given, expected) in [
        ("payments", "payments", true),
        ("payments", "PAYMENTS:8080", true),
        ("Payments", "payments:80", true),
        ("payments:8080", "payments:8080", true),
        ("payments:8080", "payments", false),
        ("payments:8080", "payments:80", false),
        ("payments", "payments.example", false),
        ("[::1]", "[::1]:80", true),
        ("[::1]:80", "[::1]:80", true),
        ("[::1]:80", "[::1]", false),
        ("payments", "", false),
    ] {
        let given = [(":authority", given)];
        assert_eq!(
            claims(&rule(authority), &given),
            expected,
            "{authority} {given:?}"
        );
    }
}

#[test]
fn the_query_takes_no_part() {
    for (rule, given, expected) in [
        (PathMatch::Exact("/a".into()), "/a?b=/c", true),
        (PathMatch::Exact("/a".into()), "/a/", false),
        (PathMatch::Prefix("/a".into()), "/ab?c", true),
        (PathMatch::Prefix("/a/b".into()), "/a?/b", false),
    ] {
        assert_eq!(
            claims(&path(rule.clone()), &[(":path", given)]),
            expected,
            "{rule:?} {given}"
        );
    }
}

#[test]
fn a_template_fits_segment_by_segment() {
    let rule = path(PathMatch::Template("/users/{id}/orders".into()));
    for (given, expected) in [
        ("/users/7/orders", true),
        ("/users/7/orders?all", true),
        ("/users//orders", false),
        ("/users/7/8/orders", false),
        ("/users/7/orders/", false),
        ("/users/7", false),
        ("", false),
    ] {
        assert_eq!(claims(&rule, &[(":path", given)]), expected, "{given}");
    }
}

#[test]
fn all_conditions_must_hold_and_each_list_needs_one() {
    let rule = RequestMatch {
        method: vec!["GET".into(), "HEAD".into()],
        headers: vec![
            HeaderMatch {
                name: "x-a".into(),
                exact: Some("1".into()),
                prefix: None,
            },
            HeaderMatch {
                name: "x-b".into(),
                exact: None,
                prefix: None,
            },
        ],
        ..RequestMatch::default()
    };
    assert!(claims(
        &rule,
        &[(":method", "HEAD"), ("x-a", "0"), ("x-a", "1"), ("x-b", "")]
    ));
    assert!(!claims(
        &rule,
        &[(":method", "head"), ("x-a", "1"), ("x-b", "")]
    ));
    assert!(!claims(
        &rule,
        &[(":method", "GET"), ("x-a", "0"), ("x-b", "")]
    ));
    assert!(!claims(&rule, &[(":method", "GET"), ("x-a", "1")]));
}

#[test]
fn a_header_is_what_it_must_be_or_begins_so() {
    let text = |text: &str| Some(text.to_owned());
    for (exact, prefix, given, expected) in [
        (None, None, "", true),
        (None, None, "kube-probe/1.34", true),
        (text("kube-probe/"), None, "kube-probe/", true),
        (text("kube-probe/"), None, "kube-probe/1.34", false),
        (text("kube-probe/"), None, "kube-probe", false),
        (text(""), None, "", true),
        (text(""), None, "a", false),
        (None, text("kube-probe/"), "kube-probe/1.34", true),
        (None, text("kube-probe/"), "kube-probe/", true),
        (None, text("kube-probe/"), "kube-probe", false),
        (None, text("kube-probe/"), "Kube-Probe/1.34", false),
        (None, text("kube-probe/"), "a kube-probe/1.34", false),
        (None, text(""), "a", true),
    ] {
        let header = HeaderMatch {
            name: "user-agent".into(),
            exact,
            prefix,
        };
        let rule = RequestMatch {
            headers: vec![header],
            ..RequestMatch::default()
        };
        let agent = [(":path", "/"), ("user-agent", given)];
        assert_eq!(claims(&rule, &agent), expected, "{rule:?} {given}");
        assert!(!claims(&rule, &[("x-user-agent", given)]));
    }
}

#[test]
fn the_first_rule_that_fits_wins() {
    let mut rules = Rules::default();
    rules.push(&path(PathMatch::Prefix("/a/b".into())), ScopeId(1));
    rules.push(&path(PathMatch::Prefix("/a".into())), ScopeId(2));
    let find = |path: &str| {
        let bytes = serialised(&[(":path", path.as_bytes())]);
        rules.find(&Request::read(HeaderMap::new(&bytes)))
    };
    assert_eq!(find("/a/b/c"), Some(ScopeId(1)));
    assert_eq!(find("/a"), Some(ScopeId(2)));
    assert_eq!(find("/"), None);
}
