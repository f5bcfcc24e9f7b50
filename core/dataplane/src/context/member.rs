//! The member `sloop=` of `tracestate`: what travels with a request besides its trace.
//!
//! Version 1 of its value, in the grammar of `tracestate`:
//!
//! ```text
//! value    = "1" *( "." field )
//! field    = "c" %x30-33              ; criticality, Criticality::index
//!          / "k"                      ; keep: export every span of this trace
//!          / "d" left "-" stamp       ; deadline: milliseconds left, and when that was true
//!          / "e" 8hex arm             ; experiment, and the arm that this trace is in
//!          / other                    ; anything else: carried on as it is
//! arm      = "f" / "c" / "u"          ; fault, control, untouched
//! left     = 1*8hex
//! stamp    = 1*8hex                   ; wall clock in milliseconds, modulo 2^32
//! ```
//!
//! For example `sloop=1.c3.k.d5dc-8c3f2a10.e0badcafef`. The first of two equal
//! fields counts. What a reader cannot read it carries on, behind what it says
//! itself and as far as 256 characters reach, so a later writer may add fields.
//! A value of another version is not read, and is carried on untouched.

use sloop_model::{Arm, Arms, Criticality, ExperimentKey};

use super::deadline::Deadline;
use super::hex;

/// What is said about a request, to whom it goes next as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// How much it matters, if anybody said so.
    pub criticality: Option<Criticality>,
    /// Whether every span of the trace is to be exported.
    pub keep: bool,
    /// When its answer is no longer of use, if anybody said so.
    pub deadline: Option<Deadline>,
    /// The arms of experiments that the trace is in.
    pub arms: Arms,
}

/// Bytes of a value in `tracestate`.
const VALUE_BYTES_MAX: usize = 256;

enum Field {
    Criticality(Criticality),
    Keep,
    Deadline(Deadline),
    Arm(ExperimentKey, Arm),
}

impl Said {
    /// Reads the member's value. None when it is of another version.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut said = Self::default();
        for field in fields(value)?.filter_map(parse_field) {
            match field {
                Field::Criticality(class) => said.criticality = said.criticality.or(Some(class)),
                Field::Keep => said.keep = true,
                Field::Deadline(deadline) => said.deadline = said.deadline.or(Some(deadline)),
                // A second arm of the same experiment, or a fifth experiment, is left out.
                Field::Arm(experiment, arm) => {
                    said.arms.remember(experiment, arm);
                }
            }
        }
        Some(said)
    }

    /// Nothing.
    pub(super) const NONE: Self = Self {
        criticality: None,
        keep: false,
        deadline: None,
        arms: Arms::NONE,
    };

    /// Whether there is nothing to say.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.criticality.is_none() && !self.keep && self.deadline.is_none() && self.arms.is_empty()
    }

    /// Appends the member's value to `into`, with those fields of `previous` that this version does not know.
    pub fn write(&self, previous: &[u8], into: &mut Vec<u8>) {
        let start = into.len();
        into.push(VERSION);
        if let Some(class) = self.criticality {
            into.extend_from_slice(match class {
                Criticality::Sheddable => b".c0",
                Criticality::SheddablePlus => b".c1",
                Criticality::Critical => b".c2",
                Criticality::CriticalPlus => b".c3",
            });
        }
        if self.keep {
            into.extend_from_slice(b".k");
        }
        if let Some(deadline) = self.deadline {
            into.extend_from_slice(b".d");
            push_short(deadline.left_ms, into);
            into.push(b'-');
            push_short(deadline.stamp, into);
        }
        for (experiment, arm) in self.arms.iter() {
            into.extend_from_slice(b".e");
            into.extend_from_slice(&hex::digits(experiment.bits()));
            into.push(match arm {
                Arm::Fault => b'f',
                Arm::Control => b'c',
                Arm::Untouched => b'u',
            });
        }
        for field in unknown(previous) {
            if into.len() - start + 1 + field.len() <= VALUE_BYTES_MAX {
                into.push(b'.');
                into.extend_from_slice(field);
            }
        }
    }
}

/// The version that this reader reads and writes.
const VERSION: u8 = b'1';

/// Whether `value` has fields that this version does not know.
pub(super) fn has_unknown(value: &[u8]) -> bool {
    unknown(value).next().is_some()
}

/// Fields that this version does not know. One that ends with a space could not be the last, and is left out.
fn unknown(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let all = fields(value).into_iter().flatten();
    all.filter(|field| {
        parse_field(field).is_none() && field.last().is_some_and(|last| *last != b' ')
    })
}

/// The fields of a value of this version.
fn fields(value: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let mut parts = value.split(|byte| *byte == b'.');
    (parts.next() == Some(&[VERSION])).then_some(parts)
}

fn parse_field(field: &[u8]) -> Option<Field> {
    let (letter, rest) = field.split_first()?;
    match letter {
        b'c' => {
            let [digit] = rest else { return None };
            let at = usize::from(digit.checked_sub(b'0')?);
            Criticality::ALL.get(at).copied().map(Field::Criticality)
        }
        b'k' => rest.is_empty().then_some(Field::Keep),
        b'd' => {
            let at = rest.iter().position(|byte| *byte == b'-')?;
            Some(Field::Deadline(Deadline {
                left_ms: hex::number_short(rest.get(..at)?)?,
                stamp: hex::number_short(rest.get(at + 1..)?)?,
            }))
        }
        b'e' => {
            let (experiment, arm) = rest.split_first_chunk::<8>()?;
            let arm = match arm {
                b"f" => Arm::Fault,
                b"c" => Arm::Control,
                b"u" => Arm::Untouched,
                _ => return None,
            };
            let experiment = ExperimentKey::from_bits(hex::number(*experiment)?);
            Some(Field::Arm(experiment, arm))
        }
        _ => None,
    }
}

/// Appends a number without leading zeros, but at least one digit.
fn push_short(number: u32, into: &mut Vec<u8>) {
    let digits = hex::digits(number);
    let zeros = digits.iter().take(7).take_while(|digit| **digit == b'0');
    into.extend_from_slice(digits.get(zeros.count()..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rewritten(value: &str) -> String {
        let mut into = Vec::new();
        Said::parse(value.as_bytes())
            .unwrap()
            .write(value.as_bytes(), &mut into);
        String::from_utf8(into).unwrap()
    }

    #[test]
    fn the_example_means_what_the_docs_say() {
        let said = Said::parse(b"1.c3.k.d5dc-8c3f2a10.e0badcafef").unwrap();
        assert_eq!(said.criticality, Some(Criticality::CriticalPlus));
        assert!(said.keep);
        let deadline = said.deadline.unwrap();
        assert_eq!((deadline.left_ms, deadline.stamp), (1_500, 0x8c3f_2a10));
        assert_eq!(
            said.arms.of(ExperimentKey::from_bits(0x0bad_cafe)),
            Some(Arm::Fault)
        );
        assert_eq!(said.arms.of(ExperimentKey::from_bits(1)), None);
    }

    #[test]
    fn another_version_is_not_read() {
        for value in ["", "2", "2.c3", "11", "1 .c3", "c3", "x1"] {
            assert_eq!(Said::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_carried_on_behind_the_rest() {
        for (given, sent) in [
            ("1", "1"),
            ("1.z9.c3", "1.c3.z9"),
            ("1.c4.k", "1.k.c4"),
            ("1.ex.d5.Z", "1.ex.d5.Z"),
            ("1.k1..", "1.k1"),
            ("1.a b.z .k", "1.k.a b"),
            ("1.d-.d1-", "1.d-.d1-"),
        ] {
            assert_eq!(rewritten(given), sent);
        }
    }

    #[test]
    fn the_first_of_two_counts() {
        assert_eq!(rewritten("1.c1.c2.k.k.d5-6.d7-8"), "1.c1.k.d5-6");
        assert_eq!(rewritten("1.e00000001f.e00000001c"), "1.e00000001f");
    }

    #[test]
    fn a_fifth_experiment_is_left_out() {
        let arms: Vec<String> = (1..=5).map(|id| format!(".e{id:08x}u")).collect();
        assert_eq!(
            rewritten(&format!("1{}", arms.concat())),
            format!("1{}", arms[..4].concat())
        );
    }

    #[test]
    fn unknown_fields_never_make_a_value_too_long() {
        let exact = format!("1.k.{}", "z".repeat(252));
        assert_eq!(rewritten(&exact), exact);
        let mut into = Vec::new();
        let said = Said {
            criticality: Some(Criticality::Critical),
            ..Said::parse(exact.as_bytes()).unwrap()
        };
        said.write(exact.as_bytes(), &mut into);
        assert_eq!(into, b"1.c2.k");
    }

    #[test]
    fn numbers_have_no_leading_zeros_but_one_digit() {
        assert_eq!(rewritten("1.d00000000-0000000f"), "1.d0-f");
    }

    fn said() -> impl Strategy<Value = Said> {
        let class = prop::option::of(prop::sample::select(&Criticality::ALL[..]));
        let deadline = prop::option::of(any::<(u32, u32)>());
        let kinds = &[Arm::Fault, Arm::Control, Arm::Untouched][..];
        let arm = (any::<u32>(), prop::sample::select(kinds));
        let arms = prop::collection::vec(arm, 0..=6);
        (class, any::<bool>(), deadline, arms).prop_map(|(criticality, keep, deadline, given)| {
            let mut arms = Arms::default();
            for (experiment, kind) in given {
                arms.remember(ExperimentKey::from_bits(experiment), kind);
            }
            let deadline = deadline.map(|(left_ms, stamp)| Deadline { left_ms, stamp });
            Said {
                criticality,
                keep,
                deadline,
                arms,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(said in said()) {
            let mut value = Vec::new();
            said.write(b"", &mut value);
            prop_assert_eq!(Said::parse(&value), Some(said));
            prop_assert!(value.len() <= 69, "{} bytes", value.len());
        }

        #[test]
        fn any_value_is_rewritten_to_one_that_means_the_same(value in "1(\\.[ -+\\-./-<>-~]{0,20}){0,20}") {
            let value = &value.as_bytes()[..value.len().min(256)];
            // Cutting may split the version off, in which case there is nothing to test.
            if let Some(said) = Said::parse(value) {
                let mut once = Vec::new();
                said.write(value, &mut once);
                prop_assert!(once.len() <= VALUE_BYTES_MAX && once.last() != Some(&b' '));
                prop_assert_eq!(Said::parse(&once), Some(said));
                let mut twice = Vec::new();
                said.write(&once, &mut twice);
                prop_assert_eq!(twice, once);
            }
        }

        #[test]
        fn never_fails_whatever_comes(value in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(said) = Said::parse(&value) {
                said.write(&value, &mut Vec::new());
            }
        }
    }
}
