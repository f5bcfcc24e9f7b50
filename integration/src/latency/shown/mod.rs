//! The report, for people: a page, Markdown for a pull request, and files for the plotter of HdrHistogram.
//!
//! All are made from [`Report`] alone, so they can be made again from its JSON.

mod aims;
mod costs;
mod hgrm;
mod latencies;
mod markdown;
mod more;
mod text;

pub use hgrm::hgrm;
pub use markdown::markdown;

use sloop_bench::paired::Estimate;
use sloop_page::{page, section};

use super::result::Report;

/// The whole page. `files` are what can be taken from it: (name, content).
#[must_use]
pub fn html(report: &Report, files: &[(String, String)]) -> String {
    let mut body = text::head(report);
    body += &text::headlines(report);
    body += &section(
        "What each request costs",
        "Processor time of Envoy's worker that a filter adds to a request, in microseconds. Bars are medians of pairs of \
         neighbouring slices; lines across their ends hold the true value with 95 %.",
        &(costs::bars(report) + &costs::table(report)),
    );
    body += &latencies::section(report);
    body += &more::sections(report);
    body += &aims::aims(report);
    body += &text::method(report);
    body += &text::machine(report, files);
    page("Sloop: what a filter costs each request", STYLE, &body)
}

/// What the page has beside what all reports have.
const STYLE: &str = ".less { fill: var(--s2); } .again { fill: var(--soft); } .downloads { columns: 3; font-size: 14px; } \
    section { overflow-x: auto; } section > svg { min-width: 640px; } .amount { white-space: nowrap; } .not { color: var(--soft); } \
    .way { display: block; color: var(--soft); font-size: 13px; min-width: 36ch; max-width: 92ch; }";

/// `12.3 [12.1, 12.6]`, in parts of `unit`.
fn interval(of: Estimate, unit: f64, digits: usize) -> String {
    let Estimate { low, median, high } = of;
    let [low, median, high] = [low, median, high].map(|value| value / unit);
    format!("{median:.digits$} [{low:.digits$}, {high:.digits$}]")
}

#[cfg(test)]
pub(super) mod tests;
