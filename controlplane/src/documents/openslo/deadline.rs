//! How long the requests of an SLO have, as an annotation says it: `off`, or a time as `2s`.

use sloop_controllers::DeadlineChoice;
use sloop_model::DeadlineLimit;

use super::super::reader::{At, quoted};

/// Reads the annotation. `None` after a complaint.
pub(super) fn read(at: &At<'_>) -> Option<DeadlineChoice> {
    let text = at.text()?;
    if text == "off" {
        return Some(DeadlineChoice::Off);
    }
    let limit = millis(text).and_then(|millis| DeadlineLimit::try_from(millis).ok());
    if limit.is_none() {
        at.refuse(format!(
            "is {}; it must be \"off\", or a whole number and one of ms, s, m, from 1ms to 10m, as in \"2s\"",
            quoted(text)
        ));
    }
    limit.map(DeadlineChoice::Limit)
}

fn millis(text: &str) -> Option<u64> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000)];
    let mut read = units
        .iter()
        .filter_map(|(unit, millis)| Some((text.strip_suffix(unit)?, *millis)));
    let (digits, millis) = read.next()?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = is_number.then(|| digits.parse().ok())??;
    count.checked_mul(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_and_a_unit() {
        for (text, expected) in [
            ("1ms", Some(1)),
            ("1500ms", Some(1_500)),
            ("2s", Some(2_000)),
            ("10m", Some(600_000)),
            ("2", None),
            ("s", None),
            ("ms", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("1 s", None),
            ("1h", None),
            ("18446744073709551615m", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
}
