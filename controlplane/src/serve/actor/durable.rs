//! What must be durable first, and what becomes of it while the store takes nothing, as on a full disk or one that hangs.
//!
//! What others gave us to keep is not taken then: filters have their reports and send them again. What we tell sidecars
//! does not wait: leases are renewed and faults withdrawn also without a store, and what a restart loses is the number of
//! such a configuration, which it gets anew. A change that a few nodes try stays with these until it is heard what it does. Nothing here grows meanwhile but the batch that is tried again, in which each
//! key is once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sloop_model::WallTime;
use sloop_xds::fleet::Cohort;
use sloop_xds::rollout::Wanted as Rollout;
use sloop_xds_protos::report::v1::ReportResponse;
use tokio::sync::oneshot;
use tonic::Status;

use super::super::commits::Ended;
use super::{Actor, Stored};
use crate::causes::whole;
use crate::clock;
use crate::publish::Pushed;
use crate::store::Batch;

/// How long what was taken in may take to become durable when the process is to end: a busy disk takes a tenth of a second,
/// and service managers use force after 30 s (Kubernetes) or 90 s (systemd).
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// What is wrong with a store that says nothing.
const HANGS: &str = "the store has not written for two seconds what it was given";

/// What is to be done when something is durable.
#[derive(Debug)]
pub(super) enum After {
    Answer(
        oneshot::Sender<Result<ReportResponse, Status>>,
        ReportResponse,
    ),
    Publish(Publish),
    /// Somebody asked for a change of the engine, and hears whether it is stored.
    Tell(oneshot::Sender<Stored>),
}

/// What a cohort is pushed.
#[derive(Debug)]
pub(super) struct Publish {
    pub(super) cohort: Cohort,
    pub(super) step: Box<Rollout>,
    pub(super) changed: Vec<Pushed>,
}

/// Why the store takes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Since when.
    pub(crate) since: WallTime,
    /// In words, with the file.
    pub(crate) reason: Arc<str>,
}

impl Actor {
    /// Begins to write what has gathered, when it is time.
    pub(super) fn start_commit(&mut self, now: Instant) {
        if self.commits.due().is_some_and(|due| due <= now) {
            self.commits.add(self.engine.changes(), [], now);
        }
        self.commits.start(now);
    }

    /// Finds out whether the store hangs. Then it is as one that takes nothing, until it has written what it was given: what
    /// came before that waits for it all the same, as it may be durable in a moment, and nothing more comes to it.
    pub(super) fn look_at_commit(&mut self, now: Instant) {
        if !self.commits.finds_hanging(now) {
            return;
        }
        self.fail(HANGS);
        let out = self.commits.take_out(|after| match after {
            // The filter has given up; it reports again.
            After::Answer(answer, _) => answer.is_closed(),
            After::Publish(_) | After::Tell(_) => true,
        });
        for after in out {
            match after {
                After::Answer(..) => {}
                After::Publish(publish) => self.publish(publish),
                After::Tell(stored) => drop(stored.send(Stored::NotYet)),
            }
        }
    }

    /// Stores what somebody asked for, who hears when it is durable; at once, that it is not, while the store takes nothing.
    /// It holds all the same.
    pub(super) fn tell_stored(&mut self, stored: oneshot::Sender<Stored>, now: Instant) {
        let batch = self.engine.changes();
        if self.commits.is_failing() {
            self.commits.add(batch, [], now);
            drop(stored.send(Stored::NotYet));
        } else {
            self.commits.add(batch, [After::Tell(stored)], now);
            self.commits.hurry(now);
        }
    }

    /// Pushes when `batch` is durable; at once while the store takes nothing.
    pub(super) fn publish_after(&mut self, batch: Batch, publish: Publish, now: Instant) {
        if self.commits.is_failing() {
            self.commits.add(batch, [], now);
            self.publish(publish);
        } else {
            self.commits.add(batch, [After::Publish(publish)], now);
            self.commits.hurry(now);
        }
    }

    /// Why reports are not taken, if they are not.
    pub(super) fn refusal(&self) -> Option<Status> {
        let trouble = self.trouble.borrow();
        let reason = &trouble.as_ref()?.reason;
        Some(Status::unavailable(format!("{reason}; report again")))
    }

    /// Does what was to be done when a batch is durable.
    pub(super) fn conclude(&mut self, ended: Ended<After>) {
        match ended.result {
            Ok(took) => {
                self.meters.ingest.committed(took);
                self.recover();
                // Thousands are answered at once. What sidecars should have is on its way before.
                let mut then = ended.then;
                let is_push = |after: &mut After| matches!(after, After::Publish(_));
                let pushes: Vec<After> = then.extract_if(.., is_push).collect();
                for after in pushes.into_iter().chain(then) {
                    match after {
                        // The filter may have given up; it reports again.
                        After::Answer(answer, response) => drop(answer.send(Ok(response))),
                        After::Publish(publish) => self.publish(publish),
                        After::Tell(stored) => drop(stored.send(Stored::Durable)),
                    }
                }
            }
            Err(error) => {
                self.meters.ingest.commit_failed();
                self.fail(&whole(&error));
                // What has gathered since, too: what is newer is pushed last.
                let waiting = self.commits.take_waiting();
                for after in ended.then.into_iter().chain(waiting) {
                    match (after, self.refusal()) {
                        (After::Answer(answer, _), Some(refusal)) => {
                            drop(answer.send(Err(refusal)));
                        }
                        // Never: it has just failed. The filter reports again.
                        (After::Answer(..), None) => {}
                        (After::Publish(publish), _) => self.publish(publish),
                        (After::Tell(stored), _) => drop(stored.send(Stored::NotYet)),
                    }
                }
            }
        }
    }

    /// Makes everything durable that was taken in, if the store does that `within` so long. A store that hangs, which nobody
    /// can interrupt, must not hold up the end; who was not answered yet is not, and comes again.
    pub(super) async fn finish(mut self, within: Duration) {
        if tokio::time::timeout(within, self.write_all())
            .await
            .is_err()
        {
            tracing::error!(
                waited_s = within.as_secs(),
                "the store hangs, and it ends without what it was given last: nothing of that was acknowledged but what is told \
                 to sidecars, and filters report again"
            );
        }
    }

    async fn write_all(&mut self) {
        self.commits.want(Instant::now());
        self.commits.hurry(Instant::now());
        self.start_commit(Instant::now());
        while !self.commits.is_idle() {
            let ended = self.commits.ended().await;
            let failed = ended.result.is_err();
            self.conclude(ended);
            if failed {
                return;
            }
            self.commits.hurry(Instant::now());
            self.start_commit(Instant::now());
        }
    }

    /// Says, the first time, that the store takes nothing; and why, as it is now. That it says nothing hides no reason.
    fn fail(&mut self, reason: &str) {
        let known = self.trouble.borrow().clone();
        let is_known = |it: &Trouble| reason == HANGS || *it.reason == *reason;
        if known.as_ref().is_some_and(is_known) {
            return;
        }
        if known.as_ref().is_none_or(|it| *it.reason == *HANGS) {
            tracing::error!(
                reason,
                "the store takes nothing; it is tried again, and reports wait at their filters"
            );
            self.meters.ingest.set_failing(true);
        }
        self.trouble.send_replace(Some(Trouble {
            since: known.map_or_else(clock::wall, |it| it.since),
            reason: reason.into(),
        }));
    }

    /// Says, if it was said to take nothing, that the store takes what it is given.
    fn recover(&mut self) {
        let Some(trouble) = self.trouble.send_replace(None) else {
            return;
        };
        let seconds = clock::wall().since(trouble.since).as_secs();
        tracing::info!(seconds, "the store takes everything again");
        self.meters.ingest.set_failing(false);
        self.hear_again(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::actor::tests::actor_on;
    use crate::store::InMemory;

    #[tokio::test]
    async fn it_is_said_once_what_is_wrong_and_why_when_that_is_known() {
        let mut actor = actor_on(Arc::new(InMemory::default()));
        let trouble = actor.trouble();
        let said = || trouble.borrow().clone().unwrap();
        actor.fail(HANGS);
        let hangs = said();
        assert_eq!(*hangs.reason, *HANGS);
        actor.fail("it is full");
        let full = Trouble {
            reason: "it is full".into(),
            ..hangs
        };
        assert_eq!(said(), full);
        actor.fail("it is full");
        actor.fail(HANGS);
        assert_eq!(said(), full);
        actor.fail("it is another's");
        let another = Trouble {
            reason: "it is another's".into(),
            ..full
        };
        assert_eq!(said(), another);
    }
}
