//! What more of something costs: routes, connections, reports that nobody takes.

use anyhow::Context;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sloop_bench::closed::{CONNECTIONS, Dial, Protocol};
use sloop_bench::paired::Estimate;
use sloop_model::FilterConfig;

use super::lanes::{Lane, WARM_UP};
use super::live::Live;
use super::quiet::Quiet;
use super::result::{self, Row};
use super::stage::Stage;
use super::variants::{AGAIN, BASELINE, Modules, Variant};
use super::{on_thread, variants};
use crate::envoy::Options;

/// Routes that a filter knows, the one of the requests being the last.
const ROUTES: [usize; 4] = [1, 10, 100, 1_000];
/// Routes while something else grows.
const ROUTES_MEANWHILE: usize = 10;
/// Connections that requests come over, in turn.
const COUNTS: [usize; 3] = [CONNECTIONS, 64, 256];
const UNREPORTED: &str = "unreported";

/// What a filter costs as something grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Growth {
    /// What there is more of.
    pub of: String,
    /// How it was measured, in a sentence.
    pub about: String,
    /// From few to many.
    pub points: Vec<Point>,
}

/// What a filter costs with so much of something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// How much there is.
    pub at: String,
    /// What the filter adds to a request, in nanoseconds of the worker.
    pub added_ns: Estimate,
    /// How many times as much a request costs.
    pub ratio: Estimate,
    /// How far the baseline is from itself beside it: the error of the line above.
    pub again: Estimate,
}

impl Point {
    /// Whether the baseline agreed with itself beside it; otherwise the point is an accident, and is not shown.
    #[must_use]
    pub fn is_told(&self) -> bool {
        (self.again.median - 1.0).abs() <= result::DISAGREEMENT_MAX
    }
}

impl Growth {
    fn new(of: &str, about: &str, points: Vec<Point>) -> Self {
        Self {
            of: of.to_owned(),
            about: about.to_owned(),
            points,
        }
    }
}

/// Measures Sloop as routes, connections and missed reports grow, `rounds` pairs for each point.
pub(super) async fn measure(
    modules: &Modules,
    rounds: usize,
    seed: u64,
    quiet: &Quiet,
    live: &mut Live,
) -> anyhow::Result<Vec<Growth>> {
    let variants = all(modules)?;
    let mut stage = Stage::start(&variants, Options::default()).await?;
    quiet.give_way(&mut stage)?;
    live.say("measuring more routes, failing reports, more connections");
    let every: Vec<String> = variants.iter().map(|one| one.name.clone()).collect();
    let rows = rows_of(&mut stage, &every, CONNECTIONS, rounds, seed).await?;
    let routes = ROUTES.map(|count| (count.to_string(), routes_name(count)));
    let reports = [
        ("taken", routes_name(ROUTES_MEANWHILE)),
        ("refused", UNREPORTED.to_owned()),
    ]
    .map(|(at, name)| (at.to_owned(), name));
    let mut connections = Vec::new();
    let few = [BASELINE, AGAIN, &routes_name(ROUTES_MEANWHILE)].map(str::to_owned);
    for count in COUNTS {
        let rows = rows_of(&mut stage, &few, count, rounds, seed).await?;
        connections.extend(points(&rows, [(count.to_string(), few[2].clone())]));
    }
    stage.envoy.stop().await?;
    Ok(vec![
        Growth::new(
            "routes",
            "Sloop with so many scopes, each with a path and an objective; requests are for the last one.",
            points(&rows, routes),
        ),
        Growth::new(
            "connections",
            "Sloop with ten scopes; bursts of one to four requests go over so many connections in turn.",
            connections,
        ),
        Growth::new(
            "reports",
            "Sloop with ten scopes, when its reports are taken and when nobody listens; each second one is due.",
            points(&rows, reports),
        ),
    ])
}

/// The rows of the variants with these `names`, the first of which is the baseline.
async fn rows_of(
    stage: &mut Stage,
    names: &[String],
    connections: usize,
    rounds: usize,
    seed: u64,
) -> anyhow::Result<Vec<Row>> {
    let mut lanes = stage
        .lanes_of(names, &Dial::plain(Protocol::Http1), connections, seed)
        .await?;
    let lanes: Vec<Lane> = on_thread(move || {
        lanes.warm_up(WARM_UP)?;
        (0..rounds).try_for_each(|_| lanes.round())?;
        Ok(lanes.lanes)
    })
    .await?;
    result::rows(&lanes).context("too few rounds for an interval")
}

/// Points with these (labels, names of variants).
fn points(rows: &[Row], of: impl IntoIterator<Item = (String, String)>) -> Vec<Point> {
    let find = |name: &str| rows.iter().find(|row| row.name == name);
    let point = |(at, name): (String, String)| {
        let row = find(&name)?;
        Some(Point {
            at,
            added_ns: row.added_ns,
            ratio: row.ratio,
            again: find(AGAIN)?.ratio,
        })
    };
    of.into_iter().filter_map(point).collect()
}

fn routes_name(count: usize) -> String {
    format!("routes{count}")
}

fn all(modules: &Modules) -> anyhow::Result<Vec<Variant>> {
    let sloop = |name: &str, routes: usize, cluster: &str| {
        let text = config(routes, cluster)?;
        anyhow::Ok(Variant::of_sloop(name, "", &modules.sloop, &text))
    };
    let mut all = variants::baselines();
    for count in ROUTES {
        all.push(sloop(&routes_name(count), count, "reports")?);
    }
    all.push(sloop(UNREPORTED, ROUTES_MEANWHILE, "nobody")?);
    Ok(all)
}

/// So many scopes; the requests are for the last one. Reports go to `cluster`.
fn config(routes: usize, cluster: &str) -> anyhow::Result<String> {
    let scope = |route: String, prefix: String| {
        json!({
            "service": "shop", "route": route, "match": [{"path": {"prefix": prefix}}],
            "objectives": [{"id": {"slo": format!("{route}-answers"), "index": 0}}],
        })
    };
    let mut scopes: Vec<_> = (1..routes)
        .map(|number| scope(format!("r{number}"), format!("/r{number}/orders")))
        .collect();
    scopes.push(scope("pay".to_owned(), "/pay".to_owned()));
    let config = json!({
        "version": 1, "service": "shop", "side": "server",
        "report": {"cluster": cluster, "interval_ms": 1_000},
        "scopes": scopes,
    });
    // As the filter will: what it refuses would be measured as a filter with nothing to do.
    let config = FilterConfig::parse(config.to_string().as_bytes())
        .with_context(|| format!("a configuration with {routes} routes"))?;
    Ok(serde_json::to_string(&config)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_as_many_routes_as_is_said() {
        for count in ROUTES {
            let config = FilterConfig::parse(config(count, "reports").unwrap().as_bytes()).unwrap();
            assert_eq!(config.scopes.len(), count);
            assert_eq!(config.scopes.last().unwrap().route.as_str(), "pay");
        }
    }

    #[test]
    fn every_point_knows_the_error_beside_it() {
        let rows = [
            result::tests::row(AGAIN, 1.01),
            result::tests::row("routes10", 1.2),
        ];
        let named = [("10", "routes10"), ("99", "routes99")];
        let points = points(&rows, named.map(|(at, name)| (at.into(), name.into())));
        assert_eq!(points.len(), 1, "what was not measured is no point");
        assert_eq!(
            (points[0].ratio.median, points[0].again.median),
            (1.2, 1.01)
        );
        let mut off = points[0].clone();
        assert!(off.is_told());
        off.again.median = 0.98;
        assert!(!off.is_told());
    }
}
