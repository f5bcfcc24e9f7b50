use proptest::prelude::*;
use prost::Message as _;
use sloop_model::{
    DimensionValue, ExperimentKey, LatencyBucket, LatencyCounts, ObjectiveId, Outcome,
    OutcomeClass, Share, SloName, WallTime,
};
use sloop_xds_protos::report::v1 as wire;

use super::*;
use crate::deny::DenyCounts;
use crate::fault::CallerDelta;
use crate::report::RetryDelta;
use crate::shed::ShedCounts;

fn latencies() -> LatencyCounts {
    let bucket = LatencyBucket::of(250_000);
    LatencyCounts::of([(bucket, 3)])
}

fn objectives() -> Vec<ObjectiveDelta> {
    let slo = |name| SloName::try_from(name).unwrap();
    let of = |name, index, total, good| ObjectiveDelta {
        id: ObjectiveId {
            slo: slo(name),
            index,
        },
        total,
        good,
    };
    vec![of("fast", 0, 300, 299), of("served", 1, 0, 0)]
}

/// Every field has a value of its own, and none is its default.
fn whole() -> Report {
    Report {
        incarnation: u64::MAX,
        sequence: 4,
        from: WallTime::from_millis(5),
        to: WallTime::from_millis(6),
        scopes: vec![scope()],
        filters: vec![FilterStatus {
            side: Side::Server,
            generation: 82,
            applied_at: WallTime::from_millis(83),
            version: Some(DimensionValue::try_from(&b"v84"[..]).unwrap()),
        }],
        denials: vec![DenyDelta {
            side: Side::Server,
            id: "leak".into(),
            counts: DenyCounts {
                refused: 103,
                shadow_refused: 104,
                over_share: 105,
            },
        }],
        trouble: trouble(),
    }
}

fn scope() -> ScopeDelta {
    ScopeDelta {
        scope: Scope {
            service: ServiceName::try_from("shop").unwrap(),
            route: RouteName::try_from("pay").unwrap(),
            side: Side::Client,
        },
        requests: 1_000,
        outcomes: core::array::from_fn(|index| u64::try_from(index).unwrap() * 100),
        objectives: objectives(),
        latency: latencies(),
        in_flight: 8,
        breaker: Some(breaker()),
        delayed: 10,
        aborted: 11,
        retries: 13,
        dimensions: [Dimension::Caller, Dimension::Origin, Dimension::Journey]
            .map(dimension)
            .to_vec(),
        shed: Some(ShedDelta {
            level: Share::HALF,
            counts: ShedCounts {
                shed: [4, 3, 0, 0],
                shadow_shed: 151,
                shadow_shed_good: 152,
                given_up: 153,
            },
        }),
        shadow_denied: 16,
        shadow_denied_good: 17,
        arms: [Arm::Fault, Arm::Control].map(arm).to_vec(),
        budget: RetryDelta {
            refused: 191,
            shadow_refused: 192,
            shadow_refused_good: 193,
        },
    }
}

fn breaker() -> BreakerDelta {
    use BreakerState::{Closed, Open, Probing, Ramping};
    let changes = [
        (Open, 90, Cause::Failures),
        (Probing, 91, Cause::Time),
        (Closed, 92, Cause::Recovered),
        (Open, 93, Cause::Slowness),
        (Open, 94, Cause::Fleet),
    ];
    BreakerDelta {
        state: Ramping,
        changes: changes
            .map(|(to, at_ms, why)| (to, WallTime::from_millis(at_ms), why))
            .to_vec(),
        refused: 95,
        shadow_refused: 96,
        shadow_refused_good: 97,
    }
}

fn dimension(dimension: Dimension) -> DimensionDelta {
    DimensionDelta {
        dimension,
        value: DimensionValue::try_from(&b"web"[..]).unwrap(),
        classes: core::array::from_fn(|index| u64::from(index == 1)),
        objectives: vec![(7, 6), (1, 0)],
    }
}

fn arm(arm: Arm) -> ArmDelta {
    ArmDelta {
        experiment: ExperimentKey::of("lag"),
        arm,
        requests: 181,
        outcomes: core::array::from_fn(|index| u64::from(index == 0)),
        objectives: objectives(),
        latency: latencies(),
        retries: 182,
        callers: vec![CallerDelta {
            caller: DimensionValue::try_from(&b"web"[..]).unwrap(),
            objectives: vec![(7, 6), (1, 0)],
        }],
    }
}

const fn trouble() -> Trouble {
    Trouble {
        routes_over_cap: 1,
        ends_without_beginning: 2,
        hostcalls_failed: 3,
        configs_refused: 4,
        reports_repeated: 5,
        delays_over_cap: 6,
        requests_over_cap: 9,
        values_over_cap: 7,
        stats_over_cap: 8,
        late_passed: 10,
        faults_over_cap: 11,
        spans_dropped: 12,
        spans_lost: 13,
        boards_contended: 14,
        ends_unseen: 15,
        arms_over_cap: 16,
    }
}

fn read(report: &Report) -> wire::ReportRequest {
    let bytes = report.encode("node", "shop", Module::Answers);
    let read = wire::ReportRequest::decode(&*bytes).unwrap();
    assert_eq!(read.encode_to_vec(), bytes, "as prost would write it");
    read
}

#[test]
fn every_field_arrives_under_its_name() {
    let report = whole();
    let read = read(&report);
    assert_eq!((&*read.node, &*read.cluster), ("node", "shop"));
    assert_eq!((read.incarnation, read.sequence), (u64::MAX, 4));
    assert_eq!((read.from_ms, read.to_ms), (5, 6));
    let filter = &read.filters[0];
    assert_eq!((filter.side(), filter.generation), (wire::Side::Server, 82));
    assert_eq!((filter.applied_at_ms, &*filter.version), (83, "v84"));
    assert_eq!(filter.module(), wire::Module::Answers);
    let denial = &read.denials[0];
    assert_eq!((denial.side(), &*denial.id), (wire::Side::Server, "leak"));
    assert_eq!(
        (denial.refused, denial.shadow_refused, denial.over_share),
        (103, 104, 105)
    );
}

#[test]
fn every_field_of_a_scope_arrives_under_its_name() {
    let report = whole();
    let scope = read(&report).scopes.remove(0);
    assert_eq!((&*scope.service, &*scope.route), ("shop", "pay"));
    assert_eq!((scope.side(), scope.requests), (wire::Side::Client, 1_000));
    assert_eq!(scope.outcomes, report.scopes[0].outcomes);
    assert_eq!((scope.in_flight, scope.retries), (8, 13));
    assert_eq!((scope.delayed, scope.aborted), (10, 11));
    assert_eq!((scope.shadow_denied, scope.shadow_denied_good), (16, 17));
    assert_eq!(scope.latency_buckets, latencies().as_bytes());
    assert_eq!(scope.latency, None);
    let objective = &scope.objectives[0];
    assert_eq!((&*objective.slo, objective.objective), ("fast", 0));
    assert_eq!((objective.total, objective.good), (300, 299));
    assert_eq!(scope.objectives[1].objective, 1);
    let shed = scope.shed.clone().unwrap();
    assert_eq!((shed.level, shed.shed), (5_000, vec![4, 3]));
    assert_eq!((shed.shadow_shed, shed.shadow_shed_good), (151, 152));
    assert_eq!(shed.given_up, 153);
    assert_eq!(scope.retries_refused, 191);
    assert_eq!(scope.shadow_retries_refused, 192);
    assert_eq!(scope.shadow_retries_refused_good, 193);
}

#[test]
fn what_a_scope_is_divided_into_arrives_under_its_name() {
    let scope = read(&whole()).scopes.remove(0);
    let which: Vec<_> = scope.dimensions.iter().map(|one| one.dimension()).collect();
    assert_eq!(
        which,
        [
            wire::Dimension::Caller,
            wire::Dimension::Origin,
            wire::Dimension::Journey
        ]
    );
    let dimension = &scope.dimensions[0];
    assert_eq!(
        (&*dimension.value, &dimension.classes),
        ("web", &vec![0, 1])
    );
    assert_eq!(dimension.objectives, [7, 6, 1]);
    let which: Vec<_> = scope.arms.iter().map(|one| one.arm()).collect();
    assert_eq!(which, [wire::Arm::Fault, wire::Arm::Control]);
    let arm = &scope.arms[0];
    assert_eq!(arm.experiment, ExperimentKey::of("lag").bits());
    assert_eq!((arm.requests, &arm.outcomes), (181, &vec![1]));
    assert_eq!(arm.retries, 182);
    assert_eq!(arm.objectives.len(), 2);
    assert_eq!(arm.latency_buckets, latencies().as_bytes());
    assert_eq!(arm.callers[0].value, "web");
    assert_eq!(arm.callers[0].objectives, [7, 6, 1]);
}

#[test]
fn what_a_breaker_did_arrives_under_its_name() {
    use wire::{BreakerCause as Why, BreakerState as To};
    let breaker = read(&whole()).scopes.remove(0).breaker.unwrap();
    assert_eq!((breaker.state(), breaker.refused), (To::Ramping, 95));
    assert_eq!(
        (breaker.shadow_refused, breaker.shadow_refused_good),
        (96, 97)
    );
    let changes = breaker.changes.iter();
    let changes: Vec<_> = changes
        .map(|change| (change.to(), change.at_ms, change.cause()))
        .collect();
    assert_eq!(
        changes,
        [
            (To::Open, 90, Why::Failures),
            (To::Probing, 91, Why::Time),
            (To::Closed, 92, Why::Recovered),
            (To::Open, 93, Why::Slowness),
            (To::Open, 94, Why::Fleet),
        ]
    );
}

#[test]
fn each_trouble_arrives_under_its_name() {
    let report = whole();
    let read = read(&report).trouble.unwrap();
    // The names in both are the same, so the values must be.
    let told = format!("{read:?}");
    for (name, count) in report.trouble.kinds() {
        assert!(
            told.contains(&format!(" {name}: {count}")),
            "{name}: {told}"
        );
    }
}

#[test]
fn no_scope_has_more_bytes_than_it_may() {
    let mut large = scope();
    large.requests = u64::MAX;
    large.outcomes = [u64::MAX; Outcome::ALL.len()];
    for objective in &mut large.objectives {
        (objective.id.index, objective.total) = (u32::MAX, u64::MAX);
    }
    for delta in &mut large.dimensions {
        delta.classes = [u64::MAX; OutcomeClass::ALL.len()];
        delta.objectives = vec![(u64::MAX, u64::MAX); 2];
    }
    for scope in [scope(), large] {
        let max = scope.bytes_max();
        let with = |scopes: Vec<ScopeDelta>| {
            let report = Report { scopes, ..whole() };
            report.encode("", "", Module::Requests).len()
        };
        let bytes = with(vec![scope]) - with(Vec::new());
        assert!(bytes <= max, "{bytes} of {max}");
    }
}

#[test]
fn what_is_empty_is_left_out() {
    let mut report = whole();
    report.scopes.clear();
    report.filters.clear();
    report.denials.clear();
    report.incarnation = 0;
    report.trouble = Trouble::default();
    let read = read(&report);
    assert_eq!(read.trouble, Some(wire::Trouble::default()));
    assert!(read.scopes.is_empty() && read.filters.is_empty());
}

fn heard(answer: &[u8]) -> Vec<(Scope, FleetReading)> {
    let mut heard = Vec::new();
    readings(answer, &mut |scope, reading| {
        heard.push((scope.clone(), reading));
    });
    heard
}

fn reading(service: &str, side: wire::Side) -> wire::ScopeReading {
    wire::ScopeReading {
        service: service.to_owned(),
        route: "pay".to_owned(),
        side: side.into(),
        requests: 1_000_000,
        good: 999_999,
    }
}

fn answered(readings: &[wire::ScopeReading]) -> Vec<u8> {
    let readings = readings.to_vec();
    wire::ReportResponse { readings }.encode_to_vec()
}

#[test]
fn readings_are_heard_as_they_were_said() {
    let answer = answered(&[
        reading("shop", wire::Side::Server),
        reading("cart", wire::Side::Client),
    ]);
    let heard = heard(&answer);
    let names: Vec<_> = heard
        .iter()
        .map(|(scope, _)| (scope.service.as_str(), scope.route.as_str(), scope.side))
        .collect();
    assert_eq!(
        names,
        [("shop", "pay", Side::Server), ("cart", "pay", Side::Client)]
    );
    let expected = FleetReading {
        requests: 1_000_000,
        good: 999_999,
    };
    assert_eq!(heard[0].1, expected);
}

#[test]
fn a_reading_of_nobody_says_nothing_and_the_next_does() {
    let answer = answered(&[
        reading("", wire::Side::Server),
        reading("shop", wire::Side::Unspecified),
        reading("shop", wire::Side::Client),
    ]);
    assert_eq!(heard(&answer).len(), 1);
    assert_eq!(heard(b""), []);
}

#[test]
fn a_reading_that_is_cut_off_says_nothing() {
    let whole = answered(&[reading("shop", wire::Side::Server)]);
    for length in 0..whole.len() {
        assert_eq!(heard(&whole[..length]), [], "{length}");
    }
    // Cut inside, with a length that agrees: its last number never ends.
    let mut inner = reading("shop", wire::Side::Server).encode_to_vec();
    inner.extend([40, 0x80]);
    let mut answer = vec![10, u8::try_from(inner.len()).unwrap()];
    answer.extend(inner);
    assert_eq!(heard(&answer), []);
}

proptest! {
    #[test]
    fn what_is_no_answer_never_fails(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        heard(&bytes);
    }
}
