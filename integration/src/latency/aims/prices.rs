//! What the calls of a filter cost, and how many of them a request takes: why a filter cannot be cheaper.
//!
//! Prices are thousands of instructions of Envoy's worker: filters with one call each, counted by callgrind on Envoy 1.40
//! less one without the call. They are Envoy's own: whatever a filter makes of what it gets comes on top. `bench/README.md` shows these tables,
//! and a test of this file holds that; the counts are those of a Wasm host, where a test of the filter holds them.

/// Counts of one request in a Wasm host, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Calls into the host.
    pub calls: u64,
    /// Values that the host returns, each of which makes it enter the VM once more.
    pub values: u64,
    /// Entries into the VM.
    pub entries: u64,
    /// Wasmtime's units. Compilers differ, so it is a tenth above what was measured.
    pub fuel: u64,
}

impl Counts {
    /// In the order in which tables have them: calls, values, entries, fuel.
    #[must_use]
    pub const fn most(self) -> [u64; 4] {
        [self.calls, self.values, self.entries, self.fuel]
    }
}

/// A request with everything on, when nothing acts.
pub const EVERYTHING_ON: Counts = Counts {
    calls: 7,
    values: 2,
    entries: 5,
    fuel: 7_250,
};

/// A request that a breaker refuses.
pub const REFUSED: Counts = Counts {
    calls: 4,
    values: 1,
    entries: 3,
    fuel: 4_200,
};

/// Some calls of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Part {
    what: &'static str,
    /// Thousands of instructions.
    thousands: f64,
}

const fn part(what: &'static str, thousands: f64) -> Part {
    Part { what, thousands }
}

/// Two entries: headers and log. There is no Wasm filter without them.
const RAW: f64 = 9.8;
/// An entry that calls nothing.
const ENTRY: f64 = 2.3;
/// The header map, returned, of which 8.5 are the entry that asks for memory, and the copy.
const HEADERS: f64 = 11.7;
/// One header of the answer, returned.
const STATUS: f64 = 10.1;
/// A header of the request, written.
const WRITE: f64 = 5.5;
/// The time.
const CLOCK: f64 = 1.3;

/// Of a request that passes, the dearest first.
pub(super) const PASSED: [Part; 6] = [
    part("the header map, returned", HEADERS),
    part("the status, returned", STATUS),
    part("two entries and the context, as `raw` has them", RAW),
    part(
        "three entries more: the context is made, the two parts of the answer",
        3.0 * ENTRY,
    ),
    part("`traceparent`, written", WRITE),
    part("the clock, three times", 3.0 * CLOCK),
];

/// Of a request that the filter answers itself, without the answer.
pub(super) const ANSWERED: [Part; 4] = [
    part("the header map, returned", HEADERS),
    part("two entries and the context, as `raw` has them", RAW),
    part("the clock, twice", 2.0 * CLOCK),
    part("the entry in which the context is made", ENTRY),
];

/// Thousands of instructions of all of them.
pub(super) fn sum(parts: &[Part]) -> f64 {
    parts.iter().map(|part| part.thousands).sum()
}

/// In a sentence, the dearest `count` of them.
pub(super) fn dearest(parts: &[Part], count: usize) -> String {
    let named = parts.iter().take(count);
    let named: Vec<String> = named
        .map(|part| format!("{} {:.1}", part.what, part.thousands))
        .collect();
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markdown(parts: &[Part]) -> String {
        let head = "| what | thousands |\n|---|---|\n".to_owned();
        let rows = parts.iter();
        let rows = rows.map(|part| format!("| {} | {:.1} |\n", part.what, part.thousands));
        head + &rows.collect::<String>()
    }

    #[test]
    fn the_readme_shows_the_prices() {
        let readme = include_str!("../../../../bench/README.md");
        for parts in [PASSED.as_slice(), &ANSWERED] {
            let table = markdown(parts);
            assert!(readme.contains(&table), "{table}");
        }
    }

    #[test]
    fn the_dearest_come_first() {
        for parts in [PASSED.as_slice(), &ANSWERED] {
            assert!(parts.is_sorted_by(|one, other| one.thousands >= other.thousands));
        }
        assert_eq!(
            dearest(&PASSED, 2),
            "the header map, returned 11.7, the status, returned 10.1"
        );
    }
}
