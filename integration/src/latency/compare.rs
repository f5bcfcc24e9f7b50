//! What changed between two runs, beyond what either of them leaves open.
//!
//! Each value has an interval. It is widened by what two listeners without a filter differed by in
//! the same run, because that is an error too, and not one that the interval knows.
//! Only where the widened intervals of both runs do not touch is something said to have changed.
//! Machines differ in microseconds but hardly in ratios, so it is ratios
//! that are compared where there are any.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use sloop_bench::paired::{self, Estimate};

use super::instructions::{self, Instructions};
use super::open::{OpenReport, Told};
use super::result::{self, Report};
use super::variants::AGAIN;

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Larger, beyond the noise.
    Worse,
    /// Smaller, beyond the noise.
    Better,
    /// The difference is within the noise.
    Same,
}

/// One value in both runs. All values are costs: smaller is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What it is.
    pub what: String,
    /// In the old run, with its interval as widened.
    pub old: Estimate,
    /// In the new run, with its interval as widened.
    pub new: Estimate,
    /// What became of it.
    pub verdict: Verdict,
}

/// Everything that both runs have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// What makes the runs hard to compare.
    pub remarks: Vec<String>,
    /// Values, in the order of the table.
    pub values: Vec<Compared>,
}

impl Comparison {
    /// Whether anything got worse beyond the noise.
    #[must_use]
    pub fn is_worse(&self) -> bool {
        let mut verdicts = self.values.iter().map(|value| value.verdict);
        verdicts.any(|verdict| verdict == Verdict::Worse)
    }

    fn add(&mut self, what: String, old: Estimate, new: Estimate) {
        let verdict = if old.high < new.low {
            Verdict::Worse
        } else if new.high < old.low {
            Verdict::Better
        } else {
            Verdict::Same
        };
        self.values.push(Compared {
            what,
            old,
            new,
            verdict,
        });
    }

    /// A table for a terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let widths = self.values.iter().map(|value| value.what.len());
        let width = widths.max().unwrap_or(0);
        let mut text = String::new();
        for value in &self.values {
            let word = match value.verdict {
                Verdict::Worse => "WORSE",
                Verdict::Better => "better",
                Verdict::Same => "within the noise",
            };
            let change = (value.new.median / value.old.median - 1.0) * 100.0;
            let cell = |of: Estimate| {
                let Estimate { low, median, high } = of;
                format!("{median:.3} [{low:.3}, {high:.3}]")
            };
            // Writing into a string cannot fail.
            writeln!(
                text,
                "  {:<width$}  {:>28}  {:>28}  {change:>+7.1} %  {word}",
                value.what,
                cell(value.old),
                cell(value.new)
            )
            .ok();
        }
        for remark in &self.remarks {
            writeln!(text, "  remark: {remark}").ok();
        }
        text
    }
}

/// Compares two files of `bench latency`, of the same kind: `latency.json` or `instructions.json`.
///
/// # Errors
///
/// When one is no such file, is of another version, or says itself that it must not be used.
pub fn compare(old: &[u8], new: &[u8]) -> anyhow::Result<Comparison> {
    let (kind, other) = (
        schema(old).context("the old file")?,
        schema(new).context("the new file")?,
    );
    if kind != other {
        bail!("the old file is {kind:?} and the new one {other:?}; both must be of one kind");
    }
    if kind == result::SCHEMA {
        let [old, new] = [(old, "the old file"), (new, "the new file")].map(|(bytes, which)| {
            let report: Report = serde_json::from_slice(bytes).context(which)?;
            if let Some(refusal) = report.refusals.first() {
                bail!("{which} must not be used: {refusal}");
            }
            Ok(report)
        });
        let (old, new) = (old?, new?);
        let (before, after) = (old.settings.spoken(), new.settings.spoken());
        if before != after {
            bail!(
                "the old file is of {before}, and the new one of {after}; both must be of the same"
            );
        }
        return Ok(reports(&old, &new));
    }
    if kind == instructions::SCHEMA {
        let [old, new] = [(old, "the old file"), (new, "the new file")].map(|(bytes, which)| {
            let counted: Instructions = serde_json::from_slice(bytes).context(which)?;
            if let Some(refusal) = counted.refusals.first() {
                bail!("{which} must not be used: {refusal}");
            }
            Ok(counted)
        });
        return Ok(counts(&old?, &new?));
    }
    bail!(
        "{kind:?} is not known; this reads {:?} and {:?}",
        result::SCHEMA,
        instructions::SCHEMA
    )
}

fn schema(bytes: &[u8]) -> anyhow::Result<String> {
    let value: serde_json::Value = serde_json::from_slice(bytes)?;
    let schema = value.get("schema").and_then(|schema| schema.as_str());
    Ok(schema.context("it has no field \"schema\"")?.to_owned())
}

fn reports(old: &Report, new: &Report) -> Comparison {
    let mut all = Comparison::default();
    for (what, old, new) in [
        ("processor", &old.machine.processor, &new.machine.processor),
        ("Envoy", &old.machine.envoy, &new.machine.envoy),
    ] {
        if old != new {
            all.remarks
                .push(format!("another {what}: {old}, then {new}"));
        }
    }
    let again = |report: &Report| {
        let row = report.variants.iter().find(|row| row.name == AGAIN);
        row.map_or(0.0, |row| (row.ratio.median - 1.0).abs())
    };
    for row in old.variants.iter().filter(|row| row.name != AGAIN) {
        if let Some(other) = new.variants.iter().find(|one| one.name == row.name) {
            all.add(
                format!("{}: times no filter", row.name),
                widened(row.ratio, again(old)),
                widened(other.ratio, again(new)),
            );
        }
    }
    if let (Some(old), Some(new)) = (&old.latency, &new.latency) {
        latencies(&mut all, old, new);
    }
    if let (Some(old), Some(new)) = (&old.push, &new.push) {
        for one in &old.pushed {
            let other = new.pushed.iter().find(|other| other.name == one.name);
            let other = other.and_then(|other| paired::estimate_of(&other.all_ms));
            if let (Some(old), Some(new)) = (paired::estimate_of(&one.all_ms), other) {
                all.add(format!("{}: ms until in force", one.name), old, new);
            }
        }
    }
    all
}

fn latencies(all: &mut Comparison, old: &OpenReport, new: &OpenReport) {
    if !(old.is_usable() && new.is_usable()) {
        return;
    }
    for row in old.variants.iter().filter(|row| row.name != AGAIN) {
        let other = new.variants.iter().find(|one| one.name == row.name);
        let (Some(before), Some(after)) = (row.added_ns, other.and_then(|row| row.added_ns)) else {
            continue;
        };
        for (which, old, new) in [
            ("p50", (before.p50, old.told.p50), (after.p50, new.told.p50)),
            ("p99", (before.p99, old.told.p99), (after.p99, new.told.p99)),
            (
                "p99.9",
                (before.p999, old.told.p999),
                (after.p999, new.told.p999),
            ),
        ] {
            let micros = |(added, told): (Estimate, Told)| {
                let Estimate { low, median, high } = widened(added, told.resolution_ns);
                Estimate {
                    low: low / 1e3,
                    median: median / 1e3,
                    high: high / 1e3,
                }
            };
            if old.1.is_told && new.1.is_told {
                all.add(
                    format!("{}: us added to {which}", row.name),
                    micros(old),
                    micros(new),
                );
            }
        }
    }
}

fn counts(old: &Instructions, new: &Instructions) -> Comparison {
    let mut all = Comparison::default();
    if old.envoy != new.envoy {
        let (old, new) = (&old.envoy, &new.envoy);
        all.remarks
            .push(format!("another Envoy: {old}, then {new}"));
    }
    for row in old.variants.iter().filter(|row| row.name != AGAIN) {
        if let Some(other) = new.variants.iter().find(|one| one.name == row.name) {
            // Runs of one build differ by as much; the counts of one run differ by less.
            let error = instructions::DISAGREEMENT_MAX;
            let each = |all: Estimate| widened(all, error * all.median);
            all.add(
                format!("{}: instructions", row.name),
                each(row.all),
                each(other.all),
            );
        }
    }
    all
}

fn widened(of: Estimate, by: f64) -> Estimate {
    Estimate {
        low: of.low - by,
        high: of.high + by,
        ..of
    }
}

#[cfg(test)]
mod tests {
    use super::super::result::tests::{report, row};
    use super::*;

    fn json(report: &Report) -> Vec<u8> {
        serde_json::to_vec(report).unwrap()
    }

    /// Compares runs in which a variant costs this much, the A/A of both being off by so much.
    fn verdict(old: f64, new: f64, again: f64) -> Verdict {
        let of = |ratio| json(&report(vec![row(AGAIN, again), row("sloop", ratio)]));
        let comparison = compare(&of(old), &of(new)).unwrap();
        let [value] = comparison.values.as_slice() else {
            panic!("{comparison:?}");
        };
        assert_eq!(comparison.is_worse(), value.verdict == Verdict::Worse);
        value.verdict
    }

    #[test]
    fn what_is_beyond_the_noise_has_changed() {
        assert_eq!(verdict(1.2, 1.25, 1.0), Verdict::Worse);
        assert_eq!(verdict(1.25, 1.2, 1.0), Verdict::Better);
        assert_eq!(verdict(1.2, 1.2, 1.0), Verdict::Same);
    }

    #[test]
    fn what_the_baseline_differs_by_from_itself_is_noise() {
        // Both are off by one percent, so two percent are nothing.
        assert_eq!(verdict(1.2, 1.219, 1.01), Verdict::Same);
        assert_eq!(verdict(1.2, 1.221, 1.01), Verdict::Worse);
        assert_eq!(verdict(1.2, 1.219, 0.99), Verdict::Same);
    }

    #[test]
    fn runs_on_other_machines_are_compared_with_a_remark() {
        let old = report(vec![row(AGAIN, 1.0)]);
        let mut new = old.clone();
        new.machine.envoy = "1.41.0".into();
        let comparison = compare(&json(&old), &json(&new)).unwrap();
        assert_eq!(comparison.remarks, ["another Envoy: 1.40.0, then 1.41.0"]);
        assert!(!comparison.is_worse());
    }

    #[test]
    fn runs_over_other_protocols_are_not_compared() {
        let old = report(vec![row(AGAIN, 1.0)]);
        let mut new = old.clone();
        new.settings.tls = true;
        let error = compare(&json(&old), &json(&new)).unwrap_err().to_string();
        assert!(error.contains("HTTP/1.1 over TLS, proxied"), "{error}");
    }

    #[test]
    fn a_run_that_was_refused_is_not_compared() {
        let good = json(&report(vec![row(AGAIN, 1.0)]));
        let refused = json(&report(vec![row(AGAIN, 1.1)]));
        let error = compare(&good, &refused).unwrap_err().to_string();
        assert!(
            error.starts_with("the new file must not be used: A/A"),
            "{error}"
        );
    }

    #[test]
    fn other_files_are_errors_that_say_which() {
        let good = json(&report(vec![row(AGAIN, 1.0)]));
        for (old, expected) in [
            (b"no json".as_slice(), "the old file"),
            (br#"{"a": 1}"#, "the old file"),
            (br#"{"schema": "other/1"}"#, "both must be of one kind"),
        ] {
            let error = compare(old, &good).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        }
    }
}
