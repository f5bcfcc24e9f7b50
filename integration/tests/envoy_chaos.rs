//! An experiment on a shop behind real Envoys: arms over three hops, a stop, a budget, and a control plane that dies.
#![cfg(feature = "envoy")]
#![allow(missing_docs, reason = "tests")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::panic,
    clippy::print_stdout,
    reason = "a broken promise shall fail the test"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sloop_controllers::{ExperimentPhase, ExperimentStatus};
use sloop_dataplane::fault::arm_of;
use sloop_integration::demo::chaos::{Asked, DOCUMENTS, Users, truths};
use sloop_integration::demo::{Programs, Stage};
use sloop_integration::eventually::eventually;
use sloop_model::{Arm, ArmShares};

const ABORTS: &str = "
apiVersion: sloop.dev/v1
kind: ChaosExperiment
metadata: {name: aborts}
spec:
  hypothesis: [{slo: orders, tolerance: 90%}]
  targets: [{service: payments, route: charge}]
  faults: [{share: 10%, abort_status: 503}]
  control: 20%
  duration: 2m
  budget: 100%
  abort: {burning: never}
  ends: at_its_time
  seed: 11
";
/// As [`ABORTS`], with a budget that is spent within seconds.
const CAPPED: &str = "
apiVersion: sloop.dev/v1
kind: ChaosExperiment
metadata: {name: capped}
spec:
  hypothesis: [{slo: orders, tolerance: 90%}]
  targets: [{service: payments, route: charge}]
  faults: [{share: 10%, abort_status: 503}]
  control: 20%
  duration: 2m
  budget: 5%
  abort: {burning: never}
  ends: at_its_time
  seed: 13
";
/// Bad requests that may come on top of a budget: those of five seconds, at four a second in the arm of the fault, and as many again by chance.
const BEYOND_MAX: f64 = 40.0;
/// On a machine that has other work to do.
const SOON: Duration = Duration::from_secs(60);
/// A push is in force everywhere within this, also then.
const PUSHED_MS: u64 = 3_000;
/// The lease of an experiment, and the order that is under way.
const GONE_MS: u64 = 5_000;
/// An order to stop is in force in every filter within this, on a machine that does not stand still meanwhile.
const STOPPED_MS: u64 = 2_000;
/// Between two looks at how long the machine stands still.
const TICK: Duration = Duration::from_millis(10);

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

async fn until(stage: &Stage, name: &str, phase: ExperimentPhase) -> ExperimentStatus {
    let run = async || stage.admin.experiment(name).await.ok();
    let is_there = async || run().await.filter(|run| run.phase == phase);
    let found = eventually(SOON, "the phase of the experiment", is_there).await;
    match found {
        Ok(run) => run,
        Err(error) => panic!("{error:#}: {:?}", run().await),
    }
}

/// A dry run of [`ABORTS`] that finds nothing in its way: one waits for trouble that is over soon less long than a run does.
async fn foreseen(stage: &Stage) -> ExperimentStatus {
    let tried = async || {
        let path = "/v1/experiments?dry_run=true";
        stage.admin.order(path, ABORTS).await.ok()?;
        let run = until(stage, "aborts", ExperimentPhase::Over).await;
        run.plan.is_some().then_some(run)
    };
    let found = eventually(SOON, "a dry run that would begin", tried).await;
    found.unwrap()
}

/// It says what a run would take, and nobody met a fault.
fn check_trial(run: &ExperimentStatus) {
    println!("{}", run.because);
    assert!(
        run.because.starts_with("it would begin: "),
        "{}",
        run.because
    );
    let plan = run.plan.unwrap();
    assert!(10.0 < plan.rate && 0.0 < plan.spent_max, "{plan:?}");
    assert_eq!((run.started_at, run.faults[0].met), (None, 0));
}

/// Adds to `all` what ended, until `is_enough`.
async fn gather(users: &Users, all: &mut Vec<Asked>, is_enough: impl Fn(&[Asked]) -> bool) {
    let asked = users.asked();
    let begun = Instant::now();
    while !is_enough(all) {
        assert!(begun.elapsed() < SOON, "too few of {} orders", all.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
        all.extend(asked.taken());
    }
}

fn failed_after(all: &[Asked], at_ms: u64) -> usize {
    let later = all.iter().filter(|one| one.has_failed && at_ms < one.at_ms);
    later.count()
}

/// How long after `at_ms` the last order was sent that met the fault; it must be `within_ms`. A machine that is too busy fails orders by
/// itself, also in the arm of the fault: one long after is allowed.
fn lasted_ms(run: &ExperimentStatus, all: &[Asked], at_ms: u64, within_ms: u64) -> u64 {
    let fault = &run.faults[0];
    let shares = ArmShares::parse(fault.share, fault.control).unwrap();
    let has_met =
        |one: &&Asked| one.has_failed && arm_of(one.trace, fault.seed, shares) == Arm::Fault;
    let met = all.iter().filter(has_met).map(|one| one.at_ms);
    let (late, in_time): (Vec<u64>, Vec<u64>) = met.partition(|met| at_ms + within_ms < *met);
    assert!(
        late.len() <= 1,
        "{late:?} met the fault more than {within_ms} ms after {at_ms}"
    );
    in_time
        .into_iter()
        .max()
        .unwrap_or_default()
        .saturating_sub(at_ms)
}

/// For how long the machine stood still for this program in `during`, all together: what sleeps took longer than they were to. Control plane
/// and Envoys share its processors, so they stood still for about as long.
async fn stood_still(during: Duration) -> Duration {
    let begun = Instant::now();
    let mut still = Duration::ZERO;
    while begun.elapsed() < during {
        let slept = Instant::now();
        tokio::time::sleep(TICK).await;
        still += slept.elapsed().saturating_sub(2 * TICK);
    }
    still
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn arms_stick_over_three_hops_a_stop_is_quick_and_nothing_outlives_the_control_plane() {
    let programs = Programs {
        own: env!("CARGO_BIN_EXE_demo").into(),
        ..Programs::find().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::start_with(DOCUMENTS, &programs, folder.path())
        .await
        .unwrap();
    let users = Users::new(stage.entry, 40.0, Duration::from_secs(360), 5).unwrap();
    let story = async {
        let mut all = Vec::new();
        gather(&users, &mut all, |all| 400 <= all.len()).await;
        assert!(
            failed_after(&all, 0) <= all.len() / 50,
            "the shop is not well"
        );

        check_trial(&foreseen(&stage).await);
        stage.admin.order("/v1/experiments", ABORTS).await.unwrap();
        until(&stage, "aborts", ExperimentPhase::Running).await;
        gather(&users, &mut all, |all| 30 <= failed_after(all, 0)).await;
        let stopped_ms = now_ms();
        let watching = tokio::spawn(stood_still(Duration::from_millis(STOPPED_MS)));
        stage
            .admin
            .order("/v1/experiments/aborts/stop", "")
            .await
            .unwrap();
        let over = until(&stage, "aborts", ExperimentPhase::Over).await;
        check_arms(&over, &all, stopped_ms);
        // Users whose orders began before the stop still wait for them.
        let end_ms = stopped_ms + 8_000;
        gather(&users, &mut all, |all| {
            all.iter().any(|one| end_ms < one.at_ms)
        })
        .await;
        let still_ms = u64::try_from(watching.await.unwrap().as_millis()).unwrap();
        let lasted = lasted_ms(&over, &all, stopped_ms, STOPPED_MS + still_ms);
        println!(
            "faults were gone {lasted} ms after the order to stop; the machine stood still for {still_ms} ms"
        );

        stage.admin.order("/v1/experiments", CAPPED).await.unwrap();
        check_budget(&until(&stage, "capped", ExperimentPhase::Over).await);

        stage
            .admin
            .order("/v1/experiments/aborts/run", "")
            .await
            .unwrap();
        until(&stage, "aborts", ExperimentPhase::Running).await;
        let again_ms = now_ms();
        gather(&users, &mut all, |all| 5 <= failed_after(all, again_ms)).await;
        stage.kill_control_plane();
        let killed_ms = now_ms();
        let end_ms = killed_ms + 10_000;
        gather(&users, &mut all, |all| {
            all.iter().any(|one| end_ms < one.at_ms)
        })
        .await;
        let lasted = lasted_ms(&over, &all, killed_ms, GONE_MS);
        println!("faults were gone {lasted} ms after the control plane was killed");
    };
    tokio::select! {
        () = story => {}
        () = users.run(Instant::now()) => panic!("users went home too early"),
    }
}

/// Faults ended because what they might spend was spent, and little more was.
fn check_budget(run: &ExperimentStatus) {
    let budget = &run.budgets[0];
    println!("{budget:?}: {}", run.because);
    let ended = run
        .events
        .iter()
        .any(|event| event.what.contains("its budget is spent"));
    assert!(ended, "{:?}", run.events);
    let beyond = budget.spent as f64 - budget.cap;
    assert!((0.0..=BEYOND_MAX).contains(&beyond), "{budget:?}");
}

/// Users compute the arm of each order from its trace: those failed that are in the arm of the fault,
/// though it is `payments` that answers so, behind `edge` and `checkout`; and the report says how many.
fn check_arms(run: &ExperimentStatus, all: &[Asked], stopped_ms: u64) {
    let fault = &run.faults[0];
    let shares = ArmShares::parse(fault.share, fault.control).unwrap();
    let from_ms = run.started_at.unwrap().as_millis() + PUSHED_MS;
    let within = all
        .iter()
        .filter(|one| from_ms < one.at_ms && one.at_ms < stopped_ms);
    let (mut faulted, mut served, mut others, mut wrong) = (0, 0, 0, 0);
    for one in within {
        match arm_of(one.trace, fault.seed, shares) {
            Arm::Fault => {
                faulted += 1;
                served += u32::from(!one.has_failed);
            }
            Arm::Control | Arm::Untouched => {
                others += 1;
                wrong += u32::from(one.has_failed);
            }
        }
    }
    println!(
        "{faulted} in the arm of the fault, {served} of these served; {others} not, {wrong} of these failed"
    );
    assert!(10 < faulted && 100 < others);
    // None on a quiet machine; on a busy one a lease may be renewed late, and an order may fail by itself.
    assert!(served <= faulted / 5, "the fault did not reach its arm");
    assert!(
        wrong <= others / 50,
        "orders outside of the arm met the fault"
    );
    let truth = &truths(run, all).unwrap()[0];
    println!("{truth:?}");
    assert!(truth.is_contained(), "{truth:?}");
    let compared = &run.comparisons[0];
    assert!(0 < compared.faulted.total && 0 < compared.control.total);
    assert!(compared.control.bad() <= compared.control.total / 20);
    let budget = &run.budgets[0];
    assert!(budget.spent <= budget.cap as u64 + 10, "{budget:?}");
}
