//! Columns for people.

use std::borrow::Cow;
use std::io::{self, Write};

/// Rows below headings, each column as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(super) fn of(headings: &[&str]) -> Self {
        Self {
            rows: vec![headings.iter().map(|&text| text.to_owned()).collect()],
        }
    }

    /// A table without headings.
    pub(super) const fn plain() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        let cells = cells.iter().map(|cell| printable(cell).into_owned());
        self.rows.push(cells.collect());
    }

    /// Writes it.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths);
            let line: Vec<String> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(out, "{}", line.join("   ").trim_end())?;
        }
        Ok(())
    }
}

/// A text as it is but for signs that would end a line or order a terminal about; these are written as in Rust. Nodes
/// say what they are called, and why they refuse.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    spelled(text, |sign| sign.escape_default().to_string())
}

/// The same for JSON, as JSON spells them. Line breaks stay: those in texts have been spelled already.
pub(super) fn printable_json(json: &str) -> Cow<'_, str> {
    spelled(json, |sign| match sign {
        '\n' => sign.to_string(),
        _ => format!("\\u{:04x}", u32::from(sign)),
    })
}

fn spelled(text: &str, spell: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut spelled = String::with_capacity(text.len());
    for sign in text.chars() {
        if sign.is_control() {
            spelled.push_str(&spell(sign));
        } else {
            spelled.push(sign);
        }
    }
    Cow::Owned(spelled)
}

/// A share as people read it; `-` when not known.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(
        || "-".to_owned(),
        |share| {
            let percent = share * 100.0;
            let digits = match percent.abs() {
                99.0..100.0 => 3,
                // Of a budget that is overspent many times over, parts of a percent say nothing.
                1_000.0.. => 0,
                _ => 1,
            };
            // 99.9999 % must not become 100 %, nor what is a little become nothing.
            let mut texts = (digits..=DIGITS_MAX).map(|digits| rounded(percent, digits));
            let text = texts.find(|text| match text.as_str() {
                "100" => share.to_bits() == 1.0_f64.to_bits(),
                "0" | "-0" => share == 0.0,
                _ => true,
            });
            let text = text.unwrap_or_else(|| rounded(percent, digits));
            format!("{text}%")
        },
    )
}

/// Digits after the point that are looked at for a difference: targets have seven.
const DIGITS_MAX: usize = 9;

/// `value` with at most so many digits after the point.
fn rounded(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Microseconds as people read them.
pub(super) fn latency(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..1_000_000 => format!("{}.{}ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}.{:02}s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

/// How long ago `then` was at `now`, both in milliseconds; `-` when not known.
pub(super) fn ago(now: u64, then: Option<u64>) -> String {
    let Some(then) = then else {
        return "-".to_owned();
    };
    match now.saturating_sub(then) / 1_000 {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::of(&["A", "LONG"]);
        table.row(vec!["ééé".to_owned(), "x".to_owned()]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "A     LONG\nééé   x\n");
    }

    #[test]
    fn what_orders_a_terminal_about_is_spelled() {
        let mut table = Table::of(&["NODE", "SERVICE"]);
        table.row(vec![
            "web-1\u{1b}[2K\u{1b}]52;c;eA==\u{7}".to_owned(),
            "pay\nweb-2".to_owned(),
        ]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        let line = r"web-1\u{1b}[2K\u{1b}]52;c;eA==\u{7}   pay\nweb-2";
        assert_eq!(text.lines().nth(1), Some(line));
        assert_eq!(printable("web-1 \u{9b}2K é"), r"web-1 \u{9b}2K é");
        let said = serde_json::json!({"a": "\u{7f}\u{9b}\u{1b}\n"});
        let json = format!("{said:#}");
        assert_eq!(
            printable_json(&json),
            "{\n  \"a\": \"\\u007f\\u009b\\u001b\\n\"\n}"
        );
        let read: serde_json::Value = serde_json::from_str(&printable_json(&json)).unwrap();
        assert_eq!(read, said);
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(percent(Some(0.9995)), "99.95%");
        assert_eq!(percent(Some(1.0)), "100%");
        assert_eq!(percent(Some(-0.25)), "-25%");
        assert_eq!(percent(Some(0.1234)), "12.3%");
        assert_eq!(percent(None), "-");
        assert_eq!(percent(Some(0.999_999)), "99.9999%");
        assert_eq!(percent(Some(0.999_999_999)), "99.9999999%");
        assert_eq!(percent(Some(0.999_996)), "99.9996%");
        assert_eq!(percent(Some(0.000_4)), "0.04%");
        assert_eq!(percent(Some(0.000_000_1)), "0.00001%");
        assert_eq!(percent(Some(-0.000_4)), "-0.04%");
        assert_eq!(percent(Some(0.0)), "0%");
        assert_eq!(percent(Some(1e-30)), "0%");
        assert_eq!(percent(Some(-12.345)), "-1234%");
        assert_eq!(latency(999), "999us");
        assert_eq!(latency(12_345), "12.3ms");
        assert_eq!(latency(2_345_678), "2.34s");
        assert_eq!(ago(10_000, Some(7_500)), "2s");
        assert_eq!(ago(0, Some(7_500)), "0s");
        assert_eq!(ago(10_000_000, Some(0)), "2h");
        assert_eq!(ago(0, None), "-");
    }
}
