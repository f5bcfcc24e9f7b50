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
    read_at(text, NOW)
}

fn read_at(text: &str, now: WallTime) -> Result<ChaosSpec, Vec<String>> {
    let loaded = read_texts(&[("a.yaml".to_owned(), text.to_owned())], now);
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
    scheduled_at(&EXPERIMENT.replace("SCHEDULE", schedule), NOW)
}

fn scheduled_at(text: &str, now: WallTime) -> Result<Vec<String>, Vec<String>> {
    let spec = read_at(text, now)?;
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
    // A run is due early enough to end in the window: it may begin two minutes later, and lasts a minute and a half.
    let narrow = scheduled("{days: [fri], from: '09:00', to: '09:04', zone: UTC}").unwrap();
    assert!(
        narrow.iter().all(|moment| &moment[11..19] <= "09:00:30"),
        "{narrow:?}"
    );
}

/// Europe/Paris goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
#[test]
fn a_run_is_in_its_window_also_on_the_days_on_which_clocks_change() {
    let sunday = |day: &str, window: &str| {
        let schedule = format!("{{days: [sun], {window}, zone: Europe/Paris}}");
        let now: jiff::Timestamp = day.parse().unwrap();
        let now = WallTime::from_millis(u64::try_from(now.as_millisecond()).unwrap());
        let moments = (0..40).map(|seed| {
            let text = EXPERIMENT.replace("SCHEDULE", &schedule);
            let text = text.replace("seed: 7", &format!("seed: {seed}"));
            let moments = scheduled_at(&text, now).unwrap();
            moments.into_iter().find(|moment| moment[..10] == day[..10])
        });
        moments.flatten().collect::<Vec<String>>()
    };
    let begin_in = |moments: &[String], from: &str, to: &str| {
        let mut times = moments.iter().map(|moment| &moment[11..19]);
        assert!(times.all(|time| (from..=to).contains(&time)), "{moments:?}");
    };
    // Three and a half minutes before the end at the latest: of three hours on the clock there are two.
    let spring = sunday("2026-03-29T00:00:00Z", "from: '01:00', to: '04:00'");
    assert_eq!(spring.len(), 40);
    begin_in(&spring, "00:00:00", "01:56:30");
    assert!(spring.iter().any(|moment| &moment[11..13] == "01"));
    // From half past two on, which is half past three then.
    let after = sunday("2026-03-29T00:00:00Z", "from: '02:30', to: '04:00'");
    begin_in(&after, "01:30:00", "01:56:30");
    assert_eq!(after.len(), 40);
    let none = sunday("2026-03-29T00:00:00Z", "from: '02:10', to: '03:10'");
    assert!(none.is_empty(), "that hour is not there: {none:?}");
    // In autumn the same three hours are four.
    let autumn = sunday("2026-10-25T00:00:00Z", "from: '01:00', to: '04:00'");
    let late = sunday("2026-10-24T22:00:00Z", "from: '01:00', to: '04:00'");
    assert!(late.len() + autumn.len() >= 40, "{late:?} {autumn:?}");
    begin_in(&autumn, "00:00:00", "02:56:30");
    assert!(autumn.iter().any(|moment| &moment[11..13] == "02"));
}

#[test]
fn a_share_of_the_services_is_rounded_up() {
    let chosen = |choose: &str| {
        let text = EXPERIMENT.replace("SCHEDULE", "asked");
        read(&text.replace("choose: 1", &format!("choose: {choose}")))
    };
    for (choose, services) in [("1%", 1), ("50%", 1), ("51%", 2), ("100%", 2), ("2", 2)] {
        assert_eq!(chosen(choose).unwrap().choose, Some(services), "{choose}");
    }
    for (choose, words) in [
        ("0%", "spec.choose: choose has 0; it must have from 1 to 64"),
        ("101%", "spec.choose: is \"101%\"; it must be from"),
        ("-1", "spec.choose"),
    ] {
        let problems = chosen(choose).unwrap_err();
        assert!(problems[0].contains(words), "{problems:?}");
    }
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
            "{days: [mon], from: '09:00', to: '09:03', zone: UTC}",
            "spec.schedule.to: is 09:03:00; from 09:00:00 on there must be time for the 90 s that it lasts and the 120 s in which",
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
