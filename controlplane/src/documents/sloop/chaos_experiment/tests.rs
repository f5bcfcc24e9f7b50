use sloop_controllers::{ChaosSchedule, ChaosSpec};
use sloop_model::WallTime;

use super::super::super::read_texts;

/// Thursday, 2026-01-01T00:00:00Z.
const NOW: WallTime = WallTime::from_millis(1_767_225_600_000);

const EXPERIMENT: &str = "\
apiVersion: sloop.dev/v1
kind: ChaosExperiment
metadata: {name: payments-slow}
spec:
  hypothesis:
    - {slo: orders, tolerance: 2%}
    - {slo: orders, objective: 1}
  targets:
    - {service: payments, route: charge}
    - {service: wallet, side: client}
  choose: 1
  faults:
    - share: 10%
      delay: {pareto: {scale_ms: 300, shape: 1.5}}
      caller: [checkout]
    - {share: 200, abort_status: 503}
  control: 5%
  duration: 90s
  budget: 20%
  abort: {burning: now, bad: 50%}
  ends: at_its_time
  schedule: SCHEDULE
  seed: 7
";

fn read(text: &str) -> Result<ChaosSpec, Vec<String>> {
    let loaded = read_texts(&[("a.yaml".to_owned(), text.to_owned())], NOW);
    if !loaded.problems.is_empty() {
        return Err(loaded.problems.iter().map(ToString::to_string).collect());
    }
    let (id, kind, body) = &loaded.intents[0];
    assert_eq!(
        (id.0.as_str(), *kind),
        ("ChaosExperiment/payments-slow", "chaos")
    );
    Ok(serde_json::from_str(body).unwrap())
}

fn scheduled(schedule: &str) -> Result<Vec<String>, Vec<String>> {
    let spec = read(&EXPERIMENT.replace("SCHEDULE", schedule))?;
    let ChaosSchedule::At(moments) = spec.schedule else {
        panic!("{:?}", spec.schedule)
    };
    let text = |moment: &WallTime| {
        let millis = i64::try_from(moment.as_millis()).unwrap();
        jiff::Timestamp::from_millisecond(millis)
            .unwrap()
            .to_string()
    };
    Ok(moments.iter().map(text).collect())
}

#[test]
fn an_experiment_is_read_whole() {
    let spec = read(&EXPERIMENT.replace("SCHEDULE", "asked")).unwrap();
    assert_eq!(
        (spec.faults.len(), spec.targets.len(), spec.choose),
        (2, 2, Some(1))
    );
    assert_eq!(u16::from(spec.faults[0].share()), 1_000);
    assert_eq!(spec.faults[0].reach().callers, ["checkout"]);
    assert_eq!(spec.hypothesis[0].tolerance.map(u16::from), Some(200));
    assert_eq!(spec.hypothesis[1].tolerance, None);
    assert_eq!(
        (u16::from(spec.control), u16::from(spec.budget)),
        (500, 2_000)
    );
    assert_eq!((spec.lasting_ms, spec.seed), (90_000, 7));
    assert_eq!(spec.schedule, ChaosSchedule::Asked);
    let without = EXPERIMENT.replace("  schedule: SCHEDULE\n", "");
    assert_eq!(read(&without).unwrap().schedule, ChaosSchedule::Asked);
}

#[test]
fn moments_are_sorted_and_a_window_has_one_on_each_of_its_days() {
    let moments = scheduled("{at: ['2026-02-01T10:00:00Z', '2026-01-31T10:00:00+01:00']}").unwrap();
    assert_eq!(moments, ["2026-01-31T09:00:00Z", "2026-02-01T10:00:00Z"]);

    let window = "{days: [mon, fri], from: '09:00', to: '17:00', zone: Europe/Paris}";
    let moments = scheduled(window).unwrap();
    assert_eq!(moments, scheduled(window).unwrap(), "the same seed");
    assert!((16..=18).contains(&moments.len()), "{moments:?}");
    assert!(
        moments[0].starts_with("2026-01-02T"),
        "the first Friday: {moments:?}"
    );
    for moment in &moments {
        let hour: u32 = moment[11..13].parse().unwrap();
        assert!((8..16).contains(&hour), "{moment} is in winter time");
    }
    // A run begins early enough to end in the window.
    let narrow = scheduled("{days: [fri], from: '09:00', to: '09:02', zone: UTC}").unwrap();
    assert!(
        narrow.iter().all(|moment| &moment[11..19] <= "09:00:30"),
        "{narrow:?}"
    );
}

#[test]
fn what_is_wrong_is_said_with_field_value_and_bound_all_at_once() {
    for (from, to, words) in [
        (
            "90s",
            "9d",
            "spec.duration: is \"9d\"; it must be a whole number and one of s, m, h",
        ),
        (
            "90s",
            "4s",
            "spec.duration: lasting_ms has 4000; it must have from 5000 to 86400000",
        ),
        (
            "budget: 20%",
            "budget: 0",
            "spec.budget: budget has 0; it must have from 1",
        ),
        (
            "share: 200",
            "share: 4500",
            "spec.faults: faults touch 5500 ten-thousandths",
        ),
        ("scale_ms: 300", "scale_ms: 0", "spec.faults[0]"),
        (
            "{share: 200,",
            "{share: 200, seed: 1,",
            "spec.faults[1].seed: is the experiment's",
        ),
        (
            "burning: now",
            "burning: soon",
            "spec.abort.burning: is \"soon\"",
        ),
        (
            "SCHEDULE",
            "{days: [], at: []}",
            "spec.schedule: needs one of at and days",
        ),
        (
            "SCHEDULE",
            "{days: [mon], from: '09:00', to: '09:01', zone: UTC}",
            "spec.schedule.to: is 09:01:00; from 09:00:00 on there must be time for the 90 s",
        ),
        (
            "SCHEDULE",
            "{days: [mon], from: '9', to: '10:00', zone: UTC}",
            "it must be a time",
        ),
        ("seed: 7", "sed: 7", "unknown field"),
    ] {
        let text = EXPERIMENT.replacen(from, to, 1).replace("SCHEDULE", "once");
        let problems = read(&text).unwrap_err();
        assert!(problems[0].contains(words), "{problems:?}");
    }
    let both = EXPERIMENT
        .replace("SCHEDULE", "once")
        .replace("90s", "x")
        .replace("5%", "101%");
    assert_eq!(read(&both).unwrap_err().len(), 2);
}
