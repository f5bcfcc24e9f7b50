//! What was counted of a node, apart by what it ran meanwhile.
//!
//! A report is about a time, and may have begun before a node was offered a change, or before it came back from one. What of
//! it was when, nobody knows: so it counts for neither. The next one does.

use sloop_model::WallTime;

use super::Counts;

/// What a node runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runs {
    /// What all of its cohort do.
    #[default]
    Usual,
    /// A change that it tries, or was offered until lately.
    Other,
}

/// What is counted of a node from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phase {
    /// What it runs.
    pub runs: Runs,
    /// Since when nodes of its cohort, this one or others, try what they do; `None` while none does.
    pub stage: Option<WallTime>,
}

/// What was counted of a node since the control plane first heard of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    usual: Counts,
    runs: Runs,
    /// Since when it runs that.
    since: WallTime,
    stage: Counts,
    /// When the stage began.
    stage_since: Option<WallTime>,
}

impl Tally {
    /// Takes in what was counted from `from` on, or later.
    pub fn take(&mut self, counts: Counts, from: WallTime) {
        if self.runs == Runs::Usual && self.since <= from {
            self.usual = self.usual.plus(counts);
        }
        if self.stage_since.is_some_and(|since| since <= from) {
            self.stage = self.stage.plus(counts);
        }
    }

    /// What is taken in later belongs to `phase`, as of `now`.
    pub fn follow(&mut self, phase: Phase, now: WallTime) {
        if self.runs != phase.runs {
            self.runs = phase.runs;
            self.since = now;
        }
        if self.stage_since != phase.stage {
            self.stage_since = phase.stage;
            self.stage = Counts::default();
        }
    }

    /// What was counted while it ran what all of its cohort do.
    #[must_use]
    pub const fn usual(&self) -> Counts {
        self.usual
    }

    /// The stage that nodes of its cohort are in, and what was counted since that began.
    #[must_use]
    pub fn stage(&self) -> Option<(WallTime, Counts)> {
        self.stage_since.map(|since| (since, self.stage))
    }

    /// What was counted since the stage that began at `since`.
    #[must_use]
    pub fn in_stage(&self, since: WallTime) -> Counts {
        if self.stage_since == Some(since) {
            self.stage
        } else {
            Counts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    fn at(seconds: u64) -> WallTime {
        WallTime::from_millis(seconds * 1_000)
    }

    fn one() -> Counts {
        let filters = Health {
            requests: 1,
            ..Health::default()
        };
        Counts {
            filters,
            ..Counts::default()
        }
    }

    /// What is usual, and what belongs to the stage since second 10, after one request each from these seconds on.
    fn counted(tally: &mut Tally, seconds: &[u64]) -> (u64, u64) {
        for from in seconds {
            tally.take(one(), at(*from));
        }
        let of = |counts: Counts| counts.filters.requests;
        (of(tally.usual()), of(tally.in_stage(at(10))))
    }

    #[test]
    fn a_report_that_began_before_belongs_to_neither() {
        let mut tally = Tally::default();
        assert_eq!(counted(&mut tally, &[0, 9]), (2, 0));
        let tries = Phase {
            runs: Runs::Other,
            stage: Some(at(10)),
        };
        tally.follow(tries, at(10));
        assert_eq!(counted(&mut tally, &[9, 10, 11]), (2, 2));
        tally.follow(tries, at(12));
        assert_eq!(counted(&mut tally, &[11]), (2, 3), "it goes on");
        tally.follow(Phase::default(), at(20));
        assert_eq!(counted(&mut tally, &[19, 20]), (3, 0), "it is over");
    }

    #[test]
    fn of_a_node_that_does_not_try_it_what_is_counted_belongs_to_both() {
        let mut tally = Tally::default();
        let watches = Phase {
            runs: Runs::Usual,
            stage: Some(at(10)),
        };
        tally.follow(watches, at(10));
        assert_eq!(counted(&mut tally, &[9, 10]), (2, 1));
        let next = Phase {
            stage: Some(at(15)),
            ..watches
        };
        tally.follow(next, at(15));
        assert_eq!(counted(&mut tally, &[15]), (3, 0), "another stage");
        assert_eq!(tally.in_stage(at(15)), one());
    }
}
