//! `sloop describe journey`: whose time it was.

use std::io::{self, Write};

use http::Uri;
use sloop_controllers::{HopShare, JourneyStatus};

use super::table::{Table, latency, percent, printable};
use super::{CliError, client};
use crate::admin::api::List;
use crate::metrics::rough_span;

/// Describes the journey called `name`.
pub(super) fn run(admin: &Uri, name: &str, out: &mut dyn Write) -> Result<(), CliError> {
    let list: List<JourneyStatus> = client::get(admin, "/v1/journeys")?;
    let found = list.items.iter().find(|it| it.journey == name);
    let found = found.ok_or_else(|| CliError::Refused(unknown(name, &list.items)))?;
    describe(found, out)?;
    Ok(())
}

/// Why there is nothing to describe, and what there is instead.
fn unknown(name: &str, journeys: &[JourneyStatus]) -> String {
    let names: Vec<&str> = journeys.iter().map(|it| it.journey.as_str()).collect();
    if names.is_empty() {
        return format!(
            "nobody reported on a journey {name:?}, nor on any other, lately; they are told apart where FilterSettings say dimensions.journey"
        );
    }
    format!(
        "nobody reported on a journey {name:?} lately, but on {}",
        printable(&names.join(", "))
    )
}

fn describe(journey: &JourneyStatus, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "{}: {} in the last {}",
        printable(&journey.journey),
        latency(journey.time_us),
        rough_span(journey.window_ms)
    )?;
    let headings = [
        "  SERVICE",
        "OF ALL",
        "REQUESTS",
        "OWN EACH",
        "WAY EACH",
        "NOTES",
    ];
    let mut table = Table::of(&headings);
    for hop in &journey.hops {
        let each = |time_us: u64| {
            let each = time_us.checked_div(hop.requests);
            each.map_or_else(|| "-".to_owned(), latency)
        };
        table.row(vec![
            format!("  {}", hop.service),
            percent(Some(hop.share)),
            hop.requests.to_string(),
            each(hop.own_us),
            each(hop.way_us),
            notes(hop),
        ]);
    }
    table.print(out)
}

/// What a reader must know to not misread the numbers.
fn notes(hop: &HopShare) -> String {
    let mut notes = Vec::new();
    if hop.is_outside {
        notes.push("no sidecar reports for it".to_owned());
    }
    if hop.is_estimated {
        notes.push("its calls are not told apart by journey".to_owned());
    }
    if hop.overlap_us != 0 {
        notes.push(format!(
            "its calls ran at once, by {}",
            latency(hop.overlap_us)
        ));
    }
    if hop.untimed != 0 {
        notes.push(format!("{} requests without a latency", hop.untimed));
    }
    notes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journey() -> JourneyStatus {
        let json = r#"{"journey": "buy", "window_ms": 300000, "time_us": 400000, "hops": [
            {"service": "checkout", "requests": 10, "own_us": 200000, "way_us": 100000, "share": 0.75},
            {"service": "shop", "requests": 10, "own_us": 0, "way_us": 0, "share": 0.0, "overlap_us": 5000, "untimed": 3,
             "is_estimated": true},
            {"service": "bank", "requests": 0, "own_us": 100000, "way_us": 0, "share": 0.25, "is_outside": true}]}"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_journey_says_whose_time_it_was() {
        let mut out = Vec::new();
        describe(&journey(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert!(text.starts_with("buy: 400.0ms in the last 5m\n"), "{text}");
        assert!(
            lines.contains(&vec!["checkout", "75%", "10", "20.0ms", "10.0ms"]),
            "{text}"
        );
        assert!(text.contains("no sidecar reports for it"), "{text}");
        assert!(
            text.contains(
                "not told apart by journey; its calls ran at once, by 5.0ms; 3 requests without"
            ),
            "{text}"
        );
    }

    #[test]
    fn who_asks_for_another_is_told_which_there_are() {
        let journeys = [journey()];
        assert!(unknown("pay", &journeys).ends_with("lately, but on buy"));
        assert!(unknown("pay", &[]).contains("dimensions.journey"));
    }
}
