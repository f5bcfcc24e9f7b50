//! What is no proof: a fault that nobody met, arms that share what is wrong, sidecars that cannot do it, callers that are one draw.

use super::refusing::refused_for;
use super::*;

fn version(text: &str) -> Option<DimensionValue> {
    Some(DimensionValue::try_from(text.to_owned()).unwrap())
}

fn on_answers() -> serde_json::Value {
    with(
        json!({"faults": [{"id": "x", "share": 1_000, "abort_status": 503, "expires_at_ms": 0,
        "side_of_exchange": "response"}]}),
    )
}

#[test]
fn a_fault_that_nobody_met_is_not_held() {
    let mut lab = Lab::of(&[experiment()]).begun();
    lab.meets = false;
    let (lasted, verdict) = lab.ends((10, 0), (10, 0));
    assert_eq!((lasted, verdict), (120, Some(Inconclusive)));
    let status = lab.status();
    assert_eq!(
        (status.faults[0].met, status.comparisons[0].verdict),
        (0, None)
    );
    let words = "no request met fault aborts.1 on its targets";
    assert!(status.because.contains(words), "{}", status.because);

    let mut lab = super::lab();
    lab.ends((10, 0), (10, 0));
    assert!(0 < lab.status().faults[0].met);
}

#[test]
fn arms_that_are_alike_because_both_are_harmed_are_not_held() {
    let mut body = with(json!({"lasting_ms": 60_000, "abort": {"burning": null}}));
    body["budget"] = json!(10_000);
    let mut lab = Lab::of(&[body]).begun();
    // An hour of health before: a tenth of both arms is bad since the faults are there.
    let (_, verdict) = lab.ends((10, 1), (10, 1));
    let status = lab.status();
    assert_eq!(verdict, Some(Inconclusive), "{}", status.because);
    let more = status.comparisons[0].contamination.unwrap();
    assert!((0.05..=0.1).contains(&more), "{more}");
    let words =
        "in the control arm of fault aborts.1 10 % more of SLO orders is bad than was before";
    assert!(status.because.contains(words), "{}", status.because);
}

#[test]
fn what_was_broken_comes_first_and_what_held_is_a_number() {
    let two = json!([
        {"id": "x", "share": 1_000, "abort_status": 503, "expires_at_ms": 0},
        {"id": "x", "share": 1_000, "delay_ms": 1, "expires_at_ms": 0},
    ]);
    let mut lab = Lab::of(&[with(
        json!({"faults": two, "ends": "at_its_time", "abort": {"burning": null},
        "lasting_ms": 60_000, "budget": 10_000}),
    )])
    .begun();
    while lab.injects() {
        for (experiment, bad) in [("aborts.1", 6), ("aborts.2", 0)] {
            lab.with_arms(experiment, (10, bad), (10, 0));
        }
    }
    for _ in 0..4 {
        lab.second((0, 0), (0, 0));
    }
    let because = lab.status().because;
    assert!(
        because.starts_with("broken: fault aborts.1 makes 60 % more"),
        "{because}"
    );
    assert!(!because.contains("aborts.2"), "{because}");
    assert!(because.ends_with("; 1 more held"), "{because}");
}

#[test]
fn a_fault_on_answers_is_refused_where_a_sidecar_cannot_touch_them() {
    let because = refused_for(Lab::of(&[on_answers()]));
    let words = "fault aborts.1 would do nothing on payments * (server): side_of_exchange takes \
                 sloop_filter_answers.wasm, and sidecar payments-1 runs sloop_filter.wasm";
    assert!(because.contains(words), "{because}");

    let mut lab = Lab::of(&[on_answers()]);
    lab.runs.0 = Module::Answers;
    let mut lab = lab.begun();
    lab.second((10, 0), (10, 0));
    assert!(lab.injects());
    // One that can do less comes back: from then on the fault is kept from all.
    lab.runs.0 = Module::Requests;
    lab.second((10, 0), (10, 0));
    lab.second((10, 0), (10, 0));
    assert!(!lab.injects());
}

#[test]
fn a_version_that_no_sidecar_is_of_is_refused() {
    let for_version = |version: &str| {
        with(
            json!({"faults": [{"id": "x", "share": 1_000, "abort_status": 503, "expires_at_ms": 0,
            "version": [version]}]}),
        )
    };
    let because = refused_for(Lab::of(&[for_version("v2")]));
    let words = "it is for version v2; of its sidecars none says its version";
    assert!(because.contains(words), "{because}");

    let mut lab = Lab::of(&[for_version("v2")]);
    lab.runs.1 = version("v1");
    let because = refused_for(lab);
    assert!(
        because.contains("of its sidecars there are v1"),
        "{because}"
    );

    let mut lab = Lab::of(&[for_version("v2")]);
    lab.runs.1 = version("v2");
    assert_eq!(lab.begun().status().phase, ExperimentPhase::Running);
}

/// A sidecar that runs `module`, of the version, which saw a request of `scope` in a second.
struct Sidecar<'a> {
    node: &'a str,
    service: &'a str,
    runs: (Module, Option<&'a str>),
    scope: Scope,
}

impl Sidecar<'_> {
    fn reports(&self, world: &mut World, second: u64) {
        world.begin_step(at(second));
        world.observe(Observation {
            node: self.node.to_owned(),
            incarnation: 1,
            sidecar: SidecarReading {
                service: self.service.to_owned(),
                filters: vec![FilterReading {
                    side: self.scope.side,
                    module: self.runs.0,
                    version: self.runs.1.and_then(version),
                    is_configured: true,
                }],
            },
            from: at(second - 1),
            at: at(second),
            scopes: vec![ScopeCounts {
                requests: 1,
                ..ScopeCounts::nothing(self.scope.clone())
            }],
        });
    }
}

fn unable(body: serde_json::Value, world: &World) -> Option<String> {
    let intent: ChaosIntent = serde_json::from_value(body).unwrap();
    able::unable(intent.spec(), world)
}

#[test]
fn on_the_clients_side_only_the_sidecars_that_ask_the_target_matter() {
    let mut body = on_answers();
    body["targets"] = json!([{"service": "payments", "route": "any", "side": "client"}]);
    let asks = |service: &str| Scope {
        side: Side::Client,
        ..scope(service, "charge")
    };
    let sidecar = |node, module, asked: &str| Sidecar {
        node,
        service: "checkout",
        runs: (module, None),
        scope: asks(asked),
    };
    let mut world = World::default();
    sidecar("lean-1", Module::Requests, "search").reports(&mut world, 1);
    let because = unable(body.clone(), &world).unwrap();
    assert!(because.contains("no sidecar has said yet"), "{because}");
    sidecar("checkout-1", Module::Answers, "payments").reports(&mut world, 2);
    assert_eq!(
        unable(body.clone(), &world),
        None,
        "lean-1 asks nobody there"
    );
    sidecar("lean-1", Module::Requests, "payments").reports(&mut world, 3);
    let because = unable(body, &world).unwrap();
    assert!(because.contains("sidecar lean-1 runs"), "{because}");
}

#[test]
fn a_sidecar_that_is_gone_says_nothing_about_versions_and_modules() {
    let mut body = with(json!({}));
    body["faults"][0]["version"] = json!(["v2"]);
    let sidecar = |node, version| Sidecar {
        node,
        service: "payments",
        runs: (Module::Requests, Some(version)),
        scope: scope("payments", "charge"),
    };
    let mut world = World::default();
    sidecar("payments-2", "v2").reports(&mut world, 1);
    sidecar("payments-1", "v1").reports(&mut world, 61);
    assert_eq!(unable(body.clone(), &world), None, "it may be quiet");
    sidecar("payments-1", "v1").reports(&mut world, 62);
    let because = unable(body, &world).unwrap();
    assert!(
        because.ends_with("of its sidecars there are v1"),
        "{because}"
    );
}

#[test]
fn a_control_arm_that_is_a_little_worse_is_shown_and_the_hypothesis_held() {
    let mut lab = Lab::of(&[with(json!({"ends": "at_its_time", "budget": 10_000}))]).begun();
    while lab.injects() {
        // 2.5 % in both arms; half of what is tolerated is 5 %.
        let bad = u64::from(lab.second.is_multiple_of(4));
        lab.second((10, bad), (10, bad));
    }
    for _ in 0..4 {
        lab.second((0, 0), (0, 0));
    }
    let status = lab.status();
    assert_eq!(status.verdict, Some(Held), "{}", status.because);
    let more = status.comparisons[0].contamination.unwrap();
    assert!((0.02..0.03).contains(&more), "{more}");
    assert!(
        !status.because.contains("control arm"),
        "{}",
        status.because
    );
}

#[test]
fn callers_are_told_apart_where_reports_name_them_and_where_sidecars_are_theirs() {
    let mut lab = lab();
    lab.callers = vec!["web", "batch", "mobile"];
    lab.ends((10, 6), (10, 0));
    assert_eq!(lab.status().comparisons[0].callers, 3);
    let mut lab = super::lab();
    lab.ends((10, 6), (10, 0));
    assert_eq!(lab.status().comparisons[0].callers, 0, "nobody named any");
}

/// A batch job that sends all of its requests with one trace: they are in the arm of the fault, and fail, with or without it.
#[test]
fn a_caller_with_one_trace_is_no_proof_of_harm() {
    let mut lab = Lab::of(&[with(json!({"ends": "at_its_time", "budget": 10_000,
        "abort": {"burning": null}, "lasting_ms": 60_000}))])
    .begun();
    lab.one_trace = true;
    let (_, verdict) = lab.ends((10, 6), (10, 0));
    let status = lab.status();
    assert_eq!(verdict, Some(Inconclusive), "{}", status.because);
    assert!(100.0 < status.comparisons[0].design_effect);
}

#[test]
fn retries_are_counted_apart_for_each_arm() {
    let mut lab = lab();
    lab.retries = 3;
    let (lasted, _) = lab.ends((10, 6), (10, 0));
    let retries = lab.status().comparisons[0].retries;
    let expected = ArmRetries {
        faulted: 3 * lasted,
        control: 0,
    };
    assert_eq!(retries, Some(expected));
    let mut lab = super::lab();
    lab.ends((10, 0), (10, 0));
    assert_eq!(
        lab.status().comparisons[0].retries,
        None,
        "nobody counted any"
    );
}
