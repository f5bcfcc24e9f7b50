use super::super::result::*;
use super::*;

fn push(last_ms: f64) -> Push {
    let pushed = Pushed {
        first_ms: 5.0,
        p50_ms: 100.0,
        p99_ms: 190.0,
        last_ms,
    };
    Push {
        bytes: 4_100,
        pushes: vec![pushed; 3],
        cpu_us: 30.0,
        own_cpu_us: 6.0,
    }
}

fn report() -> Report {
    let run = |nodes, node_bytes| Run {
        nodes,
        variants: "delta".to_owned(),
        node_bytes,
        tls: false,
        connect: Connect {
            all_ms: 1_234.0,
            cpu_us: 90.0,
            own_cpu_us: 20.0,
            refused: 0,
        },
        memory: Memory {
            empty_bytes: 20_000_000,
            connected_bytes: 30_000.0,
            pushed_bytes: 31_000.0,
            end_bytes: 32_000.0,
        },
        push: push(200.0),
        reports: vec![Reports {
            name: "dense".to_owned(),
            nodes: 16,
            each: 60,
            bytes: 64,
            per_second: 40_000.0,
            cpu_us: 20.0,
            p50_ms: 9.0,
            p99_ms: 30.0,
            refused: 0,
            skipped: 0,
        }],
        push_with_reports: Some(push(260.0)),
        storm: Some(Storm {
            all_ms: 900.0,
            cpu_us: 120.0,
            refused: 0,
            ended: 0,
            back: nodes,
            reached: nodes,
            bytes: 33_000.0,
        }),
        envoys: None,
    };
    Report {
        schema: SCHEMA_OF_TESTS.to_owned(),
        made_ms: 1,
        machine: Machine {
            processor: "a <processor>".to_owned(),
            processors: 2,
            kernel: "6".to_owned(),
            load_before: Some(0.5),
        },
        runs: vec![run(1_000, 0), run(3_000, 0), run(1_000, 61_000)],
        soak: Some(Soak {
            nodes: 1_000,
            seconds: 40,
            pushes: 8,
            overtaken: 0,
            churned: 30,
            reports: 4_000,
            refused: 0,
            ended: 0,
            at_newest: 1_000,
            memory: (0..40).map(|second| (second, 50_000_000)).collect(),
        }),
    }
}

const SCHEMA_OF_TESTS: &str = "sloop-bench-fleet/2";

#[test]
fn each_fleet_has_a_row_in_each_table() {
    for text in [table(&report()), markdown(&report())] {
        for part in [
            "1000 (delta)",
            "3000 (delta)",
            "first requests as large as Envoy's",
            "while reports come",
            "+0.0 %",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}

#[test]
fn an_aim_is_told_of_the_last_fleet_that_it_is_about() {
    let aims = aims(&report());
    let row = |name: &str| aims.rows.iter().find(|row| row[0] == name).unwrap();
    assert_eq!(
        row("a policy at the last node")[1..],
        ["500 ms", "200 ms", "met", "3000"]
    );
    assert_eq!(row("reports a second and core, dense")[3], "not met");
    let large = row("memory per node with first requests as large as Envoy's");
    assert_eq!((large[3].as_str(), large[4].as_str()), ("met", "1000"));
}

#[test]
fn the_page_holds_everything_and_names_cannot_break_it() {
    let page = html(&report());
    assert!(page.contains("Memory over time") && page.contains("How it grows"));
    assert!(!page.contains("<processor>"));
    let mut one = report();
    one.runs
        .retain(|run| run.nodes != 1_000 || run.node_bytes != 0);
    let sizes = one.runs.iter().filter(|run| run.node_bytes == 0);
    assert_eq!(sizes.count(), 1);
    assert!(
        !html(&one).contains("How it grows"),
        "of one there is no line"
    );
    // Only these have a colour.
    let mut lines = page.split("<path class=\"line ").skip(1);
    assert!(lines.all(|line| line.starts_with('s')));
}

#[test]
fn the_json_is_read_back_as_it_was() {
    let text = serde_json::to_string(&report()).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report());
}
