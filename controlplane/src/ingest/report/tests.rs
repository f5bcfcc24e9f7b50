//! What can come from a filter is read, and nothing else.

use sloop_model::LatencyBucket;

use super::*;

fn request(scopes: Vec<wire::ScopeDelta>) -> wire::ReportRequest {
    wire::ReportRequest {
        node: "pod-1".to_owned(),
        cluster: "checkout".to_owned(),
        incarnation: 7,
        sequence: 1,
        scopes,
        ..wire::ReportRequest::default()
    }
}

fn delta() -> wire::ScopeDelta {
    wire::ScopeDelta {
        service: "checkout".to_owned(),
        route: "/pay".to_owned(),
        side: wire::Side::Server.into(),
        requests: 3,
        outcomes: vec![2, 0, 1],
        latency: Some(wire::Histogram {
            pairs: vec![100, 1, 50, 2],
        }),
        objectives: vec![wire::ObjectiveDelta {
            slo: "pay".to_owned(),
            objective: 0,
            total: 3,
            good: 2,
        }],
        ..wire::ScopeDelta::default()
    }
}

#[test]
fn a_report_is_read_whole() {
    let report = Report::try_from(request(vec![delta()])).unwrap();
    let counts = &report.scopes[0];
    assert_eq!(counts.scope.to_string(), "checkout /pay (server)");
    assert_eq!(counts.outcomes.iter().sum::<u64>(), 3);
    assert_eq!(counts.latency, [(100, 1), (150, 2)]);
    assert_eq!(counts.breaker, None);
    assert!(report.is_news());
    assert_eq!(report.scopes_dropped, 0);
}

#[test]
fn arms_of_experiments_are_read_and_those_without_sense_left_out() {
    let arm = |arm: wire::Arm, good| wire::ArmDelta {
        experiment: ExperimentKey::of("e").bits(),
        arm: arm.into(),
        requests: 2,
        outcomes: vec![1, 0, 1],
        objectives: vec![wire::ObjectiveDelta {
            slo: "pay".to_owned(),
            objective: 0,
            total: 2,
            good,
        }],
        latency_buckets: LatencyCounts::of([(LatencyBucket::of(7), 2)])
            .as_bytes()
            .to_vec(),
        retries: 9,
        callers: vec![
            wire::ArmCaller {
                value: "cart".to_owned(),
                objectives: vec![2],
            };
            20
        ],
    };
    let mut one = delta();
    one.arms = vec![
        arm(wire::Arm::Fault, 1),
        arm(wire::Arm::Unspecified, 1),
        arm(wire::Arm::Control, 3),
    ];
    one.arms.resize(100, arm(wire::Arm::Control, 2));
    let report = Report::try_from(request(vec![one])).unwrap();
    let arms = &report.scopes[0].arms;
    assert_eq!(arms[0].retries, 9);
    assert_eq!(arms[0].callers.len(), ArmCounts::CALLERS_MAX);
    assert_eq!(
        (
            arms[0].callers[0].caller.as_str(),
            &arms[0].callers[0].objectives[..]
        ),
        ("cart", &[(2, 0)][..])
    );
    assert_eq!(arms.len(), ScopeCounts::ARMS_MAX - 2);
    assert_eq!(
        (arms[0].arm, arms[0].experiment),
        (Arm::Fault, ExperimentKey::of("e"))
    );
    assert_eq!(arms[0].objectives[0].good, 1);
    assert_eq!(arms[0].latency, [(7, 2)]);
    assert_eq!(arms[1].arm, Arm::Control);
}

#[test]
fn latencies_come_as_buckets_and_from_older_filters_as_pairs() {
    let mut both = delta();
    let bucket = LatencyBucket::of(50_000);
    let counts = LatencyCounts::of([(LatencyBucket::of(7), 1), (bucket, 2)]);
    both.latency_buckets = counts.as_bytes().to_vec();
    let report = Report::try_from(request(vec![both, delta()])).unwrap();
    assert_eq!(report.scopes[0].latency, [(7, 1), (bucket.middle_us(), 2)]);
    assert!(bucket.middle_us().abs_diff(50_000) <= 50_000 / 64);
    assert_eq!(report.scopes[1].latency, [(100, 1), (150, 2)]);
}

#[test]
fn details_are_those_of_their_scope() {
    let mut bad = delta();
    bad.route.clear();
    let mut retried = delta();
    retried.retries = 4;
    retried.dimensions = vec![wire::DimensionDelta {
        dimension: wire::Dimension::Journey.into(),
        value: "checkout".to_owned(),
        classes: vec![3],
        objectives: vec![3, 2],
    }];
    let report = Report::try_from(request(vec![bad, retried, delta()])).unwrap();
    assert_eq!(report.scopes.len(), report.details.len());
    assert_eq!(report.details[0].retries, 4);
    assert_eq!(
        report.details[0].values[0].objectives,
        report.scopes[0].objectives
    );
    assert_eq!(report.details[1], Details::default());
}

#[test]
fn a_sequence_of_0_cannot_come_from_a_filter() {
    let mut request = request(vec![]);
    request.sequence = 0;
    assert_eq!(
        Report::try_from(request).unwrap_err().to_string(),
        "sequence is 0; it must be at least 1"
    );
}

#[test]
fn a_sidecar_that_does_not_say_who_it_is_counts_all_the_same() {
    let mut nameless = request(vec![delta()]);
    nameless.node.clear();
    nameless.cluster.clear();
    let report = Report::try_from(nameless).unwrap();
    assert_eq!(
        (report.node.as_str(), report.group.as_str()),
        (UNNAMED, UNNAMED)
    );
    assert_eq!(report.scopes.len(), 1);
    let mut long = request(vec![]);
    long.node = "ü".repeat(513);
    let kept = Report::try_from(long).unwrap().node;
    assert_eq!(kept, "ü".repeat(512));
}

#[test]
fn all_that_a_sidecar_can_have_is_read_and_what_is_beyond_is_counted() {
    // Configured, retired, named by the filter itself, and the rest; twice.
    let most = 2 * (1_024 + 1_024 + 256 + 1);
    let report = Report::try_from(request(vec![delta(); most])).unwrap();
    assert_eq!((report.scopes.len(), report.scopes_dropped), (most, 0));
    let report = Report::try_from(request(vec![delta(); SCOPES_MAX + 3])).unwrap();
    assert_eq!(
        (report.scopes.len(), report.scopes_dropped),
        (SCOPES_MAX, 3)
    );
}

/// A filter refuses a configuration with more, so one report cannot name more than a few objectives per scope.
#[test]
fn objectives_that_no_filter_can_have_are_left_out() {
    let objective = |index| wire::ObjectiveDelta {
        slo: "pay".to_owned(),
        objective: index,
        total: 1,
        good: 1,
    };
    let objectives: Vec<_> = (0..20_000).map(objective).collect();
    let mut many = delta();
    many.objectives.clone_from(&objectives);
    many.arms = vec![wire::ArmDelta {
        arm: wire::Arm::Fault.into(),
        objectives,
        callers: vec![wire::ArmCaller {
            value: "cart".to_owned(),
            objectives: vec![1; 40_000],
        }],
        ..wire::ArmDelta::default()
    }];
    let report = Report::try_from(request(vec![many])).unwrap();
    assert_eq!(report.scopes[0].objectives.len(), OBJECTIVES_MAX);
    let arm = &report.scopes[0].arms[0];
    assert_eq!(arm.objectives.len(), OBJECTIVES_MAX);
    assert_eq!(arm.callers[0].objectives.len(), OBJECTIVES_MAX);
}

#[test]
fn a_scope_that_makes_no_sense_is_left_out_and_counted() {
    let broken: [fn(&mut wire::ScopeDelta); 7] = [
        |delta| delta.side = 0,
        |delta| delta.route.clear(),
        |delta| delta.objectives[0].good = 4,
        |delta| delta.objectives[0].slo = "a\nb".to_owned(),
        |delta| delta.latency = Some(wire::Histogram { pairs: vec![1] }),
        |delta| delta.latency_buckets = vec![0x80],
        |delta| {
            delta.dimensions = vec![wire::DimensionDelta {
                dimension: 1,
                ..Default::default()
            }];
        },
    ];
    for change in broken {
        let mut bad = delta();
        change(&mut bad);
        let report = Report::try_from(request(vec![bad, delta()])).unwrap();
        assert_eq!((report.scopes.len(), report.scopes_dropped), (1, 1));
    }
}

#[test]
fn outcomes_of_a_newer_filter_do_no_harm() {
    let mut newer = delta();
    newer.outcomes = vec![1; 20];
    newer.requests = 20;
    let report = Report::try_from(request(vec![newer])).unwrap();
    assert_eq!(report.scopes[0].requests, 20);
}
