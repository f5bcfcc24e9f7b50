//! What is started.

use std::path::Path;

use anyhow::Context;
use sloop_bench::variants::SLOOP;
use sloop_model::{FilterConfig, PathMatch, RequestMatch, RouteName, ScopeConfig};

use super::super::filters::Wasm;
use super::super::variants::{BASELINE, Modules, NAIVE, SLOOP_ALL};

/// Routes whose memory is looked at.
const ROUTES: usize = 100;

/// A kind of Envoy.
#[derive(Clone, Debug)]
pub struct Resident {
    /// What it is called: that of the variant.
    pub name: String,
    /// Its filters as a list in YAML, empty for none, with the number of routes that they tell apart.
    pub filters: Vec<(usize, String)>,
    /// Whether it reports what it counts.
    pub reports: bool,
}

impl Resident {
    /// An Envoy without a filter.
    #[must_use]
    pub fn none() -> Self {
        Self {
            name: BASELINE.to_owned(),
            filters: vec![(1, String::new())],
            reports: false,
        }
    }

    /// Sloop with everything on, for one route and for a hundred.
    ///
    /// # Errors
    ///
    /// When Sloop does not read its configuration.
    pub fn sloop(module: &Path) -> anyhow::Result<Self> {
        let with = |routes| {
            let configuration = sloop_with(routes)?;
            let filter = Wasm {
                name: SLOOP_ALL,
                root_id: "sloop-inbound",
                vm_id: SLOOP_ALL,
                module,
                configuration: &configuration,
            };
            anyhow::Ok((routes, filter.list()))
        };
        Ok(Self {
            name: SLOOP_ALL.to_owned(),
            filters: vec![with(1)?, with(ROUTES)?],
            reports: true,
        })
    }
}

/// No filter, `naive` and Sloop.
///
/// # Errors
///
/// As [`Resident::sloop`].
pub(in super::super) fn residents(modules: &Modules) -> anyhow::Result<Vec<Resident>> {
    let naive = Wasm {
        name: NAIVE,
        root_id: "",
        vm_id: NAIVE,
        module: &modules.naive,
        configuration: NAIVE,
    };
    let naive = Resident {
        name: NAIVE.to_owned(),
        filters: vec![(1, naive.list())],
        reports: false,
    };
    Ok(vec![
        Resident::none(),
        naive,
        Resident::sloop(&modules.sloop)?,
    ])
}

/// The path that is asked for the route of this number.
pub(super) fn path(route: usize) -> String {
    format!("/route{route}/item")
}

/// The configuration of the variant `sloop` with `routes` routes, each as its richest.
fn sloop_with(routes: usize) -> anyhow::Result<String> {
    let mut config = FilterConfig::parse(SLOOP.as_bytes())?;
    let richest = config.scopes.iter().max_by_key(|scope| scope.faults.len());
    let richest = richest.context("it has no scope")?.clone();
    let scope = |route: usize| {
        let path = PathMatch::Prefix(format!("/route{route}/"));
        anyhow::Ok(ScopeConfig {
            route: RouteName::try_from(format!("route{route}"))?,
            matches: vec![RequestMatch {
                path: Some(path),
                ..RequestMatch::default()
            }],
            ..richest.clone()
        })
    };
    config.scopes = (0..routes).map(scope).collect::<anyhow::Result<_>>()?;
    config
        .check()
        .with_context(|| format!("the configuration with {routes} routes"))?;
    Ok(serde_json::to_string(&config)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_everything_on() {
        let text = sloop_with(3).unwrap();
        let config = FilterConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.scopes.len(), 3);
        for scope in &config.scopes {
            assert!(scope.breaker.is_some() && scope.shed.is_some());
            assert!(!scope.objectives.is_empty() && !scope.faults.is_empty());
        }
    }
}
