//! How values become places.

/// How values become places along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// From here to there.
    Linear(f64, f64),
    /// From here to there, both positive; each step is as many times as much.
    Log(f64, f64),
}

impl Scale {
    /// Where `value` lies, 0 at the beginning and 1 at the end; held at both, and at the beginning what is no number.
    #[must_use]
    pub fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(from, to) => (value - from) / (to - from),
            Self::Log(from, to) => (value.max(from) / from).ln() / (to / from).ln(),
        };
        // An axis without length makes none of its values a number.
        if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        }
    }

    /// A linear scale from 0 to at least `top`, and round values on it, at most seven.
    #[must_use]
    pub fn up_to(top: f64) -> (Self, Vec<f64>) {
        let (scale, ticks) = Self::around(0.0, top);
        (scale, ticks)
    }

    /// A linear scale from at most `low` to at least `high`, and round values on it, at most eight.
    #[must_use]
    pub fn around(low: f64, high: f64) -> (Self, Vec<f64>) {
        let length = if low < high { high - low } else { 1.0 };
        let step = step(length);
        let (first, last) = ((low / step).floor(), (low + length).max(high));
        let last = (last / step).ceil();
        let mut ticks = Vec::new();
        let mut tick = first;
        while tick <= last && ticks.len() < 8 {
            ticks.push(tick * step);
            tick += 1.0;
        }
        (Self::Linear(first * step, last * step), ticks)
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that cuts `length` into at most five.
fn step(length: f64) -> f64 {
    let power = 10_f64.powf((length / 5.0).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let is_enough = |step: &f64| length <= 5.0 * step * (1.0 + f64::EPSILON);
    steps.into_iter().find(is_enough).unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_between_the_ends() {
        let close = |given: f64, expected: f64| (given - expected).abs() < 1e-9;
        let linear = Scale::Linear(10.0, 20.0);
        for (value, share) in [
            (5.0, 0.0),
            (10.0, 0.0),
            (15.0, 0.5),
            (20.0, 1.0),
            (99.0, 1.0),
        ] {
            assert!(close(linear.share(value), share), "{value}");
        }
        let log = Scale::Log(1.0, 100.0);
        for (value, share) in [
            (0.0, 0.0),
            (1.0, 0.0),
            (10.0, 0.5),
            (100.0, 1.0),
            (1e9, 1.0),
        ] {
            assert!(close(log.share(value), share), "{value}");
        }
        for scale in [linear, log, Scale::Linear(1.0, 1.0), Scale::Log(2.0, 2.0)] {
            assert!((0.0..=1.0).contains(&scale.share(f64::NAN)), "{scale:?}");
            assert!((0.0..=1.0).contains(&scale.share(2.0)), "{scale:?}");
        }
    }

    #[test]
    fn ticks_are_round_and_hold_what_is_shown() {
        let (scale, ticks) = Scale::up_to(28.9);
        assert_eq!(scale, Scale::Linear(0.0, 30.0));
        assert_eq!(ticks, [0.0, 10.0, 20.0, 30.0]);
        let (scale, _) = Scale::around(0.55, 1.37);
        let Scale::Linear(from, to) = scale else {
            panic!("{scale:?}");
        };
        assert!(from <= 0.55 && 1.37 <= to);
    }

    #[test]
    fn nothing_to_show_has_an_axis_too() {
        for (low, high) in [(0.0, 0.0), (3.0, 3.0), (0.0, 1e-12), (-2.0, 1e9)] {
            let (scale, ticks) = Scale::around(low, high);
            assert!((2..=8).contains(&ticks.len()), "{low}..{high}: {ticks:?}");
            assert!(scale.share(low) <= scale.share(high));
        }
    }
}
