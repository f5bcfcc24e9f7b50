//! The report: one HTML file that needs nothing else.
//!
//! No script and no resource from elsewhere, so that it can be mailed and
//! opened on any machine. Charts of both runs stand side by side on the same
//! scales. [`charts`] knows what to draw, [`text`] says
//! it in words, [`tables`] in numbers; how a report looks is in [`sloop_page`].

mod charts;
mod tables;
mod text;

use super::result::{Report, Run};

const STYLE: &str = include_str!("style.css");

/// The whole page.
#[must_use]
pub(super) fn html(report: &Report) -> String {
    let chart = |title, why, legend: String, draw: &dyn Fn(&Run) -> String| {
        let pair = format!(
            "{legend}<div class=pair><figure><figcaption>without enforcement</figcaption>{}</figure>\
             <figure><figcaption>with enforcement</figcaption>{}</figure></div>",
            draw(&report.shadow),
            draw(&report.enforced)
        );
        sloop_page::section(title, why, &pair)
    };
    let mut sections = String::new();
    sections += &chart(
        "What users got",
        "Every request of every user, by what became of it. The taller the blue, the better.",
        charts::kinds_legend(),
        &charts::kinds,
    );
    sections += &chart(
        "How long users waited",
        "Half of the users waited at most as long as the lower line says, 99 of 100 at most as long as the upper one. \
         The scale is logarithmic: each step up is ten times as long.",
        charts::latency_legend(),
        &charts::latency,
    );
    sections += &chart(
        "How fast the error budget burned",
        "At 1× the budget lasts exactly as long as it should. Above, it is used up too early.",
        charts::burns_legend(&report.enforced),
        &charts::burns,
    );
    sections += &chart(
        "What the sidecars did",
        "The circuit breakers of the services that call payments. Without enforcement they decide in the same way, but let every request pass.",
        charts::bands_legend(),
        &charts::bands,
    );
    let body = [
        text::head(report),
        text::headlines(report),
        sections,
        tables::all(report),
        text::notes(report),
    ];
    sloop_page::page(
        "Sloop: what happened when payments broke",
        STYLE,
        &body.concat(),
    )
}

#[cfg(test)]
mod tests;
