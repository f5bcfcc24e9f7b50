//! What the filter's README shows and lists is so.

use std::collections::BTreeSet;

use sloop_dataplane::Plane;
use sloop_dataplane::stats::{STATS, Stat, tag_pattern};
use sloop_model::{FilterConfig, Time};

const README: &str = include_str!("../../../filter/README.md");

#[test]
fn every_example_is_taken() {
    let examples: Vec<&str> = README
        .split("```json\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(examples.len(), 26, "at least one per feature");
    for example in examples {
        match FilterConfig::parse(example.as_bytes()) {
            Ok(config) => Plane::new([1; 5]).configure(&config, Time::from_nanos(0)),
            Err(error) => panic!("{error} in {example}"),
        }
    }
}

fn row(stat: &Stat) -> String {
    let labels: Vec<String> = stat
        .labels
        .iter()
        .map(|label| format!("`{label}`"))
        .collect();
    format!(
        "| `{}` | {} | {} |",
        stat.name,
        labels.join(", "),
        stat.help
    )
}

#[test]
fn the_table_of_statistics_is_the_list_in_the_code() {
    let table = README
        .split("| statistic | labels | what it counts |\n|---|---|---|\n")
        .nth(1)
        .expect("the table");
    let rows: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    let expected: Vec<String> = STATS.iter().map(row).collect();
    assert_eq!(rows, expected);
}

#[test]
fn every_label_has_its_pattern_in_the_bootstrap() {
    let labels: BTreeSet<&str> = STATS.iter().flat_map(|stat| stat.labels).copied().collect();
    for label in labels {
        let line = format!("- {{ tag_name: {label}, regex: '{}' }}", tag_pattern(label));
        assert!(README.contains(&line), "missing: {line}");
    }
}

#[test]
fn each_case_of_trace_context_names_a_test_that_is_there() {
    let tests = include_str!("../../../integration/tests/envoy_trace.rs");
    let cases = include_str!("../../../filter/TRACE-CONTEXT.md")
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    let mut numbers = 1..;
    for case in cases {
        let cells: Vec<&str> = case.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, _, named] = cells.as_slice() else {
            panic!("{case}");
        };
        assert_eq!(*number, numbers.next().unwrap_or(0).to_string());
        for name in named.split(", ") {
            let function = format!("async fn {}()", name.trim_matches('`'));
            assert!(tests.contains(&function), "{case}: no {function}");
        }
    }
    assert_eq!(numbers.next(), Some(42));
}
