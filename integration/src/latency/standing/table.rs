//! The table of starts and memory.

use std::fmt::Write as _;

use super::result::{Standing, StandingRow};

/// What was measured.
#[must_use]
pub(in super::super) fn standing_table(standing: &Standing) -> String {
    let mut text = format!(
        "\n  {:<10}  {:>13}  {:>10}  {:>10}  {:>10}  {:>10}  {:>14}\n",
        "", "start, main", "of naive's", "start, all", "memory", "per worker", "route x worker"
    );
    for row in &standing.variants {
        line(&mut text, row);
    }
    // Writing into a string cannot fail.
    writeln!(
        text,
        "\n  processor time until Envoy is ready, least of {0} starts; memory that is no file's, median of {0}; \
         the first row whole, the others what the filter adds",
        standing.rounds
    )
    .ok();
    text
}

fn line(text: &mut String, row: &StandingRow) {
    let optional = |value: Option<f64>, unit: &str| {
        value.map_or(String::new(), |value| format!("{value:.2}{unit}"))
    };
    writeln!(
        text,
        "  {:<10}  {:>10.1} ms  {:>10}  {:>7.1} ms  {:>7.1} MB  {:>7.2} MB  {:>14}",
        row.name,
        row.start_main_ms,
        optional(row.start_of_naive, ""),
        row.start_ms,
        row.memory_kb / 1e3,
        row.worker_kb / 1e3,
        optional(row.route_kb, " kB"),
    )
    .ok();
}

#[cfg(test)]
mod tests {
    use super::super::result::tests::standing;
    use super::*;

    #[test]
    fn every_kind_has_a_row() {
        let text = standing_table(&standing());
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[2].contains("50.0 ms") && lines[2].contains("14.0 MB"),
            "{text}"
        );
        assert!(
            lines[3].contains("1.00") && lines[3].contains("4.00 kB"),
            "{text}"
        );
    }
}
