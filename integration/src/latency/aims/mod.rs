//! What the filter is meant to cost, what a run says about that, and what is in the way.
//!
//! An aim that a run did not measure is not measured; it is never met. One whose interval holds the bound is open.

mod prices;
mod seen;
mod shown;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sloop_bench::paired::Estimate;

use super::instructions::Instructions;
use super::result::Report;
use prices::{ANSWERED, PASSED, dearest, sum};
use seen::{Found, Seen};

pub use prices::{Counts, EVERYTHING_ON, REFUSED};
pub(super) use shown::HEAD;

/// All aims, by what one run says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aims {
    /// In the order of the table.
    pub aims: Vec<Aim>,
    /// What Sloop adds over what the smallest Wasm filter adds, which is the limit; absent when that was not measured.
    pub of_raw: Option<Estimate>,
}

/// One bound, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aim {
    /// What it is about.
    pub name: String,
    /// At most this.
    pub bound: f64,
    /// Better still; absent where one bound is enough.
    pub stretch: Option<f64>,
    /// The unit of bound and measured; empty for shares.
    pub unit: String,
    /// The median and its interval, whose ends are the median where nothing is known about its error.
    pub measured: Option<Estimate>,
    /// What came of it.
    pub verdict: Verdict,
    /// By how much it was missed, as a share of the bound.
    pub over: Option<f64>,
    /// What is in the way, or why nothing is known; empty for what is met.
    pub way: String,
}

/// What came of an aim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All of the interval is within the bound.
    Met,
    /// The bound is within the interval.
    Open,
    /// All of the interval is beyond the bound.
    Missed,
    /// The noise is larger than what there could be.
    CannotBeTold,
    /// The run did not measure it.
    NotMeasured,
}

impl Aims {
    /// `None` of a run without Sloop, or of other requests than the aims are of.
    #[must_use]
    pub fn of(report: &Report) -> Option<Self> {
        Seen::of(report).map(|seen| Self::by(&seen))
    }

    /// `None` of counts without Sloop.
    #[must_use]
    pub fn counted(counted: &Instructions) -> Option<Self> {
        Seen::counted(counted).map(|seen| Self::by(&seen))
    }

    fn by(seen: &Seen) -> Self {
        Self {
            aims: [times(seen), counts(seen), rest(seen)].concat(),
            of_raw: seen.of_raw,
        }
    }
}

/// An aim by what was found.
fn aim(name: &str, bound: f64, found: Found, way: &str) -> Aim {
    let (measured, verdict, way) = match found {
        Found::Nothing => (None, Verdict::NotMeasured, String::new()),
        Found::Noise(micros) => (
            None,
            Verdict::CannotBeTold,
            format!("two listeners without a filter differ by {micros:.0} µs"),
        ),
        Found::NoReference => (
            None,
            Verdict::CannotBeTold,
            "what `naive` adds cannot be told".to_owned(),
        ),
        Found::Told(of) if of.high <= bound => (Some(of), Verdict::Met, String::new()),
        Found::Told(of) if of.low <= bound => (Some(of), Verdict::Open, way.to_owned()),
        Found::Told(of) => (Some(of), Verdict::Missed, way.to_owned()),
    };
    let over = measured.map(|of| of.median / bound - 1.0);
    Aim {
        name: name.to_owned(),
        bound,
        stretch: None,
        unit: String::new(),
        measured,
        verdict,
        over: over.filter(|over| verdict != Verdict::Met && 0.0 < *over),
        way,
    }
}

/// Processor time of requests that pass.
fn times(seen: &Seen) -> Vec<Aim> {
    let raw = seen.raw_of_naive.map_or(String::new(), |raw| {
        format!(
            "; two entries and the context (`raw`) are {:.2} of naive's by themselves",
            raw.median
        )
    });
    let way = format!(
        "Envoy's part of the calls, {:.0} thousand instructions, most of it {}{raw}",
        sum(&PASSED),
        dearest(&PASSED, 3)
    );
    let share = Aim {
        stretch: Some(0.48),
        ..aim(
            "added processor time, of naive's",
            0.60,
            seen.of_naive,
            &way,
        )
    };
    let again = if share.way.is_empty() {
        way.as_str()
    } else {
        "the same"
    };
    let ratio = Aim {
        stretch: Some(1.13),
        ..aim("processor time, times no filter", 1.17, seen.ratio, again)
    };
    vec![
        share,
        ratio,
        aim(
            "added processor time, of Lua's",
            1.0,
            seen.of_lua,
            "Lua runs inside Envoy, with no VM to enter, and reads headers where they are; a Wasm filter has them copied",
        ),
    ]
}

/// What is counted.
fn counts(seen: &Seen) -> Vec<Aim> {
    let of_envoy = sum(&PASSED);
    let own = match seen.instructions {
        Found::Told(all) => format!(
            " and the filter's own code the other {:.0}",
            all.median - of_envoy
        ),
        Found::Nothing | Found::Noise(_) | Found::NoReference => String::new(),
    };
    let way = format!(
        "{of_envoy:.0} are Envoy's part of the calls, most of it {},{own}",
        dearest(&PASSED, 3)
    );
    let held = |name: &str, bound, most: u64| Aim {
        way: format!("a Wasm host counts it: {most} at most, held by a test of the module"),
        ..aim(name, bound, Found::Nothing, "")
    };
    vec![
        Aim {
            unit: "thousand".to_owned(),
            ..aim("added instructions", 42.0, seen.instructions, &way)
        },
        held("fuel", 1_500.0, EVERYTHING_ON.fuel),
        held("values returned", 2.0, EVERYTHING_ON.values),
    ]
}

/// Latency, refusals, memory, start, pushes.
fn rest(seen: &Seen) -> Vec<Aim> {
    let same = "as for processor time, which most of it is";
    let refusing = format!(
        "{:.0} thousand instructions before the answer: {}; Envoy's own filters have none of them",
        sum(&ANSWERED),
        dearest(&ANSWERED, 2)
    );
    let ms = |aim: Aim| Aim {
        unit: "ms".to_owned(),
        ..aim
    };
    let longest = match seen.pushes {
        0 => "from a push until it is in force, the longest".to_owned(),
        pushes => format!("from a push until it is in force, the longest of {pushes}"),
    };
    let pushing = seen.listener_p50.map_or_else(
        || "the way there, and Envoy's main thread, which applies it".to_owned(),
        |ms| format!("the way there, and Envoy's main thread, which applies it: a listener, which is none of Sloop's, takes {ms:.1} ms"),
    );
    vec![
        aim("added to p50, of naive's", 0.5, seen.p50_of_naive, same),
        aim("added to p99, of naive's", 0.5, seen.p99_of_naive, same),
        aim(
            "a refusal, of a proxied request",
            0.52,
            seen.refused,
            &refusing,
        ),
        aim(
            "memory, of naive's",
            0.5,
            seen.memory_of_naive,
            "V8 keeps a hundred bytes for each byte of the module, which is three times naive's",
        ),
        aim(
            "start of the main thread, of naive's",
            0.25,
            seen.start_of_naive,
            "V8 compiles the whole module when the VM is made, and it is three times naive's",
        ),
        ms(aim(
            "from a push until it is in force, half of them",
            5.0,
            seen.push_p50,
            &pushing,
        )),
        ms(aim(&longest, 25.0, seen.push_longest, &pushing)),
    ]
}

#[cfg(test)]
mod tests;
