//! What a share may really be, when only some requests were seen.
//!
//! Wilson's score interval (E. B. Wilson, "Probable inference, the law of
//! succession, and statistical inference", 1927): with `k` of `n` and `z`
//! standard deviations,
//! `(k/n + z^2/2n +- z * sqrt(k/n (1 - k/n)/n + z^2/4n^2)) / (1 + z^2/n)`.
//! It holds for few requests and for shares near 0 and 1, where the usual
//! interval is nonsense. The filter's breakers and the control plane's burn
//! rates use the same one, so that they cannot disagree.

/// Bounds of a share, each in `0.0..=1.0`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShareBounds {
    /// It is surely not below this.
    pub low: f64,
    /// It is surely not above this.
    pub high: f64,
}

impl ShareBounds {
    /// What `part` of `whole` may really be, at `sigmas` standard deviations; nothing when nothing was seen.
    ///
    /// A `part` above `whole` is taken as `whole`. With 0 both bounds are the plain ratio.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts above 2^52 differ by less than the interval's width"
    )]
    #[inline]
    pub fn wilson(part: u64, whole: u64, sigmas: f64) -> Option<Self> {
        if whole == 0 {
            return None;
        }
        let n = whole as f64;
        let share = part.min(whole) as f64 / n;
        let square = sigmas * sigmas;
        let middle = share + square / (2.0 * n);
        let spread = sigmas * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
        let scale = 1.0 + square / n;
        Some(Self {
            low: ((middle - spread) / scale).max(0.0),
            high: ((middle + spread) / scale).min(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the interval for 1 of 10 and 5 of 10 at 1.96 standard deviations, as tables have them.
    #[test]
    fn the_bounds_are_those_of_the_tables() {
        for (part, low, high) in [(1, 0.0179, 0.4042), (5, 0.2366, 0.7634)] {
            let bounds = ShareBounds::wilson(part, 10, 1.96).unwrap();
            assert!((bounds.low - low).abs() < 5e-5, "{bounds:?}");
            assert!((bounds.high - high).abs() < 5e-5, "{bounds:?}");
        }
    }

    #[test]
    fn nothing_seen_is_not_known() {
        assert_eq!(ShareBounds::wilson(0, 0, 3.0), None);
    }

    #[test]
    fn without_doubt_it_is_the_plain_ratio() {
        let bounds = ShareBounds::wilson(1, 4, 0.0).unwrap();
        assert_eq!((bounds.low, bounds.high), (0.25, 0.25));
    }
}
