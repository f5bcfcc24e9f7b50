//! When the control plane is killed.

use std::str::FromStr;
use std::time::Duration;

/// A moment of a replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// So long after its beginning.
    After(Duration),
    /// When this share of its time has passed, `0.0..=1.0`.
    Share(f64),
}

/// Why a text is not a moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no moment; write seconds as 8, or a share as 0.5 or 50%")]
pub struct InvalidMoment {
    given: String,
}

impl Moment {
    /// When that is in a replay that takes `lasting`.
    #[must_use]
    pub fn within(self, lasting: Duration) -> Duration {
        match self {
            Self::After(time) => time,
            Self::Share(share) => lasting.mul_f64(share),
        }
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(given: &str) -> Result<Self, InvalidMoment> {
        let invalid = || InvalidMoment {
            given: given.to_owned(),
        };
        let number = |text: &str| {
            let number = text.trim().parse::<f64>();
            number.ok().filter(|number| 0.0 <= *number)
        };
        if let Some(percent) = given.strip_suffix('%') {
            let share = number(percent).ok_or_else(invalid)? / 100.0;
            return (share <= 1.0)
                .then_some(Self::Share(share))
                .ok_or_else(invalid);
        }
        let number = number(given).ok_or_else(invalid)?;
        if number < 1.0 {
            return Ok(Self::Share(number));
        }
        let time = Duration::try_from_secs_f64(number);
        time.map(Self::After).map_err(|_too_large| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_seconds_or_shares() {
        let ten = Duration::from_secs(10);
        for (text, seconds) in [("8", 8), ("0.5", 5), ("50%", 5), ("100 %", 10), ("0", 0)] {
            let moment: Moment = text.parse().unwrap();
            assert_eq!(moment.within(ten), Duration::from_secs(seconds), "{text}");
        }
        for bad in ["", "-1", "half", "101%", "NaN", "1e300"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }
}
