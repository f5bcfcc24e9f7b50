//! What happens when: the story that both runs tell.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::shop::Trouble;

/// A part of the story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// For people.
    pub name: String,
    /// What is wrong with `payments`.
    pub trouble: Trouble,
    /// When it begins, in milliseconds after the beginning of the run.
    pub from_ms: u64,
    /// When it ends.
    pub to_ms: u64,
}

/// The story, and who listens to it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its parts, without gaps.
    pub phases: Vec<Phase>,
    /// Requests of users per second.
    pub rate: f64,
    /// What the arrivals are drawn from.
    pub seed: u64,
}

/// What users do: name of the route, method, path, weight.
///
/// The wallet is asked for so rarely that `edge` alone would take long to be sure that `payments` is broken.
pub const USERS_DO: [(&str, &str, &str, u32); 3] = [
    ("catalogue", "GET", "/catalog", 60),
    ("order", "POST", "/checkout", 37),
    ("wallet", "GET", "/wallet", 3),
];

/// Users' objective: a proper answer within this time.
pub const OBJECTIVE: Duration = Duration::from_secs(1);

/// Requests a second in each run: what two busy cores serve without sweat, and enough to be sure of something within a second.
const RATE: f64 = 80.0;

impl Plan {
    /// Three troubles of 6 seconds. In between there is time to relax: a breaker is open for half a second more at most, and
    /// ramps for as long, but shedding and the windows of burn rates take longer.
    #[must_use]
    pub fn story(seed: u64) -> Self {
        let parts = [
            ("healthy", Trouble::None, 5_000),
            ("errors", Trouble::Errors { percent: 80 }, 6_000),
            ("healed", Trouble::None, 12_000),
            ("slowness", Trouble::Slow { by_ms: 1_500 }, 6_000),
            ("healed", Trouble::None, 12_000),
            (
                "resets and hangs",
                Trouble::Broken { hang_percent: 40 },
                6_000,
            ),
            ("healed", Trouble::None, 14_000),
        ];
        let mut from_ms = 0;
        let phases = parts
            .into_iter()
            .map(|(name, trouble, lasting_ms)| {
                let phase = Phase {
                    name: name.to_owned(),
                    trouble,
                    from_ms,
                    to_ms: from_ms + lasting_ms,
                };
                from_ms = phase.to_ms;
                phase
            })
            .collect();
        Self {
            phases,
            rate: RATE,
            seed,
        }
    }

    /// How long it takes.
    #[must_use]
    pub fn lasting(&self) -> Duration {
        Duration::from_millis(self.phases.last().map_or(0, |phase| phase.to_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_and_its_beginning_fit_into_two_minutes() {
        assert!(Plan::story(1).lasting() <= Duration::from_secs(65));
    }

    #[test]
    fn the_story_has_no_gaps_and_ends_well() {
        let plan = Plan::story(1);
        assert!(
            plan.phases
                .windows(2)
                .all(|pair| pair[0].to_ms == pair[1].from_ms)
        );
        assert_eq!(plan.phases.first().unwrap().trouble, Trouble::None);
        assert_eq!(plan.phases.last().unwrap().trouble, Trouble::None);
    }
}
