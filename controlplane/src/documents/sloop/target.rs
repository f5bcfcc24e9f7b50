//! What a rule is about: a service, its routes, and whose sidecars act.

use sloop_controllers::RouteSelector;
use sloop_model::{RouteName, ServiceName, Share, Side};

use super::super::reader::{At, Fields, quoted};
use super::super::tree::Value;

/// What a text may be away from a whole number of ten-thousandths: no decimal has its very value as a binary fraction.
const ROUNDING: f64 = 1e-6;

/// The fields that say it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) service: ServiceName,
    pub(super) route: RouteSelector,
    pub(super) side: Side,
}

/// Reads `service`, `route` (all of them when it is left out) and `side` (the server's).
pub(super) fn read(spec: &Fields<'_>) -> Option<Target> {
    let service = spec.required("service").and_then(|at| at.parse());
    let route = spec.get("route").map(|at| read_route(&at));
    let side = spec.get("side").map(|at| read_side(&at));
    Some(Target {
        service: service?,
        route: route.unwrap_or(Some(RouteSelector::Any))?,
        side: side.unwrap_or(Some(Side::Server))?,
    })
}

/// Reads the name of a route, or `*` for all.
pub(in crate::documents) fn read_route(at: &At<'_>) -> Option<RouteSelector> {
    if at.text()? == "*" {
        return Some(RouteSelector::Any);
    }
    at.parse::<RouteName>().map(RouteSelector::Named)
}

/// Reads whose sidecars are meant.
pub(in crate::documents) fn read_side(at: &At<'_>) -> Option<Side> {
    at.word(&[("server", Side::Server), ("client", Side::Client)])
}

/// Reads a share: ten-thousandths as a whole number, or a text as `12.5%` that says as many as exactly.
pub(super) fn read_share(at: &At<'_>) -> Option<Share> {
    let Value::Text(text) = &at.node().value else {
        return at.accept(Share::try_from(at.whole::<u16>()?));
    };
    let percent = text
        .strip_suffix('%')
        .and_then(|number| number.trim_end().parse::<f64>().ok())
        .filter(|percent| (0.0..=100.0).contains(percent));
    let Some(percent) = percent else {
        at.refuse(format!(
            "is {}; it must be from \"0%\" to \"100%\", or ten-thousandths from 0 to 10000",
            quoted(text)
        ));
        return None;
    };
    let steps = percent * 100.0;
    if ROUNDING < (steps - steps.round()).abs() {
        at.refuse(format!(
            "is {}; shares have steps of 0.01%, so it must be \"{}%\" or \"{}%\"",
            quoted(text),
            steps.floor() / 100.0,
            steps.ceil() / 100.0
        ));
        return None;
    }
    Some(Share::nearest(percent / 100.0))
}
