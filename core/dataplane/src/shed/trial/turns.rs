//! Trials of strains that take turns.

use sloop_model::Time;

use super::{State, Strain, Trial};

/// The trials of strains other than the present one, at most one of each. Empty but where strains take turns.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns {
    /// With when it was last the present one.
    others: Vec<(Strain, State, Time)>,
}

impl Turns {
    /// Keeps the trial of `strain`, which is the present one no more at `now`.
    pub(super) fn put(&mut self, strain: Strain, state: State, now: Time) {
        self.take(strain);
        self.others.push((strain, state, now));
    }

    /// Takes the trial of `strain`, if there is one.
    pub(super) fn take(&mut self, strain: Strain) -> Option<State> {
        let mut others = self.others.iter();
        let place = others.position(|(other, _, _)| *other == strain)?;
        Some(self.others.swap_remove(place).1)
    }

    /// Forgets what is being tried, and pauses that are over.
    pub(super) fn met(&mut self, now: Time) {
        self.others.retain(|(_, state, _)| match state {
            State::GivenUp { until, .. } => now < *until,
            State::Trying { .. } | State::Content { .. } => false,
        });
    }

    /// Whether `strain`, or any if that is none, is being tried besides the present one, and was there a moment ago.
    #[inline(never)]
    pub(super) fn tries(&self, strain: Option<Strain>, now: Time) -> bool {
        self.others.iter().any(|(other, state, last)| {
            matches!(state, State::Trying { .. })
                && now.since(*last) < Trial::WINDOW_MIN
                && strain.is_none_or(|strain| strain == *other)
        })
    }
}
