//! What the operator of the shop declares.

use super::observed::Enforcement;
use crate::shop::{SECOND_CHECKOUT, Service};

/// The one route of `payments`.
pub(super) const PAYMENTS_ROUTE: &str = "api";

/// By which people are told.
const POLICY: &str = "payments-burns";

/// The documents of the shop: routes, SLOs and an alert policy.
///
/// All of `payments` is one route: its callers use different parts of it, and
/// what one of them finds out is to protect the others.
///
/// The SLOs of `payments` are counted by the sidecars of its callers, because
/// that is where a breaker can spare it requests; those of `edge` are what users
/// get and are only monitored. People are told of `payments` alone, at `hook`, where that is given.
#[must_use]
pub(super) fn documents(enforcement: Enforcement, hook: Option<&str>) -> String {
    let mode = enforcement.annotation();
    let told = |document: String| match hook {
        Some(_) => format!("{document}  alertPolicies:\n    - alertPolicyRef: {POLICY}\n"),
        None => document,
    };
    let mut documents = vec![
        routes("payments", &[(PAYMENTS_ROUTE, "path: {prefix: /}")]),
        routes(
            "checkout",
            &[
                ("catalogue", "path: {exact: /catalog}"),
                ("order", "path: {exact: /checkout}"),
            ],
        ),
        routes(
            "edge",
            &[
                ("catalogue", "path: {exact: /catalog}"),
                ("order", "path: {exact: /checkout}"),
                ("wallet", "path: {exact: /wallet}"),
            ],
        ),
        told(availability("payments", "client", mode)),
        told(latency("payments", "client", mode, "0.25")),
    ];
    for service in ["edge", "checkout"] {
        documents.push(availability(service, "server", "monitored"));
        documents.push(latency(service, "server", "monitored", "1"));
    }
    documents.extend(hook.map(policy));
    documents.join("---\n")
}

/// Whoever listens at `hook` is told when a budget burns, and when it does not any more. The story is short, and so is the
/// condition: a minute in which it surely burns twice as fast as it may. Whoever is on call asks for more.
fn policy(hook: &str) -> String {
    format!(
        "apiVersion: openslo/v1
kind: AlertPolicy
metadata:
  name: {POLICY}
spec:
  alertWhenResolved: true
  conditions:
    - kind: AlertCondition
      metadata:
        name: burns
      spec:
        severity: page
        condition: {{kind: burnrate, op: gt, threshold: 2, lookbackWindow: 1m}}
  notificationTargets:
    - kind: AlertNotificationTarget
      metadata:
        name: demo
      spec:
        target: {hook}
"
    )
}

fn routes(service: &str, routes: &[(&str, &str)]) -> String {
    let routes: String = routes
        .iter()
        .map(|(name, path)| format!("    - name: {name}\n      match:\n        - {path}\n"))
        .collect();
    // Callers address the instances of `checkout` one by one.
    let authorities = if service == Service::Checkout.name() {
        format!("{service}, {SECOND_CHECKOUT}")
    } else {
        service.to_owned()
    };
    format!(
        "apiVersion: sloop.dev/v1\nkind: RouteSet\nmetadata:\n  name: {service}\nspec:\n  service: {service}\n  authorities: [{authorities}]\n  routes:\n{routes}"
    )
}

fn availability(service: &str, side: &str, mode: &str) -> String {
    let indicator = format!(
        "    spec:
      ratioMetric:
        counter: true
        bad:
          metricSource:
            type: sloop
            spec: {{service: {service}, route: \"*\", side: {side}, status: [\"5xx\"], outcome: [timeout, connect_failure, upstream_reset, no_healthy_upstream, truncated]}}
        total:
          metricSource:
            type: sloop
            spec: {{service: {service}, route: \"*\", side: {side}}}
"
    );
    slo(
        service,
        "availability",
        mode,
        &indicator,
        "    - target: 0.99\n",
    )
}

fn latency(service: &str, side: &str, mode: &str, seconds: &str) -> String {
    let indicator = format!(
        "    spec:
      thresholdMetric:
        metricSource:
          type: sloop
          spec: {{service: {service}, route: \"*\", side: {side}}}
"
    );
    let objective = format!("    - target: 0.99\n      op: lte\n      value: {seconds}\n");
    slo(service, "latency", mode, &indicator, &objective)
}

fn slo(service: &str, what: &str, mode: &str, indicator: &str, objective: &str) -> String {
    format!(
        "apiVersion: openslo/v1
kind: SLO
metadata:
  name: {service}-{what}
  annotations:
    sloop.dev/mode: {mode}
spec:
  service: {service}
  budgetingMethod: Occurrences
  timeWindow:
    - duration: 28d
      isRolling: true
  indicator:
    metadata:
      name: {service}-{what}
{indicator}  objectives:
{objective}"
    )
}
