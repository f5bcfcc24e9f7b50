//! Until when an answer is of use.
//!
//! | where it comes from | what it means |
//! |---|---|
//! | `grpc-timeout` | the caller waits so long (gRPC over HTTP/2, "Timeout") |
//! | `x-envoy-expected-rq-timeout-ms` | the caller's Envoy waits so long |
//! | `d` of the `sloop=` member | the first caller of all waits so long |
//!
//! The least of them counts. Zero in the first two is "no limit" to Envoy, and
//! is no deadline here. Parts of a millisecond are rounded up. Where a rule of the
//! scope gives a deadline ([`super::Context::limit`]), none is later than that.
//!
//! **What a filter can know of the time that was spent.** The member says what
//! was left and by which wall clock. An application copies it as it is, however
//! long it takes; so the outbound filter subtracts what went by since the stamp,
//! which the inbound filter of the same machine wrote: one clock, and no memory
//! shared between the two. The inbound filter does not subtract, because the
//! stamp it gets is another machine's: the time on the network is given away
//! rather than a deadline taken from the difference of two clocks. An
//! application whose requests do not come through an inbound filter (a queue)
//! copies a stamp of another machine; then the clocks' difference counts.

use sloop_model::{Side, WallTime};

use crate::headers::Request;

/// A deadline as the member carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// What was left, in milliseconds. Zero: it has passed.
    pub left_ms: u32,
    /// When that was: the wall clock in milliseconds, modulo 2^32 (50 days).
    pub stamp: u32,
}

impl Deadline {
    /// `left_ms` are left at `wall`.
    #[must_use]
    pub const fn new(left_ms: u32, wall: WallTime) -> Self {
        Self {
            left_ms,
            stamp: stamp(wall),
        }
    }

    /// What is left at `wall`, in milliseconds. A clock that went backwards, by up to 25 days, takes nothing.
    #[must_use]
    pub const fn left_ms_at(self, wall: WallTime) -> u32 {
        let spent = stamp(wall).wrapping_sub(self.stamp).cast_signed();
        let spent = if spent < 0 { 0 } else { spent.cast_unsigned() };
        self.left_ms.saturating_sub(spent)
    }

    /// Whether it has passed.
    #[must_use]
    pub const fn has_passed(self) -> bool {
        self.left_ms == 0
    }
}

/// The deadline of a request that arrives at `wall`; `said` is what the member says.
#[inline(never)]
pub(super) fn of(
    request: &Request<'_>,
    said: Option<Deadline>,
    side: Side,
    wall: WallTime,
) -> Option<Deadline> {
    let said = said.map(|deadline| match side {
        Side::Server => deadline.left_ms,
        Side::Client => deadline.left_ms_at(wall),
    });
    let all = [
        said,
        grpc_timeout(request.grpc_timeout),
        millis(request.expected_timeout),
    ];
    let least = all.into_iter().flatten().min()?;
    Some(Deadline::new(least, wall))
}

#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 is the format")]
const fn stamp(wall: WallTime) -> u32 {
    wall.as_millis() as u32
}

/// Milliseconds of a `grpc-timeout`: one to eight digits and a unit.
fn grpc_timeout(value: &[u8]) -> Option<u32> {
    let (unit, digits) = value.split_last()?;
    if 8 < digits.len() {
        return None;
    }
    let number = decimal(digits)?;
    let millis = match unit {
        b'H' => number * 3_600_000,
        b'M' => number * 60_000,
        b'S' => number * 1_000,
        b'm' => number,
        b'u' => number.div_ceil(1_000),
        b'n' => number.div_ceil(1_000_000),
        _ => return None,
    };
    Some(u32::try_from(millis).unwrap_or(u32::MAX))
}

fn millis(value: &[u8]) -> Option<u32> {
    let millis = decimal(value)?;
    Some(u32::try_from(millis).unwrap_or(u32::MAX))
}

/// The number that one to ten decimal digits mean, unless it is zero.
fn decimal(digits: &[u8]) -> Option<u64> {
    if 10 < digits.len() {
        return None;
    }
    let number = digits.iter().try_fold(0, |number: u64, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        Some(number * 10 + u64::from(digit))
    })?;
    (number != 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::{HeaderMap, serialised};
    use proptest::prelude::*;

    const NOW: WallTime = WallTime::from_millis(1_800_000_000_000);

    /// What is left of a request with these headers and this member.
    fn left(headers: &[(&str, &str)], said: Option<Deadline>, side: Side) -> Option<u32> {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        let bytes = serialised(&headers);
        let request = Request::read(HeaderMap::new(&bytes));
        let deadline = of(&request, said, side, NOW)?;
        assert_eq!(deadline.left_ms_at(NOW), deadline.left_ms);
        Some(deadline.left_ms)
    }

    #[test]
    fn every_unit_of_grpc_is_known() {
        for (value, expected) in [
            ("1H", Some(3_600_000)),
            ("2M", Some(120_000)),
            ("3S", Some(3_000)),
            ("4m", Some(4)),
            ("1u", Some(1)),
            ("1001u", Some(2)),
            ("99999999n", Some(100)),
            ("99999999H", Some(u32::MAX)),
            ("123456789m", None),
            ("0S", None),
            ("S", None),
            ("5", None),
            ("", None),
            ("5s", None),
            ("-5S", None),
            ("5 S", None),
            ("\u{663}S", None),
        ] {
            assert_eq!(
                left(&[("grpc-timeout", value)], None, Side::Server),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn envoys_header_is_a_number_of_milliseconds() {
        for (value, expected) in [
            ("15000", Some(15_000)),
            ("9999999999", Some(u32::MAX)),
            ("99999999999", None),
            ("0", None),
            ("1.5", None),
        ] {
            let headers = [("x-envoy-expected-rq-timeout-ms", value)];
            assert_eq!(left(&headers, None, Side::Server), expected, "{value}");
        }
    }

    #[test]
    fn the_least_of_all_counts() {
        let headers = [
            ("grpc-timeout", "2S"),
            ("x-envoy-expected-rq-timeout-ms", "15000"),
        ];
        let said = |left_ms| Some(Deadline::new(left_ms, NOW));
        assert_eq!(left(&headers, None, Side::Server), Some(2_000));
        assert_eq!(left(&headers, said(1_999), Side::Server), Some(1_999));
        assert_eq!(left(&headers, said(2_001), Side::Server), Some(2_000));
        assert_eq!(left(&[], None, Side::Server), None);
    }

    #[test]
    fn only_the_side_whose_clock_it_was_subtracts() {
        let earlier = WallTime::from_millis(NOW.as_millis() - 400);
        let said = Some(Deadline::new(1_000, earlier));
        assert_eq!(left(&[], said, Side::Client), Some(600));
        assert_eq!(left(&[], said, Side::Server), Some(1_000));
    }

    #[test]
    fn it_passes_at_the_moment_and_not_before() {
        let began = Deadline::new(1_000, NOW);
        for (millis, left_ms) in [
            (0, 1_000),
            (999, 1),
            (1_000, 0),
            (1_001, 0),
            (2_000_000_000, 0),
        ] {
            let wall = WallTime::from_millis(NOW.as_millis() + millis);
            assert_eq!(began.left_ms_at(wall), left_ms, "{millis}");
        }
        assert!(Deadline::new(0, NOW).has_passed() && !began.has_passed());
    }

    #[test]
    fn a_clock_that_goes_backwards_takes_nothing() {
        let began = Deadline::new(1_000, NOW);
        let before = WallTime::from_millis(NOW.as_millis() - 1);
        assert_eq!(began.left_ms_at(before), 1_000);
    }

    #[test]
    fn the_stamp_may_wrap() {
        let wall = |millis| WallTime::from_millis(millis);
        let began = Deadline::new(1_000, wall(u64::from(u32::MAX)));
        assert_eq!(began.left_ms_at(wall(u64::from(u32::MAX) + 100)), 900);
    }

    proptest! {
        #[test]
        fn never_more_is_left_than_before(left_ms in any::<u32>(), stamp in any::<u32>(), wall in any::<u64>()) {
            let deadline = Deadline { left_ms, stamp };
            prop_assert!(deadline.left_ms_at(WallTime::from_millis(wall)) <= left_ms);
        }

        #[test]
        fn never_fails_whatever_comes(value in prop::collection::vec(any::<u8>(), 0..20)) {
            grpc_timeout(&value);
            millis(&value);
        }
    }
}
