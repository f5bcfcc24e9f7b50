//! Runs as `JUnit` XML, which CI systems show as tests.
//!
//! There is no standard; this is the subset that Jenkins, GitLab and GitHub's actions agree on: `testsuites`,
//! `testsuite`, `testcase` with `failure` (broken) or `skipped` (inconclusive).

use std::fmt::Write as _;

use sloop_controllers::{ComparisonStatus, ExperimentStatus, ExperimentVerdict};

use super::text::{contamination, counts, fault, share};
use super::word;

/// One suite for each run.
pub(super) fn suites(runs: &[ExperimentStatus]) -> String {
    let suites: String = runs.iter().map(suite).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sloop chaos\">\n{suites}</testsuites>\n"
    )
}

fn suite(run: &ExperimentStatus) -> String {
    let seconds = run
        .started_at
        .zip(run.ended_at)
        .map_or(0.0, |(from, to)| to.since(from).as_secs_f64());
    let mut cases: Vec<Case> = run
        .comparisons
        .iter()
        .map(|one| Case::of(run, one))
        .collect();
    if cases.is_empty() {
        cases.push(Case {
            name: "the experiment".to_owned(),
            verdict: ExperimentVerdict::Inconclusive,
            message: run.because.clone(),
        });
    }
    let count = |verdict| cases.iter().filter(|case| case.verdict == verdict).count();
    let mut text = format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\">\n",
        escaped(&run.name),
        cases.len(),
        count(ExperimentVerdict::Broken),
        count(ExperimentVerdict::Inconclusive),
    );
    let class = format!("chaos.{}", run.name);
    for case in &cases {
        let (name, class) = (escaped(&case.name), escaped(&class));
        let message = escaped(&case.message);
        let inside = match case.verdict {
            ExperimentVerdict::Held => format!("<system-out>{message}</system-out>"),
            ExperimentVerdict::Broken => format!("<failure message=\"{message}\"/>"),
            ExperimentVerdict::Inconclusive => format!("<skipped message=\"{message}\"/>"),
        };
        // Writing into a string cannot fail.
        writeln!(text, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\">{inside}</testcase>").ok();
    }
    let (verdict, because) = (word(run), escaped(&run.because));
    writeln!(
        text,
        "    <system-out>{verdict}: {because}</system-out>\n  </testsuite>"
    )
    .ok();
    text
}

struct Case {
    name: String,
    verdict: ExperimentVerdict,
    message: String,
}

impl Case {
    fn of(run: &ExperimentStatus, one: &ComparisonStatus) -> Self {
        let doubt = contamination(one).map_or_else(String::new, |doubt| format!(". {doubt}"));
        Self {
            name: format!(
                "{} objective {} holds under {}",
                one.objective.slo,
                one.objective.index,
                fault(run, one.fault)
            ),
            verdict: one.verdict.unwrap_or(ExperimentVerdict::Inconclusive),
            message: format!(
                "faulted: {}; control: {}; effect {} (surely {} to {}), tolerated {}{doubt}",
                counts(one.faulted),
                counts(one.control),
                one.effect.map_or_else(|| "not known".to_owned(), share),
                share(one.interval.low),
                share(one.interval.high),
                share(one.tolerance),
            ),
        }
    }
}

/// `text` for XML, within elements and attributes. Control characters, which XML does not have, are left out.
fn escaped(text: &str) -> String {
    let is_allowed = |character: &char| !character.is_control() || *character == '\n';
    sloop_page::escaped(&text.chars().filter(is_allowed).collect::<String>())
}
