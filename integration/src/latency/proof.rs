//! Whether the harness finds what is there: filters whose cost is known.

use std::path::Path;

use anyhow::Context;

use super::result::{Report, Row};
use super::spin::spinning;
use super::variants::{Variant, baselines};

/// How long the filters work, in microseconds. The first is what the others are compared with.
const MICROS: [u32; 4] = [0, 5, 20, 100];
/// A reading of the clock: a filter works until the first one that is late enough, so for up to one more.
const READING_NS: f64 = 400.0;
/// What is found beyond the known cost, as a share of it, on a machine that does little else: 100 µs were found as 104 there, as 107
/// with five threads that wanted to run, and as 108, which is refused, with twelve. It grows with the known cost and with what else runs, as it would if the rest of a request found
/// colder caches after a filter that works for long; which it is was not looked into.
const BESIDE: f64 = 0.05;

/// One known cost, and what was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proof {
    /// What the filter adds to the one that works for no time, in nanoseconds.
    pub known_ns: f64,
    /// What was found for it.
    pub found_ns: f64,
    /// What the harness itself says that it may be off by, in nanoseconds.
    pub error_ns: f64,
    /// What the filter may make the rest of a request cost besides, in nanoseconds.
    pub beside_ns: f64,
}

impl Proof {
    /// Whether what was found is what is there, within what the harness says of itself.
    #[must_use]
    pub fn holds(self) -> bool {
        let over = self.found_ns - self.known_ns;
        (-self.error_ns..=self.error_ns + self.beside_ns).contains(&over)
    }
}

/// Variants with known costs, as modules in `folder` that are read like anybody's.
///
/// # Errors
///
/// When they cannot be written.
pub fn with_known_costs(folder: &Path) -> anyhow::Result<Vec<Variant>> {
    let mut variants = baselines();
    for micros in MICROS {
        let file = folder.join(format!("{}.wasm", name(micros)));
        std::fs::write(&file, spinning(micros * 1_000))
            .with_context(|| format!("writing {}", file.display()))?;
        variants.push(Variant::parse(&format!(
            "{}={}",
            name(micros),
            file.display()
        ))?);
    }
    Ok(variants)
}

/// What a run over [`with_known_costs`] found. `None` when it is of other variants.
#[must_use]
pub fn proofs(report: &Report) -> Option<Vec<Proof>> {
    let find = |micros| report.variants.iter().find(|row| row.name == name(micros));
    let [idle, working @ ..] = MICROS;
    let idle = find(idle)?;
    let proof = |micros: u32| Some(proof(idle, find(micros)?, f64::from(micros) * 1e3));
    working.into_iter().map(proof).collect()
}

/// Both intervals count in full, since that their errors add up is the worst case.
fn proof(idle: &Row, working: &Row, known_ns: f64) -> Proof {
    let half = |row: &Row| (row.added_ns.high - row.added_ns.low) / 2.0;
    Proof {
        known_ns,
        found_ns: working.added_ns.median - idle.added_ns.median,
        error_ns: half(idle) + half(working) + READING_NS,
        beside_ns: BESIDE * known_ns,
    }
}

fn name(micros: u32) -> String {
    format!("spin{micros}")
}

#[cfg(test)]
mod tests {
    use super::super::result::tests::{report, row};
    use super::*;

    #[test]
    fn what_is_found_must_be_what_is_there_within_the_stated_error() {
        let rows = |found: f64| {
            // A request of the invented baseline takes 40 µs.
            let all = [0.0, 5.0, 20.0, found].map(|micros| 1.0 + micros / 40.0);
            let rows = MICROS.into_iter().zip(all);
            report(
                rows.map(|(micros, ratio)| row(&name(micros), ratio))
                    .collect(),
            )
        };
        let holds = |found: f64| proofs(&rows(found)).unwrap()[2].holds();
        assert!(holds(100.0) && holds(105.39) && holds(99.61));
        assert!(!holds(105.41) && !holds(99.59));
    }

    #[test]
    fn a_run_of_something_else_proves_nothing() {
        assert_eq!(proofs(&report(vec![row("sloop", 1.2)])), None);
    }

    #[test]
    fn modules_are_valid_and_read_like_anybodys() {
        let folder = tempfile::tempdir().unwrap();
        let variants = with_known_costs(folder.path()).unwrap();
        assert_eq!(variants.len(), 2 + MICROS.len());
        let filters = &variants.last().unwrap().filters;
        assert!(filters.contains("spin100.wasm"), "{filters}");
    }
}
