//! W3C Trace Context: continue a trace, or start one.
//!
//! Rules: <https://www.w3.org/TR/trace-context-2/#traceparent-header>. What
//! cannot be read starts a trace of its own, and what came with it is not
//! carried on. Version 00 is written whatever came in, as the specification
//! asks of those who know no later one.

use crate::random::Random;

/// Names a trace. Never all zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId {
    /// The first 16 hexadecimal digits.
    pub high: u64,
    /// The last 16 hexadecimal digits.
    pub low: u64,
}

/// What a request said about its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// Nothing.
    Absent,
    /// One `traceparent`.
    Once(&'a [u8]),
    /// Several, of which none can be trusted.
    Repeated,
}

/// A request's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    id: TraceId,
    span: u64,
    flags: u8,
    is_origin: bool,
}

/// `00-` trace id `-` span id `-` flags.
const TRACEPARENT_BYTES: usize = 55;

/// The caller may have recorded it. Set on traces that begin here, so that nobody behind is switched off.
const SAMPLED: u8 = 1;
/// The low 56 bits of the trace id are random (level 2). Ours are.
const RANDOM: u8 = 2;

impl TraceContext {
    /// The place of a request that came with `incoming`, as a new span.
    #[must_use]
    pub fn continue_or_start(incoming: Incoming<'_>, random: &mut Random) -> Self {
        let parent = match incoming {
            Incoming::Once(value) => parse(value),
            Incoming::Absent | Incoming::Repeated => None,
        };
        let span = random.word_not_zero();
        match parent {
            Some((id, flags)) => Self {
                id,
                span,
                flags,
                is_origin: false,
            },
            None => Self {
                id: TraceId {
                    high: random.word(),
                    low: random.word_not_zero(),
                },
                span,
                flags: SAMPLED | RANDOM,
                is_origin: true,
            },
        }
    }

    /// The trace.
    #[must_use]
    pub const fn id(&self) -> TraceId {
        self.id
    }

    /// Whether the trace began here.
    #[must_use]
    pub const fn is_origin(&self) -> bool {
        self.is_origin
    }

    /// The value for `traceparent` to the service, and for `traceresponse` to the caller.
    #[must_use]
    pub fn header(&self) -> [u8; TRACEPARENT_BYTES] {
        let mut header = *b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-00";
        for (at, value, digits) in [
            (3, self.id.high, 16),
            (19, self.id.low, 16),
            (36, self.span, 16),
            (53, u64::from(self.flags), 2),
        ] {
            let place = header.iter_mut().skip(at).take(digits);
            for (position, digit) in place.rev().enumerate() {
                *digit = hex_digit(value >> (4 * position));
            }
        }
        header
    }
}

pub(crate) fn hex_digit(value: u64) -> u8 {
    u8::try_from(value & 15).map_or(b'0', |low| match low {
        0..10 => b'0' + low,
        10.. => b'a' + (low - 10),
    })
}

/// Trace id and known flags, if `value` is a `traceparent`.
fn parse(value: &[u8]) -> Option<(TraceId, u8)> {
    let (known, rest) = value.split_at_checked(TRACEPARENT_BYTES)?;
    let field = |from: usize, digits: usize| hex(known.get(from..from + digits)?);
    let dashes = [2, 35, 52].iter().all(|at| known.get(*at) == Some(&b'-'));
    let version = field(0, 2)?;
    let may_go_on = version != 0 && rest.first() == Some(&b'-');
    if !dashes || version == 0xff || !(rest.is_empty() || may_go_on) {
        return None;
    }
    let id = TraceId {
        high: field(3, 16)?,
        low: field(19, 16)?,
    };
    let parent = field(36, 16)?;
    let flags = u8::try_from(field(53, 2)?).ok()?;
    let is_valid = (id.high, id.low) != (0, 0) && parent != 0;
    // "Vendors MUST set those to zero": flags that level 2 does not define.
    is_valid.then_some((id, flags & (SAMPLED | RANDOM)))
}

/// The number that lower-case hexadecimal digits mean; at most 16 of them.
pub(crate) fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u64::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn of(value: &str) -> TraceContext {
        let mut random = Random::seeded([1, 2, 3, 4]);
        TraceContext::continue_or_start(Incoming::Once(value.as_bytes()), &mut random)
    }

    fn header(context: &TraceContext) -> String {
        String::from_utf8(context.header().to_vec()).unwrap()
    }

    #[test]
    fn a_valid_parent_is_continued_as_a_new_span() {
        let context = of(&format!("00-{TRACE}-b7ad6b7169203331-01"));
        assert!(!context.is_origin());
        let header = header(&context);
        assert!(header.starts_with(&format!("00-{TRACE}-")), "{header}");
        assert!(!header.contains("b7ad6b7169203331"), "{header}");
        assert!(header.ends_with("-01"), "{header}");
    }

    #[test]
    fn flags_that_are_known_pass_unchanged() {
        for (given, sent) in [("00", "00"), ("02", "02"), ("03", "03"), ("ff", "03")] {
            let context = of(&format!("00-{TRACE}-b7ad6b7169203331-{given}"));
            assert!(header(&context).ends_with(sent), "{given}");
        }
    }

    #[test]
    fn what_is_no_parent_starts_a_trace() {
        for value in [
            String::new(),
            format!("00-{TRACE}-b7ad6b7169203331"),
            format!("00-{TRACE}-b7ad6b7169203331-0"),
            format!("00-{TRACE}-b7ad6b7169203331-01-"),
            format!("00-{TRACE}-b7ad6b7169203331-01-x"),
            format!("00-{TRACE}-b7ad6b7169203331.01"),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("cc-{TRACE}-b7ad6b7169203331-01.what"),
            format!("0-{TRACE}-b7ad6b7169203331-001"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-b7ad6b716920333\u{e9}-1"),
        ] {
            assert!(of(&value).is_origin(), "{value:?}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for value in [
            format!("01-{TRACE}-b7ad6b7169203331-01"),
            format!("cc-{TRACE}-b7ad6b7169203331-01-what-comes-then"),
        ] {
            let context = of(&value);
            assert!(!context.is_origin(), "{value}");
            assert!(header(&context).starts_with("00-"), "{value}");
        }
    }

    #[test]
    fn several_parents_are_none() {
        let mut random = Random::seeded([1, 2, 3, 4]);
        for incoming in [Incoming::Absent, Incoming::Repeated] {
            let context = TraceContext::continue_or_start(incoming, &mut random);
            assert!(context.is_origin());
            assert!(header(&context).ends_with("-03"));
        }
    }

    proptest! {
        #[test]
        fn never_fails_and_always_writes_what_it_can_read(
            value in prop::collection::vec(any::<u8>(), 0..80),
            seed in any::<[u64; 4]>(),
        ) {
            let mut random = Random::seeded(seed);
            let context = TraceContext::continue_or_start(Incoming::Once(&value), &mut random);
            let written = context.header();
            prop_assert_eq!(parse(&written), Some((context.id, context.flags)));
        }
    }
}
