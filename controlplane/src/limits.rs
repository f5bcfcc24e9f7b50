//! Everything that others may take, by name, so that each can be set.

use std::time::Duration;

use sloop_model::ReportSettings;

use crate::ads::AdsLimits;
use crate::door::DoorLimits;
use crate::ingest::ReportLimits;

/// All limits of the gRPC port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of connections.
    pub door: DoorLimits,
    /// Of streams of discovery.
    pub ads: AdsLimits,
    /// Of reports.
    pub reports: ReportLimits,
}

/// Why a limit cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimit {
    /// There is no `=`.
    #[error("{given:?} has no '='; write NAME=NUMBER, as streams=20000")]
    Form {
        /// As given.
        given: String,
    },
    /// There is no such limit.
    #[error("{given:?} is no limit; there are {}", names())]
    Unknown {
        /// As given.
        given: String,
    },
    /// No number, or one that makes no sense.
    #[error("{name} is {given:?}; it must be a whole number from {min} to {max}")]
    Range {
        /// Which.
        name: &'static str,
        /// As given.
        given: String,
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
}

/// One limit.
struct Named {
    name: &'static str,
    range: (u64, u64),
    read: fn(&Limits) -> u64,
    write: fn(&mut Limits, u64),
}

/// A row of the table below: what is in a field as a number, and the reverse.
macro_rules! named {
    ($name:literal, $range:expr, $($field:ident).+: count) => {
        Named {
            name: $name,
            range: $range,
            read: |limits| u64::try_from(limits.$($field).+).unwrap_or(u64::MAX),
            // The ranges below fit into every type here.
            write: |limits, value| limits.$($field).+ = value.try_into().unwrap_or_default(),
        }
    };
    ($name:literal, $range:expr, $($field:ident).+: ms) => {
        Named {
            name: $name,
            range: $range,
            read: |limits| u64::try_from(limits.$($field).+.as_millis()).unwrap_or(u64::MAX),
            write: |limits, value| limits.$($field).+ = Duration::from_millis(value),
        }
    };
}

const MILLION: u64 = 1_000_000;
const HOUR_MS: u64 = 60 * 60 * 1_000;
const GIB: u64 = 1 << 30;

/// Filters cut reports to [`ReportSettings::BYTES_MAX`], but for a scope more: what they send must be taken.
const REPORT_BYTES_MIN: u64 = 2 * ReportSettings::BYTES_MAX as u64;

const ALL: [Named; 40] = [
    named!("connections", (1, MILLION), door.connections_max: count),
    named!("connections_per_identity", (1, MILLION), door.connections_per_identity_max: count),
    named!("handshakes", (1, 100_000), door.handshakes_max: count),
    named!("handshake_ms", (10, HOUR_MS), door.handshake_time_max: ms),
    named!("connection_age_ms", (1_000, 24 * 7 * HOUR_MS), door.connection_age_max: ms),
    named!("calls_burst", (1, MILLION), door.calls_burst: count),
    named!("calls_per_second", (1, MILLION), door.calls_per_second: count),
    named!("streams", (1, MILLION), ads.streams_max: count),
    named!("streams_per_identity", (1, MILLION), ads.streams_per_identity_max: count),
    named!("new_streams_burst", (1, MILLION), ads.new_streams_burst: count),
    named!("new_streams_per_second", (1, MILLION), ads.new_streams_per_second: count),
    named!("new_streams_per_identity_burst", (1, MILLION), ads.new_streams_per_identity_burst: count),
    named!("new_streams_per_identity_per_second", (1, MILLION), ads.new_streams_per_identity_per_second: count),
    named!("calls_per_connection", (1, 10_000), ads.calls_per_connection_max: count),
    named!("resets", (1, 10_000), ads.resets_max: count),
    named!("faulty_calls", (1, MILLION), ads.faulty_calls_max: count),
    named!("groups", (1, MILLION), ads.groups_max: count),
    named!("node_bytes", (1, 64 << 10), ads.node_bytes_max: count),
    named!("metadata_bytes", (1, 64 << 20), ads.metadata_bytes_max: count),
    named!("request_bytes", (1 << 10, 64 << 20), ads.request_bytes_max: count),
    named!("requests_burst", (1, MILLION), ads.requests_burst: count),
    named!("requests_per_second", (1, MILLION), ads.requests_per_second: count),
    named!("load_bytes", (64 << 10, 64 << 20), ads.load_bytes_max: count),
    named!("load_clusters", (1, MILLION), ads.load_clusters_max: count),
    named!("load_requests_per_second", (1, 1_000 * MILLION), ads.load_requests_per_second: count),
    named!("types", (1, 1_000), ads.stream.types_max: count),
    named!("names", (1, MILLION), ads.stream.names_max: count),
    named!("name_bytes", (1, 64 << 10), ads.stream.name_bytes_max: count),
    named!("names_room_bytes", (1 << 20, 64 * GIB), ads.names_room: count),
    named!("names_room_per_identity_bytes", (1 << 20, 64 * GIB), ads.names_room_per_identity: count),
    named!("stall_ms", (1_000, HOUR_MS), ads.stall_max: ms),
    named!("stream_window_bytes", (16 << 10, GIB), ads.stream_window_bytes: count),
    named!("keep_alive_ms", (100, HOUR_MS), ads.keep_alive_gap: ms),
    named!("keep_alive_answer_ms", (100, HOUR_MS), ads.keep_alive_time_max: ms),
    named!("report_bytes", (REPORT_BYTES_MIN, 64 << 20), reports.bytes_max: count),
    named!("report_ms", (100, HOUR_MS), reports.time_max: ms),
    named!("report_room_bytes", (1 << 20, 64 * GIB), reports.room: count),
    named!("report_room_per_identity_bytes", (1 << 20, 64 * GIB), reports.room_per_identity: count),
    named!("report_room_per_connection_bytes", (1 << 20, 4 * GIB - 1), reports.room_per_connection: count),
    named!("report_requests_per_second", (1, 1_000 * MILLION), reports.requests_per_second: count),
];

impl Limits {
    /// Sets one, as `streams=20000` says.
    ///
    /// # Errors
    ///
    /// When there is no such limit, or it cannot have this value.
    pub fn set(&mut self, given: &str) -> Result<(), InvalidLimit> {
        let Some((name, value)) = given.split_once('=') else {
            return Err(InvalidLimit::Form {
                given: given.to_owned(),
            });
        };
        let Some(named) = ALL.iter().find(|named| named.name == name) else {
            return Err(InvalidLimit::Unknown {
                given: name.to_owned(),
            });
        };
        let (min, max) = named.range;
        let number = value
            .parse()
            .ok()
            .filter(|value| (min..=max).contains(value));
        let number = number.ok_or_else(|| InvalidLimit::Range {
            name: named.name,
            given: value.to_owned(),
            min,
            max,
        })?;
        (named.write)(self, number);
        Ok(())
    }

    /// Each by its name, in the order of the README.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ALL.iter().map(|named| (named.name, (named.read)(self)))
    }
}

fn names() -> String {
    let names: Vec<&str> = ALL.iter().map(|named| named.name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_can_be_set_to_both_ends_of_its_range() {
        let mut limits = Limits::default();
        for named in &ALL {
            let (min, max) = named.range;
            let default = (named.read)(&limits);
            assert!((min..=max).contains(&default), "{}", named.name);
            for value in [min, max] {
                limits.set(&format!("{}={value}", named.name)).unwrap();
                assert_eq!((named.read)(&limits), value, "{}", named.name);
            }
            for value in [min - 1, max + 1] {
                let refused = limits.set(&format!("{}={value}", named.name));
                assert!(matches!(refused, Err(InvalidLimit::Range { .. })));
            }
            assert_eq!((named.read)(&limits), max, "nothing else was changed");
        }
    }

    #[test]
    fn what_is_no_limit_is_said_with_what_is() {
        let mut limits = Limits::default();
        let said = |error: Result<(), InvalidLimit>| error.unwrap_err().to_string();
        assert_eq!(
            said(limits.set("streams")),
            "\"streams\" has no '='; write NAME=NUMBER, as streams=20000"
        );
        let unknown = said(limits.set("stream=1"));
        assert!(
            unknown.starts_with("\"stream\" is no limit; there are connections, "),
            "{unknown}"
        );
        assert_eq!(
            said(limits.set("streams=many")),
            "streams is \"many\"; it must be a whole number from 1 to 1000000"
        );
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn the_readme_lists_each_with_its_default() {
        let readme = include_str!("../README.md");
        let (_, table) = readme.split_once("| name | default | bounds").unwrap();
        let mut rest = table.split("\n\n").next().unwrap();
        for (name, default) in Limits::default().all() {
            let row = format!("| `{name}` | {default} |");
            let found = rest.split_once(&row).map(|(_, rest)| rest);
            rest = found.unwrap_or_else(|| panic!("its table lacks {row} in this place"));
        }
    }
}
