//! What rules find in the headers of a request.
//!
//! An input is a letter, and then headers as text if the letter is even, else the bytes that a host might hand over.
//! The header `route` is the name that Envoy gives the route.

use core::cell::OnceCell;

use sloop_dataplane::context::Baggage;
use sloop_dataplane::deny::{Asked, DenyBudget, DenyRules};
use sloop_dataplane::fault::{Facts, Faults, Sidecar};
use sloop_dataplane::{Claim, HeaderMap, Plane, Request, ScopeId, Seen, TraceId};
use sloop_model::{Arms, Criticality, FilterConfig, Side, Time, WallTime};

use crate::input::{Headers, Input};

const NOW: Time = Time::from_nanos(1_000_000_000);
const LATER: Time = Time::from_nanos(u64::MAX);
const WALL: WallTime = WallTime::from_millis(1_600_000_000_000);

/// Everything that may be asked about a request.
const CONFIG: &[u8] = br#"{
  "version": 1, "service": "shop", "side": "server", "route_names": true,
  "dimensions": {"caller": {"xfcc": true}, "origin": {"baggage": "o"}, "journey": {"baggage": "j"}, "attempts": true},
  "deny": [{"id": "cve", "match": {"path": {"prefix": "/admin"}}, "expires_at_ms": 1700000000000},
           {"id": "wild", "mode": "shadow", "caller": "spiffe://a/b", "expires_at_ms": 1700000000000},
           {"id": "bot", "match": {"headers": [{"name": "user-agent", "exact": "bot"}]}, "expires_at_ms": 1700000000000}],
  "scopes": [
    {"service": "shop", "route": "health-checks", "spared": true, "match": [{"headers": [{"name": "user-agent", "prefix": "kube-"}]}]},
    {"service": "shop", "route": "charge", "match": [
      {"authority": ["shop", "shop:8080"], "method": ["POST"], "path": {"exact": "/charge"}},
      {"path": {"template": "/users/{id}/items/{item}"}, "headers": [{"name": "x-tenant", "exact": "a"}]}]},
    {"service": "shop", "route": "list", "match": [{"path": {"prefix": "/list"}}],
     "faults": [{"id": "asked", "share": 10000, "by_header": true, "expires_at_ms": 1700000000000}]},
    {"service": "shop", "route": "rest", "match": [{"method": ["GET"]}],
     "faults": [{"id": "drawn", "share": 5000, "match": {"headers": [{"name": "x-test", "exact": "1"}]},
                 "delay": {"fixed_ms": 10}, "expires_at_ms": 1700000000000}]}]
}"#;

/// Puts the request to everything that reads its headers.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let is_raw = input.flag();
    let rest = input.rest();
    let bytes = if is_raw {
        rest.to_vec()
    } else {
        Headers::parse(rest).serialised()
    };
    check_map(HeaderMap::new(&bytes), bytes.len());
    let request = Request::read(HeaderMap::new(&bytes));
    thread_local! {
        static CONFIGURED: OnceCell<FilterConfig> = const { OnceCell::new() };
    }
    CONFIGURED.with(|config| {
        let config = config.get_or_init(|| FilterConfig::parse(CONFIG).unwrap());
        check_rules(config, &request, HeaderMap::new(&bytes));
    });
}

/// A map is never more than the bytes it is in.
fn check_map(map: HeaderMap<'_>, bytes: usize) {
    let lengths = map
        .iter()
        .map(|(name, value)| 8 + name.len() + 1 + value.len() + 1);
    let all: usize = lengths.sum();
    assert!(all == 0 || 4 + all <= bytes);
}

fn check_rules(config: &FilterConfig, request: &Request<'_>, headers: HeaderMap<'_>) {
    let mut plane = Plane::new([1, 2, 3, 4, 0]);
    plane.sync(NOW, WALL);
    plane.configure(config, NOW);
    let scope = match plane.claim(Side::Server, request) {
        Claim::Scope(scope) => scope,
        Claim::ByRouteName => {
            let route = headers.iter().find(|(name, _)| *name == b"route");
            let route = route.map(|(_, value)| value).unwrap_or_default();
            plane
                .named(Side::Server, route)
                .expect("every request has a scope")
        }
        Claim::Unconfigured => panic!("it is configured"),
    };
    let dimensions = config.dimensions.as_ref().unwrap();
    let seen = Seen::read(dimensions, headers);
    let _baggage = Baggage::read(request, dimensions);
    let caller = seen.caller.unwrap_or_default();
    check_deny(config, request, scope, caller);
    for scope in &config.scopes {
        check_faults(
            &Faults::new(&scope.faults, Sidecar::named(b"a")),
            request,
            caller,
        );
    }
}

fn check_deny(config: &FilterConfig, request: &Request<'_>, scope: ScopeId, caller: &[u8]) {
    let mut rules = DenyRules::default();
    for rule in &config.deny {
        assert!(rules.push(rule, None, LATER));
    }
    let mut budget = DenyBudget::default();
    let asked = Asked {
        request,
        scope,
        caller,
    };
    let denial = rules.decide(asked, &mut budget, NOW);
    assert!(
        denial
            .refused
            .is_none_or(|refusal| (400..600).contains(&refusal.status))
    );
}

fn check_faults(faults: &Faults, request: &Request<'_>, caller: &[u8]) {
    let facts = Facts {
        trace: TraceId { high: 1, low: 2 },
        request: Some(request),
        caller,
        criticality: Criticality::Critical,
        arms: &Arms::default(),
    };
    let choice = faults.choose(&facts, || WALL);
    let injection = choice.hit().map(|hit| faults.injection(hit, Some(request)));
    if let Some(injection) = injection {
        let injection = injection.expect("a rule that chose it is there");
        assert!(
            injection.delay.is_some() || injection.ending.is_some(),
            "it does something"
        );
        assert!(
            injection
                .delay
                .is_none_or(|delay| delay <= sloop_model::Delay::MAX)
        );
    }
}
