//! Bodies are slowed, cut and changed as asked, however they come.

use super::*;
use proptest::prelude::*;
use sloop_model::Time;

/// Far later than any test.
const LATE: Time = Time::from_nanos(u64::MAX);

fn fault(json: &str) -> BodyFault {
    let fault: BodyFault = serde_json::from_str(json).unwrap();
    fault.check().unwrap();
    fault
}

fn plan(json: &str) -> BodyPlan {
    BodyPlan::new(fault(json), 7)
}

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn held(until: u64) -> BodyFlow {
    BodyFlow::Hold { until: at(until) }
}

/// What a client receives of `body`, sent in chunks of these sizes, and whether it was cut.
fn received(plan: &mut BodyPlan, body: &[u8], chunks: &[usize]) -> (Vec<u8>, bool) {
    let mut received = Vec::new();
    let mut rest = body;
    for size in chunks.iter().copied().chain([usize::MAX]) {
        let (chunk, behind) = rest.split_at(size.min(rest.len()));
        rest = behind;
        let mut buffer = chunk.to_vec();
        let step = plan.step(buffer.len() as u64, at(0), LATE);
        buffer.truncate(usize::try_from(step.keep).unwrap());
        if let Some(fresh) = step.corrupt {
            let from = usize::try_from(fresh.from).unwrap();
            plan.corrupt(&mut buffer[from..], fresh.at);
        }
        match step.flow {
            BodyFlow::Pass => received.extend(buffer),
            BodyFlow::PassThenCut => {
                received.extend(buffer);
                return (received, true);
            }
            BodyFlow::Cut => return (received, true),
            BodyFlow::Hold { .. } => panic!("no pace was given"),
        }
    }
    (received, false)
}

#[test]
fn a_truncated_body_ends_where_it_should() {
    let json = r#"{"truncate_after_bytes": 5}"#;
    assert_eq!(
        received(&mut plan(json), b"123456789", &[]),
        (b"12345".to_vec(), false)
    );
    assert_eq!(
        received(&mut plan(json), b"12345", &[]),
        (b"12345".to_vec(), false)
    );
    assert_eq!(received(&mut plan(json), b"", &[]), (vec![], false));
    assert!(plan(json).changes_length());
}

#[test]
fn a_cut_body_is_reset_only_when_there_is_more() {
    let json = r#"{"cut_after_bytes": 5}"#;
    assert_eq!(
        received(&mut plan(json), b"123456", &[]),
        (b"12345".to_vec(), true)
    );
    assert_eq!(
        received(&mut plan(json), b"123456", &[5]),
        (b"12345".to_vec(), true)
    );
    assert_eq!(
        received(&mut plan(json), b"12345", &[2]),
        (b"12345".to_vec(), false)
    );
    assert_eq!(
        received(&mut plan(r#"{"cut_after_bytes": 0}"#), b"1", &[]),
        (vec![], true)
    );
    assert!(
        !plan(json).changes_length(),
        "the caller should see that something is missing"
    );
}

#[test]
fn a_slow_body_is_on_time() {
    let mut plan = plan(r#"{"bytes_per_second": 1000}"#);
    let step = plan.step(100, at(0), LATE);
    assert_eq!((step.keep, step.flow), (100, held(100)));
    assert_eq!(
        plan.step(300, at(50), LATE).flow,
        held(300),
        "Envoy shows what is held and what came"
    );
    plan.release();
    assert_eq!(plan.step(100, at(300), LATE).flow, held(400));
    plan.release();
    assert_eq!(
        plan.step(100, at(700), LATE).flow,
        BodyFlow::Pass,
        "it came more slowly than the pace"
    );
    assert_eq!(
        plan.step(0, at(700), LATE).flow,
        BodyFlow::Pass,
        "an end without bytes waits for nothing"
    );
}

#[test]
fn an_end_without_bytes_waits_for_what_is_held() {
    let mut plan = plan(r#"{"bytes_per_second": 1000}"#);
    assert_eq!(plan.step(100, at(0), LATE).flow, held(100));
    assert_eq!(plan.step(100, at(10), LATE).flow, held(100));
}

#[test]
fn no_body_is_held_for_longer_than_callers_bear() {
    let mut slow = plan(r#"{"bytes_per_second": 1}"#);
    assert_eq!(slow.step(100, at(1), LATE).flow, held(10_001));
    slow.release();
    assert_eq!(slow.step(100, at(10_001), LATE).flow, BodyFlow::Pass);
    let mut vast = plan(r#"{"bytes_per_second": 1}"#);
    assert!(vast.step(u64::MAX, at(0), LATE).is_over_cap);
    assert_eq!(vast.step(1, at(0), LATE).flow, held(10_000));
}

#[test]
fn what_is_held_has_a_maximum() {
    let mut plan = plan(r#"{"bytes_per_second": 100000}"#);
    let max = BodyPlan::HELD_BYTES_MAX;
    let step = plan.step(max, at(0), LATE);
    assert!(matches!(step.flow, BodyFlow::Hold { .. }) && !step.is_over_cap);
    let step = plan.step(max + 1, at(0), LATE);
    assert_eq!((step.flow, step.is_over_cap), (BodyFlow::Pass, true));
    assert!(
        matches!(plan.step(1, at(0), LATE).flow, BodyFlow::Hold { .. }),
        "and then it is slow again"
    );
}

#[test]
fn nothing_happens_after_the_fault_has_ended() {
    let mut plan = plan(r#"{"bytes_per_second": 1, "truncate_after_bytes": 5, "corrupt": 10000}"#);
    assert_eq!(plan.step(3, at(0), at(100)).flow, held(3_000));
    plan.release();
    let step = plan.step(50, at(100), at(100));
    assert_eq!(
        (step.keep, step.corrupt, step.flow),
        (50, None, BodyFlow::Pass)
    );
}

#[test]
fn a_body_that_was_cut_off_stays_so() {
    let mut plan = plan(r#"{"truncate_after_bytes": 5}"#);
    assert_eq!(plan.step(9, at(0), at(100)).keep, 5);
    assert_eq!(
        plan.step(9, at(200), at(100)).keep,
        0,
        "bytes after a gap would be another fault"
    );
}

#[test]
fn a_share_of_bytes_is_changed_and_exactly_that() {
    for share in [1u16, 7, 100, 3_333, 5_000, 9_999, 10_000] {
        let mut plan = plan(&format!(r#"{{"corrupt": {share}}}"#));
        let body = vec![b'x'; 100_000];
        let (changed, _) = received(&mut plan, &body, &[]);
        let count = changed.iter().filter(|byte| **byte != b'x').count();
        assert!(
            count.abs_diff(usize::from(share) * 10) <= 1,
            "{share}: {count}"
        );
    }
}

#[test]
fn another_request_has_other_bytes_changed() {
    let of = |word| {
        let mut plan = BodyPlan::new(fault(r#"{"corrupt": 1000}"#), word);
        received(&mut plan, &[0; 1_000], &[]).0
    };
    assert_ne!(of(1), of(2));
    assert_eq!(of(1), of(1));
}

#[test]
fn a_body_that_never_ends_does_not_hang() {
    for before in [u64::MAX, u64::MAX / 2, u64::MAX / 10_000] {
        let mut plan = plan(r#"{"corrupt": 1}"#);
        assert_eq!(plan.step(before, at(0), LATE).flow, BodyFlow::Pass);
        let step = plan.step(4, at(0), LATE);
        plan.corrupt(&mut [0; 4], step.corrupt.unwrap().at);
    }
}

proptest! {
    #[test]
    fn a_body_is_the_same_however_it_came(
        body in prop::collection::vec(any::<u8>(), 0..300),
        chunks in prop::collection::vec(0usize..100, 0..10),
        share in 1u16..=10_000,
        max in 0u64..300,
        is_cut in any::<bool>(),
    ) {
        let limit = if is_cut { "cut_after_bytes" } else { "truncate_after_bytes" };
        let json = format!(r#"{{"corrupt": {share}, "{limit}": {max}}}"#);
        let whole = received(&mut plan(&json), &body, &[]);
        prop_assert_eq!(&received(&mut plan(&json), &body, &chunks), &whole);
        prop_assert_eq!(whole.0.len(), body.len().min(usize::try_from(max).unwrap()));
    }

    #[test]
    fn never_keeps_more_than_there_is_nor_holds_what_may_pass(
        fault in (prop::option::of(1u32..5_000), prop::option::of(0u64..500), any::<bool>()),
        steps in prop::collection::vec((0u64..400_000, 0u64..500, any::<bool>()), 1..20),
    ) {
        let (bytes_per_second, max, is_cut) = fault;
        let fault = BodyFault {
            bytes_per_second,
            truncate_after_bytes: max.filter(|_| !is_cut),
            cut_after_bytes: max.filter(|_| is_cut),
            corrupt: None,
        };
        let mut plan = BodyPlan::new(fault, 7);
        let (mut now, mut buffered) = (0, 0);
        for (bytes, later, goes_on) in steps {
            now += later;
            buffered += bytes;
            let step = plan.step(buffered, at(now), LATE);
            prop_assert!(step.keep <= buffered);
            match step.flow {
                BodyFlow::Hold { until } => {
                    prop_assert!(at(now) < until && until <= at(10_500) && step.keep <= BodyPlan::HELD_BYTES_MAX);
                    buffered = step.keep;
                    if goes_on {
                        plan.release();
                        buffered = 0;
                    }
                }
                BodyFlow::Pass | BodyFlow::PassThenCut => buffered = 0,
                BodyFlow::Cut => break,
            }
        }
    }
}
