//! What an Envoy counts of the requests that it passes on, where no filter counts them: its load reports.
//!
//! [`LoadReport`] and [`Asked`] are the two messages of `envoy.service.load_stats.v3.LoadReportingService`. Envoy 1.40 sends what
//! it counted since its last report, of every cluster, and its whole node (61 KB) with each. It goes on counting while nobody
//! asks, and when it is asked for another interval.
//!
//! Only sums are kept. A report is read where it lies, so its clusters take no memory, however many there are.

use std::time::Duration;

use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::Health;
use crate::Node;

/// Who reports: `envoy.service.load_stats.v3.LoadStatsRequest` without what it is about.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LoadReporter {
    /// In the first message of a stream at least.
    #[prost(message, optional, tag = "1")]
    pub node: Option<Node>,
}

/// Why a load report cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLoad {
    /// Its bytes are not what they should be.
    #[error("the load report is no message of protobuf")]
    Malformed,
    /// Too many clusters.
    #[error("cluster_stats has more than {max} clusters")]
    TooManyClusters {
        /// How many there may be.
        max: usize,
    },
}

/// How load reports are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// The Envoy clusters that lead to the control plane, which say nothing of the service.
    pub ignored: Vec<String>,
    /// Clusters that one report may have.
    pub clusters_max: usize,
}

/// Tags of `LoadStatsRequest`, `ClusterStats` and `UpstreamLocalityStats`, of what is read.
const CLUSTERS: u32 = 2;
const NAME: u32 = 1;
const LOCALITIES: u32 = 2;
const DROPPED: u32 = 3;
const SUCCESSFUL: u32 = 2;
const FAILED: u32 = 4;

impl LoadReport {
    /// What Envoy counted since its last report: requests that ended, and those that failed.
    ///
    /// Each attempt is one. Failed are answers of 500 and above, resets, times out, connections that were not to be had, and
    /// what a cluster refused by its thresholds, in maintenance mode or as its `drop_overloads` say.
    ///
    /// # Errors
    ///
    /// When `message` is no load report, or has too many clusters.
    pub fn read(&self, message: &[u8]) -> Result<Health, InvalidLoad> {
        let (mut all, mut clusters) = (Health::default(), 0_usize);
        each(message, |field| {
            if let Field::Held(CLUSTERS, cluster) = field {
                clusters += 1;
                if self.clusters_max < clusters {
                    let max = self.clusters_max;
                    return Err(InvalidLoad::TooManyClusters { max });
                }
                all = all.plus(self.of_cluster(cluster)?);
            }
            Ok(())
        })?;
        Ok(all)
    }

    fn of_cluster(&self, cluster: &[u8]) -> Result<Health, InvalidLoad> {
        let (mut sum, mut is_ignored) = (Health::default(), false);
        each(cluster, |field| {
            match field {
                Field::Held(NAME, name) => is_ignored = self.ignores(name),
                Field::Held(LOCALITIES, locality) => sum = sum.plus(of_locality(locality)?),
                Field::Number(DROPPED, dropped) => sum = sum.plus(ended(dropped, dropped)),
                Field::Held(..) | Field::Number(..) => {}
            }
            Ok(())
        })?;
        Ok(if is_ignored { Health::default() } else { sum })
    }

    fn ignores(&self, name: &[u8]) -> bool {
        self.ignored.iter().any(|it| it.as_bytes() == name)
    }
}

fn of_locality(locality: &[u8]) -> Result<Health, InvalidLoad> {
    let mut sum = Health::default();
    each(locality, |field| {
        match field {
            Field::Number(SUCCESSFUL, count) => sum = sum.plus(ended(count, 0)),
            Field::Number(FAILED, count) => sum = sum.plus(ended(count, count)),
            Field::Held(..) | Field::Number(..) => {}
        }
        Ok(())
    })?;
    Ok(sum)
}

const fn ended(requests: u64, failed: u64) -> Health {
    Health {
        vms: 0,
        requests,
        failed,
    }
}

/// A field of a message, by its tag.
enum Field<'a> {
    /// What is behind a length.
    Held(u32, &'a [u8]),
    Number(u32, u64),
}

/// Calls `take` with each field of `message` that has a length or is a number.
fn each<'a>(
    mut message: &'a [u8],
    mut take: impl FnMut(Field<'a>) -> Result<(), InvalidLoad>,
) -> Result<(), InvalidLoad> {
    let malformed = |_| InvalidLoad::Malformed;
    while !message.is_empty() {
        let (tag, wire_type) = decode_key(&mut message).map_err(malformed)?;
        match wire_type {
            WireType::LengthDelimited => {
                let length = decode_varint(&mut message).map_err(malformed)?;
                let length = usize::try_from(length).or(Err(InvalidLoad::Malformed))?;
                let held = message.split_at_checked(length);
                let (held, rest) = held.ok_or(InvalidLoad::Malformed)?;
                message = rest;
                take(Field::Held(tag, held))?;
            }
            WireType::Varint => {
                let number = decode_varint(&mut message).map_err(malformed)?;
                take(Field::Number(tag, number))?;
            }
            WireType::ThirtyTwoBit
            | WireType::SixtyFourBit
            | WireType::StartGroup
            | WireType::EndGroup => {
                let context = DecodeContext::default();
                skip_field(wire_type, tag, &mut message, context).map_err(malformed)?;
            }
        }
    }
    Ok(())
}

/// How often Envoys are asked to report their load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadPace {
    /// While a change is on its way to nodes of their service.
    pub under_way: Duration,
    /// Otherwise: then only what is usual has to be known.
    pub settled: Duration,
}

impl LoadPace {
    /// The shortest interval: less than Envoys need to say what they count.
    const MIN: Duration = Duration::from_millis(200);
    /// The longest while something is tried.
    const MAX: Duration = Duration::from_secs(10);
    /// How many reports there are in the quiet time of a stage. A cluster is counted from the report after it came, so
    /// what it does is known with the second; twice as many leave room for a report that is late.
    const IN_QUIET: u32 = 5;
    /// How much longer the interval is while nothing is tried.
    const SETTLED: u32 = 10;

    /// The pace at which what breaks within `quiet` is seen within it.
    #[must_use]
    pub fn fits(quiet: Duration) -> Self {
        Self::of((quiet / Self::IN_QUIET).clamp(Self::MIN, Self::MAX))
    }

    /// The pace with this interval while something is tried.
    #[must_use]
    pub const fn of(under_way: Duration) -> Self {
        Self {
            under_way,
            settled: under_way.saturating_mul(Self::SETTLED),
        }
    }
}

/// What an Envoy is asked for: `envoy.service.load_stats.v3.LoadStatsResponse`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Asked {
    #[prost(message, optional, tag = "2")]
    interval: Option<Span>,
    #[prost(bool, tag = "4")]
    all_clusters: bool,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Span {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Asked {
    /// The message that asks for all clusters, each `interval`.
    #[must_use]
    pub fn each(interval: Duration) -> Vec<u8> {
        let asked = Self {
            interval: Some(Span {
                seconds: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
                nanos: i32::try_from(interval.subsec_nanos()).unwrap_or_default(),
            }),
            all_clusters: true,
        };
        asked.encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::encoding::{encode_key, encode_varint};

    use super::*;

    fn held(tag: u32, held: &[u8]) -> Vec<u8> {
        let mut field = Vec::new();
        encode_key(tag, WireType::LengthDelimited, &mut field);
        encode_varint(u64::try_from(held.len()).unwrap(), &mut field);
        field.extend(held);
        field
    }

    fn number(tag: u32, number: u64) -> Vec<u8> {
        let mut field = Vec::new();
        encode_key(tag, WireType::Varint, &mut field);
        encode_varint(number, &mut field);
        field
    }

    /// A cluster with one locality, as (successful, failed, dropped).
    fn cluster(name: &str, (successful, failed, dropped): (u64, u64, u64)) -> Vec<u8> {
        let locality = [
            // Where it is, what is in progress and what was issued.
            held(1, b"\x12\x01a"),
            number(2, successful),
            number(3, 1),
            number(4, failed),
            number(8, successful + 1),
        ];
        let dropped = [number(3, dropped), held(5, &number(2, 50))];
        let fields = [
            held(1, name.as_bytes()),
            held(2, &locality.concat()),
            dropped.concat(),
            held(4, &number(1, 2)),
        ];
        held(2, &fields.concat())
    }

    fn read(message: &[u8]) -> Result<Health, InvalidLoad> {
        let report = LoadReport {
            ignored: ["sloop_xds", "plane"].map(str::to_owned).into(),
            clusters_max: 4,
        };
        report.read(message)
    }

    #[test]
    fn what_ended_is_added_up_over_clusters_and_what_is_the_control_planes_is_left_out() {
        let node = held(1, &held(1, b"edge-1"));
        let clusters = [
            cluster("alpha", (10, 2, 0)),
            cluster("sloop_xds", (0, 5, 1)),
            cluster("plane", (0, 7, 0)),
            cluster("beta", (0, 3, 4)),
        ];
        let report = [node, clusters.concat()].concat();
        assert_eq!(read(&report), Ok(ended(19, 9)));
        assert_eq!(read(&[]), Ok(Health::default()), "the first of a stream");
        let reporter = LoadReporter::decode(report.as_slice()).unwrap();
        assert_eq!(reporter.node.unwrap().id, "edge-1");
    }

    #[test]
    fn so_many_clusters_are_read_and_no_more() {
        let one = cluster("alpha", (1, 0, 0));
        assert_eq!(read(&one.repeat(4)).map(|it| it.requests), Ok(4));
        let refused = Err(InvalidLoad::TooManyClusters { max: 4 });
        assert_eq!(read(&one.repeat(5)), refused);
    }

    #[test]
    fn counts_that_cannot_be_added_up_stay_at_the_most() {
        let report = cluster("alpha", (7, u64::MAX, u64::MAX));
        assert_eq!(read(&report), Ok(ended(u64::MAX, u64::MAX)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let whole = cluster("alpha", (1, 2, 3));
        for cut in 1..whole.len() {
            assert_eq!(read(&whole[..cut]), Err(InvalidLoad::Malformed), "{cut}");
        }
        let inside = held(2, &held(2, &[0xff]));
        assert_eq!(read(&inside), Err(InvalidLoad::Malformed));
    }

    #[test]
    fn the_pace_fits_the_quiet_time() {
        let interval = |quiet: u64| {
            let pace = LoadPace::fits(Duration::from_millis(quiet));
            [pace.under_way, pace.settled].map(|it| it.as_millis())
        };
        assert_eq!(interval(10_000), [2_000, 20_000]);
        assert_eq!(interval(0), [200, 2_000]);
        assert_eq!(interval(86_400_000), [10_000, 100_000]);
    }

    /// By the descriptors of `envoy/service/load_stats/v3/lrs.proto` and `google/protobuf/duration.proto`.
    #[test]
    fn an_envoy_is_asked_for_all_clusters() {
        let span = [number(1, 2), number(2, 500_000_000)].concat();
        let wanted = [held(2, &span), number(4, 1)].concat();
        assert_eq!(Asked::each(Duration::from_millis(2_500)), wanted);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(message: Vec<u8>) {
            if let Ok(health) = read(&message) {
                prop_assert!(health.failed <= health.requests);
            }
        }
    }
}
