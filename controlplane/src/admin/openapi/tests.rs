use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;

use super::*;
use crate::admin::routes::{Admin, router, routes};
use crate::ads::{AdsLimits, Hub};
use crate::metrics::Telemetry;

const CHECKED_IN: &str = include_str!("../../../openapi.json");

/// The methods of each path.
type Methods = BTreeMap<String, BTreeSet<String>>;

fn documented() -> Methods {
    let document: Value = serde_json::from_str(&openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let methods = |operations: &Value| operations.as_object().unwrap().keys().cloned().collect();
    let paths = paths.iter();
    paths
        .map(|(path, it)| (path.clone(), methods(it)))
        .collect()
}

/// What the router itself says of each of its paths, when it is asked with a method that none has.
async fn answered() -> Methods {
    let telemetry = Arc::new(Telemetry::begin().unwrap());
    let hub = Hub::new(AdsLimits::default(), crate::clock::wall);
    let service = TowerToHyperService::new(router(Admin::loading(telemetry, hub)));
    let mut found = Methods::new();
    for (path, _) in routes() {
        let asked = path.replace(['{', '}'], "");
        let request = Request::trace(asked).body(Body::empty()).unwrap();
        let response = service.call(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = response.headers()[header::ALLOW].to_str().unwrap();
        let allowed = allowed.split(',').filter(|method| *method != "HEAD");
        let methods = allowed.map(str::to_lowercase).collect();
        found.insert(path.to_owned(), methods);
    }
    found
}

#[tokio::test]
async fn every_path_and_method_that_there_is_is_described_and_no_other() {
    assert_eq!(answered().await, documented());
}

#[test]
fn the_file_is_what_is_served() {
    assert!(
        CHECKED_IN == openapi(),
        "controlplane/openapi.json is out of date; run `cargo xtask schema`"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let document: Value = serde_json::from_str(&openapi()).unwrap();
    let mut waiting = vec![&document];
    let mut found = 0;
    while let Some(value) = waiting.pop() {
        if let Some(place) = value.get("$ref").and_then(Value::as_str) {
            found += 1;
            let pointer = place.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{place}");
        }
        match value {
            Value::Object(fields) => waiting.extend(fields.values()),
            Value::Array(items) => waiting.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    assert!(50 < found, "{found}");
}

#[tokio::test]
async fn while_it_loads_every_path_says_so_as_a_problem() {
    let telemetry = Arc::new(Telemetry::begin().unwrap());
    let hub = Hub::new(AdsLimits::default(), crate::clock::wall);
    let service = TowerToHyperService::new(router(Admin::loading(telemetry, hub)));
    let does_without = ["/healthz", "/metrics", "/v1/openapi.json"];
    for (path, methods) in documented() {
        for method in methods {
            let request = Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(path.replace("{id}", "1").replace(['{', '}'], ""));
            // What is looked at before the loop is asked must be right.
            let body = if path == "/v1/experiments" {
                Body::from(EXPERIMENT)
            } else {
                Body::empty()
            };
            let response = service.call(request.body(body).unwrap()).await.unwrap();
            let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
            if does_without.contains(&path.as_str()) {
                assert_eq!(response.status(), StatusCode::OK, "{path}");
            } else {
                assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
                assert_eq!(kind, "application/problem+json", "{method} {path}");
            }
        }
    }
}

const EXPERIMENT: &str = "\
apiVersion: sloop.dev/v1
kind: ChaosExperiment
metadata: {name: aborts}
spec:
  hypothesis: [{slo: pay}]
  targets: [{service: checkout, route: pay}]
  faults: [{share: 5%, abort_status: 503}]
  duration: 10m
  budget: 50%
";
