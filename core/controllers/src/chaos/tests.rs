mod discovering;
mod proving;
mod refusing;
mod seldom;
mod stopping;
mod turns;
mod watching;

use serde_json::json;
use sloop_model::{
    Arm, DimensionValue, ExperimentKey, Module, ObjectiveId, Outcome, RouteName, Rule, Scope,
    ServiceName, Share, Side, SloName,
};

use super::*;
use crate::{
    ArmCaller, ArmCounts, BreakerReading, BreakerState, Controllers, FilterReading, IntentId,
    ObjectiveCounts, Observation, ScopeCounts, ShadowCounts, SidecarReading, Step,
};

/// Some moment in the past, at the beginning of a lease.
const BEGIN_S: u64 = 1_700_000_000;

fn at(second: u64) -> WallTime {
    WallTime::from_millis((BEGIN_S + second) * 1_000)
}

fn scope(service: &str, route: &str) -> Scope {
    Scope {
        service: ServiceName::try_from(service).unwrap(),
        route: RouteName::try_from(route).unwrap(),
        side: Side::Server,
    }
}

/// Half of payments' requests are aborted; checkout is to hold all the same.
fn experiment() -> serde_json::Value {
    json!({
        "name": "aborts",
        "hypothesis": [{"slo": "orders"}],
        "faults": [{"id": "x", "share": 1_000, "abort_status": 503, "expires_at_ms": 0}],
        "targets": [{"service": "payments", "route": "any", "side": "server"}],
        "control": 1_000,
        "lasting_ms": 120_000,
        "budget": 5_000,
        "schedule": {"at": [at(30)]},
        "seed": 7,
    })
}

fn slo() -> serde_json::Value {
    json!({
        "name": "orders",
        "service": "checkout",
        "mode": "monitored",
        "window": {"rolling": 2_592_000_000_u64},
        "budgeting": "occurrences",
        "objectives": [{
            "target": 900_000_000,
            "source": {"service": "checkout", "route": "any", "side": "server", "indicator": {}},
        }],
    })
}

fn objective(total: u64, bad: u64) -> Vec<ObjectiveCounts> {
    vec![objective_of("orders", total, bad)]
}

fn objective_of(slo: &str, total: u64, bad: u64) -> ObjectiveCounts {
    ObjectiveCounts {
        id: ObjectiveId {
            slo: SloName::try_from(slo).unwrap(),
            index: 0,
        },
        total,
        good: total - bad,
    }
}

/// A control plane that is told, second by second, what one sidecar of checkout saw.
struct Lab {
    controllers: Controllers,
    world: World,
    second: u64,
    /// Seconds that a report is about.
    interval: u64,
    /// Requests in no arm, each second.
    others: u64,
    breaker: Option<BreakerState>,
    /// Whether faults are injected where they are meant to.
    meets: bool,
    /// Attempts beyond the first in the arm of the fault, each second.
    retries: u64,
    /// How many of the other requests are bad, each second.
    failing: u64,
    /// What a breaker, shedding and a deny rule in shadow mode would have kept out each second, each, and the good among them.
    shadow: (u64, u64),
    /// What sidecars say that they run.
    runs: (Module, Option<DimensionValue>),
    /// Who sent the requests of both arms, in turn.
    callers: Vec<&'static str>,
    /// Whether instead there is one caller for each arm.
    one_trace: bool,
    /// SLOs that requests count for; those that are bad are bad for the last of them alone.
    slos: Vec<&'static str>,
    step: Step,
}

impl Lab {
    fn of(experiments: &[serde_json::Value]) -> Self {
        let mut controllers = Controllers::with_all();
        let mut put = |id: &str, kind: &str, body: &serde_json::Value| {
            let id = IntentId(id.to_owned());
            controllers.put(&id, kind, &body.to_string()).unwrap();
        };
        put("SLO/orders", "slo", &slo());
        for body in experiments {
            let name = body["name"].as_str().unwrap();
            put(&format!("ChaosExperiment/{name}"), "chaos", body);
        }
        Self {
            controllers,
            world: World::default(),
            second: 0,
            interval: 1,
            others: 80,
            breaker: None,
            meets: true,
            retries: 0,
            failing: 0,
            shadow: (0, 0),
            runs: (Module::Requests, None),
            callers: Vec::new(),
            one_trace: false,
            slos: vec!["orders"],
            step: Step::default(),
        }
    }

    /// With one more SLO.
    fn with_slo(mut self, name: &'static str) -> Self {
        let mut body = slo();
        body["name"] = json!(name);
        let id = IntentId(format!("SLO/{name}"));
        self.controllers.put(&id, "slo", &body.to_string()).unwrap();
        self.slos.push(name);
        self
    }

    fn objectives(&self, total: u64, bad: u64) -> Vec<ObjectiveCounts> {
        let (last, others) = self.slos.split_last().unwrap();
        let others = others.iter().map(|slo| objective_of(slo, total, 0));
        others.chain([objective_of(last, total, bad)]).collect()
    }

    /// A second without reports.
    fn silent(&mut self) {
        self.second += 1;
        self.world.begin_step(at(self.second));
        self.step = self.controllers.step(&mut self.world);
    }

    /// A second in which `faulted` and `control` (requests, bad ones) ended in the arms of `experiment`, beside the others.
    fn with_arms(&mut self, experiment: &str, faulted: (u64, u64), control: (u64, u64)) {
        let retries = self.retries;
        let senders = |arm| match (self.one_trace, arm) {
            (true, Arm::Fault) => vec!["batch"],
            (true, _) => vec!["web"],
            (false, _) => self.callers.clone(),
        };
        let callers = |arm, (requests, bad): (u64, u64)| {
            let senders: Vec<&str> = senders(arm);
            let count = senders.len() as u64;
            let part = |all: u64, index: u64| all / count + u64::from(index < all % count);
            let sent = (0..).zip(senders).map(|(index, name)| {
                let total = part(requests, index);
                let good = total - part(bad, index);
                ArmCaller {
                    caller: DimensionValue::try_from(name.to_owned()).unwrap(),
                    objectives: vec![(total, good)],
                }
            });
            sent.collect::<Vec<_>>()
        };
        let arm = |arm, (requests, bad)| ArmCounts {
            experiment: ExperimentKey::of(experiment),
            arm,
            requests,
            outcomes: [0; Outcome::ALL.len()],
            objectives: self.objectives(requests, bad),
            latency: vec![(10_000, requests - bad), (2_000_000, bad)],
            retries: if arm == Arm::Fault { retries } else { 0 },
            callers: callers(arm, (requests, bad)),
        };
        let mut arms = Vec::new();
        if 0 < faulted.0 + control.0 {
            arms = vec![arm(Arm::Fault, faulted), arm(Arm::Control, control)];
        }
        let mut target_arms = Vec::new();
        if self.meets && 0 < faulted.0 {
            target_arms = vec![ArmCounts {
                objectives: Vec::new(),
                ..arm(Arm::Fault, (faulted.0, 0))
            }];
        }
        let total = self.others + faulted.0 + control.0;
        let bad = self.failing + faulted.1 + control.1;
        self.second += 1;
        self.world.begin_step(at(self.second));
        self.observe(ScopeCounts {
            requests: total,
            shadow_refused: self.shadow.0,
            shadow_refused_good: self.shadow.1,
            shadows: ShadowCounts {
                shed: self.shadow.0,
                shed_good: self.shadow.1,
                denied: self.shadow.0,
                denied_good: self.shadow.1,
            },
            objectives: self.objectives(total, bad),
            breaker: self.breaker.map(|state| BreakerReading {
                state,
                changes: Vec::new(),
            }),
            arms,
            ..ScopeCounts::nothing(scope("checkout", "order"))
        });
        self.observe(ScopeCounts {
            requests: self.others,
            arms: target_arms,
            ..ScopeCounts::nothing(scope("payments", "charge"))
        });
        // The process moves the clock for reports, and again to decide.
        self.world.begin_step(at(self.second));
        self.step = self.controllers.step(&mut self.world);
    }

    /// A second as one sidecar of a service saw it.
    fn observe(&mut self, counts: ScopeCounts) {
        let service = counts.scope.service.to_string();
        // A report names no scope on which nothing ended.
        let is_nothing = counts.requests == 0 && counts.arms.is_empty();
        let (module, version) = self.runs.clone();
        self.world.observe(Observation {
            node: format!("{service}-1"),
            incarnation: 1,
            sidecar: SidecarReading {
                service,
                filters: vec![FilterReading {
                    side: Side::Server,
                    module,
                    version,
                    is_configured: true,
                }],
            },
            from: at(self.second.saturating_sub(self.interval)),
            at: at(self.second),
            scopes: if is_nothing { Vec::new() } else { vec![counts] },
        });
    }

    /// A second in the life of the experiment `aborts`: its arms have requests while its faults are in force.
    fn second(&mut self, faulted: (u64, u64), control: (u64, u64)) {
        let (faulted, control) = if self.injects() {
            (faulted, control)
        } else {
            ((0, 0), (0, 0))
        };
        self.with_arms("aborts.1", faulted, control);
    }

    fn injects(&self) -> bool {
        let mut policies = self.step.policies.iter();
        policies.any(|policy| matches!(policy.rule, Rule::Fault(_)))
    }

    /// Until faults are injected.
    fn begun(mut self) -> Self {
        while !self.injects() {
            self.second((0, 0), (0, 0));
            assert!(self.second < 90, "{}", self.status().because);
        }
        self
    }

    fn status(&self) -> ExperimentStatus {
        let mut all = self.controllers.experiments(&self.world, |_, _, _| false);
        all.pop().unwrap()
    }

    /// Seconds until faults end, and the verdict.
    fn ends(
        &mut self,
        faulted: (u64, u64),
        control: (u64, u64),
    ) -> (u64, Option<ExperimentVerdict>) {
        let begun = self.second;
        while self.injects() {
            self.second(faulted, control);
        }
        let lasted = self.second - begun;
        for _ in 0..4 {
            self.second((0, 0), (0, 0));
        }
        let status = self.status();
        assert_eq!(status.phase, ExperimentPhase::Over);
        (lasted, status.verdict)
    }
}

fn lab() -> Lab {
    Lab::of(&[experiment()]).begun()
}

fn with(changes: serde_json::Value) -> serde_json::Value {
    let mut body = experiment();
    for (field, value) in changes.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

fn refused(changes: serde_json::Value) -> String {
    let read = serde_json::from_value::<ChaosIntent>(with(changes));
    read.unwrap_err().to_string()
}

use ExperimentVerdict::{Broken, Held, Inconclusive};

#[test]
fn a_harmful_fault_ends_within_seconds_and_the_hypothesis_is_broken() {
    let mut lab = lab();
    let (lasted, verdict) = lab.ends((10, 6), (10, 0));
    assert_eq!(verdict, Some(Broken), "{}", lab.status().because);
    assert!(lasted <= 8, "{lasted} s");
    let status = lab.status();
    let compared = &status.comparisons[0];
    assert!(compared.interval.low > 0.1, "{compared:?}");
    assert!(20.0 <= compared.evidence_broken);
    assert_eq!(compared.verdict, Some(Broken));
    assert_eq!(status.routes[0].scope, "checkout order (server)");
    assert!(status.budgets[0].spent >= 6);
}

#[test]
fn a_harmless_fault_ends_when_that_is_sure_and_the_hypothesis_is_held() {
    let mut lab = lab();
    let (lasted, verdict) = lab.ends((10, 0), (10, 0));
    assert_eq!(verdict, Some(Held), "{}", lab.status().because);
    assert!(lasted < 60, "{lasted} s");
    assert!(lab.status().comparisons[0].interval.high <= 0.13);
    assert!(lab.status().routes.is_empty());
}

#[test]
fn what_is_neither_is_inconclusive_and_says_what_would_decide_it() {
    let mut body = with(json!({"lasting_ms": 60_000}));
    body["hypothesis"][0]["tolerance"] = json!(1_000);
    let mut lab = Lab::of(&[body]).begun();
    // Exactly the tolerance: nothing is ever sure, but by chance.
    let (lasted, verdict) = lab.ends((10, 1), (10, 0));
    assert_eq!((lasted, verdict), (60, Some(Inconclusive)));
    let needed = lab.status().comparisons[0].needed;
    assert_eq!(needed, None, "no number of requests decides that");
    let mut body = with(json!({"lasting_ms": 60_000}));
    body["hypothesis"][0]["tolerance"] = json!(1_200);
    let mut lab = Lab::of(&[body]).begun();
    let (_, verdict) = lab.ends((10, 1), (10, 0));
    assert_eq!(verdict, Some(Inconclusive), "{}", lab.status().because);
    // 10 % against 12 %: two in a hundred take thousands, of which there were 600.
    let needed = lab.status().comparisons[0].needed.unwrap();
    assert!((1_000.0..20_000.0).contains(&needed), "{needed}");
}

#[test]
fn it_does_not_begin_before_its_objective_is_known_and_gives_up_after_a_minute() {
    let mut lab = Lab::of(&[experiment()]);
    for _ in 0..50 {
        lab.silent();
        assert!(!lab.injects());
    }
    assert!(lab.status().because.contains("nobody reported"));
    let mut lab = lab.begun();
    assert_eq!(lab.status().phase, ExperimentPhase::Running);
    lab.ends((10, 0), (10, 0));

    let mut lab = Lab::of(&[experiment()]);
    for _ in 0..95 {
        lab.silent();
    }
    assert_eq!(lab.status().verdict, Some(Inconclusive));
    assert!(lab.status().because.contains("it did not begin"));
    assert_eq!(lab.status().started_at, None);
}

#[test]
fn it_does_not_begin_when_there_is_no_traffic_for_the_sample() {
    let mut lab = Lab::of(&[with(json!({
        "lasting_ms": 5_000,
        "hypothesis": [{"slo": "orders", "tolerance": 10}],
    }))]);
    for _ in 0..95 {
        lab.second((0, 0), (0, 0));
        assert!(!lab.injects());
    }
    let because = lab.status().because;
    assert!(because.contains("give it more time"), "{because}");
}

#[test]
fn an_open_breaker_ends_it_within_a_step_and_keeps_it_from_beginning() {
    let mut lab = lab();
    lab.breaker = Some(BreakerState::Open);
    lab.second((10, 0), (10, 0));
    assert!(!lab.injects());
    assert!(
        lab.status().because.contains("a breaker"),
        "{}",
        lab.status().because
    );

    let mut lab = Lab::of(&[experiment()]);
    lab.breaker = Some(BreakerState::Probing);
    for _ in 0..95 {
        lab.second((0, 0), (0, 0));
        assert!(!lab.injects());
    }
    assert_eq!(lab.status().verdict, Some(Inconclusive));
}

#[test]
fn a_burning_objective_ends_it_unless_that_was_allowed() {
    let mut lab = lab();
    for _ in 0..3 {
        lab.second((10, 0), (10, 0));
    }
    // Both arms: the fault is not to blame, and faults must end all the same.
    for _ in 0..60 {
        lab.second((10, 9), (10, 9));
    }
    assert!(!lab.injects());
    let told = &lab.status().events[1].what;
    assert!(told.contains("burns") || told.contains("budget"), "{told}");
}

#[test]
fn it_never_spends_more_than_its_budget_and_a_second() {
    let mut lab = Lab::of(&[with(json!({"budget": 100, "ends": "at_its_time",
        "hypothesis": [{"slo": "orders", "tolerance": 9_000}]}))])
    .begun();
    let (_, verdict) = lab.ends((10, 2), (10, 0));
    let status = lab.status();
    let budget = &status.budgets[0];
    assert!(budget.spent as f64 <= budget.cap + 2.0, "{budget:?}");
    assert!(
        status.events[1].what.contains("its budget is spent"),
        "{:?}",
        status.events
    );
    assert_ne!(verdict, Some(Broken));
}

#[test]
fn it_ends_when_somebody_stops_it_and_when_nothing_is_heard_of_its_arms() {
    let mut lab = lab();
    let id = IntentId("ChaosExperiment/aborts".to_owned());
    let stopped = with(json!({"stopped_at": at(lab.second).as_millis()})).to_string();
    lab.controllers.put(&id, "chaos", &stopped).unwrap();
    lab.second((10, 0), (10, 0));
    assert!(!lab.injects());
    assert!(lab.status().because.contains("somebody stopped it"));

    let mut lab = Lab::of(&[experiment()]).begun();
    let begun = lab.second;
    while lab.injects() {
        lab.with_arms("aborts.1", (0, 0), (0, 0));
    }
    assert!(lab.second - begun <= 12);
    assert!(lab.status().because.contains("not enough is known"));
}

#[test]
fn two_experiments_never_go_on_together() {
    let other = with(json!({"name": "delays"}));
    let mut lab = Lab::of(&[experiment(), other]);
    for _ in 0..40 {
        lab.second((10, 0), (10, 0));
    }
    let running = |lab: &Lab| {
        let all = lab.controllers.experiments(&lab.world, |_, _, _| false);
        let running = all
            .iter()
            .filter(|one| one.phase == ExperimentPhase::Running);
        running.map(|one| one.name.clone()).collect::<Vec<_>>()
    };
    assert!(running(&lab).len() <= 1, "{:?}", running(&lab));
}

#[test]
fn faults_end_at_most_four_seconds_after_the_last_word() {
    let mut lab = lab();
    for _ in 0..10 {
        let now = at(lab.second);
        for policy in &lab.step.policies {
            if let Rule::Fault(fault) = &policy.rule {
                let left = fault.expires_at().since(now);
                assert!(Duration::from_secs(2) <= left && left <= Duration::from_secs(4));
            }
        }
        assert!(lab.step.wake_at.unwrap() <= now.after(Duration::from_secs(1)));
        lab.second((10, 0), (10, 0));
    }
}

#[test]
fn faults_are_on_the_target_and_the_same_arms_are_counted_where_it_is_judged() {
    let lab = lab();
    let faults: Vec<_> = lab
        .step
        .policies
        .iter()
        .filter_map(|policy| {
            let Rule::Fault(fault) = &policy.rule else {
                return None;
            };
            Some((policy.scope.to_string(), fault.clone()))
        })
        .collect();
    let [(watched, counting), (target, injecting)] = &faults[..] else {
        panic!("{faults:?}")
    };
    assert_eq!(
        (watched.as_str(), target.as_str()),
        ("checkout * (server)", "payments * (server)")
    );
    assert!(counting.effect().is_nothing() && !injecting.effect().is_nothing());
    assert_eq!(
        (counting.key(), counting.seed(), counting.shares()),
        (injecting.key(), injecting.seed(), injecting.shares())
    );
}

#[test]
fn the_same_seed_chooses_the_same_services_and_another_one_others() {
    let of = |seed: u64| {
        let targets: Vec<_> = (0..20)
            .map(
                |number| json!({"service": format!("s{number}"), "route": "any", "side": "server"}),
            )
            .collect();
        let body = with(json!({"seed": seed, "choose": 2, "targets": targets}));
        let intent: ChaosIntent = serde_json::from_value(body).unwrap();
        let chosen = targets::chosen(intent.spec());
        chosen
            .iter()
            .map(|one| one.service.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(of(1), of(1));
    assert_eq!(of(1).len(), 2);
    let different = (0..50).map(of).collect::<std::collections::BTreeSet<_>>();
    assert!(20 < different.len(), "{}", different.len());
}

#[test]
fn a_run_happens_once_also_over_a_restart() {
    let mut lab = Lab::of(&[with(json!({"schedule": "once"}))]).begun();
    lab.ends((10, 0), (10, 0));
    for _ in 0..100 {
        lab.second((0, 0), (0, 0));
        assert!(!lab.injects());
    }
    let mut lab = Lab::of(&[with(json!({"schedule": "once", "ran_at": at(0)}))]);
    for _ in 0..40 {
        lab.second((0, 0), (0, 0));
        assert!(!lab.injects());
    }
}

#[test]
fn a_run_is_due_at_its_moments_and_when_asked_for() {
    let spec = |schedule: serde_json::Value, asked: Option<u64>| {
        let asked = asked.map(|second| at(second).as_millis());
        let body = with(json!({"schedule": schedule, "asked_at": asked}));
        serde_json::from_value::<ChaosIntent>(body)
            .unwrap()
            .spec()
            .clone()
    };
    let days = spec(json!({"at": [at(100), at(200)]}), None);
    for (before, now, expected) in [
        (None, 99, None),
        (None, 100, Some(100)),
        (Some(100), 130, None),
        (Some(100), 200, Some(200)),
        (None, 161, None),
        (None, 261, None),
    ] {
        let found = due(&days, before.map(at), at(now));
        assert_eq!(found, expected.map(at), "{before:?} {now}");
    }
    assert_eq!(next(&days, Some(at(100)), at(150)), Some(at(200)));
    assert_eq!(next(&days, None, at(200)), None);
    let asked = spec(json!("asked"), Some(50));
    assert_eq!(due(&asked, None, at(49)), None, "a clock that is ahead");
    assert_eq!(due(&asked, None, at(50)), Some(at(50)));
    assert_eq!(due(&asked, Some(at(50)), at(51)), None);
    let just_before = WallTime::from_millis(at(50).as_millis() - 1);
    assert_eq!(due(&asked, Some(just_before), at(7)), Some(at(50)));
    assert_eq!(due(&asked, Some(at(49)), at(7)), None);
    assert_eq!(due(&spec(json!("asked"), None), None, at(51)), None);
    assert_eq!(
        due(&spec(json!("once"), Some(50)), Some(at(1)), at(51)),
        Some(at(50))
    );
}

#[test]
fn what_cannot_work_is_refused_with_field_and_bound() {
    for (changes, words) in [
        (
            json!({"hypothesis": []}),
            "hypothesis has 0; it must have from 1 to 8",
        ),
        (
            json!({"lasting_ms": 4_999}),
            "lasting_ms has 4999; it must have from 5000",
        ),
        (json!({"control": 0}), "control has 0"),
        (
            json!({"control": 9_500}),
            "faults[0]: share and control are 1000 and 9500",
        ),
        (json!({"budget": 0}), "budget has 0"),
        (
            json!({"faults": [{"id": "x", "share": 5_001, "reset": true, "expires_at_ms": 0}]}),
            "faults touch 5001 ten-thousandths of requests; together they must touch at most 5000",
        ),
        (
            json!({"faults": [{"id": "x", "share": 0, "reset": true, "expires_at_ms": 0}]}),
            "faults[0].share is 0",
        ),
        (
            json!({"faults": [{"id": "x", "share": 1, "control": 1, "expires_at_ms": 0}]}),
            "faults[0] does nothing",
        ),
        (
            json!({"faults": [{"id": "x", "share": 1, "by_header": true, "expires_at_ms": 0}]}),
            "faults[0].by_header is true; in an experiment it must be left out",
        ),
        (json!({"schedule": {"at": []}}), "schedule has 0"),
        (json!({"nonsense": 1}), "unknown field"),
    ] {
        let refusal = refused(changes);
        assert!(refusal.contains(words), "{refusal}");
    }
    assert_eq!(
        u16::from(ChaosIntent::BLAST_MAX),
        u16::from(Share::HALF),
        "half of all requests is an outage"
    );
}
