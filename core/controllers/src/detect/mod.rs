//! Sees within tens of requests that more fail than may: sequential detection.
//!
//! The windows of the SRE workbook answer "has so much of the budget gone that
//! somebody should be woken", and wait for it. This answers "did the rate of
//! failures change", and needs no window: it adds up evidence request by
//! request, and forgets it as soon as it speaks for health.
//!
//! # Formula
//!
//! Page's CUSUM (E. S. Page, "Continuous inspection schemes", Biometrika 41,
//! 1954) on the log-likelihood ratio. With the share `p0` that may be bad, and a
//! share `p1` that must be noticed, every request changes the evidence by
//!
//! ```text
//! bad:  ln(p1 / p0)          good:  ln((1 - p1) / (1 - p0)), which is negative
//! evidence = max(0, evidence + change)
//! ```
//!
//! The last moment at which it was zero is the most likely moment of the change
//! (the estimate by maximum likelihood), and what was counted since then tells
//! the rate after it. One `p1` notices changes near it fast and others slowly,
//! so [`ALTERNATIVES`] of them run side by side ([`Hypotheses`]).
//!
//! Counts come in reports, in no order within one. A report changes the evidence
//! by the sum of its requests; this can only notice later than every request by
//! itself would, never sooner.
//!
//! # How often it is wrong
//!
//! While at most `p0` is bad, evidence reaches `h` in `e^h` requests on average
//! or more (G. Lorden, "Procedures for reacting to a change in distribution",
//! Annals of Mathematical Statistics 42, 1971), and the first of `n` side by side
//! in `e^h / n`. [`THRESHOLD`] is `ln(4 x 10^9)` for four: a false alarm in a billion
//! requests, by a service that spends its budget exactly. One that spends half of it practically never gives one.
//!
//! # Failures that come together
//!
//! The formula takes failures to be independent. Real ones are not: a connection
//! that breaks takes all its requests with it. So within [`DWELL`] evidence grows
//! by half of the threshold at most, whatever happens: what is over within
//! that time is no alarm, and what goes on is one at its end. The price is that
//! nothing is noticed sooner.
//!
//! # Worked example: 99.9 %
//!
//! `p0 = 0.001`, the alternatives are 1.44 %, 10.3 %, 47.2 % and 87.5 %. When 10 % fail, the
//! second one gains `0.1 ln(0.1026/0.001) + 0.9 ln(0.8974/0.999) = 0.3665` per request:
//! `22.11 / 0.3665 = 60.3`, so 61 requests. The least that any test needs at this rate of
//! false alarms is `ln(10^9)` over the divergence of the two rates, 57. Other targets: `controlplane/DERIVATION.md`, which a test
//! compares with this.

mod hypotheses;

pub(crate) use hypotheses::Hypotheses;

use core::time::Duration;

use hypotheses::least;
use serde::{Deserialize, Serialize};
use sloop_model::{Target, WallTime};

use crate::Counts;
use crate::budget::Slicing;
use crate::slo::DetectionStatus;
use crate::words::Percent;

/// How many rates of failure are tested for.
pub(crate) const ALTERNATIVES: usize = 4;
/// `ln(4 x 10^9)`, in millionths of a nat.
const THRESHOLD: i64 = 22_109_560;
/// From here on a change is suspected: as likely as one in some hundred requests would be by chance.
const SUSPICION: i64 = THRESHOLD / 4;
/// Evidence grows by half of the threshold at most in this time. Reports come every 100 ms when
/// something moves, so what happens within a few milliseconds is told in two of them: the time is
/// a little shorter than two intervals.
const DWELL: Duration = Duration::from_millis(180);
/// An alarm is over when so much evidence is left, so that it does not come and go.
const OVER: i64 = THRESHOLD / 2;
/// After so long without a request nobody knows whether it goes on.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Rises that are remembered: more looks than that in one [`DWELL`] are taken together.
const RISES_MAX: usize = 8;

/// What was seen of one stream of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Detector {
    tracks: [Track; ALTERNATIVES],
    rises: Vec<Rise>,
    /// When the last request was seen.
    seen_at: WallTime,
    /// When something was last looked at, which is when what is new began.
    looked_at: WallTime,
    /// Whether it gives an alarm.
    is_alarmed: bool,
}

/// The evidence for one alternative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Track {
    evidence: i64,
    since: Change,
}

/// How much evidence was gained at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rise {
    at: WallTime,
    by: [i64; ALTERNATIVES],
}

/// A change of the rate of failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// When it most likely was.
    pub(crate) at: WallTime,
    /// What was counted since.
    pub(crate) counts: Counts,
}

impl Detector {
    /// Takes in what is new at `now`.
    pub(crate) fn observe(&mut self, hypotheses: &Hypotheses, new: Counts, now: WallTime) {
        let before = core::mem::replace(&mut self.looked_at, now);
        if new.total == 0 {
            if SILENCE_MAX < now.since(self.seen_at) || now < self.seen_at {
                *self = Self::default();
                self.looked_at = now;
            }
            return;
        }
        self.seen_at = now;
        self.rises
            .retain(|rise| rise.at <= now && now.since(rise.at) < DWELL);
        let mut rise = Rise {
            at: now,
            by: [0; ALTERNATIVES],
        };
        for (place, (track, gain)) in self
            .tracks
            .iter_mut()
            .zip(hypotheses.gains(new))
            .enumerate()
        {
            let risen: i64 = self
                .rises
                .iter()
                .filter_map(|rise| rise.by.get(place))
                .sum();
            let gain = gain.min((THRESHOLD / 2 - risen).max(0));
            track.add(gain, new, before);
            if let Some(by) = rise.by.get_mut(place) {
                *by = gain.max(0);
            }
        }
        self.remember(rise);
        let most = self.most().evidence;
        self.is_alarmed = THRESHOLD <= most || (self.is_alarmed && OVER <= most);
    }

    /// The change that has surely been, while it goes on.
    pub(crate) fn alarm(&self) -> Option<Change> {
        self.is_alarmed.then(|| self.most().since)
    }

    /// Whether there may have been a change.
    pub(crate) fn suspects(&self) -> bool {
        SUSPICION <= self.most().evidence
    }

    /// The track with most evidence; of equal ones that for the highest rate.
    fn most(&self) -> Track {
        let tracks = self.tracks.iter();
        tracks
            .max_by_key(|track| track.evidence)
            .copied()
            .unwrap_or_default()
    }

    fn remember(&mut self, rise: Rise) {
        if rise.by == [0; ALTERNATIVES] {
            return;
        }
        let is_full = RISES_MAX <= self.rises.len();
        match self.rises.last_mut() {
            Some(last) if last.at == rise.at || is_full => {
                last.at = rise.at;
                for (sum, more) in last.by.iter_mut().zip(rise.by) {
                    *sum = sum.saturating_add(more);
                }
            }
            Some(_) | None => self.rises.push(rise),
        }
    }
}

impl Track {
    fn add(&mut self, gain: i64, new: Counts, began: WallTime) {
        if self.evidence == 0 {
            self.since = Change {
                at: began,
                counts: Counts::default(),
            };
        }
        // More than the threshold says nothing more, and would only be slower to see that it is over.
        self.evidence = self.evidence.saturating_add(gain).clamp(0, THRESHOLD);
        self.since.counts = if self.evidence == 0 {
            Counts::default()
        } else {
            self.since.counts.plus(new)
        };
    }
}

/// What is looked for, for people; nothing when everything may be bad.
pub(crate) fn detection_status(
    target: Target,
    slicing: Option<Slicing>,
) -> Option<DetectionStatus> {
    let least = least(target)?;
    if slicing.is_some() {
        return Some(DetectionStatus {
            least: None,
            derivation: "no sudden change is looked for, windows alone say whether it burns: one failure may make a slice bad, \
                         so the rate of failures says too little of slices"
                .to_owned(),
        });
    }
    let hypotheses = Hypotheses::of(target)?;
    let (at_least, at_most) = (hypotheses.needed(least)?, hypotheses.needed(1.0)?);
    Some(DetectionStatus {
        least: Some(least),
        derivation: format!(
            "a sudden change from {} to {} bad or more is seen after {at_least} requests on average, and after {at_most} where all are bad, \
             when it has lasted for two tenths of a second",
            Percent(target.budget_fraction()),
            Percent(least),
        ),
    })
}

#[cfg(test)]
mod tests;
