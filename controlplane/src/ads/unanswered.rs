//! Responses that a client has not answered.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// Since when a client owes an answer, by type. Of each type one response is on its way at a time.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    since: BTreeMap<String, Instant>,
}

impl Unanswered {
    /// Notes that a response of a type was handed to the connection at `now`.
    pub(super) fn sent(&mut self, type_url: &str, now: Instant) {
        self.since.insert(type_url.to_owned(), now);
    }

    /// Notes that the client accepted or refused it.
    pub(super) fn answered(&mut self, type_url: &str) {
        self.since.remove(type_url);
    }

    /// Since when the client owes the oldest answer; `None` when it owes none.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.since.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_answer_that_is_owed_counts() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut unanswered = Unanswered::default();
        assert_eq!(unanswered.oldest(), None);
        unanswered.sent("clusters", at(1));
        unanswered.sent("routes", at(2));
        assert_eq!(unanswered.oldest(), Some(at(1)));
        unanswered.answered("clusters");
        assert_eq!(unanswered.oldest(), Some(at(2)));
        unanswered.sent("clusters", at(3));
        unanswered.answered("routes");
        unanswered.answered("listeners");
        assert_eq!(unanswered.oldest(), Some(at(3)));
    }
}
