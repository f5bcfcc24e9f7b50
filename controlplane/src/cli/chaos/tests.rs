use serde_json::json;

use super::*;

/// A run as the API says it.
fn run(verdict: &str, effect: f64) -> ExperimentStatus {
    let counts = |total: u64, bad: u64| json!({"total": total, "good": total - bad});
    let band = json!({"quantile": 0.5, "us": 12_000, "low_us": 11_000, "high_us": null, "design_effect": 1.25});
    let body = json!({
        "name": "slow<&\"",
        "due_at": 1_767_225_600_000_u64,
        "phase": "over",
        "verdict": verdict,
        "because": "its time is over",
        "started_at": 1_767_225_601_000_u64,
        "ended_at": 1_767_225_631_000_u64,
        "lasting_ms": 60_000,
        "seed": 7,
        "targets": ["payments * (server)"],
        "faults": [{"id": "slow.1", "seed": 9, "share": 1_000, "control": 1_000}],
        "plan": {"rate": 80.0, "bad_before": 0.0, "needed_to_hold": 212.0, "needed_to_break": 99.0,
            "expected_s": 26.0, "spent_max": 480.0},
        "comparisons": [{
            "fault": 0,
            "objective": {"slo": "orders", "index": 0},
            "tolerance": 0.05,
            "faulted": counts(240, 40),
            "control": counts(250, 0),
            "effect": effect,
            "interval": {"low": 0.1, "high": 0.25},
            "evidence_broken": 1e9,
            "evidence_held": 1.0,
            "verdict": verdict,
            "design_effect": 1.0,
            "callers": 12,
            "absorbed": 0.833,
            "contamination": 0.031,
            "retries": {"faulted": 12, "control": 1},
            "needed": null,
            "faulted_latency": [band],
            "control_latency": [band],
            "latency_shifts": [{"quantile": 0.5, "us": -1_500, "low_us": -9_000, "high_us": null}],
            "latency_gap": {"us": 25_000, "gap": 0.125, "low": 0.03, "high": 0.22, "evidence": 340.0},
            "points": [{"at": 1_767_225_602_000_u64, "faulted": counts(8, 1), "control": counts(8, 0)}],
            "latencies": [[10_000, 200, 250], [2_000_000, 40, 0]],
        }],
        "budgets": [{"objective": {"slo": "orders", "index": 0}, "left": 300.0, "cap": 150.0, "spent": 40}],
        "routes": [{"fault": 0, "scope": "checkout order (server)",
            "objective": {"slo": "orders", "index": 0}, "effect": effect}],
        "events": [{"at": 1_767_225_601_000_u64, "what": "faults begin"}],
    });
    serde_json::from_value(body).unwrap()
}

fn shown(form: Form) -> String {
    let mut out = Vec::new();
    show_one(&run("broken", 0.167), form, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_report_at_a_terminal_has_effect_interval_budget_and_events() {
    let text = shown(Form::Table);
    for words in [
        "Verdict:      broken",
        "for 30s of at most 1m",
        "slow.1 (10%)   orders 0    40 of 240 bad   0 of 250 bad   16.7%    10% to 25%   5%       83.3%",
        "p50        12.0ms (11.0ms to ?)   12.0ms (11.0ms to ?)   -1.5ms (-9.0ms to ?)",
        "slow.1 (10%) on orders: Latencies of the arms surely differ (e-value 340.0): at most 25.0ms took 12.5% fewer of \
         the arm of the fault than of the control arm, and the largest gap is surely 3% to 22%.",
        "orders 0    300           150         40",
        "checkout order (server)   slow.1 (10%)   16.7%",
        "slow.1 (10%) on orders: Attempts beyond the first: 12 in the arm of the fault, 1 in the control arm.",
        "slow.1 (10%) on orders: In the control arm 3.1% more is bad than before the run",
        "slow.1 (10%) on orders: 12 callers are told apart.",
        "slow.1 (10%) on orders: As requests are slow together, so many count as one in the arm of the fault and in the control arm: p50 1.2 and 1.2.",
        "2026-01-01 00:00:01Z  faults begin",
    ] {
        assert!(text.contains(words), "{words:?} is not in\n{text}");
    }
}

#[test]
fn a_page_needs_nothing_else_and_escapes_names() {
    let page = shown(Form::Html);
    assert!(page.contains("slow&lt;&amp;&quot;: broken"), "{page}");
    assert!(!page.contains("slow<"));
    for outside in ["http://", "https://", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(
        page.matches("<svg viewBox=\"0 0 600").count(),
        3,
        "both charts of the comparison, and that of the budget"
    );
    for words in [
        "12 in the arm of the fault",
        "3.1% more is bad",
        "no request met it",
        "-1.5ms (-9.0ms to ?)",
        "Latencies of the arms surely differ",
        "12 callers are told apart.",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let both = compare::page(&[run("held", 0.0), run("broken", 0.167)]);
    assert_eq!(both.matches("class=whisker").count(), 2);
}

#[test]
fn where_callers_are_not_told_apart_the_report_says_so() {
    let mut one = run("held", 0.0);
    one.comparisons[0].callers = 0;
    let mut out = Vec::new();
    show_one(&one, Form::Table, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let words = "Callers are not told apart by reports (FilterSettings, dimensions.caller)";
    assert!(text.contains(words), "{text}");
    let page = page::page(&one);
    assert!(page.contains(words), "{page}");
}

#[test]
fn junit_says_failed_and_skipped() {
    let text = shown(Form::Junit);
    assert!(
        text.contains("tests=\"1\" failures=\"1\" skipped=\"0\" time=\"30.000\""),
        "{text}"
    );
    assert!(text.contains("<failure message=\"faulted: 40 of 240 bad; control: 0 of 250 bad"));
    let mut refused = run("inconclusive", 0.0);
    refused.comparisons.clear();
    let text = junit::suites(&[refused]);
    assert!(text.contains("failures=\"0\" skipped=\"1\""), "{text}");
    assert!(text.contains("<skipped message=\"its time is over\"/>"));
}

#[test]
fn the_worst_verdict_is_the_exit_code() {
    let debug = |verdicts: &[&str]| {
        let runs: Vec<_> = verdicts.iter().map(|verdict| run(verdict, 0.0)).collect();
        format!("{:?}", code(&runs))
    };
    let is = |code: u8| format!("{:?}", ExitCode::from(code));
    assert_eq!(debug(&["held"]), is(0));
    assert_eq!(debug(&["held", "inconclusive"]), is(5));
    assert_eq!(debug(&["inconclusive", "broken", "held"]), is(4));
}

#[test]
fn a_comparison_has_a_row_for_each_fault_and_objective() {
    let mut out = Vec::new();
    let runs = [run("held", 0.001), run("broken", 0.167)];
    show(&runs, Form::Table, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("@1767225600000"), "{text}");
    let shifts = "83.3%      -1.5ms (-9.0ms to ?)   -";
    assert_eq!(text.matches(shifts).count(), 2, "{text}");
}

#[test]
fn what_is_not_known_of_latency_is_not_said() {
    let mut one = run("held", 0.0);
    let compared = &mut one.comparisons[0];
    // A run that was stored before shifts were.
    compared.latency_shifts.clear();
    compared.latency_gap = None;
    assert_eq!(text::more(compared, 0.5), "-");
    assert_eq!(text::gap(compared), None);
    compared.latency_gap = Some(sloop_controllers::LatencyGap {
        us: 1_000,
        gap: -0.02,
        low: 0.0,
        high: 0.3,
        evidence: 1.04,
    });
    let words = text::gap(compared).unwrap();
    let expected = "It is not sure that latencies of the arms differ (e-value 1.0, sure from 20 on): at most 1.0ms \
         took 2% more of the arm of the fault";
    assert!(words.starts_with(expected), "{words}");
}
