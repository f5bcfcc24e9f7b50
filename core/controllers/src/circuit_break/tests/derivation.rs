//! The page with all derived numbers says what the code does.

use super::*;
use crate::circuit_break::{deadline, derive, retry, shed};
use crate::detect::{Hypotheses, detection_status};
use crate::slo::{bad_share, pairs};

const PAGE: &str = include_str!("../../../../../controlplane/DERIVATION.md");

/// The rows of the table under a title, without its head.
fn table(title: &str) -> Vec<Vec<String>> {
    let mut sections = PAGE.split("\n## ");
    let section = sections.find(|section| section.starts_with(title));
    let lines = section.expect(title).lines();
    let rows = lines.filter(|line| line.starts_with('|')).skip(2);
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(cells).collect()
}

fn target(percent: f64) -> Target {
    Target::parse(percent / 100.0).unwrap()
}

fn label(percent: f64) -> String {
    format!("{percent} %")
}

/// As a percentage, to a thousandth of a ten-thousandth.
fn exact(fraction: f64) -> String {
    let text = format!("{:.5}", fraction * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

fn share_of(share: Share) -> String {
    exact(share.as_fraction())
}

/// A whole number, as 1,234,567.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place != 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time, as 2 d 19 h 12 min.
fn span(length: Duration) -> String {
    let mut rest = length.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let parts = units.map(|(unit, name)| {
        let count = rest / unit;
        rest %= unit;
        (count != 0).then(|| format!("{count} {name}"))
    });
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(" ")
}

fn breaker(target: Target) -> BreakerRule {
    derive::limits(target, None).unwrap()
}

fn retries(target: Target) -> Share {
    retry::retry_limits(target).unwrap().limits().share
}

/// Retries that pass a worker each second, of so many first attempts that all fail.
fn retries_of(target: Target, attempts: u32) -> u32 {
    let limits = *retry::retry_limits(target).unwrap().limits();
    u32::from(u16::from(limits.share)) * attempts / 10_000 + limits.least
}

/// Requests until a change to the share `bad` is seen.
fn needed(target: Target, bad: f64) -> String {
    let needed = Hypotheses::of(target).unwrap().needed(bad);
    needed.map_or_else(|| "never".to_owned(), |needed| grouped(needed.into()))
}

fn least(target: Target) -> f64 {
    detection_status(target, None).unwrap().least.unwrap()
}

#[test]
fn all_at_once() {
    let row = |percent: f64| {
        let target = target(percent);
        let rule = breaker(target);
        vec![
            label(percent),
            exact(target.budget_fraction()),
            exact(least(target)),
            share_of(rule.limits().failed_max),
            rule.calls_min().to_string(),
            share_of(shed::level(target).unwrap()),
            share_of(retries(target)),
        ]
    };
    let targets = [50.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999, 99.9999];
    assert_eq!(table("All at once"), targets.map(row));
    let everything = target(0.0);
    assert_eq!(derive::limits(everything, None), None);
    assert_eq!(shed::level(everything), None);
    assert_eq!(retry::retry_limits(everything), None);
    assert_eq!(detection_status(everything, None), None);
}

#[test]
fn four_examples() {
    let targets = [50.0, 99.0, 99.9, 99.999].map(target);
    let of = |cell: &dyn Fn(Target) -> String| targets.map(cell).to_vec();
    let requests = 4_000 * 28 * 86_400;
    let calls = |target: Target| u128::from(breaker(target).calls_min());
    let expected = [
        of(&|target| grouped(target.allowed_bad_billionths(requests) / 1_000_000_000)),
        of(&|target| exact(bad_share(14.4, target))),
        of(&|target| needed(target, 0.1)),
        of(&|target| needed(target, 1.0)),
        of(&|target| grouped(calls(target))),
        of(&|target| format!("{} ms", calls(target) * 1_000 / 400)),
        of(&|target| share_of(shed::level(target).unwrap())),
        of(&|target| retries_of(target, 400).to_string()),
        of(&|target| {
            let limit = deadline::deadline_limit(target, Some(250_000)).unwrap();
            Length(limit.length()).to_string()
        }),
    ];
    let rows = table("Four examples").into_iter();
    let rows: Vec<Vec<String>> = rows.map(|row| row[1..].to_vec()).collect();
    assert_eq!(rows, expected);
}

#[test]
fn windows() {
    let day = Duration::from_secs(86_400);
    let both = pairs(day * 30).into_iter().zip(pairs(day * 28));
    let lengths = |long, short| format!("{} and {}", span(long), span(short));
    let expected: Vec<Vec<String>> = both
        .map(|(workbook, of_four_weeks)| {
            let mut row = vec![
                workbook.factor.to_string(),
                lengths(workbook.long, workbook.short),
                lengths(of_four_weeks.long, of_four_weeks.short),
            ];
            let targets = [50.0, 99.0, 99.9, 99.999].map(target);
            row.extend(targets.map(|target| exact(bad_share(workbook.factor, target))));
            row
        })
        .collect();
    assert_eq!(table("Windows"), expected);
}

#[test]
fn sudden_changes() {
    let row = |percent: f64| {
        let target = target(percent);
        let least = least(target);
        let mut row = vec![label(percent), exact(least)];
        row.extend([least, 0.1, 0.5, 1.0].map(|bad| needed(target, bad)));
        row
    };
    let targets = [50.0, 95.0, 99.0, 99.9, 99.999];
    assert_eq!(table("Sudden changes"), targets.map(row));
}

#[test]
fn breakers() {
    let targets = [50.0, 99.0, 99.9, 99.999];
    let row = |percent: f64| {
        let rule = breaker(target(percent));
        let limits = rule.limits();
        let millis = |millis: u32| Length(Duration::from_millis(millis.into())).to_string();
        vec![
            millis(limits.window_ms.unwrap()),
            millis(limits.open_ms),
            millis(limits.open_max_ms),
            limits.probes.to_string(),
            millis(limits.ramp_ms),
            (limits.sigmas_hundredths / 100).to_string(),
        ]
    };
    for percent in targets {
        assert_eq!(table("Breakers"), [row(percent)], "the same for all");
    }
}

#[test]
fn shedding() {
    let row = |percent: f64| {
        let target = target(percent);
        let trip = breaker(target).limits().failed_max.as_fraction();
        vec![
            label(percent),
            exact(14.4 * target.budget_fraction()),
            exact(trip / 2.0),
            share_of(shed::level(target).unwrap()),
        ]
    };
    let targets = [50.0, 95.0, 99.0, 99.9, 99.999];
    assert_eq!(table("Shedding"), targets.map(row));
    let rule = shed::shed_limits(target(99.9), None).unwrap();
    let limits = rule.limits();
    let bounds = [
        limits.share_max,
        limits.floor,
        limits.class_max.critical_plus,
    ];
    assert_eq!(bounds.map(share_of), ["90 %", "1 %", "0 %"]);
}

#[test]
fn retries_in_vain() {
    let row = |percent: f64| {
        let target = target(percent);
        let share = retries(target);
        let load = f64::from(10_000 + u32::from(u16::from(share))) / 10_000.0;
        vec![
            label(percent),
            share_of(share),
            format!("{load} times"),
            retries_of(target, 500).to_string(),
        ]
    };
    let targets = [50.0, 95.0, 99.0, 99.9, 99.999];
    assert_eq!(table("Retries"), targets.map(row));
}

#[test]
fn deadlines() {
    let row = |within_ms: u32| {
        let limit = |percent| {
            let limit =
                deadline::deadline_limit(target(percent), Some(u64::from(within_ms) * 1_000));
            limit.unwrap()
        };
        let limits = [50.0, 99.0, 99.999].map(limit);
        assert_eq!(limits, [limits[0]; 3], "whatever the target");
        let met = f64::from(within_ms) / f64::from(limits[0].as_millis());
        vec![
            Length(Duration::from_millis(within_ms.into())).to_string(),
            Length(limits[0].length()).to_string(),
            Percent(met).to_string(),
        ]
    };
    let withins = [10, 300, 1_500, 5_000, 60_000];
    assert_eq!(table("Deadlines"), withins.map(row));
}
