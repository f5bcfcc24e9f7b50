//! What it is meant to cost, as the page has it.

use sloop_page::{escaped, section, table};

use super::super::aims::{Aim, HEAD, Verdict};
use super::super::result::Report;

/// Nothing of a run without Sloop.
pub(super) fn aims(report: &Report) -> String {
    let Some(aims) = &report.aims else {
        return String::new();
    };
    let rows: Vec<_> = aims.aims.iter().map(row).collect();
    let [name, meant, measured, said, _] = HEAD;
    let distance = aims.distance().map_or(String::new(), |distance| {
        format!("<p class=why>{}</p>", words(&distance))
    });
    section(
        "What it is meant to cost",
        "Met and not met are said of whole intervals. Below each is what is in the way: what a request takes from Envoy at \
         least, in thousands of instructions, by the prices of single calls.",
        &(table(&[name, meant, measured, said], &rows) + &distance),
    )
}

fn row(aim: &Aim) -> Vec<String> {
    let [name, meant, measured, said, way] = aim.cells().map(|cell| words(&cell));
    let class = match aim.verdict {
        Verdict::Met => "kept",
        Verdict::Missed => "broken",
        Verdict::Open | Verdict::CannotBeTold => "unsure",
        Verdict::NotMeasured => "not",
    };
    vec![
        format!("{name}<span class=way>{way}</span>"),
        meant,
        format!("<span class=amount>{measured}</span>"),
        format!("<span class={class}>{said}</span>"),
    ]
}

/// Words that are also Markdown, as HTML.
fn words(text: &str) -> String {
    escaped(&text.replace('`', ""))
}
