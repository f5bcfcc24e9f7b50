//! Agreement with Envoy's own fault filter, as far as it can be seen without Envoy.
//!
//! The answers, measured on Envoy 1.40.0, are not part of this repository. They
//! are looked for in the folder that `SLOOP_CONFORMANCE` names, else in
//! `shared/conformance` beside a folder around this crate; where there are
//! none, the test says so and passes.
//!
//! What can be seen here: which faults odd headers, percentages and caps
//! lead to, in which order delay and abort come, and how many of a population meet
//! one. What only a real Envoy shows: what a status becomes for a gRPC caller, that an aborted request reaches nobody, the
//! lengths of real delays, and the access log, which differs on purpose (no flags, other details).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sloop_dataplane::fault::{Active, ActiveTotal, Facts, Faults, Sidecar};
use sloop_dataplane::{HeaderMap, Request, TraceId, serialised};
use sloop_model::{Arms, FaultEnding, FaultRule, WallTime};

const NOW: WallTime = WallTime::from_millis(1);

fn golden() -> Option<Value> {
    let named = std::env::var_os("SLOOP_CONFORMANCE").map(PathBuf::from);
    let around = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let folders = named
        .into_iter()
        .chain(around.map(|folder| folder.join("shared/conformance")));
    let mut files = folders.map(|folder| folder.join("fault/fault-golden.json"));
    let Some(file) = files.find(|file| file.is_file()) else {
        let _seen = writeln!(
            std::io::stderr(),
            "SKIPPED: no fault/fault-golden.json; set SLOOP_CONFORMANCE"
        );
        return None;
    };
    Some(serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap())
}

/// Our rule for a configuration of Envoy's filter. Its percentages are whole hundredths here.
fn rule(theirs: &Value) -> FaultRule {
    let (delay, abort) = (&theirs["delay"], &theirs["abort"]);
    let percentages = [delay, abort].map(|part| part["percentage"]["numerator"].as_u64());
    let [first, ..] = percentages.into_iter().flatten().collect::<Vec<_>>()[..] else {
        panic!("no percentage in {theirs}");
    };
    let same = percentages
        .into_iter()
        .flatten()
        .all(|percentage| percentage == first);
    assert!(same, "our rules have one share for both: {theirs}");
    let mut ours = json!({"id": "golden", "share": first * 100, "expires_at_ms": 10});
    if let Some(fixed) = delay["fixed_delay"].as_str() {
        // As protobuf writes a duration: three decimals, `0.100s`.
        let millis = fixed.trim_end_matches('s').replace('.', "");
        ours["delay_ms"] = json!(millis.parse::<u64>().unwrap());
    }
    if let Some(status) = abort["http_status"].as_u64() {
        ours["abort_status"] = json!(status);
    }
    if abort["header_abort"].is_object() || delay["header_delay"].is_object() {
        ours["by_header"] = json!(true);
    }
    if let Some(max) = theirs["max_active_faults"].as_u64() {
        ours["active_max"] = json!(max);
    }
    serde_json::from_value(ours).unwrap()
}

/// The delay in milliseconds and the ending of a request with `headers` and this number.
fn meets(faults: &Faults, headers: &Value, number: u64) -> (u64, Option<FaultEnding>) {
    let headers = headers.as_object().unwrap().iter();
    let headers: Vec<(&str, &[u8])> = headers
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap().as_bytes()))
        .collect();
    let bytes = serialised(&headers);
    let request = Request::read(HeaderMap::new(&bytes));
    let facts = Facts {
        trace: TraceId {
            high: 1,
            low: number,
        },
        request: Some(&request),
        caller: b"",
        criticality: sloop_model::Criticality::Critical,
        arms: &Arms::NONE,
    };
    let Some(hit) = faults.choose(&facts, || NOW).hit() else {
        return (0, None);
    };
    let injection = faults.injection(hit, Some(&request)).unwrap();
    let millis = injection.delay.map_or(0, |delay| delay.as_millis());
    (u64::try_from(millis).unwrap(), injection.ending)
}

#[test]
fn odd_headers_lead_to_the_same_faults() {
    let Some(golden) = golden() else { return };
    let cases = golden["cases"].as_array().unwrap();
    for case in cases {
        let listener = case["listener"].as_str().unwrap();
        let faults = Faults::new(&[rule(&golden["listeners"][listener])], Sidecar::UNKNOWN);
        for number in 1..50 {
            let (delay_ms, ending) = meets(&faults, &case["headers"], number);
            // Their delays were measured: timers are late by some milliseconds, never early.
            let measured = case["delayed_ms"].as_u64().unwrap();
            assert!(
                delay_ms <= measured && measured - delay_ms < 20,
                "{delay_ms} ms: {case}"
            );
            let reached = case["reached_upstream"].as_bool().unwrap();
            assert_eq!(ending.is_none(), reached, "{case}");
            // The callers there speak no gRPC.
            let status = match ending {
                None | Some(FaultEnding::AbortGrpc { .. }) => 200,
                Some(FaultEnding::Abort { status }) => u64::from(status),
                Some(FaultEnding::Reset) => panic!("nobody asked for it: {case}"),
            };
            assert_eq!(status, case["status"].as_u64().unwrap(), "{case}");
        }
    }
    assert!(20 <= cases.len(), "{} cases", cases.len());
}

#[test]
fn populations_meet_as_many_faults() {
    let Some(golden) = golden() else { return };
    let populations = golden["populations"].as_array().unwrap();
    for population in populations {
        let listener = population["listener"].as_str().unwrap();
        let rule = rule(&golden["listeners"][listener]);
        let faults = Faults::new(std::slice::from_ref(&rule), Sidecar::UNKNOWN);
        let requests = population["requests"].as_u64().unwrap();
        let (mut active, mut total) = (Active::default(), ActiveTotal::default());
        let no_headers = json!({});
        let mut touched = 0;
        for number in 1..=requests {
            if meets(&faults, &no_headers, number) == (0, None) {
                continue;
            }
            // As many are under way at once as were there: all of them, where the cap was measured.
            let in_flight = u32::try_from(number).unwrap();
            let is_in = active.begin(&rule, in_flight, &mut total);
            touched += u64::from(is_in);
            if rule.active_max().is_none() {
                active.end(rule.key(), &mut total);
            }
        }
        match population["accept_5_sigma"].as_array() {
            Some(bounds) => {
                let bounds = bounds[0].as_u64().unwrap()..=bounds[1].as_u64().unwrap();
                assert!(bounds.contains(&touched), "{touched}: {population}");
            }
            None => assert_eq!(
                touched,
                population["delayed"].as_u64().unwrap(),
                "{population}"
            ),
        }
    }
    assert_eq!(populations.len(), 3);
}
