use serde_json::json;

use super::*;

/// Three objectives and two routes, as the API answers.
fn look() -> Look {
    let objective = |left: f64, burning: bool| {
        json!({
            "index": 0, "display_name": null, "target": 0.99, "source": "requests",
            "counts": {"total": 1000, "good": 996}, "covered": 1.0,
            "budget": {"allowed": 10.0, "spent": 4, "left": left * 10.0, "left_share": left, "exhausted_in_s": null},
            "burn": [], "pairs": [{"factor": 14.4, "long_ms": 1, "short_ms": 1, "burning": burning}],
            "trip": null, "acted": {"refused": 0, "shadow_refused": 0, "shadow_refused_good": 0}
        })
    };
    let slo = |name: &str, objective: serde_json::Value| {
        json!({
            "name": name, "display_name": null, "service": "shop", "mode": "actionable",
            "window": "rolling 28 d", "budgeting": "occurrences", "at": 0,
            "objectives": [objective], "policies": [], "because": [], "notes": []
        })
    };
    let slos = json!([
        slo("a-well", objective(0.6, false)),
        slo("b-gone", objective(-0.5, false)),
        slo("c-burning", objective(0.2, true)),
    ]);
    let scope = |route: &str, state: &str| {
        json!({
            "service": "shop", "route": route, "side": "server", "requests": 1000, "outcomes": {}, "refused": 7,
            "shadow_refused": 0, "shadow_refused_good": 0,
            "breakers": [{"node": "n", "vm": "v", "state": state}]
        })
    };
    let scopes = json!([scope("cart", "closed"), scope("pay", "open")]);
    let decisions = json!([
        {"id": 41, "at_ms": 1_000, "intent": "SLO/a-well", "stage": "measure", "policies": 1, "because": "all is well"},
        {"id": 42, "at_ms": 9_000, "intent": "SLO/b-gone", "stage": "protect", "policies": 2, "because": "too much is bad"}
    ]);
    Look {
        at_ms: 10_000,
        slos: serde_json::from_value(slos).unwrap(),
        scopes: serde_json::from_value(scopes).unwrap(),
        decisions: serde_json::from_value(decisions).unwrap(),
        experiments: Vec::new(),
    }
}

/// Makes a composite of the last SLO, of two objectives.
fn composite(look: &mut Look, left: Option<f64>, (burning, is_complete): (Option<bool>, bool)) {
    let slo = &mut look.slos[2];
    let mut second = slo.objectives[0].clone();
    second.index = 1;
    slo.objectives.truncate(1);
    slo.objectives.push(second);
    slo.composite = serde_json::from_value(json!({
        "left_share": left, "burn": [{"window_ms": 300_000, "burn": 2.0}], "is_complete": is_complete,
        "pairs": [{"factor": 14.4, "long_ms": 1, "short_ms": 1, "burning": burning}]
    }))
    .unwrap();
}

#[test]
fn a_composite_has_a_line_of_its_own() {
    let line = |left, pair| {
        let mut look = look();
        composite(&mut look, left, pair);
        let mut shown = Shown::of(&Uri::from_static("http://127.0.0.1:9902"));
        shown.take(Ok(look));
        assert_eq!(shown.rows(), 5);
        let lines = drawn(&shown, Choice::default(), 120, 30);
        lines[place(&lines, "c-burning/composite")].clone()
    };
    for (left, pair, shows, state) in [
        (Some(0.4), (Some(false), true), "████░░░░░░ 40%", "well"),
        (Some(0.4), (Some(true), true), "████░░░░░░ 40%", "burning"),
        (Some(-0.5), (Some(true), true), "░░░░░░░░░░ -50%", "gone"),
        (Some(0.4), (None, true), "████░░░░░░ 40%", "not known"),
        (Some(0.4), (None, false), "████░░░░░░ ≤40%", "not known"),
        (None, (None, false), "░░░░░░░░░░ -", "not known"),
    ] {
        let line = line(left, pair);
        assert!(line.contains(shows) && line.contains("2.0 (5m)"), "{line}");
        assert!(line.ends_with(state), "{line}");
    }
}

#[test]
fn an_objective_of_which_nobody_reported_lately_is_not_known() {
    let line = |windows: &[(u64, Option<u64>)]| {
        let mut look = look();
        let windows = windows.iter().map(|(window_ms, total)| {
            let counts = total.map(|total| json!({"total": total, "good": total}));
            json!({"window_ms": window_ms, "counts": counts, "burn": null, "low": null, "high": null})
        });
        let burn = windows.collect::<Vec<_>>().into();
        look.slos[0].objectives[0].burn = serde_json::from_value(burn).unwrap();
        let mut shown = Shown::of(&Uri::from_static("http://127.0.0.1:9902"));
        shown.take(Ok(look));
        let lines = drawn(&shown, Choice::default(), 120, 30);
        lines[place(&lines, "a-well")].clone()
    };
    for (windows, state) in [
        (
            &[(5_000, None), (300_000, None), (3_600_000, Some(9))],
            "not known",
        ),
        (
            &[(5_000, None), (300_000, Some(0)), (3_600_000, Some(0))],
            "well",
        ),
    ] {
        let line = line(windows);
        assert!(line.ends_with(state) && line.contains("60%"), "{line}");
    }
}

fn shown() -> Shown {
    let mut shown = Shown::of(&Uri::from_static("http://127.0.0.1:9902"));
    shown.take(Ok(look()));
    shown
}

/// The lines of the picture, without blanks at their ends.
fn drawn(shown: &Shown, choice: Choice, width: u16, height: u16) -> Vec<String> {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(_) = terminal.draw(|frame| screen::draw(frame, shown, &choice));
    let cells = terminal.backend().buffer().content();
    let lines = cells.chunks(usize::from(width.max(1)));
    lines
        .map(|line| {
            let line: String = line.iter().map(ratatui::buffer::Cell::symbol).collect();
            line.trim_end().to_owned()
        })
        .collect()
}

/// The position of the first line that begins with `start`.
fn place(lines: &[String], start: &str) -> usize {
    let found = lines.iter().position(|line| line.starts_with(start));
    found.unwrap_or_else(|| panic!("{start}: {lines:#?}"))
}

#[test]
fn what_stands_worst_comes_first() {
    let lines = drawn(&shown(), Choice::default(), 120, 30);
    let head = "sloop  http://127.0.0.1:9902/  3 SLOs: 1 burning, 1 gone, 1 breakers not closed";
    assert_eq!(lines[0], head);
    let places = ["b-gone", "c-burning", "a-well"].map(|name| place(&lines, name));
    assert!(places.is_sorted(), "{lines:#?}");
    let well = &lines[places[2]];
    for part in ["99%", "99.6%", "██████░░░░ 60%", "well"] {
        assert!(well.contains(part), "{part}: {well}");
    }
    assert!(lines[places[0]].contains("░░░░░░░░░░ -50%"), "{lines:#?}");
    assert!(lines[places[0]].ends_with("gone"), "{lines:#?}");
    let newest = place(&lines, "   1s ago  42  SLO/b-gone: too much is bad");
    assert!(newest < place(&lines, "   9s ago  41"));
}

#[test]
fn routes_with_open_breakers_come_first() {
    let lines = drawn(&shown(), Choice::default(), 120, 30);
    let row = |route: &str| {
        let is_row = |line: &String| line.starts_with("shop") && line.contains(route);
        lines.iter().position(is_row).unwrap()
    };
    assert!(row("pay") < row("cart"), "{lines:#?}");
    assert!(lines[row("pay")].contains("1 open"), "{lines:#?}");
}

#[test]
fn requests_per_second_are_those_since_the_look_before() {
    let mut shown = shown();
    assert_eq!(shown.rates, [None, None]);
    let mut later = look();
    later.at_ms += 2_000;
    later.scopes[1].requests += 25;
    shown.take(Ok(later.clone()));
    assert_eq!(shown.rates, [Some(0.0), Some(12.5)]);
    // A control plane with another store counts from the beginning; its clock may have gone back.
    later.at_ms += 2_000;
    later.scopes[0].requests = 1;
    shown.take(Ok(later.clone()));
    assert_eq!(shown.rates, [None, Some(0.0)]);
    later.at_ms = 0;
    shown.take(Ok(later));
    assert_eq!(shown.rates, [None, None]);
}

#[test]
fn trouble_is_said_and_what_was_seen_stays() {
    let mut shown = shown();
    shown.take(Err(CliError::Refused(
        "the control plane is stopping".into(),
    )));
    let lines = drawn(&shown, Choice::default(), 120, 30);
    assert_eq!(lines[29], "the control plane is stopping");
    assert!(place(&lines, "a-well") > 0);
    let mut nothing = Shown::of(&Uri::from_static("http://127.0.0.1:1"));
    nothing.take(Err(CliError::Refused("nobody is there".into())));
    assert!(drawn(&nothing, Choice::default(), 60, 5)[2].contains("nobody"));
}

#[test]
fn keys_sort_scroll_and_end() {
    let mut choice = Choice::default();
    let mut keys = |code: KeyCode, times: usize| {
        let key = KeyEvent::new(code, KeyModifiers::NONE);
        (0..times).for_each(|_| assert_eq!(press(key, &mut choice, 3), After::GoOn));
        choice
    };
    assert_eq!(keys(KeyCode::Up, 1).skipped, 0);
    assert_eq!(keys(KeyCode::Down, 1).skipped, 1);
    assert_eq!(keys(KeyCode::PageDown, 5).skipped, 2, "not beyond the last");
    let choice = keys(KeyCode::Char('s'), 1);
    assert_eq!(choice.order, Order::Name);
    let lines = drawn(&shown(), choice, 120, 30);
    assert!(place(&lines, "c-burning") > 0);
    assert!(!lines.iter().any(|line| line.starts_with("a-well")));
    for (code, modifiers) in [
        (KeyCode::Char('q'), KeyModifiers::NONE),
        (KeyCode::Esc, KeyModifiers::NONE),
        (KeyCode::Char('c'), KeyModifiers::CONTROL),
    ] {
        let key = KeyEvent::new(code, modifiers);
        assert_eq!(press(key, &mut Choice::default(), 0), After::End);
    }
}

#[test]
fn any_size_will_do() {
    for (width, height) in [(1, 1), (1, 200), (300, 1), (20, 5), (80, 24), (400, 100)] {
        let lines = drawn(&shown(), Choice::default(), width, height);
        assert_eq!(lines.len(), usize::from(height));
    }
}
