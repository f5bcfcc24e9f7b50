//! What a report will take when it is decoded, found out without decoding it.
//!
//! A message of two bytes may become a struct of hundreds, and a byte a number of eight: what is
//! small on the wire may be large in memory. Only fields that are decoded weigh.

use std::mem::size_of;

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use sloop_xds_protos::report::v1 as wire;

/// A list that grows has room for twice as much, and at least for four.
const GROWTH: usize = 4;
/// Bytes of a number in a list, of which one on the wire may become one.
const NUMBER: usize = GROWTH * size_of::<u64>();
/// What a text or some bytes take beside themselves.
const ALLOCATION: usize = 32;

/// Bytes that cannot be weighed: they are no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the report is no message of protobuf")]
pub struct Malformed;

/// A message in a report.
#[derive(Clone, Copy, Debug)]
enum Message {
    Request,
    Scope,
    Objective,
    Histogram,
    Breaker,
    Change,
    Dimension,
    Shed,
    Arm,
    ArmCaller,
    Filter,
    Trouble,
    Denial,
}

/// What a field with a length holds.
enum Holds {
    Message(Message),
    Numbers,
    Bytes,
}

/// Bytes that the report in `message` takes when it is decoded, at most.
///
/// # Errors
///
/// When it is no message.
pub fn weigh(message: &[u8]) -> Result<usize, Malformed> {
    Message::Request.weigh(message)
}

impl Message {
    fn weigh(self, mut message: &[u8]) -> Result<usize, Malformed> {
        let mut weight = GROWTH * self.size();
        while !message.is_empty() {
            let (tag, wire_type) = decode_key(&mut message).or(Err(Malformed))?;
            if wire_type == WireType::LengthDelimited {
                let held = held(&mut message)?;
                weight += match self.holds(tag) {
                    Holds::Message(inner) => inner.weigh(held)?,
                    Holds::Numbers => NUMBER * held.len(),
                    Holds::Bytes => ALLOCATION + held.len(),
                };
            } else {
                // A list of numbers may also come one by one.
                weight += NUMBER;
                let context = DecodeContext::default();
                skip_field(wire_type, tag, &mut message, context).or(Err(Malformed))?;
            }
        }
        Ok(weight)
    }

    const fn holds(self, tag: u32) -> Holds {
        match (self, tag) {
            (Self::Request, 7) => Holds::Message(Self::Scope),
            (Self::Request, 8) => Holds::Message(Self::Filter),
            (Self::Request, 9) => Holds::Message(Self::Trouble),
            (Self::Request, 10) => Holds::Message(Self::Denial),
            (Self::Scope, 6) | (Self::Arm, 5) => Holds::Message(Self::Objective),
            (Self::Scope, 7) => Holds::Message(Self::Histogram),
            (Self::Scope, 9) => Holds::Message(Self::Breaker),
            (Self::Scope, 14) => Holds::Message(Self::Dimension),
            (Self::Scope, 15) => Holds::Message(Self::Shed),
            (Self::Scope, 18) => Holds::Message(Self::Arm),
            (Self::Arm, 8) => Holds::Message(Self::ArmCaller),
            (Self::Breaker, 2) => Holds::Message(Self::Change),
            (Self::Scope, 5)
            | (Self::Histogram, 1)
            | (Self::Dimension, 3 | 4)
            | (Self::Shed, 2)
            | (Self::Arm, 4)
            | (Self::ArmCaller, 2) => Holds::Numbers,
            _ => Holds::Bytes,
        }
    }

    const fn size(self) -> usize {
        match self {
            Self::Request => size_of::<wire::ReportRequest>(),
            Self::Scope => size_of::<wire::ScopeDelta>(),
            Self::Objective => size_of::<wire::ObjectiveDelta>(),
            Self::Histogram => size_of::<wire::Histogram>(),
            Self::Breaker => size_of::<wire::BreakerDelta>(),
            Self::Change => size_of::<wire::BreakerChange>(),
            Self::Dimension => size_of::<wire::DimensionDelta>(),
            Self::Shed => size_of::<wire::ShedDelta>(),
            Self::Arm => size_of::<wire::ArmDelta>(),
            Self::ArmCaller => size_of::<wire::ArmCaller>(),
            Self::Filter => size_of::<wire::FilterStatus>(),
            Self::Trouble => size_of::<wire::Trouble>(),
            Self::Denial => size_of::<wire::DenyDelta>(),
        }
    }
}

/// What is behind a length.
fn held<'a>(message: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = decode_varint(message).or(Err(Malformed))?;
    let length = usize::try_from(length).or(Err(Malformed))?;
    let (held, rest) = message.split_at_checked(length).ok_or(Malformed)?;
    *message = rest;
    Ok(held)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    /// A field with a length.
    fn field(tag: u8, held: &[u8]) -> Vec<u8> {
        let length = u8::try_from(held.len()).unwrap();
        [&[tag << 3 | 2, length], held].concat()
    }

    #[test]
    fn an_empty_scope_weighs_what_its_struct_takes() {
        let none = weigh(&[]).unwrap();
        let scopes = field(7, &[]).repeat(1_000);
        assert_eq!(scopes.len(), 2_000);
        let each = (weigh(&scopes).unwrap() - none) / 1_000;
        assert!(size_of::<wire::ScopeDelta>() <= each, "{each}");
    }

    #[test]
    fn numbers_weigh_more_than_texts() {
        let scope = |inner: &[u8]| weigh(&field(7, inner)).unwrap();
        let (numbers, text) = (scope(&field(5, &[1; 100])), scope(&field(1, &[b'a'; 100])));
        assert_eq!(numbers - text, 100 * NUMBER - 100 - ALLOCATION);
        let one_by_one = scope(&[5 << 3, 1].repeat(50));
        assert_eq!(one_by_one - scope(&[]), 50 * NUMBER);
    }

    fn ordinary() -> wire::ScopeDelta {
        wire::ScopeDelta {
            service: "shop".to_owned(),
            outcomes: vec![1; 15],
            objectives: vec![wire::ObjectiveDelta::default(); 3],
            breaker: Some(wire::BreakerDelta {
                changes: vec![wire::BreakerChange::default(); 2],
                ..Default::default()
            }),
            dimensions: vec![wire::DimensionDelta::default(); 4],
            arms: vec![wire::ArmDelta {
                objectives: vec![wire::ObjectiveDelta::default(); 3],
                callers: vec![wire::ArmCaller {
                    objectives: vec![1; 6],
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn nothing_in_an_ordinary_report_is_overlooked() {
        let one = size_of::<wire::ScopeDelta>()
            + 15 * size_of::<u64>()
            + 6 * size_of::<wire::ObjectiveDelta>()
            + 2 * size_of::<wire::BreakerChange>()
            + 4 * size_of::<wire::DimensionDelta>()
            + size_of::<wire::ArmDelta>()
            + size_of::<wire::ArmCaller>()
            + 6 * size_of::<u64>();
        let report = wire::ReportRequest {
            scopes: vec![ordinary(); 10],
            ..Default::default()
        };
        let weight = weigh(&report.encode_to_vec()).unwrap();
        assert!((10 * one..80 * one).contains(&weight), "{weight} of {one}");
    }

    #[test]
    fn what_is_cut_off_is_no_report() {
        let whole = field(7, &field(1, b"shop"));
        assert!(weigh(&whole).is_ok());
        for length in 1..whole.len() {
            assert_eq!(weigh(&whole[..length]), Err(Malformed), "{length}");
        }
        assert_eq!(weigh(&[7]), Err(Malformed), "a wire type that is none");
    }

    proptest! {
        /// The same by a fuzzer: `fuzz/src/reports.rs`.
        #[test]
        fn whatever_can_be_decoded_can_be_weighed(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            end in any::<prop::sample::Index>(),
        ) {
            let report = wire::ReportRequest {
                node: "shop-1".to_owned(),
                scopes: vec![ordinary(); 2],
                filters: vec![wire::FilterStatus::default()],
                ..Default::default()
            };
            let mut bytes = report.encode_to_vec();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(end.index(bytes.len() * 2));
            if let Ok(decoded) = wire::ReportRequest::decode(bytes.as_slice()) {
                let weight = weigh(&bytes).unwrap();
                let scopes = decoded.scopes.capacity() * size_of::<wire::ScopeDelta>();
                let numbers = decoded.scopes.iter().map(|scope| scope.outcomes.capacity()).sum::<usize>();
                prop_assert!(scopes + size_of::<u64>() * numbers <= weight);
            }
        }
    }
}
