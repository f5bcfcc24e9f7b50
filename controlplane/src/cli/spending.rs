//! Who spent an SLO's budget, as a part of `sloop describe slo`.

use std::io::{self, Write};
use std::time::Duration;

use http::Uri;
use sloop_controllers::{Spent, SpentBy};

use super::table::{Table, percent};
use super::{CliError, client, get};
use crate::admin::api::{List, SpendingStatus};
use crate::metrics::rough_span;

/// Spenders of one kind that are shown: who spent less matters less.
const SHOWN_MAX: usize = 5;

/// Prints who spent the budgets of the SLO `name` in the last `window`, or in its own.
pub(super) fn print(
    admin: &Uri,
    name: &str,
    window: Option<Duration>,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let query = window.map_or_else(String::new, |window| {
        format!("?window_s={}", window.as_secs())
    });
    let path = format!("/v1/slos/{}/spending{query}", client::segment(name));
    let list: List<SpendingStatus> = client::get(admin, &path)?;
    for objective in &list.items {
        print_objective(objective, window, out)?;
    }
    Ok(())
}

/// Prints who spent the budget of an objective, where the last `asked` were asked for.
fn print_objective(
    objective: &SpendingStatus,
    asked: Option<Duration>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if objective.spent.is_empty() {
        return Ok(());
    }
    let window = rough_span(objective.window_ms);
    let known = Duration::from_millis(objective.window_ms);
    let bound = match asked {
        Some(asked) if known < asked => "; of what was before that it is not known",
        Some(_) | None => "",
    };
    let index = objective.objective;
    writeln!(
        out,
        "\nWho spent the budget of objective {index} in the last {window}{bound}"
    )?;
    let all = of(objective, SpentBy::Route).map(|spent| spent.bad).sum();
    let mut table = Table::of(&["  BY", "NAME", "BAD", "OF ALL"]);
    let mut row = |by, name: &str, bad| {
        let share = percent(Some(get::share(bad, all)));
        table.row(vec![
            format!("  {}", word(by)),
            name.to_owned(),
            format!("{bad}"),
            share,
        ]);
    };
    for by in KINDS {
        let kind = || of(objective, by);
        if kind().next().is_none() {
            continue;
        }
        for spent in kind().take(SHOWN_MAX) {
            row(by, &spent.name, spent.bad);
        }
        let rest: u64 = kind().skip(SHOWN_MAX).map(|spent| spent.bad).sum();
        let known: u64 = kind().map(|spent| spent.bad).sum();
        let unknown = all.saturating_sub(known);
        for (name, bad) in [("(the rest)", rest), ("(not known)", unknown)] {
            if bad != 0 {
                row(by, name, bad);
            }
        }
    }
    table.print(out)
}

const KINDS: [SpentBy; 6] = [
    SpentBy::Route,
    SpentBy::Sidecar,
    SpentBy::Version,
    SpentBy::Caller,
    SpentBy::Origin,
    SpentBy::Journey,
];

fn of(objective: &SpendingStatus, by: SpentBy) -> impl Iterator<Item = &Spent> {
    objective.spent.iter().filter(move |spent| spent.by == by)
}

const fn word(by: SpentBy) -> &'static str {
    match by {
        SpentBy::Route => "route",
        SpentBy::Sidecar => "sidecar",
        SpentBy::Version => "version",
        SpentBy::Caller => "caller",
        SpentBy::Origin => "origin",
        SpentBy::Journey => "journey",
    }
}

/// A span of time as `90s`, `5m`, `6h` or `30d`.
pub(super) fn window(text: &str) -> Result<Duration, String> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    let wrong = || {
        format!("{text:?} is no span of time; give a whole number and one of s, m, h, d, as in 6h")
    };
    let letter = text.chars().next_back().ok_or_else(wrong)?;
    let (_, unit) = UNITS
        .iter()
        .find(|(known, _)| *known == letter)
        .ok_or_else(wrong)?;
    let digits = text.strip_suffix(letter).unwrap_or_default();
    let number: u64 = digits.parse().ok().ok_or_else(wrong)?;
    Ok(Duration::from_secs(
        number.checked_mul(*unit).ok_or_else(wrong)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(by: SpentBy, name: &str, bad: u64) -> Spent {
        let name = name.to_owned();
        Spent { by, name, bad }
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut spent_by: Vec<Spent> = (0..7)
            .map(|number| spent(SpentBy::Route, &format!("route-{number}"), 10))
            .collect();
        spent_by.push(spent(SpentBy::Caller, "shop", 40));
        let status = SpendingStatus {
            objective: 1,
            window_ms: 3_600_000,
            spent: spent_by,
        };
        let mut out = Vec::new();
        print_objective(&status, None, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert!(text.contains("of objective 1 in the last 1h"), "{text}");
        assert!(
            lines.contains(&vec!["route", "(the", "rest)", "20", "28.6%"]),
            "{text}"
        );
        assert!(
            lines.contains(&vec!["caller", "(not", "known)", "30", "42.9%"]),
            "{text}"
        );
    }

    #[test]
    fn of_a_window_longer_than_what_is_known_that_is_said() {
        let status = SpendingStatus {
            objective: 0,
            window_ms: 90 * 86_400_000,
            spent: vec![spent(SpentBy::Route, "pay", 1)],
        };
        let heading = |days: u64| {
            let mut out = Vec::new();
            let asked = Duration::from_secs(days * 86_400);
            print_objective(&status, Some(asked), &mut out).unwrap();
            String::from_utf8(out)
                .unwrap()
                .lines()
                .nth(1)
                .unwrap()
                .to_owned()
        };
        assert!(heading(90).ends_with("in the last 90d"));
        assert!(heading(400).ends_with("in the last 90d; of what was before that it is not known"));
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let status = SpendingStatus {
            objective: 0,
            window_ms: 1,
            spent: Vec::new(),
        };
        let mut out = Vec::new();
        print_objective(&status, None, &mut out).unwrap();
        assert_eq!(out, b"");
    }

    #[test]
    fn spans_of_time() {
        assert_eq!(window("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(window("30d"), Ok(Duration::from_secs(30 * 86_400)));
        for wrong in [
            "",
            "s",
            "1",
            "-1s",
            "1.5h",
            "1w",
            "99999999999999999999d",
            "9223372036854775807d",
        ] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
