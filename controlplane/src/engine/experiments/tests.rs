use serde_json::json;

use super::*;
use crate::engine::Documents;
use crate::store::InMemory;

const NOW: WallTime = WallTime::from_millis(1_767_225_600_000);

fn intent() -> ChaosIntent {
    let body = json!({
        "name": "aborts",
        "hypothesis": [{"slo": "orders"}],
        "faults": [{"id": "x", "share": 1_000, "abort_status": 503, "expires_at_ms": 0}],
        "targets": [{"service": "payments", "route": "any", "side": "server"}],
        "control": 1_000,
        "lasting_ms": 120_000,
        "budget": 5_000,
        "schedule": "asked",
    });
    serde_json::from_value(body).unwrap()
}

fn later(seconds: u64) -> WallTime {
    NOW.after(std::time::Duration::from_secs(seconds))
}

struct Process {
    store: InMemory,
    engine: Engine,
}

impl Process {
    fn begin() -> Self {
        let store = InMemory::default();
        let engine = Engine::restore(&store).unwrap();
        Self { store, engine }
    }

    fn step(&mut self, now: WallTime) {
        self.engine.step(now);
        self.store.commit(&self.engine.changes()).unwrap();
    }

    fn restart(&mut self) {
        self.engine = Engine::restore(&self.store).unwrap();
        self.engine.set_documents(Documents::default(), NOW);
    }

    fn phase(&self) -> Option<ExperimentPhase> {
        self.engine.experiment("aborts", None).map(|run| run.phase)
    }
}

#[test]
fn what_was_asked_for_runs_until_it_is_stopped() {
    let mut process = Process::begin();
    process.step(NOW);
    assert_eq!(process.phase(), None);
    process
        .engine
        .run_experiments(vec![intent()], Order::Run, NOW)
        .unwrap();
    process.step(NOW);
    assert_eq!(process.phase(), Some(ExperimentPhase::Preflight));
    let again = process
        .engine
        .run_experiments(vec![intent()], Order::Run, NOW);
    assert_eq!(again, Err(NotAsked::Runs("aborts".to_owned())));

    process.engine.stop_experiment("aborts", later(1)).unwrap();
    process.step(later(1));
    assert_eq!(process.phase(), Some(ExperimentPhase::Over));
    let again = process.engine.stop_experiment("aborts", later(2));
    assert_eq!(again, Err(NotAsked::DoesNotRun("aborts".to_owned())));

    process
        .engine
        .run_declared_experiment("aborts", Order::Run, later(3))
        .unwrap();
    process.step(later(3));
    assert_eq!(process.phase(), Some(ExperimentPhase::Preflight));
    assert_eq!(process.engine.experiments().len(), 2);
    let unknown = process
        .engine
        .run_declared_experiment("delays", Order::Run, NOW);
    assert_eq!(unknown, Err(NotAsked::Unknown("delays".to_owned())));
}

#[test]
fn what_is_tried_is_soon_over_and_runs_when_somebody_asks_for_that() {
    let mut process = Process::begin();
    let tried = process
        .engine
        .run_experiments(vec![intent()], Order::Try, NOW);
    assert_eq!(tried, Ok(vec![NOW]));
    process.step(NOW);
    process.step(later(4));
    assert_eq!(process.phase(), Some(ExperimentPhase::Over));
    let because = process.engine.experiment("aborts", None).unwrap().because;
    assert!(because.starts_with("it would not begin: "), "{because}");
    process.restart();
    process.step(later(5));
    assert_eq!(process.engine.experiments().len(), 1);

    let asked = process
        .engine
        .run_declared_experiment("aborts", Order::Run, later(6));
    assert_eq!(asked, Ok(later(6)));
    process.step(later(6));
    process.step(later(12));
    assert_eq!(process.phase(), Some(ExperimentPhase::Preflight));
}

/// An experiment with a schedule.
fn scheduled(schedule: serde_json::Value) -> ChaosIntent {
    let mut spec = serde_json::to_value(intent().spec()).unwrap();
    spec["schedule"] = schedule;
    serde_json::from_value(spec).unwrap()
}

/// A file that is handed in is in no folder: nothing lists its schedule or takes it away, and it would begin when nobody
/// thinks of it any more.
#[test]
fn what_is_handed_in_leaves_no_schedule_behind() {
    for order in [Order::Run, Order::Try] {
        for schedule in [json!("once"), json!({"at": [later(200)]})] {
            let mut process = Process::begin();
            process
                .engine
                .run_experiments(vec![scheduled(schedule)], order, NOW)
                .unwrap();
            for second in [1, 5, 62, 200, 201, 230] {
                process.step(later(second));
                if second == 62 {
                    process.restart();
                }
            }
            let runs = process.engine.experiments();
            assert_eq!(runs.len(), 1, "{runs:?}");
            let because = &runs[0].because;
            let words = match order {
                Order::Run => "it did not begin: ",
                Order::Try => "it would not begin: ",
            };
            assert!(because.starts_with(words), "{because}");
        }
    }
}

/// Stores of before have schedules of what was handed in.
#[test]
fn a_schedule_that_was_stored_with_what_was_handed_in_is_left_out() {
    let mut process = Process::begin();
    let schedule = json!({"at": [later(200)]});
    process
        .engine
        .run_experiments(vec![intent()], Order::Run, NOW)
        .unwrap();
    process.step(NOW);
    let mut asked = process.engine.chaos.asked["aborts"].clone();
    asked.intent = Some(scheduled(schedule));
    let mut batch = Batch::default();
    put(&mut batch, &format!("{ASKED}aborts"), &asked);
    process.store.commit(&batch).unwrap();
    process.restart();
    process.step(later(201));
    assert_eq!(process.engine.experiments().len(), 1);
}

#[test]
fn a_run_that_a_restart_interrupts_is_over_and_not_begun_again() {
    let mut process = Process::begin();
    process
        .engine
        .run_experiments(vec![intent()], Order::Run, NOW)
        .unwrap();
    process.step(NOW);
    process.restart();
    assert_eq!(process.phase(), Some(ExperimentPhase::Over));
    let run = process.engine.experiment("aborts", Some(NOW)).unwrap();
    assert_eq!(run.verdict, Some(ExperimentVerdict::Inconclusive));
    assert!(run.because.contains("interrupted"));
    process.step(later(1));
    assert_eq!(process.engine.experiments().len(), 1);
    process.restart();
    assert_eq!(process.engine.experiments()[0].events.len(), 1, "said once");
    process
        .engine
        .run_declared_experiment("aborts", Order::Run, later(5))
        .unwrap();
    process.step(later(5));
    assert_eq!(
        process.engine.experiments().len(),
        2,
        "another run is another run"
    );
}

#[test]
fn a_document_in_the_folder_is_run_by_its_name_only() {
    let mut process = Process::begin();
    let declared = serde_json::to_string(&intent()).unwrap();
    let documents = Documents {
        intents: BTreeMap::from([(id("aborts"), (Chaos::KIND, declared))]),
        ..Documents::default()
    };
    process.engine.set_documents(documents.clone(), NOW);
    let both = process
        .engine
        .run_experiments(vec![intent()], Order::Run, NOW);
    assert_eq!(both, Err(NotAsked::Declared("aborts".to_owned())));
    process
        .engine
        .run_declared_experiment("aborts", Order::Run, NOW)
        .unwrap();
    // The folder is read again.
    process.engine.set_documents(documents, NOW);
    process.step(NOW);
    assert_eq!(process.phase(), Some(ExperimentPhase::Preflight));
}

/// What is seen of a run is worked out when its phase changes, when somebody asks, and before it is withdrawn.
#[test]
fn a_run_that_goes_on_is_seen_as_it_stands_and_is_over_once_it_was_withdrawn() {
    let mut process = Process::begin();
    let declared = serde_json::to_string(&intent()).unwrap();
    let mut documents = Documents {
        intents: BTreeMap::from([(id("aborts"), (Chaos::KIND, declared))]),
        ..Documents::default()
    };
    let engine = &mut process.engine;
    engine.set_documents(documents.clone(), NOW);
    engine
        .run_declared_experiment("aborts", Order::Run, NOW)
        .unwrap();
    process.step(NOW);
    let because = |process: &Process| process.engine.experiment("aborts", None).unwrap().because;
    let first = because(&process);
    assert!(first.contains("is not there"), "{first}");

    let slo = json!({
        "name": "orders", "service": "checkout", "mode": "monitored",
        "window": {"rolling": 2_592_000_000_u64}, "budgeting": "occurrences",
        "objectives": [{"target": 900_000_000,
            "source": {"service": "checkout", "route": "any", "side": "server", "indicator": {}}}],
    });
    let slo = (sloop_controllers::Slo::KIND, slo.to_string());
    let slo_id = IntentId("SLO/orders".to_owned());
    documents.intents.insert(slo_id, slo);
    process.engine.set_documents(documents, later(1));
    process.step(later(1));
    let second = because(&process);
    assert!(second.contains("nobody reported"), "{second}");
    assert_eq!(process.engine.experiments()[0].because, second);
    let mut kept = process.engine.chaos.runs.values();
    assert_eq!(kept.next().unwrap().because, first, "nobody asked for more");

    process.engine.set_documents(Documents::default(), later(2));
    let over = process.engine.experiment("aborts", None).unwrap();
    assert_eq!(over.phase, ExperimentPhase::Over);
    assert_eq!(over.verdict, Some(ExperimentVerdict::Inconclusive));
    assert_eq!(over.because, WITHDRAWN);
}

#[test]
fn what_was_withdrawn_runs_again_when_somebody_asks_and_not_before() {
    let mut process = Process::begin();
    let declared = serde_json::to_string(&intent()).unwrap();
    let documents = Documents {
        intents: BTreeMap::from([(id("aborts"), (Chaos::KIND, declared))]),
        ..Documents::default()
    };
    let engine = &mut process.engine;
    engine.set_documents(documents.clone(), NOW);
    engine
        .run_declared_experiment("aborts", Order::Run, NOW)
        .unwrap();
    process.step(NOW);
    process.engine.set_documents(Documents::default(), later(1));
    process.step(later(1));
    process.engine.set_documents(documents, later(2));
    process.step(later(2));
    let is_over = |run: &ExperimentStatus| run.phase == ExperimentPhase::Over;
    assert!(process.engine.experiments().iter().all(is_over));

    let again = process
        .engine
        .run_declared_experiment("aborts", Order::Run, later(3));
    again.unwrap();
    process.step(later(3));
    let runs = process.engine.experiments();
    assert_eq!(runs.len(), 2);
    assert!(!is_over(&runs[0]) && is_over(&runs[1]));
}

#[test]
fn of_several_all_are_asked_for_or_none() {
    let mut process = Process::begin();
    let other = |name: &str| {
        let text = serde_json::to_string(&intent()).unwrap();
        serde_json::from_str::<ChaosIntent>(&text.replace("aborts", name)).unwrap()
    };
    let engine = &mut process.engine;
    engine
        .run_experiments(vec![other("second")], Order::Run, NOW)
        .unwrap();
    engine.step(NOW);
    let both = engine.run_experiments(vec![other("first"), other("second")], Order::Run, NOW);
    assert_eq!(both, Err(NotAsked::Runs("second".to_owned())));
    process.step(NOW);
    assert!(process.engine.experiment("first", None).is_none());
}

#[test]
fn old_runs_make_room() {
    let mut process = Process::begin();
    process
        .engine
        .run_experiments(vec![intent()], Order::Run, NOW)
        .unwrap();
    process.step(NOW);
    let run = process.engine.experiment("aborts", None).unwrap();
    let runs = (0..RUNS_MAX as u64 + 5).map(|second| ExperimentStatus {
        due_at: later(second),
        ..run.clone()
    });
    process.engine.chaos.keep(runs.collect());
    process.store.commit(&process.engine.changes()).unwrap();
    assert_eq!(process.engine.experiments().len(), RUNS_MAX);
    assert_eq!(process.store.list(RUN.as_bytes()).unwrap().len(), RUNS_MAX);
}

/// That it ran is all that keeps an experiment that is to run once from running again after a restart.
#[test]
fn the_newest_run_of_a_name_does_not_make_room_for_many_of_another() {
    let mut process = Process::begin();
    process
        .engine
        .run_experiments(vec![intent()], Order::Run, NOW)
        .unwrap();
    process.step(NOW);
    let once = process.engine.experiment("aborts", None).unwrap();
    let hourly = (1..RUNS_MAX as u64 + 5).map(|second| ExperimentStatus {
        name: "hourly".to_owned(),
        due_at: later(second),
        ..once.clone()
    });
    process.engine.chaos.keep(hourly.collect());
    assert_eq!(process.engine.experiments().len(), RUNS_MAX);
    assert!(process.engine.experiment("aborts", None).is_some());
}

/// An experiment on two of six services, run now and again after half a year and a restart, as the store has them.
#[test]
fn a_run_of_months_ago_is_there_beside_a_new_one_with_the_same_targets_and_arms() {
    const HALF_A_YEAR_S: u64 = 182 * 86_400;
    let targets: Vec<_> = (0..6)
        .map(|number| json!({"service": format!("s{number}"), "route": "any", "side": "server"}))
        .collect();
    let seeded = |seed: u64| {
        let mut body = serde_json::to_value(intent()).unwrap();
        body["targets"] = json!(targets);
        body["choose"] = json!(2);
        body["seed"] = json!(seed);
        serde_json::from_value::<ChaosIntent>(body).unwrap()
    };
    let mut process = Process::begin();
    let run = |process: &mut Process, seed: u64, at: WallTime| {
        let engine = &mut process.engine;
        engine
            .run_experiments(vec![seeded(seed)], Order::Run, at)
            .unwrap();
        process.step(at);
        let stopped = at.after(std::time::Duration::from_secs(1));
        process.engine.stop_experiment("aborts", stopped).unwrap();
        process.step(stopped);
        process.restart();
    };
    run(&mut process, 7, NOW);
    run(&mut process, 7, later(HALF_A_YEAR_S));
    run(&mut process, 8, later(HALF_A_YEAR_S + 60));
    let at = |seconds| process.engine.experiment("aborts", Some(later(seconds)));
    let [old, new, other] = [0, HALF_A_YEAR_S, HALF_A_YEAR_S + 60].map(|due| at(due).unwrap());
    let chosen = |run: &ExperimentStatus| (run.seed, run.targets.clone(), run.faults.clone());
    assert_eq!(chosen(&old), chosen(&new));
    assert_eq!(old.targets.len(), 2);
    assert_ne!(old.faults[0].seed, other.faults[0].seed, "other arms");
    assert_eq!(process.engine.experiments().len(), 3);
}

#[test]
fn what_was_asked_for_a_moment_ago_is_not_asked_for_again() {
    let mut process = Process::begin();
    let runs = Err(NotAsked::Runs("aborts".to_owned()));
    let engine = &mut process.engine;
    let asked = engine.run_experiments(vec![intent()], Order::Run, NOW);
    assert_eq!(asked, Ok(vec![NOW]));
    let mut other = serde_json::to_value(intent().spec()).unwrap();
    other["seed"] = json!(8);
    let other = || vec![serde_json::from_value(other.clone()).unwrap()];
    assert_eq!(
        engine.run_experiments(other(), Order::Run, NOW),
        runs.clone()
    );
    let by_name = engine.run_declared_experiment("aborts", Order::Try, later(1));
    assert_eq!(by_name, runs.map(|_: Vec<WallTime>| NOW));
    process.step(later(2));
    assert_eq!(
        process.engine.experiment("aborts", Some(NOW)).unwrap().seed,
        0
    );

    // Of what never came somebody else need not wait for ever.
    let mut process = Process::begin();
    let engine = &mut process.engine;
    for second in [0, 60] {
        let asked = engine.run_experiments(other(), Order::Run, later(second));
        assert_eq!(asked, Ok(vec![later(second)]));
    }
}

#[test]
fn what_ran_once_does_not_run_again_when_its_document_comes_back() {
    let mut process = Process::begin();
    let declared = serde_json::to_string(&scheduled(json!("once"))).unwrap();
    let documents = Documents {
        intents: BTreeMap::from([(id("aborts"), (Chaos::KIND, declared))]),
        ..Documents::default()
    };
    process.engine.set_documents(documents.clone(), NOW);
    process.step(NOW);
    process.step(later(61));
    assert_eq!(process.phase(), Some(ExperimentPhase::Over));
    process
        .engine
        .set_documents(Documents::default(), later(62));
    process.step(later(62));
    process.engine.set_documents(documents, later(63));
    process.step(later(63));
    assert_eq!(process.engine.experiments().len(), 1);
}

#[test]
fn a_run_is_stopped_and_asked_for_again_after_the_clock_stepped_back() {
    let mut process = Process::begin();
    let engine = &mut process.engine;
    engine
        .run_experiments(vec![intent()], Order::Run, later(600))
        .unwrap();
    process.step(later(600));
    assert_eq!(process.phase(), Some(ExperimentPhase::Preflight));
    process.step(NOW);
    process.engine.stop_experiment("aborts", NOW).unwrap();
    process.step(later(1));
    assert_eq!(process.phase(), Some(ExperimentPhase::Over));

    let again = process
        .engine
        .run_declared_experiment("aborts", Order::Run, later(2));
    let due_at = later(600).after(std::time::Duration::from_millis(1));
    assert_eq!(again, Ok(due_at));
    process.step(later(2));
    let run = process.engine.experiment("aborts", Some(due_at)).unwrap();
    assert_eq!(run.phase, ExperimentPhase::Preflight);
}
