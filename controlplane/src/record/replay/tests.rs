use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use sloop_controllers::{Input, IntentId};
use sloop_model::WallTime;

use super::*;
use crate::record::Recorder;

const BODY: &str = r#"{
    "name": "pay", "service": "payments", "mode": "actionable",
    "window": {"rolling": 2592000000}, "budgeting": "occurrences",
    "objectives": [{"target": 999000000, "source": {
        "service": "payments", "route": "any", "side": "server", "indicator": {}
    }}]
}"#;

/// A record of `steps` steps, one a second, of which the last says something else than was decided if `is_wrong`.
fn record(steps: u64, is_wrong: bool) -> Vec<Line> {
    let mut brain = Brain::default();
    let mut lines = vec![Line::Record(FORMAT)];
    let put = Input::Put {
        id: IntentId("SLO/pay".to_owned()),
        kind: "slo".to_owned(),
        body: BODY.to_owned(),
    };
    brain.take(put.clone()).unwrap();
    lines.push(Line::Input(put));
    for second in 0..steps {
        let now = WallTime::from_millis(1_700_000_000_000).after(Duration::from_secs(second));
        let step = brain.take(Input::Step(now)).unwrap().unwrap();
        lines.push(Line::Input(Input::Step(now)));
        let mut sha256 = digest(&step);
        if is_wrong && second + 1 == steps {
            sha256.replace_range(0..1, "x");
        }
        lines.push(Line::Decided {
            sha256,
            new: vec![format!("decision {second}")],
        });
    }
    lines
}

fn text(lines: &[Line]) -> String {
    let lines = lines.iter();
    lines
        .map(|line| serde_json::to_string(line).unwrap() + "\n")
        .collect()
}

fn replayed(text: &str) -> (Result<Replayed, String>, String) {
    let mut out = Vec::new();
    let result = replay(text.as_bytes(), &mut out).map_err(|error| error.to_string());
    (result, String::from_utf8(out).unwrap())
}

#[test]
fn what_was_decided_is_decided_again() {
    let (result, out) = replayed(&text(&record(3, false)));
    let all = Replayed {
        steps: 3,
        different: 0,
        is_cut: false,
    };
    assert_eq!(result, Ok(all));
    assert_eq!(out, "decision 0\ndecision 1\ndecision 2\n");
}

#[test]
fn what_comes_out_otherwise_is_said() {
    let (result, out) = replayed(&text(&record(3, true)));
    assert_eq!(result.map(|all| all.different), Ok(1));
    assert!(
        out.contains("line 8: this program decides otherwise"),
        "{out}"
    );
    assert!(out.contains("SLO/pay (Protect)"), "{out}");
}

#[test]
fn a_record_that_ends_in_the_middle_of_a_line_is_read_to_there() {
    let whole = text(&record(3, false));
    let (result, _) = replayed(&whole[..whole.len() - 20]);
    assert_eq!(result.map(|all| all.steps), Ok(2));
}

#[test]
fn a_record_that_ends_within_a_letter_is_read_to_there() {
    let mut lines = record(3, false);
    if let Some(Line::Decided { new, .. }) = lines.last_mut() {
        *new = vec!["über".to_owned()];
    }
    let whole = text(&lines);
    let cut = whole.find('ü').unwrap() + 1;
    let mut out = Vec::new();
    let result = replay(&whole.as_bytes()[..cut], &mut out).unwrap();
    assert_eq!(result.steps, 2);
}

#[test]
fn what_has_no_step_is_no_record() {
    let format = text(&[Line::Record(FORMAT)]);
    let without_end = text(&record(1, false)[..3]);
    for nothing in ["", &format, &format[..5], &without_end] {
        let said = replayed(nothing).0.unwrap_err();
        assert!(said.starts_with("there is no step in it"), "{said}");
    }
    // In the middle it is a mistake of whoever wrote it.
    let mut broken = text(&record(3, false)).into_bytes();
    let middle = broken.len() / 2;
    broken[middle] = 0xff;
    assert!(replay(&broken[..], &mut Vec::new()).is_err());
}

#[test]
fn what_is_no_record_is_refused_with_the_line() {
    assert!(
        replayed("{}\n{}\n")
            .0
            .unwrap_err()
            .starts_with("line 1: is none")
    );
    let (result, _) = replayed("{\"record\":7}\n");
    assert_eq!(
        result,
        Err("line 1: the format of the record is 7; this program reads 1".to_owned())
    );
    let mut early = record(1, false);
    early.remove(2);
    assert_eq!(
        replayed(&text(&early)).0,
        Err("line 3: says what was decided before anything was".to_owned())
    );
    let headless = text(&record(1, false)[1..]);
    assert!(replayed(&headless).0.unwrap_err().contains("is 0"));
}

#[test]
fn a_recorder_writes_what_can_be_replayed_and_stops_when_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let write = |bytes_max| {
        let mut recorder = Recorder::begin(&path, bytes_max).unwrap();
        for line in record(3, false).split_off(1) {
            recorder.append(vec![line]);
        }
        drop(recorder);
        std::fs::read_to_string(&path).unwrap()
    };
    let whole = write(1 << 20);
    assert_eq!(whole, text(&record(3, false)));
    let cut = write(whole.len() as u64 - 1);
    let (result, _) = replayed(&cut);
    assert_eq!(
        result,
        Ok(Replayed {
            steps: 2,
            different: 0,
            is_cut: true
        })
    );
    assert!(Recorder::begin(folder.path(), 1).is_err(), "a folder");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "its owner alone can read it");
}
