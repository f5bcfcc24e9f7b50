//! Responses that a client has not answered.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sloop_xds::Sent;
use tokio::time::{Instant, Sleep};

/// Since when a client owes an answer, by type. Of each type one response is on its way at a time.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    since: Vec<(Arc<Sent>, Instant)>,
}

impl Unanswered {
    /// Notes that a response was handed to the connection at `now`.
    pub(super) fn sent(&mut self, sent: &Arc<Sent>, now: Instant) {
        self.answered(sent);
        self.since.push((Arc::clone(sent), now));
    }

    /// Notes that the client accepted or refused it.
    pub(super) fn answered(&mut self, sent: &Sent) {
        self.since
            .retain(|(other, _)| other.type_url != sent.type_url);
    }

    /// Since when the client owes the oldest answer; `None` when it owes none.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.since.iter().map(|(_, since)| *since).min()
    }
}

/// How long an answer is waited for.
///
/// Nearly all come at once. So its timer goes on when they do, and only when it is over somebody looks whether one is
/// still owed: to set it and to take it back for each response would cost more.
#[derive(Debug)]
pub(super) struct Patience {
    max: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// So long.
    pub(super) const fn of(max: Duration) -> Self {
        Self { max, timer: None }
    }

    /// Waits until an answer has been owed for too long. May be dropped and called again.
    pub(super) async fn ends(&mut self, unanswered: &Unanswered) {
        loop {
            if let Some(timer) = &mut self.timer {
                timer.await;
                self.timer = None;
            }
            let Some(since) = unanswered.oldest() else {
                return std::future::pending().await;
            };
            let end = since + self.max;
            if end <= Instant::now() {
                return;
            }
            self.timer = Some(Box::pin(tokio::time::sleep_until(end)));
        }
    }
}

#[cfg(test)]
mod tests {
    use sloop_xds::Version;

    use super::*;

    fn sent(type_url: &str) -> Arc<Sent> {
        Arc::new(Sent {
            type_url: type_url.to_owned(),
            version: Version::claimed("1"),
            nonce: "1".to_owned(),
            resources: Vec::new(),
            removed: Vec::new(),
            is_heartbeat: false,
        })
    }

    #[test]
    fn the_oldest_answer_that_is_owed_counts() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut unanswered = Unanswered::default();
        assert_eq!(unanswered.oldest(), None);
        unanswered.sent(&sent("clusters"), at(1));
        unanswered.sent(&sent("routes"), at(2));
        assert_eq!(unanswered.oldest(), Some(at(1)));
        unanswered.answered(&sent("clusters"));
        assert_eq!(unanswered.oldest(), Some(at(2)));
        unanswered.sent(&sent("clusters"), at(3));
        unanswered.answered(&sent("routes"));
        unanswered.answered(&sent("listeners"));
        assert_eq!(unanswered.oldest(), Some(at(3)));
        unanswered.sent(&sent("clusters"), at(4));
        assert_eq!(unanswered.oldest(), Some(at(4)), "one of each type");
    }

    const MAX: Duration = Duration::from_millis(60);

    /// Whether patience ends within `time`.
    async fn ends(patience: &mut Patience, unanswered: &Unanswered, time: Duration) -> bool {
        tokio::time::timeout(time, patience.ends(unanswered))
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn patience_ends_when_an_answer_has_been_owed_for_so_long_and_not_before() {
        let (mut patience, mut unanswered) = (Patience::of(MAX), Unanswered::default());
        assert!(!ends(&mut patience, &unanswered, 2 * MAX).await, "none is");
        let first = Instant::now();
        unanswered.sent(&sent("clusters"), first);
        // A machine that stands still for longer than that sees it end, and rightly.
        let ended = ends(&mut patience, &unanswered, MAX / 3).await;
        assert!(!ended || MAX <= first.elapsed());
        unanswered.answered(&sent("clusters"));
        let later = Instant::now();
        unanswered.sent(&sent("clusters"), later);
        // The timer of the first one ends meanwhile.
        patience.ends(&unanswered).await;
        assert!(MAX <= later.elapsed(), "{:?}", later.elapsed());
        assert!(ends(&mut patience, &unanswered, MAX).await, "still");
    }
}
