//! Whether every request went where it should have gone: a filter that was not
//! there would be a cheap one.

use std::time::Duration;

use anyhow::{Context, bail};

use super::lanes::Lane;
use super::reports::Reports;
use super::variants::NAIVE;
use crate::envoy::Envoy;
use crate::eventually::eventually;

/// Sloop reports each second; each minute where instructions are counted.
const REPORTED_WITHIN: Duration = Duration::from_secs(90);

/// Compares what was sent with what Envoy and the filters counted.
pub(super) async fn settle(envoy: &Envoy, reports: &Reports, lanes: &[Lane]) -> anyhow::Result<()> {
    let stats = envoy.stats("").await?;
    let of = |name: &str| {
        let found = stats.iter().find(|(own, _)| own == name);
        found.map_or(0, |(_, value)| *value)
    };
    for lane in lanes {
        let name = &lane.variant.name;
        let is_error = 500 <= lane.variant.status;
        let expected = [
            ("downstream_rq_total", lane.sent),
            ("downstream_rq_5xx", if is_error { lane.sent } else { 0 }),
            ("lua.errors", 0),
        ];
        for (stat, expected) in expected {
            let stat = format!("http.{name}.{stat}");
            must_be(&stat, of(&stat), expected)?;
        }
        if name == NAIVE {
            must_be(
                "naive's counter",
                of("wasmcustom.naive_requests"),
                lane.sent,
            )?;
        }
    }
    let reporting = lanes.iter().filter(|lane| lane.variant.reports);
    let sent: u64 = reporting.map(|lane| lane.sent).sum();
    let what = format!("Sloop reports {sent} requests");
    eventually(REPORTED_WITHIN, &what, async || {
        (reports.counted() == sent).then_some(())
    })
    .await
    .with_context(|| format!("it reported {}", reports.counted()))
}

fn must_be(what: &str, given: u64, expected: u64) -> anyhow::Result<()> {
    if given == expected {
        return Ok(());
    }
    bail!("{what} is {given}; it must be {expected}")
}
