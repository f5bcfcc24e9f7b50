//! `prove`: whether filters are found to cost what they cost.

use std::process::ExitCode;

use anyhow::Context;
use sloop_integration::latency::{self, Live, Plan, Priority, Settings};

use super::output::{folder, say, show};

/// Fails with [`super::REFUSED`] when a known cost is not found, or nothing could be measured.
pub(super) async fn prove(is_polite: bool, rounds: usize) -> anyhow::Result<ExitCode> {
    let priority = if is_polite {
        Priority::Ordinary
    } else {
        Priority::RealTime
    };
    let plan = Plan {
        variants: latency::with_known_costs(&folder()?)?,
        open: vec![],
        modules: None,
        settings: Settings::new(rounds, 7, priority),
    };
    let report = latency::measure(plan, Live::default()).await?;
    let proofs = latency::proofs(&report).context("known costs are missing")?;
    let mut text = latency::table(&report);
    for proof in &proofs {
        text.push_str(&format!(
            "  known {:>6.1} us, found {:>6.2} us, stated error -{:.2}, +{:.2} us: {}\n",
            proof.known_ns / 1e3,
            proof.found_ns / 1e3,
            proof.error_ns / 1e3,
            (proof.error_ns + proof.beside_ns) / 1e3,
            if proof.holds() { "found" } else { "NOT FOUND" }
        ));
    }
    let mut refusals = report.refusals.clone();
    if !proofs.iter().all(|proof| proof.holds()) {
        refusals.push(
            "a known cost was not found within the stated error. \
             End what else runs here, and run it again"
                .to_owned(),
        );
    }
    say(&text)?;
    show("", &refusals, &[])
}
