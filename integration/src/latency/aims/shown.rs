//! Aims, as tables have them.

use std::fmt::Write as _;

use sloop_bench::paired::Estimate;

use super::{Aim, Aims, Verdict};

/// The head of the table.
pub(in super::super) const HEAD: [&str; 5] = [
    "with everything on, and nothing that acts",
    "meant",
    "measured",
    "",
    "in the way",
];

impl Aim {
    /// The cells of its row.
    pub(in super::super) fn cells(&self) -> [String; 5] {
        let unit = match self.unit.as_str() {
            "" => String::new(),
            unit => format!(" {unit}"),
        };
        let meant = self.stretch.map_or_else(
            || format!("{}{unit}", self.bound),
            |stretch| format!("{}, better {stretch}", self.bound),
        );
        let measured = self
            .measured
            .map_or(String::new(), |of| format!("{}{unit}", number(of)));
        [
            self.name.clone(),
            meant,
            measured,
            self.said(),
            self.way.clone(),
        ]
    }

    fn said(&self) -> String {
        let over = self.over.map_or(String::new(), |over| {
            format!(", {:.0} % over", over * 100.0)
        });
        match self.verdict {
            Verdict::Met => "met".to_owned(),
            Verdict::Open => format!("open: the interval holds the bound{over}"),
            Verdict::Missed => format!("not met{over}"),
            Verdict::CannotBeTold => "cannot be told".to_owned(),
            Verdict::NotMeasured => "not measured".to_owned(),
        }
    }
}

impl Aims {
    /// How far it is to the limit, in a sentence.
    pub(in super::super) fn distance(&self) -> Option<String> {
        let of = number(self.of_raw?);
        Some(format!(
            "Sloop adds {of} times what the smallest Wasm filter adds (`raw`), below which none gets."
        ))
    }

    /// For a terminal; what is in the way is on a line of its own.
    pub(in super::super) fn table(&self) -> String {
        let mut text = "\n  aims\n".to_owned();
        for aim in &self.aims {
            let [name, meant, measured, said, way] = aim.cells();
            // Writing into a string cannot fail.
            writeln!(text, "  {name:<55}  {meant:>17}  {measured:>23}  {said}").ok();
            if !way.is_empty() {
                writeln!(text, "      {way}").ok();
            }
        }
        if let Some(distance) = self.distance() {
            writeln!(text, "  {distance}").ok();
        }
        text
    }

    /// As a table in Markdown.
    pub(in super::super) fn markdown(&self) -> String {
        let mut text = format!("| {} |\n|---|---|---|---|---|\n", HEAD.join(" | "));
        for aim in &self.aims {
            writeln!(text, "| {} |", aim.cells().join(" | ")).ok();
        }
        if let Some(distance) = self.distance() {
            writeln!(text, "\n{distance}").ok();
        }
        text
    }
}

fn number(of: Estimate) -> String {
    let digits = if of.median < 10.0 { 2 } else { 1 };
    let Estimate { low, median, high } = of;
    if low == high {
        return format!("{median:.digits$}");
    }
    format!("{median:.digits$} [{low:.digits$}, {high:.digits$}]")
}
