use sloop_bench::paired::Pair;

use super::super::instructions::tests::counted_of;
use super::super::result::tests::{report as of_rows, row};
use super::super::shown::tests::report;
use super::*;

fn around(median: f64, by: f64) -> Found {
    Found::Told(Estimate {
        low: median - by,
        median,
        high: median + by,
    })
}

fn verdict(found: Found) -> (Verdict, Option<f64>) {
    let aim = aim("it", 0.5, found, "something");
    assert_eq!(
        aim.way.is_empty(),
        matches!(aim.verdict, Verdict::Met | Verdict::NotMeasured)
    );
    (aim.verdict, aim.over)
}

#[test]
fn an_aim_is_met_by_its_whole_interval_and_missed_by_its_whole_interval() {
    assert_eq!(verdict(around(0.4, 0.1)), (Verdict::Met, None));
    assert_eq!(verdict(around(0.4, 0.11)), (Verdict::Open, None));
    assert_eq!(verdict(around(0.6, 0.1)).0, Verdict::Open);
    let (missed, over) = verdict(around(0.6, 0.09));
    assert_eq!(missed, Verdict::Missed);
    assert!((over.unwrap() - 0.2).abs() < 1e-9);
}

#[test]
fn what_was_not_measured_or_is_noise_is_never_met() {
    assert_eq!(verdict(Found::Nothing), (Verdict::NotMeasured, None));
    assert_eq!(verdict(Found::Noise(535.0)), (Verdict::CannotBeTold, None));
}

fn find<'a>(aims: &'a Aims, name: &str) -> &'a Aim {
    aims.aims.iter().find(|aim| aim.name == name).unwrap()
}

#[test]
fn a_run_without_sloop_has_no_aims_and_one_without_naive_has_less() {
    assert_eq!(Aims::of(&of_rows(vec![row("lua", 1.2)])), None);
    let mut alone = row("sloop", 1.3);
    alone.of_naive = None;
    let aims = Aims::of(&of_rows(vec![alone])).unwrap();
    let measured: Vec<&str> = aims
        .aims
        .iter()
        .filter(|aim| aim.verdict != Verdict::NotMeasured)
        .map(|aim| aim.name.as_str())
        .collect();
    assert_eq!(measured, ["processor time, times no filter"]);
    assert_eq!(aims.of_raw, None);
}

#[test]
fn shares_are_of_pairs_of_the_same_time() {
    let with = |name: &str, added: f64| {
        let pair = Pair {
            baseline: 80.0,
            variant: 80.0 + added,
        };
        let mut row = row(name, 1.2);
        row.pairs = vec![pair; 30];
        row
    };
    let rows = vec![with("raw", 10.0), with("lua", 20.0), with("sloop", 30.0)];
    let aims = Aims::of(&of_rows(rows)).unwrap();
    let lua = find(&aims, "added processor time, of Lua's");
    assert_eq!(lua.verdict, Verdict::Missed);
    assert!((lua.over.unwrap() - 0.5).abs() < 1e-9);
    assert!((aims.of_raw.unwrap().median - 3.0).abs() < 1e-9);
}

#[test]
fn everything_that_a_run_has_measured_is_judged() {
    let aims = Aims::of(&report()).unwrap();
    let judged = |name: &str| find(&aims, name).verdict;
    assert_eq!(judged("a refusal, of a proxied request"), Verdict::Missed);
    assert_eq!(
        judged("from a push until it is in force, half of them"),
        Verdict::Met
    );
    assert_eq!(
        judged("from a push until it is in force, the longest of 20"),
        Verdict::Met
    );
    assert_eq!(judged("fuel"), Verdict::NotMeasured);
    assert_eq!(judged("added instructions"), Verdict::NotMeasured);
}

#[test]
fn what_is_in_the_way_of_a_push_is_told_by_one_that_is_none_of_ours() {
    let mut report = report();
    let push = report.push.as_mut().unwrap();
    push.pushed[1].name = "lds".into();
    push.pushed[0].all_ms = vec![6.0; 20];
    let aims = Aims::of(&report).unwrap();
    let half = find(&aims, "from a push until it is in force, half of them");
    assert_eq!(half.verdict, Verdict::Missed);
    assert!(half.way.ends_with("takes 21.0 ms"), "{}", half.way);
}

#[test]
fn counts_are_judged_where_they_were_counted() {
    let aims = Aims::counted(&counted_of("sloop", 57_300.0)).unwrap();
    let added = find(&aims, "added instructions");
    assert_eq!(added.verdict, Verdict::Missed);
    assert!(added.way.contains("48 are Envoy's part"), "{}", added.way);
    assert!(added.way.contains("the other 9"), "{}", added.way);
    let others = aims.aims.iter().filter(|aim| aim.name != added.name);
    assert!(
        others
            .into_iter()
            .all(|aim| aim.verdict == Verdict::NotMeasured)
    );
    assert_eq!(Aims::counted(&counted_of("lua", 1.0)), None);
}

#[test]
fn each_aim_has_a_row_that_says_how_far_it_is() {
    let mut aims = Aims::of(&report()).unwrap();
    aims.of_raw = Some(Estimate {
        low: 2.9,
        median: 3.0,
        high: 3.1,
    });
    let text = aims.markdown();
    assert_eq!(
        text.lines().filter(|line| line.starts_with('|')).count(),
        2 + 13
    );
    for part in [
        "| a refusal, of a proxied request | 0.52 | 0.55 [0.54, 0.57] | not met, 6 % over |",
        "| fuel | 1500 |  | not measured |",
        "| added processor time, of naive's | 0.6, better 0.48 |",
        "Sloop adds 3.00 [2.90, 3.10] times",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(aims.table().contains("not met, 6 % over"));
}
