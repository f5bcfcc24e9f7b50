//! What SLOs imply for a breaker that a document declares in part.

use sloop_model::{BreakerRule, Judge, ServiceName, Side};

use super::derive::{judged_by, stricter};
use super::derived;
use crate::{RouteSelector, SloIntent, SloMode};

/// What `slos` imply for the breakers of `side` on `route` of `service`: the stricter of all that count there, or on all
/// routes. Of SLOs that act where there are any, else of those that watch, else of those that are monitored, so that a
/// document stays whole whatever their mode becomes; nothing where there are none. Monitored ones guard nothing, so
/// what they imply judges by outcomes. What counts some requests of a route only implies nothing for all of them.
#[must_use]
pub fn implied_breaker(
    slos: &[SloIntent],
    (service, route, side): (&ServiceName, &RouteSelector, Side),
) -> Option<BreakerRule> {
    [SloMode::Actionable, SloMode::Shadow, SloMode::Monitored]
        .into_iter()
        .find_map(|mode| {
            let slos = slos.iter().filter(|slo| slo.mode == mode);
            let meant = slos.flat_map(SloIntent::counted).filter(|(.., source)| {
                let is_route = source.route == RouteSelector::Any || source.route == *route;
                let is_whole = is_route && source.indicator.only.is_none();
                source.service == *service && source.side == side && is_whole
            });
            let rules = meant.filter_map(|(_, objective, source)| {
                let rule = derived::breaker(objective.target, &source.indicator)?;
                Some(match mode {
                    SloMode::Actionable | SloMode::Shadow => rule,
                    SloMode::Monitored => judged_by(rule, Judge::Outcomes),
                })
            });
            rules.reduce(stricter)
        })
}

#[cfg(test)]
mod tests {
    use sloop_model::Share;

    use super::*;

    fn slo(mode: &str, route: &str, target: u32) -> SloIntent {
        let body = serde_json::json!({
            "name": "a", "service": "pay", "mode": mode, "budgeting": "occurrences",
            "window": {"rolling": 2_592_000_000_u64},
            "objectives": [{"target": target, "source": {
                "service": "pay", "route": route, "side": "server", "indicator": {},
            }}],
        });
        serde_json::from_value(body).unwrap()
    }

    /// The share that may fail on the route `order`, in ten-thousandths.
    fn failed_max(slos: &[SloIntent]) -> Option<Share> {
        let route = serde_json::from_str(r#"{"named": "order"}"#).unwrap();
        let service = ServiceName::try_from("pay").unwrap();
        let implied = implied_breaker(slos, (&service, &route, Side::Server))?;
        Some(implied.limits().failed_max)
    }

    #[test]
    fn what_counts_some_requests_only_implies_nothing_for_all() {
        let mut some = slo("monitored", "any", 999_000_000);
        let source = some.objectives[0].source.as_mut().unwrap();
        source.indicator.only = serde_json::from_str(r#"{"method": ["GET"]}"#).unwrap();
        assert_eq!(failed_max(std::slice::from_ref(&some)), None);
        let all = slo("monitored", "any", 500_000_000);
        assert_eq!(failed_max(&[some, all.clone()]), failed_max(&[all]));
    }

    #[test]
    fn the_stricter_holds_of_those_that_act_before_those_that_watch_and_are_monitored() {
        let share = |share: u16| Some(Share::try_from(share).unwrap());
        assert_eq!(failed_max(&[]), None);
        let monitored = slo("monitored", "any", 990_000_000);
        assert_eq!(failed_max(std::slice::from_ref(&monitored)), share(5_050));
        let watching = slo("shadow", "any", 999_000_000);
        assert_eq!(failed_max(&[monitored, watching.clone()]), share(5_005));
        let acting = slo("actionable", "any", 500_000_000);
        assert_eq!(failed_max(&[watching, acting.clone()]), share(7_500));
        let stricter = slo("actionable", "any", 950_000_000);
        assert_eq!(failed_max(&[acting, stricter]), share(5_250));
    }
}
