mod only;
mod routes;

use std::fs;
use std::time::Duration;

use sloop_controllers::{
    AlertIntent, AlertTarget, AlertWhen, CircuitBreakerIntent, Comparison, DeadlineChoice,
    FaultInjectionIntent, Slicing, SloIntent, SloMode, SloWindow, Weight,
};
use sloop_model::{BreakerLimits, BreakerManner, BreakerMode, Judge, Share, Side};

use super::*;

/// 2026-01-15.
const NOW: WallTime = WallTime::from_millis(1_768_435_200_000);

const SLO: &str = r#"
apiVersion: openslo/v1
kind: SLO
metadata: {name: NAME, annotations: {"sloop.dev/mode": actionable}}
spec:
  service: checkout
  INDICATOR
  timeWindow: [{duration: 28d, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [OBJECTIVE]
"#;

fn slo(name: &str, indicator: &str, objective: &str) -> String {
    SLO.replace("NAME", name)
        .replace("INDICATOR", indicator)
        .replace("OBJECTIVE", objective)
}

fn inline(metric: &str) -> String {
    format!("indicator: {{metadata: {{name: x}}, spec: {metric}}}")
}

fn ratio(total: &str, part: &str) -> String {
    let metric = |spec: &str| format!("{{metricSource: {{type: sloop, spec: {spec}}}}}");
    let (name, spec) = part.split_once(' ').unwrap();
    inline(&format!(
        "{{ratioMetric: {{total: {}, {name}: {}}}}}",
        metric(total),
        metric(spec)
    ))
}

fn threshold(spec: &str) -> String {
    inline(&format!(
        "{{thresholdMetric: {{metricSource: {{type: sloop, spec: {spec}}}}}}}"
    ))
}

fn load(files: &[(&str, &str)]) -> Loaded {
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    read_texts(&files.iter().map(own).collect::<Vec<_>>(), NOW)
}

/// The only intent of `text`, after a check that nothing is wrong.
fn intent<T: serde::de::DeserializeOwned>(text: &str) -> T {
    let loaded = load(&[("a.yaml", text)]);
    assert_eq!(loaded.problems, [], "{text}");
    let [(_, _, body)] = loaded.intents.as_slice() else {
        panic!("{loaded:?}");
    };
    serde_json::from_str(body).unwrap()
}

/// What is wrong with `text`, as `path: message`.
fn wrong(text: &str) -> Vec<String> {
    let said = |remark: &Remark| format!("{}: {}", remark.path, remark.message);
    load(&[("a.yaml", text)])
        .problems
        .iter()
        .map(said)
        .collect()
}

fn noted(loaded: &Loaded, part: &str) -> bool {
    loaded.notes.iter().any(|note| note.message.contains(part))
}

#[test]
fn of_windows_longer_than_counts_are_kept_that_is_noted() {
    let said = |window: &str, budgeting: &str| {
        let text = slo(
            "a",
            &ratio("{service: pay}", "bad {status: [5xx]}"),
            "{target: 0.99, timeSliceTarget: 0.9, timeSliceWindow: 5m}",
        );
        let text = text.replace("{duration: 28d, isRolling: true}", window);
        let text = text.replace("Occurrences", budgeting);
        let loaded = load(&[("a.yaml", &text)]);
        assert_eq!(loaded.problems, [], "{text}");
        noted(&loaded, "days; counts of the last")
    };
    let calendar = |duration: &str, budgeting: &str| {
        let start = "startTime: '2026-01-01 00:00:00', timeZone: Europe/Paris";
        let calendar = format!("calendar: {{{start}}}");
        let window = format!("{{duration: {duration}, isRolling: false, {calendar}}}");
        said(&window, budgeting)
    };
    assert!(calendar("1Y", "Timeslices") && calendar("1Q", "Timeslices"));
    assert!(!calendar("1M", "Timeslices") && !calendar("12w", "Timeslices"));
    assert!(!calendar("1Y", "Occurrences") && calendar("2Y", "Occurrences"));
    let rolling = |days: u64| format!("{{duration: {days}d, isRolling: true}}");
    assert!(said(&rolling(401), "Occurrences") && !said(&rolling(400), "Occurrences"));
}

#[test]
fn labels_are_kept_and_of_too_many_and_too_long_ones_that_is_noted() {
    let base = slo(
        "a",
        &ratio("{service: pay}", "bad {status: [5xx]}"),
        "{target: 0.99}",
    );
    let with = |labels: &str| {
        base.replace(
            "annotations:",
            &format!("labels: {{{labels}}}, annotations:"),
        )
    };
    let labels = |text: &str| {
        intent::<SloIntent>(text)
            .labels
            .into_iter()
            .collect::<Vec<_>>()
    };
    let expected = [("none", ""), ("team", "x"), ("tiers", "a,b")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(
        labels(&with("tiers: [a, b], team: x, none: null")),
        expected
    );
    assert_eq!(labels(&base), []);
    let numbered = |last: u32| {
        let all = (10..=last).map(|number| format!("l{number}: x"));
        with(&all.collect::<Vec<_>>().join(", "))
    };
    let is_noted = |text: &str| noted(&load(&[("a.yaml", text)]), "is not kept");
    assert!(!is_noted(&numbered(41)) && is_noted(&numbered(42)));
    let kept = labels(&numbered(99));
    assert_eq!((kept.len(), kept[31].0.as_str()), (32, "l41"));
    let long = |bytes: usize| with(&format!("team: {}", "x".repeat(bytes)));
    assert!(!is_noted(&long(256)) && is_noted(&long(257)));
    assert_eq!(labels(&long(257)), []);
}

#[test]
fn a_ratio_becomes_selectors() {
    let text = slo(
        "a",
        &ratio(
            "{service: pay, route: order, side: client}",
            "bad {status: [5xx, 429, 400-404], grpcStatus: [UNAVAILABLE, 4], flags: [UT, UF], outcome: [timeout], slowerThan: 250ms}",
        ),
        "{target: 0.999}",
    );
    let intent: SloIntent = intent(&text);
    assert_eq!(intent.mode, SloMode::Actionable);
    assert_eq!(intent.window, SloWindow::Rolling(28 * 86_400_000));
    let source = intent.objectives[0].source.as_ref().unwrap();
    assert_eq!(
        (source.service.as_str(), source.side),
        ("pay", Side::Client)
    );
    assert_eq!(
        serde_json::to_string(&source.indicator).unwrap(),
        r#"{"bad":{"status":[[500,599],[429,429],[400,404]],"grpc_status":[14,4],"outcome":["timeout"],"flags":36,"slower_than_us":250000}}"#
    );
}

#[test]
fn what_a_part_leaves_out_the_total_says_and_else_the_slo() {
    let text = slo(
        "a",
        &ratio("{side: server}", "good {route: order}"),
        "{target: 0.9}",
    );
    let source = intent::<SloIntent>(&text).objectives[0]
        .source
        .clone()
        .unwrap();
    assert_eq!(source.service.as_str(), "checkout");
    assert_eq!(
        serde_json::to_string(&source.route).unwrap(),
        r#"{"named":"order"}"#
    );
    let text = slo(
        "a",
        &ratio("{route: a}", "good {route: b}"),
        "{target: 0.9}",
    );
    assert_eq!(wrong(&text).len(), 1, "{:?}", wrong(&text));
}

#[test]
fn thresholds_become_whole_microseconds() {
    let within = |unit: &str, objective: &str| {
        let text = slo(
            "a",
            &threshold(unit),
            &format!("{{{objective}, target: 0.9}}"),
        );
        let intent: SloIntent = intent(&text);
        let source = intent.objectives[0].source.clone().unwrap();
        source.indicator.within_us.unwrap()
    };
    assert_eq!(within("{unit: ms}", "op: lte, value: 250"), 250_000);
    assert_eq!(within("{unit: ms}", "op: lt, value: 250"), 249_999);
    assert_eq!(within("{unit: us}", "op: lt, value: 250.5"), 250);
    assert_eq!(within("{route: x}", "op: lte, value: 0.3"), 300_000);
    assert_eq!(within("{route: x}", "op: lte, value: 3600"), 3_600_000_000);
    for (objective, field) in [
        ("op: gt, value: 1", "op"),
        ("op: lte, value: 3600.1", "value"),
        ("op: lt, value: 0.000001", "value"),
        ("op: lte, value: -1", "value"),
    ] {
        let text = slo(
            "a",
            &threshold("{side: server}"),
            &format!("{{{objective}, target: 0.9}}"),
        );
        let wrong = wrong(&text);
        let path = format!("spec.objectives[0].{field}: ");
        assert!(wrong.len() == 1 && wrong[0].starts_with(&path), "{wrong:?}");
    }
}

#[test]
fn references_lead_across_files() {
    let sli = "apiVersion: openslo/v1\nkind: SLI\nmetadata: {name: fast}\nspec: {thresholdMetric: {metricSource: {metricSourceRef: mesh, spec: {unit: ms}}}}\n";
    let mesh = "apiVersion: openslo/v1\nkind: DataSource\nmetadata: {name: mesh}\nspec: {type: sloop, connectionDetails: {}}\n";
    let slo = slo(
        "a",
        "indicatorRef: fast",
        "{op: lte, value: 100, target: 0.9}",
    );
    let is_counted = |loaded: &Loaded| {
        let intent: SloIntent = serde_json::from_str(&loaded.intents[0].2).unwrap();
        intent.objectives[0].source.is_some()
    };
    let all = load(&[("a.yaml", &slo), ("b.yaml", sli), ("c.yaml", mesh)]);
    assert!(is_counted(&all), "{all:?}");
    assert_eq!(all.intents[0].0, IntentId("SLO/a".to_owned()));
    assert_eq!(all.intents[0].1, "slo");
    let without_mesh = load(&[("a.yaml", &slo), ("b.yaml", sli)]);
    assert!(!is_counted(&without_mesh));
    assert!(
        noted(&without_mesh, "there is no DataSource mesh"),
        "{without_mesh:?}"
    );
    let alone = load(&[("a.yaml", &slo)]);
    assert!(noted(&alone, "there is no SLI fast"));
    assert!(noted(&alone, "sloop.dev/mode has no effect"));
    assert_eq!(alone.problems, []);
}

#[test]
fn an_annotation_says_how_long_requests_have() {
    let threshold = ratio("{service: pay}", "bad {status: [5xx]}");
    let with = |annotation: &str| {
        slo("a", &threshold, "{target: 0.9}")
            .replace("actionable}", &format!("actionable, {annotation}}}"))
    };
    let chosen = |value: &str| {
        let intent: SloIntent = intent(&with(&format!("\"sloop.dev/deadline\": \"{value}\"")));
        intent.deadline
    };
    let limit = |millis: u32| DeadlineChoice::Limit(millis.try_into().unwrap());
    assert_eq!(chosen("off"), DeadlineChoice::Off);
    assert_eq!(chosen("2s"), limit(2_000));
    assert_eq!(chosen("10m"), limit(600_000));
    let without: SloIntent = intent(&slo("a", &threshold, "{target: 0.9}"));
    assert_eq!(without.deadline, DeadlineChoice::Derived);
    for (annotation, expected) in [
        (
            "\"sloop.dev/deadline\": \"11m\"",
            "is \"11m\"; it must be \"off\", or a whole number and one of ms, s, m, from 1ms to 10m",
        ),
        ("\"sloop.dev/deadline\": \"0s\"", "is \"0s\"; it must be"),
        (
            "\"sloop.dev/dedline\": \"2s\"",
            "did you mean \"sloop.dev/deadline\"?",
        ),
        (
            "\"slop.dev/deadline\": \"2s\"",
            "did you mean \"sloop.dev/deadline\"?",
        ),
    ] {
        let wrong = wrong(&with(annotation)).join(" ");
        assert!(wrong.contains(expected), "{wrong}");
    }
    let others = with("\"acme.dev/deadline\": \"2026\"");
    assert_eq!(wrong(&others), [""; 0], "somebody else's");
    let monitored = with("\"sloop.dev/deadline\": \"off\"").replace("actionable", "monitored");
    let loaded = load(&[("a.yaml", &monitored)]);
    assert!(noted(&loaded, "has no effect: the SLO is monitored"));
}

#[test]
fn what_is_not_evaluated_is_accepted_and_said() {
    let elsewhere = "{thresholdMetric: {metricSource: {type: Prometheus, spec: {query: x}}}}";
    let text = slo("a", &inline(elsewhere), "{op: lt, value: 1, target: 0.9}");
    let loaded = load(&[("a.yaml", &text)]);
    assert!(
        noted(&loaded, "metrics of type \"Prometheus\" are not read"),
        "{loaded:?}"
    );
    let slices = slo(
        "a",
        &threshold("{unit: s}"),
        "{op: lt, value: 1, target: 0.9, timeSliceTarget: 1, timeSliceWindow: 1m}",
    )
    .replace("Occurrences", "Timeslices");
    assert!(noted(
        &load(&[("a.yaml", &slices.replace("1m}", "29d}"))]),
        "29d is longer than the SLO's window"
    ));
    assert!(noted(
        &load(&[("a.yaml", &slices.replace("1m}", "0m}"))]),
        "a slice has 0 minutes"
    ));
    let empty = slo(
        "a",
        &threshold("{unit: s}"),
        "{op: lt, value: 1, target: 0.9}",
    )
    .replace("28d", "0d");
    assert!(noted(
        &load(&[("a.yaml", &empty)]),
        "the window 0d is empty"
    ));
}

#[test]
fn slices_of_time_are_read() {
    let text = slo(
        "a",
        &threshold("{unit: s}"),
        "{op: lt, value: 1, target: 0.9, timeSliceTarget: 0.95, timeSliceWindow: 5m}",
    );
    let slicing = |method: &str| {
        let intent = intent::<SloIntent>(&text.replace("Occurrences", method));
        intent.objectives[0].slicing
    };
    let five = Duration::from_secs(300);
    assert_eq!(slicing("Timeslices"), Slicing::whole(five, 0.95).ok());
    assert_eq!(slicing("RatioTimeslices"), Slicing::ratio(five).ok());
    assert_eq!(slicing("Occurrences"), None, "they mean nothing there");
}

#[test]
fn objectives_of_a_composite_have_weights() {
    let objective = |rest: &str| {
        format!(
            "{{target: 0.9, {rest} indicator: {{metadata: {{name: i}}, spec: {{ratioMetric: {{counter: true, \
             total: {{metricSource: {{type: sloop, spec: {{route: '*'}}}}}}, good: {{metricSource: {{type: sloop, spec: {{side: server}}}}}}}}}}}}}}"
        )
    };
    let objectives = format!("{}, {}", objective(""), objective("compositeWeight: 2.5,"));
    let text = slo("a", "", &objectives);
    let intent = intent::<SloIntent>(&text);
    let weights: Vec<_> = intent.objectives.iter().map(|it| it.weight).collect();
    assert_eq!(weights, [Some(Weight::ONE), Some(Weight::nearest(2.5))]);
    assert!(noted(
        &load(&[("a.yaml", &text.replace("2.5", "1e-30"))]),
        "it is held at"
    ));
}

#[test]
fn our_own_kinds_are_read() {
    let breaker: CircuitBreakerIntent = intent(
        "{apiVersion: sloop.dev/v1, kind: CircuitBreaker, metadata: {name: b}, spec: {service: s, mode: shadow, limits: \
         {window_ms: 1000, calls_min: 20, failed_max: 12.5%, open_ms: 500, open_max_ms: 10000, probes: 5}}}",
    );
    assert_eq!(breaker.mode, BreakerMode::Shadow);
    assert_eq!(
        breaker.limits.limits().failed_max,
        Share::try_from(1_250).unwrap()
    );
    let fault: FaultInjectionIntent = intent(
        "{apiVersion: sloop.dev/v1, kind: FaultInjection, metadata: {name: f}, spec: {service: s, side: client, fault: \
         {share: 100, abort_status: 503, expires_at: '2026-02-01T00:00:00Z'}}}",
    );
    assert_eq!((fault.side, fault.fault.id()), (Side::Client, "f"));
    assert_eq!(fault.fault.expires_at().as_millis(), 1_769_904_000_000);
}

/// A breaker on `pay` with these limits, beside an SLO with this mode.
fn breaker_beside(mode: &str, spec: &str) -> Loaded {
    let slo = slo(
        "a",
        &ratio("{service: pay}", "bad {status: [5xx]}"),
        "{target: 0.999}",
    );
    let slo = slo.replace("actionable", mode);
    let breaker = format!(
        "{{apiVersion: sloop.dev/v1, kind: CircuitBreaker, metadata: {{name: b}}, spec: {{service: pay{spec}}}}}"
    );
    load(&[("breaker.yaml", &breaker), ("slo.yaml", &slo)])
}

/// The limits that hold by it.
fn limits_beside(mode: &str, spec: &str) -> BreakerLimits {
    let loaded = breaker_beside(mode, spec);
    assert_eq!(loaded.problems, [], "{spec}");
    let found = loaded.intents.iter().find_map(|(id, _, body)| {
        let intent = (id.0 == "CircuitBreaker/b").then(|| serde_json::from_str(body))?;
        Some(intent.unwrap())
    });
    let intent: CircuitBreakerIntent = found.unwrap();
    *intent.limits.limits()
}

#[test]
fn what_a_breaker_leaves_out_is_as_slos_imply() {
    let implied = limits_beside("actionable", "");
    assert_eq!(implied.failed_max, Share::try_from(5_005).unwrap());
    assert_ne!((implied.sigmas_hundredths, implied.ramp_ms), (0, 0));
    assert_eq!(limits_beside("shadow", ", limits: {}"), implied);
    let by_outcomes = BreakerLimits {
        manner: BreakerManner {
            judge: Judge::Outcomes,
            ..implied.manner
        },
        ..implied
    };
    assert_ne!(implied, by_outcomes, "monitored SLOs guard nothing");
    assert_eq!(limits_beside("monitored", ""), by_outcomes);
    assert_eq!(
        limits_beside("actionable", ", limits: {manner: {judge: outcomes}}"),
        by_outcomes,
        "and the rest of it is as implied"
    );
    let other = BreakerLimits {
        failed_max: Share::try_from(2_000).unwrap(),
        ..implied
    };
    let limits = "failed_max: 20%, calls_min: null";
    assert_eq!(
        limits_beside("actionable", &format!(", limits: {{{limits}}}")),
        other
    );
    let by_calls = BreakerLimits {
        window_ms: None,
        window_buckets: None,
        window_calls: Some(50),
        ..implied
    };
    let limits = ", limits: {window_calls: 50}";
    assert_eq!(limits_beside("actionable", limits), by_calls);
}

/// Else the file would be wrong as it is, and the SLO would act on.
#[test]
fn an_slo_can_be_monitored_in_the_file_of_a_breaker_that_is_written_in_part() {
    let slo = slo(
        "a",
        &ratio("{service: pay}", "bad {status: [5xx]}"),
        "{target: 0.999}",
    );
    let breaker = "{apiVersion: sloop.dev/v1, kind: CircuitBreaker, metadata: {name: b}, spec: \
                   {service: pay, limits: {failed_max: 20%}}}";
    let text = format!("{slo}---\n{breaker}\n");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    fs::write(&file, &text).unwrap();
    let mut documents = Folder::new(folder.path().to_owned(), Applied::default());
    assert_eq!(documents.read(NOW).problems, []);
    fs::write(&file, text.replace("actionable", "monitored")).unwrap();
    let loaded = documents.read(NOW);
    assert_eq!((loaded.problems, loaded.kept), (vec![], vec![]));
    let slo = loaded.intents.iter().find(|(id, ..)| id.0 == "SLO/a");
    let slo: SloIntent = serde_json::from_str(&slo.unwrap().2).unwrap();
    assert_eq!(slo.mode, SloMode::Monitored);
}

#[test]
fn what_nobody_implies_a_breaker_must_say() {
    let wrong = |mode: &str, spec: &str| -> Vec<String> {
        let problems = breaker_beside(mode, spec).problems;
        let said = problems.iter();
        let said = said.map(|said| format!("{} {}: {}", said.file, said.path, said.message));
        let mut said: Vec<String> = said.collect();
        said.sort();
        said
    };
    let why = "is required where no SLO implies it";
    let of = |name: &str| format!("breaker.yaml spec.limits.{name}: {why}");
    let all = [
        "calls_min",
        "failed_max",
        "open_max_ms",
        "open_ms",
        "probes",
        "window_ms",
    ];
    let elsewhere = ", side: client";
    assert_eq!(wrong("actionable", elsewhere), all.map(of));
    let some =
        ", side: client, limits: {window_calls: 9, failed_max: 50%, open_ms: 10, open_max_ms: 10}";
    assert_eq!(wrong("actionable", some), [of("calls_min"), of("probes")]);
    // What is written is looked at for itself, too, and beside what is implied.
    assert_eq!(
        wrong("actionable", ", limits: {probes: 0}"),
        ["breaker.yaml spec.limits.probes: probes is 0; it must be from 1 to 1000"]
    );
    let [said] = &wrong("actionable", ", limits: {open_ms: 90000}")[..] else {
        panic!("one thing is wrong");
    };
    assert!(
        said.contains("together with what SLOs imply: open_max_ms is"),
        "{said}"
    );
}

#[test]
fn limits_of_the_model_are_said_at_their_field() {
    let wrong = wrong(
        "{apiVersion: sloop.dev/v1, kind: CircuitBreaker, metadata: {name: b}, spec: {service: s, limits: \
         {window_ms: 50, calls_min: 20, failed_max: 50%, open_ms: 500, open_max_ms: 10000, probes: 5}}}",
    );
    assert_eq!(
        wrong,
        ["spec.limits.window_ms: window_ms is 50; it must be from 100 to 600000"]
    );
}

#[test]
fn all_errors_are_said_at_once_and_with_what_was_meant() {
    let text = slo(
        "Bad",
        &ratio("{rout: a}", "good {status: [7xx], flags: [XX]}"),
        "{target: 2}",
    )
    .replace("service:", "servce:")
    .replace("sloop.dev/mode", "sloop.dev/mod");
    let wrong = wrong(&text);
    for part in [
        "metadata.name: is \"Bad\"",
        "did you mean \"sloop.dev/mode\"?",
        "spec.servce: unknown field; did you mean \"service\"?",
        "spec.service: is required",
        "did you mean \"route\"?",
        "status range 700 to 799",
        "it must be one of LH, UH",
        "spec.objectives[0].target: is 2; it must be at least 0 and below 1",
    ] {
        assert!(
            wrong.iter().any(|line| line.contains(part)),
            "{part}: {wrong:#?}"
        );
    }
}

#[test]
fn a_threshold_without_a_unit_that_is_long_in_seconds_is_noted() {
    let said = |spec: &str, value: &str| {
        let objective = format!("{{op: lte, value: {value}, target: 0.9}}");
        let loaded = load(&[("a.yaml", &slo("a", &threshold(spec), &objective))]);
        assert_eq!(loaded.problems, [], "{spec} {value}");
        let mut notes = loaded.notes.iter();
        let note = notes.find(|note| note.message.contains("has no unit"))?;
        Some(format!("{}: {}", note.path, note.message))
    };
    let expected = "spec.objectives[0].value: is 250 s, as the metricSource has no unit; for milliseconds write unit: ms";
    assert_eq!(said("{route: pay}", "250").as_deref(), Some(expected));
    assert!(said("{route: pay}", "60.5").is_some());
    assert_eq!(said("{route: pay}", "60"), None);
    assert_eq!(said("{unit: s}", "250"), None);
    assert_eq!(said("{unit: ms}", "250"), None);
}

#[test]
fn a_name_is_there_once_and_both_places_are_told() {
    let text = slo(
        "a",
        &threshold("{unit: s}"),
        "{op: lt, value: 1, target: 0.9}",
    );
    let loaded = load(&[("a.yaml", &text), ("b.yaml", &text)]);
    let lines: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "a.yaml:4:18: metadata.name: the SLO a is at b.yaml:4, too",
            "b.yaml:4:18: metadata.name: the SLO a is at a.yaml:4, too",
        ]
    );
    assert_eq!(loaded.intents, []);
}

#[test]
fn a_file_with_a_problem_keeps_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let good = |name: &str| {
        slo(
            name,
            &threshold("{unit: s}"),
            "{op: lt, value: 1, target: 0.9}",
        )
    };
    let names = |loaded: &Loaded| {
        let names = loaded.intents.iter().map(|(id, _, _)| id.0.clone());
        names.collect::<Vec<_>>()
    };
    let mut watched = Folder::new(folder.path().to_owned(), Applied::default());
    write("a.yaml", &good("a"));
    fs::create_dir(folder.path().join("deep")).unwrap();
    write("deep/b.json", &good("b"));
    write("ignored.txt", "not read");
    write(".hidden.yaml", "not read");
    assert_eq!(names(&watched.read(NOW)), ["SLO/a", "SLO/b"]);
    write("a.yaml", "kind: [");
    let broken = watched.read(NOW);
    assert_eq!(names(&broken), ["SLO/a", "SLO/b"]);
    assert_eq!((broken.problems.len(), broken.kept.len()), (1, 1));
    // A newcomer with the same name does not drive it out.
    write("a2.yaml", &good("a"));
    assert_eq!(names(&watched.read(NOW)), ["SLO/a", "SLO/b"]);
    fs::remove_file(folder.path().join("a2.yaml")).unwrap();
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    assert_eq!(names(&watched.read(NOW)), ["SLO/b"], "gone is gone");
    fs::write(folder.path().join("deep/b.json"), [0xff, 0xfe]).unwrap();
    assert_eq!(names(&watched.read(NOW)), ["SLO/b"], "not a text");
    drop(folder);
    let lost = watched.read(NOW);
    assert_eq!(names(&lost), ["SLO/b"], "the folder itself cannot be read");
    assert_eq!(lost.problems.len(), 1);
}

/// One that leads to itself stands for all behind which nobody may look.
#[cfg(unix)]
#[test]
fn a_file_behind_a_link_is_gone_when_the_link_leads_nowhere_and_not_when_nobody_can_say() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("a.yaml");
    let text = threshold("{unit: s}");
    fs::write(&file, slo("a", &text, "{op: lt, value: 1, target: 0.9}")).unwrap();
    let link = folder.path().join("link.yaml");
    let mut watched = Folder::new(folder.path().to_owned(), Applied::default());
    let mut lead_to = |target: &Path| {
        drop(fs::remove_file(&link));
        std::os::unix::fs::symlink(target, &link).unwrap();
        let loaded = watched.read(NOW);
        let counts = (loaded.intents.len(), loaded.problems.len());
        (counts, watched.said().len(), watched.has_unread_news())
    };
    assert_eq!(lead_to(&file), ((1, 0), 1, false));
    assert_eq!(lead_to(&link), ((1, 1), 1, false), "it is kept");
    assert_eq!(lead_to(&file), ((1, 0), 1, false));
    let nowhere = elsewhere.path().join("b.yaml");
    assert_eq!(lead_to(&nowhere), ((0, 0), 0, false));
    assert_eq!(lead_to(elsewhere.path()), ((0, 0), 0, false), "a folder");
}

const LAYER: &str = "apiVersion: sloop.dev/v1\nkind: EnvoyResource\nmetadata: {name: layer}\n\
    spec: {resource: {\"@type\": type.googleapis.com/envoy.service.runtime.v3.Runtime, name: layer, layer: {}}}\n";

/// One that is too deep stands for all of which nobody knows what is in them.
#[test]
fn of_a_folder_below_that_cannot_be_read_all_is_kept_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let good = |name: &str| {
        slo(
            name,
            &threshold("{unit: s}"),
            "{op: lt, value: 1, target: 0.9}",
        )
    };
    let names = |loaded: &Loaded| {
        let names = loaded.intents.iter().map(|(id, _, _)| id.0.clone());
        names.collect::<Vec<_>>()
    };
    let deep = folder.path().join(["d"; 17].join("/"));
    fs::create_dir_all(&deep).unwrap();
    let file = deep.join("a.yaml").display().to_string();
    fs::write(&file, good("a")).unwrap();
    fs::create_dir(folder.path().join("lost+found")).unwrap();
    fs::write(folder.path().join("lost+found/b.yaml"), "none").unwrap();
    fs::write(folder.path().join("c.yaml"), good("c")).unwrap();
    let watched = || Folder::new(folder.path().to_owned(), Applied::default());
    let said = [(file.clone(), good("a").into())];
    let mut again = watched().which_said(said.into(), NOW);
    let loaded = again.read(NOW);
    assert_eq!(names(&loaded), ["SLO/a", "SLO/c"]);
    assert_eq!(loaded.kept, [file]);
    assert_eq!(loaded.fleet, Some(Vec::new()), "as the store has it");
    let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    let why = "more than 16 folders inside each other";
    assert_eq!(problems, [format!("{}: {why}", deep.display())]);
    fs::write(folder.path().join("e.yaml"), LAYER).unwrap();
    let loaded = again.read(NOW);
    assert_eq!(loaded.fleet, Some(Vec::new()), "fleets stay as they are");
    let said = [(deep.join("e.yaml").display().to_string(), LAYER.into())];
    fs::remove_file(folder.path().join("e.yaml")).unwrap();
    let loaded = watched().which_said(said.into(), NOW).read(NOW);
    assert_eq!(loaded.fleet.map(|all| all.len()), Some(1));
    let loaded = watched().read(NOW);
    assert_eq!(names(&loaded), ["SLO/c"], "nobody knows what it said");
    assert_eq!(loaded.fleet, None, "nor what would be taken away");
    let once = read_dir(folder.path(), NOW);
    assert_eq!(
        (names(&once), once.problems.len()),
        (vec!["SLO/c".to_owned()], 1)
    );
}

#[test]
fn routes_have_a_name_once_in_a_service() {
    let set = |name: &str| {
        format!(
            "{{apiVersion: sloop.dev/v1, kind: RouteSet, metadata: {{name: {name}}}, spec: {{service: s, routes: [{{name: r, match: [{{path: {{prefix: /a}}}}]}}]}}}}"
        )
    };
    let loaded = load(&[("a.yaml", &set("a")), ("b.yaml", &set("b"))]);
    assert_eq!(loaded.problems.len(), 2, "{loaded:?}");
    let twice = set("a").replace(
        "routes: [",
        "routes: [{name: r, match: [{method: [GET]}]}, ",
    );
    assert_eq!(wrong(&twice).len(), 1);
    assert_eq!(load(&[("a.yaml", &set("a"))]).route_sets.len(), 1);
}

#[test]
fn of_a_version_that_is_not_read_it_is_said_how_to_convert_it() {
    let said = |version: &str| {
        let text = slo(
            "a",
            &ratio("{service: pay}", "good {route: order}"),
            "{target: 0.999}",
        );
        let wrong = wrong(&text.replace("openslo/v1", version));
        let [only] = wrong.as_slice() else {
            panic!("{wrong:?}");
        };
        only.strip_prefix("apiVersion: ").unwrap().to_owned()
    };
    for (version, becomes) in [
        (
            "openslo/v1alpha",
            &[
                "timeWindows becomes timeWindow",
                "ratioMetrics of objectives becomes indicator.spec.ratioMetric",
                "indicator.thresholdMetric becomes indicator.spec.thresholdMetric",
                "incremental becomes counter",
                "source, queryType and query become a metricSource",
            ][..],
        ),
        (
            "openslo.com/v2alpha",
            &[
                "serviceRef becomes service",
                "sli and sliRef become indicator and indicatorRef",
                "dataSourceRef becomes metricSource.metricSourceRef",
                "dataSourceSpec becomes metricSource with type and spec",
                "spec of a metric becomes metricSource.spec",
            ],
        ),
    ] {
        let text = said(version);
        let start = format!("{version} is not read; write openslo/v1: ");
        assert!(text.starts_with(&start), "{text}");
        for part in becomes {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(
        said("openslo/v3"),
        "is \"openslo/v3\"; did you mean \"openslo/v1\"?"
    );
}

#[test]
fn a_hundred_findings_of_a_file_are_enough() {
    let text = "{apiVersion: openslo/v1, kind: Service, metadata: {name: A}}\n---\n".repeat(200);
    let loaded = load(&[("a.yaml", &text)]);
    assert_eq!(loaded.problems.len(), 100);
    let last = loaded.problems.last().unwrap();
    assert!(last.message.contains("only the first 100"), "{last}");
    assert_eq!(last.line, 199);
}

const ALERTS: &str = r#"
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: wake}
spec:
  alertWhenBreaching: true
  alertWhenResolved: true
  conditions: [{conditionRef: fast}]
  notificationTargets: [{targetRef: phone}, {targetRef: slack}]
---
apiVersion: openslo/v1
kind: AlertCondition
metadata: {name: fast}
spec:
  severity: page
  condition: {kind: burnrate, op: gte, threshold: 14.4, lookbackWindow: 1h, alertAfter: 2m}
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: phone}
spec: {target: "https://hooks.example.com/alert?team=a"}
---
apiVersion: openslo/v1
kind: AlertNotificationTarget
metadata: {name: slack}
spec: {target: slack}
"#;

fn alerting(policies: &str) -> String {
    let slo = slo(
        "a",
        &ratio("{service: pay}", "good {route: order}"),
        "{target: 0.999}",
    );
    format!("{slo}  alertPolicies: {policies}\n")
}

#[test]
fn alert_policies_of_slos_are_evaluated_and_delivered_to_webhooks() {
    let text = alerting("[{alertPolicyRef: wake}]");
    let loaded = load(&[("a.yaml", &text), ("b.yaml", ALERTS)]);
    assert_eq!(loaded.problems, []);
    let (id, _, body) = loaded
        .intents
        .iter()
        .find(|(_, kind, _)| *kind == "alert")
        .unwrap();
    assert_eq!(id.0, "SLO/a/AlertPolicy/wake");
    let alert: AlertIntent = serde_json::from_str(body).unwrap();
    assert_eq!(
        (alert.op, alert.severity.as_str()),
        (Comparison::Gte, "page")
    );
    assert_eq!((alert.lookback_ms, alert.after_ms), (3_600_000, 120_000));
    let when = AlertWhen {
        breaching: true,
        resolved: true,
        no_data: false,
    };
    assert_eq!(alert.when, when);
    let phone = AlertTarget {
        name: "phone".to_owned(),
        url: "https://hooks.example.com/alert?team=a".to_owned(),
    };
    assert_eq!(alert.targets, [phone]);
    assert!(noted(&loaded, "slack is not told"), "{:?}", loaded.notes);
}

#[test]
fn alert_policies_may_stand_in_their_place() {
    let policy = "[{kind: AlertPolicy, metadata: {name: own}, spec: {conditions: [{kind: AlertCondition, metadata: {name: c}, spec: {severity: s, condition: {kind: burnrate, op: gt, threshold: 2, lookbackWindow: 5m}}}], notificationTargets: [{kind: AlertNotificationTarget, metadata: {name: t}, spec: {target: 'http://127.0.0.1:9/'}}]}}]";
    let loaded = load(&[("a.yaml", &alerting(policy))]);
    assert_eq!(loaded.problems, []);
    let alerts = loaded
        .intents
        .iter()
        .filter(|(_, kind, _)| *kind == "alert");
    assert_eq!(alerts.count(), 1);
}

#[test]
fn what_alerts_are_made_of_is_there_once_too() {
    let alerts: Vec<&str> = ALERTS.split("---").collect();
    for (document, name) in alerts.iter().zip(["wake", "fast", "phone", "slack"]) {
        let loaded = load(&[("a.yaml", ALERTS), ("b.yaml", document)]);
        let said: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        let both = ["a.yaml:", "b.yaml:"];
        assert!(
            said.iter().zip(both).all(|(it, file)| it.starts_with(file)),
            "{said:?}"
        );
        assert!(
            said[1].contains(&format!(" {name} is at a.yaml:")),
            "{said:?}"
        );
    }
}

#[test]
fn alert_policies_of_an_slo_have_names_of_their_own() {
    let inline = "{kind: AlertPolicy, metadata: {name: wake}, spec: {conditions: [{conditionRef: fast}], notificationTargets: [{targetRef: phone}]}}";
    let policies = |list: &[&str]| {
        let text = alerting(&format!("[{}]", list.join(", ")));
        load(&[("a.yaml", &text), ("b.yaml", ALERTS)])
    };
    let reference = "{alertPolicyRef: wake}";
    let other = inline.replace("name: wake", "name: other");
    for twice in [
        [inline, &other, inline],
        [inline, &other, reference],
        [reference, &other, inline],
    ] {
        let loaded = policies(&twice);
        let said: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        let why = " spec.alertPolicies[2]: is called wake, as spec.alertPolicies[0] is; give each alert policy of an SLO a name of its own";
        assert!(said[0].ends_with(why), "{said:?}");
    }
    for fine in [[inline, &other], [reference, reference]] {
        assert_eq!(policies(&fine).problems, []);
    }
}

#[test]
fn an_alert_policy_that_nobody_declares_is_noted() {
    let loaded = load(&[("a.yaml", &alerting("[{alertPolicyRef: wake}]"))]);
    assert_eq!(loaded.problems, []);
    assert!(
        noted(&loaded, "there is no AlertPolicy wake"),
        "{:?}",
        loaded.notes
    );
}

#[test]
fn alert_policies_may_ask_for_orders_to_breakers_too() {
    let asking = |value: &str| {
        let annotations = format!("annotations: {{\"sloop.dev/alert-when-acting\": {value}}}");
        ALERTS.replacen("{name: wake}", &format!("{{name: wake, {annotations}}}"), 1)
    };
    let acting = |alerts: &str| {
        let slo = alerting("[{alertPolicyRef: wake}]");
        let loaded = load(&[("a.yaml", &slo), ("b.yaml", alerts)]);
        assert_eq!(loaded.problems, []);
        let mut intents = loaded.intents.iter();
        let (.., body) = intents.find(|(_, kind, _)| *kind == "alert").unwrap();
        serde_json::from_str::<AlertIntent>(body).unwrap().acting
    };
    assert!(acting(&asking("\"true\"")));
    assert!(!acting(&asking("\"false\"")));
    assert!(!acting(ALERTS));
    let wrong = wrong(&asking("\"yes\""));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(
        wrong[0].starts_with("metadata.annotations['sloop.dev/alert-when-acting']: is \"yes\""),
        "{wrong:?}"
    );
}

#[test]
fn annotations_of_slo_and_policy_come_with_alerts_and_the_policys_count() {
    let text = |of_slo: &str, of_policy: &str| {
        let slo = alerting("[{alertPolicyRef: wake}]");
        let slo = slo.replacen("annotations: {", &format!("annotations: {{{of_slo}"), 1);
        let annotated = format!("{{name: wake, annotations: {{{of_policy}}}}}");
        let policy = ALERTS.replacen("{name: wake}", &annotated, 1);
        format!("{slo}---\n{policy}")
    };
    let annotations = |text: &str| {
        let loaded = load(&[("a.yaml", text)]);
        assert_eq!(loaded.problems, []);
        let mut intents = loaded.intents.iter();
        let (.., body) = intents.find(|(_, kind, _)| *kind == "alert").unwrap();
        let alert: AlertIntent = serde_json::from_str(body).unwrap();
        alert.annotations.into_iter().collect::<Vec<_>>()
    };
    let both = text(
        "owner: payments, runbook_url: general, ",
        "runbook_url: special, \"sloop.dev/alert-when-acting\": \"true\"",
    );
    let expected = [("owner", "payments"), ("runbook_url", "special")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(annotations(&both), expected);
    let long = |bytes: usize| text("", &format!("a: {}", "x".repeat(bytes)));
    let is_noted = |text: &str| noted(&load(&[("a.yaml", text)]), "is not kept");
    assert!(!is_noted(&long(1_024)) && is_noted(&long(1_025)));
    assert_eq!(annotations(&long(1_025)), []);
    let many = |last: u32| {
        let all = (10..=last).map(|number| format!("a{number}: x"));
        text("", &all.collect::<Vec<_>>().join(", "))
    };
    assert!(!is_noted(&many(41)) && is_noted(&many(42)));
    assert_eq!(annotations(&many(99)).len(), 32);
}

#[test]
fn what_alert_policies_may_ask_for_means_nothing_elsewhere() {
    let ours = "\"sloop.dev/alert-when-acting\": \"true\"";
    let slo = slo(
        "a",
        &ratio("{service: pay}", "good {route: order}"),
        "{target: 0.999}",
    );
    let slo = slo.replace("\"sloop.dev/mode\": actionable", ours);
    let said = wrong(&slo);
    assert!(
        said[0].ends_with("means something on an AlertPolicy only"),
        "{said:?}"
    );
    let policy = ALERTS.replacen(
        "{name: wake}",
        "{name: wake, annotations: {\"sloop.dev/mode\": shadow}}",
        1,
    );
    let said = wrong(&policy);
    assert!(
        said[0].ends_with("means something on an SLO only"),
        "{said:?}"
    );
}
