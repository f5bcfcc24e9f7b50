//! The control plane without its process: the real controllers over a store in memory.

use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;

use sloop_controllers::{
    Cell, ChaosIntent, ConfigSettings, Controllers, ExperimentStatus, IntentId, Observation, Step,
    World, filter_config,
};
use sloop_model::{FilterConfig, ReportSettings, ServiceName, Side, TraceSettings, WallTime};

use super::{BEGIN, Change, SERVICE};

/// The control plane.
#[derive(Debug)]
pub(super) struct Control {
    side: Side,
    declared: Vec<(IntentId, String, String)>,
    controllers: Controllers,
    pub(super) world: World,
    inbox: Vec<Observation>,
    store: BTreeMap<String, Cell>,
    pub(super) step: Step,
    pushed: Option<FilterConfig>,
    pub(super) pushes: u64,
    pub(super) changes: Vec<Change>,
    /// The newest run of each experiment that the control plane had begun before it began again.
    past: BTreeMap<String, ExperimentStatus>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            side: Side::Server,
            declared: Vec::new(),
            controllers: Controllers::with_all(),
            world: World::default(),
            inbox: Vec::new(),
            store: BTreeMap::new(),
            step: Step::default(),
            pushed: None,
            pushes: 0,
            changes: Vec::new(),
            past: BTreeMap::new(),
        }
    }
}

impl Control {
    /// One that tells sidecars what they do on this side.
    pub(super) fn on(side: Side) -> Self {
        Self {
            side,
            ..Self::default()
        }
    }

    pub(super) const fn side(&self) -> Side {
        self.side
    }

    pub(super) fn declare(&mut self, id: &str, kind: &str, body: &str) {
        let id = IntentId(id.to_owned());
        self.controllers
            .put(&id, kind, body)
            .expect("the scenario's intent is valid");
        self.declared.push((id, kind.to_owned(), body.to_owned()));
    }

    /// Begins again with what is in the store, and the documents.
    pub(super) fn restart(&mut self) {
        for run in self.controllers.experiments(&self.world, |_, _, _| false) {
            self.past.insert(run.name.clone(), run);
        }
        self.world = World::default();
        self.world.restore(self.store.values().cloned().collect());
        self.controllers = Controllers::with_all();
        for (id, kind, body) in &self.declared {
            let body = self.with_runs(id, body);
            self.controllers
                .put(id, kind, &body)
                .expect("the scenario's intent is valid");
        }
    }

    /// The intent `body` with the run that was begun before, as the process has it from its store.
    fn with_runs(&self, id: &IntentId, body: &str) -> String {
        let name = id.0.strip_prefix("ChaosExperiment/");
        let Some(run) = name.and_then(|name| self.past.get(name)) else {
            return body.to_owned();
        };
        let intent: ChaosIntent = serde_json::from_str(body).expect("it was read before");
        serde_json::to_string(&intent.ran(run.due_at)).expect("an intent is JSON")
    }

    /// The newest run of the experiment `name`.
    pub(super) fn experiment(&self, name: &str) -> Option<ExperimentStatus> {
        let mut runs = self
            .controllers
            .experiments(&self.world, |other, _, _| other != name);
        runs.pop().or_else(|| self.past.get(name).cloned())
    }

    /// Takes a report. It is durable at once, as the process promises.
    pub(super) fn receive(
        &mut self,
        observation: Observation,
        sidecar: usize,
        now: Duration,
        wall: WallTime,
    ) {
        for change in observation
            .scopes
            .iter()
            .filter_map(|scope| scope.breaker.as_ref())
            .flat_map(|breaker| &breaker.changes)
        {
            self.changes.push(Change {
                sidecar,
                at: change.at.since(BEGIN).min(now),
                to: change.to,
                cause: change.cause,
            });
        }
        self.inbox.push(observation);
        self.take_in(wall);
    }

    /// Steps, and returns the configuration when it has changed.
    ///
    /// It goes through its text as on the wire, so a refused one fails the scenario.
    pub(super) fn step(&mut self, wall: WallTime) -> Option<Rc<FilterConfig>> {
        self.take_in(wall);
        self.step = self.controllers.step(&mut self.world);
        let settings = ConfigSettings {
            report: Some(ReportSettings {
                cluster: "sloop".to_owned(),
                interval_ms: 1_000,
            }),
            trace: TraceSettings::default(),
        };
        let service = ServiceName::try_from(SERVICE).expect("it is a name");
        let made = filter_config(&service, self.side, &[], &self.step.policies, &settings);
        assert!(made.left_out.is_empty(), "{:?}", made.left_out);
        if self.pushed.as_ref() == Some(&made.config) {
            return None;
        }
        self.pushes += 1;
        self.pushed = Some(made.config.clone());
        let pushed = FilterConfig {
            generation: self.pushes,
            ..made.config
        };
        let text = serde_json::to_vec(&pushed).expect("a configuration is JSON");
        Some(Rc::new(
            FilterConfig::parse(&text).expect("a filter accepts what controllers want"),
        ))
    }

    fn take_in(&mut self, wall: WallTime) {
        self.world.begin_step(wall);
        for observation in self.inbox.drain(..) {
            self.world.observe(observation);
        }
        for cell in self.world.take_changes() {
            self.store.insert(cell.key(), cell);
        }
    }
}
