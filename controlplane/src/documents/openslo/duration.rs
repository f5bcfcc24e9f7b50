//! OpenSLO's duration shorthand: a whole number and one letter, as `5m` or `4w`.

use core::time::Duration;

use super::super::reader::{At, quoted};

/// A length of time by the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::documents) struct Shorthand {
    pub(in crate::documents) count: u32,
    pub(in crate::documents) unit: Unit,
}

/// The letter after the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::documents) enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

const LETTERS: [(char, Unit); 7] = [
    ('m', Unit::Minute),
    ('h', Unit::Hour),
    ('d', Unit::Day),
    ('w', Unit::Week),
    ('M', Unit::Month),
    ('Q', Unit::Quarter),
    ('Y', Unit::Year),
];

/// Reads a duration. The specification has a bare number mean minutes, its Go SDK refuses it; so does this.
pub(in crate::documents) fn read(at: &At<'_>) -> Option<Shorthand> {
    let text = at.text()?;
    let parsed = split(text);
    if parsed.is_none() {
        at.refuse(format!(
            "is {}; it must be a whole number from 0 to {} and one of m, h, d, w, M, Q, Y, as in \"4w\"",
            quoted(text),
            u32::MAX
        ));
    }
    parsed
}

fn split(text: &str) -> Option<Shorthand> {
    let letter = text.chars().next_back()?;
    let digits = text.get(..text.len() - letter.len_utf8())?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let (_, unit) = LETTERS.iter().find(|(known, _)| *known == letter)?;
    Some(Shorthand {
        count: is_number.then(|| digits.parse().ok())??,
        unit: *unit,
    })
}

impl Shorthand {
    /// Its length where no calendar is at hand: months of 30, quarters of 90, years of 365 days, as the Go SDK has it.
    pub(in crate::documents) fn length(self) -> Duration {
        const DAY: u64 = 24 * 60 * 60;
        let seconds = match self.unit {
            Unit::Minute => 60,
            Unit::Hour => 60 * 60,
            Unit::Day => DAY,
            Unit::Week => 7 * DAY,
            Unit::Month => 30 * DAY,
            Unit::Quarter => 90 * DAY,
            Unit::Year => 365 * DAY,
        };
        Duration::from_secs(u64::from(self.count) * seconds)
    }
}

impl core::fmt::Display for Shorthand {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let letter = LETTERS.iter().find(|(_, unit)| *unit == self.unit);
        write!(
            formatter,
            "{}{}",
            self.count,
            letter.map_or('?', |(letter, _)| *letter)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_letter() {
        let days = |text| split(text).map(|shorthand| shorthand.length().as_secs() / 86_400);
        assert_eq!(days("4w"), Some(28));
        assert_eq!(days("1M"), Some(30));
        assert_eq!(days("1Q"), Some(90));
        assert_eq!(days("0d"), Some(0));
        for bad in [
            "",
            "4",
            "w",
            "-1d",
            "+1d",
            "1.5d",
            "4 w",
            "4wm",
            "4W",
            "1\u{e9}",
            "4294967296d",
        ] {
            assert_eq!(days(bad), None, "{bad:?}");
        }
        assert_eq!(split("12Q").unwrap().to_string(), "12Q");
    }
}
