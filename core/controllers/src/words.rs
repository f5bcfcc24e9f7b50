//! Numbers as people read them.

use core::fmt::{Display, Formatter, Result};
use core::time::Duration;

/// A fraction, shown as a percentage with as many digits as matter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Percent(pub(crate) f64);

/// A length of time, shown in its largest whole unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length(pub(crate) Duration);

/// Sentences one after the other. Mostly there is one, which is not copied.
pub(crate) fn joined(mut sentences: Vec<String>) -> String {
    if sentences.len() <= 1 {
        sentences.pop().unwrap_or_default()
    } else {
        sentences.join("; ")
    }
}

impl Display for Percent {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let percent = self.0 * 100.0;
        // Next to nothing and to everything the digits that differ from it are what matters.
        let digits = match percent.abs().min((100.0 - percent).abs()) {
            ..0.000_01 => 0,
            ..0.01 => 5,
            ..0.1 => 4,
            ..1.0 => 3,
            ..10.0 => 2,
            _ => 1,
        };
        match scaled(percent, digits) {
            Some(parts) => parts.fmt(formatter)?,
            None => write!(formatter, "{percent:.0}")?,
        }
        formatter.write_str(" %")
    }
}

/// A decimal number in whole parts of a power of ten. Several are in every explanation, and writing a
/// float exactly takes ten times as long.
#[derive(Clone, Copy, Debug)]
struct Scaled {
    amount: i64,
    scale: i64,
    digits: usize,
}

/// `number` to so many digits after the point; nothing when there are more before it than matter.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "within the bound both are exact"
)]
fn scaled(number: f64, digits: usize) -> Option<Scaled> {
    let scale = 10_i64.checked_pow(u32::try_from(digits).ok()?)?;
    let amount = (number * scale as f64).round();
    (amount.abs() < 1e15).then_some(Scaled {
        amount: amount as i64,
        scale,
        digits,
    })
}

impl Display for Scaled {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let Self {
            amount,
            scale,
            mut digits,
        } = *self;
        if amount < 0 {
            formatter.write_str("-")?;
        }
        let amount = amount.unsigned_abs();
        let scale = scale.unsigned_abs().max(1);
        write!(formatter, "{}", amount / scale)?;
        let mut part = amount % scale;
        if part == 0 {
            return Ok(());
        }
        while part.is_multiple_of(10) {
            part /= 10;
            digits -= 1;
        }
        write!(formatter, ".{part:0digits$}")
    }
}

impl Display for Length {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let micros = self.0.as_micros();
        let units = [
            (86_400_000_000, "d"),
            (3_600_000_000, "h"),
            (60_000_000, "min"),
            (1_000_000, "s"),
            (1_000, "ms"),
        ];
        // Of longer times the milliseconds say nothing.
        let is_long = 10_000_000 <= micros && !micros.is_multiple_of(1_000_000);
        for (unit, name) in units {
            if !is_long && unit <= micros && micros.is_multiple_of(unit) {
                return write!(formatter, "{} {name}", micros / unit);
            }
        }
        if 1_000_000 <= micros {
            return write!(formatter, "{:.1} s", self.0.as_secs_f64());
        }
        write!(formatter, "{micros} us")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_matter() {
        for (fraction, text) in [
            (0.999, "99.9 %"),
            (0.999_95, "99.995 %"),
            (1.0, "100 %"),
            (0.2, "20 %"),
            (0.123_4, "12.3 %"),
            (0.0, "0 %"),
            (0.000_118, "0.0118 %"),
            (0.014_4, "1.44 %"),
            (-1.5, "-150 %"),
            (-0.000_118, "-0.0118 %"),
            (0.999_999, "99.9999 %"),
            (0.300_4, "30 %"),
            (1e20, "10000000000000000000000 %"),
            (f64::NAN, "NaN %"),
        ] {
            assert_eq!(Percent(fraction).to_string(), text);
        }
    }

    #[test]
    fn the_largest_whole_unit() {
        for (millis, text) in [
            (5_000, "5 s"),
            (3_600_000, "1 h"),
            (5_400_000, "90 min"),
            (250, "250 ms"),
            (1_250, "1250 ms"),
            (18_626, "18.6 s"),
            (2_419_200_000, "28 d"),
            (0, "0 us"),
        ] {
            assert_eq!(Length(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
