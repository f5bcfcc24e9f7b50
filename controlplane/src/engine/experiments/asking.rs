//! What somebody asks for: to run an experiment, to try it, to end it.

use core::time::Duration;

use sloop_controllers::ChaosIntent;
use sloop_model::WallTime;

use super::{Asked, NotAsked, Order, id};
use crate::engine::Engine;

/// Runs of one name are told apart by the millisecond.
const TICK: Duration = Duration::from_millis(1);
/// How long a run may not be there that was asked for; one that is asked for later than a minute is not begun.
const AWAITED_MAX: Duration = Duration::from_secs(60);

impl Engine {
    /// Runs or tries `intents` at once: all of them or none. What is handed in is no document: it runs once, by no schedule, of
    /// which nobody who looks at the documents would know.
    ///
    /// When each of them is due, by which its run is found: now, and later than any run of it that there was, if clocks say so.
    ///
    /// # Errors
    ///
    /// When a document in the folder has the name of one of them, or one runs already or soon will.
    pub fn run_experiments(
        &mut self,
        intents: Vec<ChaosIntent>,
        order: Order,
        now: WallTime,
    ) -> Result<Vec<WallTime>, NotAsked> {
        for intent in &intents {
            let name = &intent.spec().name;
            if self.is_declared(name) {
                return Err(NotAsked::Declared(name.clone()));
            }
            self.may_ask(name, now)?;
        }
        let asked = intents.into_iter().map(|intent| {
            let name = intent.spec().name.clone();
            self.ask(name, Some(intent.when_asked()), order, now)
        });
        asked.collect()
    }

    /// Runs or tries at once what is declared as `name`, or was handed in before. When it is due.
    ///
    /// # Errors
    ///
    /// When there is no such experiment, or it runs already or soon will.
    pub fn run_declared_experiment(
        &mut self,
        name: &str,
        order: Order,
        now: WallTime,
    ) -> Result<WallTime, NotAsked> {
        let known = self.chaos.asked.get(name);
        let intent = known.and_then(|asked| asked.intent.clone());
        if intent.is_none() && !self.is_declared(name) {
            return Err(NotAsked::Unknown(name.to_owned()));
        }
        self.ask(name.to_owned(), intent, order, now)
    }

    /// Ends the run of `name`.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn stop_experiment(&mut self, name: &str, now: WallTime) -> Result<(), NotAsked> {
        let is_asked = |asked: &Asked| {
            let due_at = asked.asked_at;
            !self.chaos.is_over(name, due_at) && asked.stopped_at.is_none_or(|at| at < due_at)
        };
        let known = self.chaos.asked.get(name);
        if !self.chaos.is_running(name) && !known.is_some_and(is_asked) {
            return Err(NotAsked::DoesNotRun(name.to_owned()));
        }
        let mut asked = known.cloned().unwrap_or_else(|| Asked {
            name: name.to_owned(),
            intent: None,
            // Long ago: nothing is due by it.
            asked_at: WallTime::default(),
            stopped_at: None,
            is_trial: false,
        });
        // Where the clock was set back since, it is before what it is to stop.
        let going = self.chaos.newest_due(name).unwrap_or_default();
        asked.stopped_at = Some(now.max(going).max(asked.asked_at));
        self.chaos.ask(asked);
        self.take_up(now);
        Ok(())
    }

    fn ask(
        &mut self,
        name: String,
        intent: Option<ChaosIntent>,
        order: Order,
        now: WallTime,
    ) -> Result<WallTime, NotAsked> {
        self.may_ask(&name, now)?;
        let past = self.chaos.newest_due(&name);
        let asked_at = past.map_or(now, |past| now.max(past.after(TICK)));
        self.chaos.ask(Asked {
            name,
            intent,
            asked_at,
            stopped_at: None,
            is_trial: order == Order::Try,
        });
        self.take_up(now);
        Ok(asked_at)
    }

    fn may_ask(&self, name: &str, now: WallTime) -> Result<(), NotAsked> {
        // What was asked for has a run from the next step on, unless no controller took it.
        let is_awaited = |asked: &Asked| {
            let is_unseen = self.chaos.phase(name, asked.asked_at).is_none();
            is_unseen && now.since(asked.asked_at) < AWAITED_MAX
        };
        if self.chaos.is_running(name) || self.chaos.asked.get(name).is_some_and(is_awaited) {
            return Err(NotAsked::Runs(name.to_owned()));
        }
        Ok(())
    }

    /// Whether a document in the folder says it.
    fn is_declared(&self, name: &str) -> bool {
        self.documents.intents.contains_key(&id(name))
    }

    /// Lets controllers know of what was asked for.
    fn take_up(&mut self, now: WallTime) {
        let documents = self.documents.clone();
        for refused in self.set_documents(documents, now) {
            tracing::error!(refused, "no controller takes this intent");
        }
    }
}
