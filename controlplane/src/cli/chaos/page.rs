//! A run as a page with charts.

mod charts;

use sloop_controllers::{BudgetSpent, ComparisonStatus, ExperimentStatus, ExperimentVerdict};
use sloop_page::{Card, legend};

use super::compare::{chart as effects, escaped};
use super::text::{
    callers, contamination, counts, fault, gap, moment, quantiles, retries, share, together,
    verdict,
};
use super::word;

/// Words in columns are read from the left; a chart that is as wide as the page is not made so small on a phone that nobody can read it.
const STYLE: &str = ".timeline td, .timeline th { text-align: left; } .timeline th:first-child { white-space: nowrap; } \
     .effects { padding-right: 1.5rem; } .effects svg { min-width: 38rem; } .said { margin: 1rem 0 0; padding-left: 1.2rem; max-width: 46rem; font-size: .9rem; }";

const METHOD: [&str; 8] = [
    "Arms are drawn from the trace id and the seed, and run at the same time: what else happens meets both alike. All \
     requests of an arm count, whether or not they came to meet the fault.",
    "Intervals and verdicts are from e-processes for two binomials by blocks (Turner, Ly, Gruenwald): they hold at every \
     moment at once, so stopping early costs nothing. Held and broken err with a chance of at most 5 %.",
    "Quantile bands are those of Howard and Ramdas (2022), which hold at every moment, too; how much more a quantile is in the arm of \
     the fault is all that the martingales of both arms together have not rejected. The quantiles of an arm hold together, and so do all differences.",
    "Whether latencies differ at all is bet on at 32 bounds from 0.5 ms to 25 s, and the bets averaged (Vovk and Wang, 2021); the largest gap has the \
     bounds of Dvoretzky, Kiefer and Wolfowitz for all times (Howard and Ramdas). Requests that are slow together count as fewer (Rao and Scott, 1992): \
     by seconds and, from twenty of them on, spells of ten seconds for each quantile, by reports, seconds and sidecars for whether latencies differ.",
    "Where an end of a band or an interval is a question mark, too few requests were seen to bound it.",
    "Absorbed is 1 - effect / (1 - bad in the control arm): the share of faulted requests that the system made good.",
    "The design effect says how many requests of an arm count as one, because requests fail together: as seen by reports, \
     seconds, sidecars and callers, and larger while little is known.",
    "Spent counts all bad requests in the arms of faults, also those that would have been bad anyhow: never too few.",
];

/// The page.
pub(super) fn page(run: &ExperimentStatus) -> String {
    let mut body = vec![
        sloop_page::header(&format!("{}: {}", run.name, word(run)), &run.because),
        cards(run),
    ];
    if !run.comparisons.is_empty() {
        let rows = run.comparisons.len();
        body.push(sloop_page::section(
            "What the faults did",
            "The share of bad requests in the arm of each fault less that in its control arm; the line is where the effect surely is.",
            &format!(
                "<div class=\"scroll effects\">{}</div>{}",
                effects(std::slice::from_ref(run)),
                comparisons(run)
            ),
        ));
        for one in run.comparisons.iter().take(rows.min(8)) {
            body.push(arms(run, one));
        }
        body.push(budgets(run));
    }
    body.push(sloop_page::section(
        "What happened",
        &targets(run),
        &timeline(run),
    ));
    let mut notes: Vec<String> = run.suggestions.clone();
    notes.extend(METHOD.map(str::to_owned));
    body.push(sloop_page::notes("How to read this", &notes));
    sloop_page::page(&format!("Experiment {}", run.name), STYLE, &body.concat())
}

fn targets(run: &ExperimentStatus) -> String {
    let faults = run.faults.iter().enumerate().map(|(index, one)| {
        let met = match one.met {
            0 => "no request met it".to_owned(),
            met => format!("{met} requests met it"),
        };
        format!("{}, {met}", fault(run, index))
    });
    let faults: Vec<String> = faults.collect();
    format!(
        "Faults on {}: {}. Seed {}.",
        run.targets.join(", "),
        faults.join("; "),
        run.seed
    )
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^52")]
fn cards(run: &ExperimentStatus) -> String {
    let class = match run.verdict {
        Some(ExperimentVerdict::Held) => "kept",
        Some(ExperimentVerdict::Broken) => "broken",
        Some(ExperimentVerdict::Inconclusive) | None => "unsure",
    };
    let mut cards = vec![Card {
        title: "Verdict".to_owned(),
        big: format!("<span class={class}>{}</span>", word(run)),
        text: moment(run.due_at),
    }];
    let beyond = |one: &&ComparisonStatus| one.effect.map(|effect| effect - one.tolerance);
    // Of equal ones the first.
    let worst = run.comparisons.iter().rev().max_by(|one, other| {
        let order = beyond(one).partial_cmp(&beyond(other));
        order.unwrap_or(std::cmp::Ordering::Equal)
    });
    if let Some(one) = worst {
        cards.push(Card {
            title: format!("Largest effect, on {}", one.objective.slo),
            big: one.effect.map_or_else(|| "-".to_owned(), share),
            text: format!(
                "surely {} to {}; {} is tolerated",
                share(one.interval.low),
                share(one.interval.high),
                share(one.tolerance)
            ),
        });
    }
    // The one that is the nearest to its cap; of equal ones the first.
    let spent = |budget: &BudgetSpent| budget.spent as f64 / budget.cap.max(1.0);
    let most = run.budgets.iter().rev();
    if let Some(budget) = most.max_by(|one, other| spent(one).total_cmp(&spent(other))) {
        cards.push(Card {
            title: format!("Budget spent of {}", budget.objective.slo),
            big: format!("{} <small>of {:.0}</small>", budget.spent, budget.cap),
            text: format!(
                "bad requests; {:.0} were left of the budget before",
                budget.left
            ),
        });
    }
    if let (Some(from), Some(to)) = (run.started_at, run.ended_at) {
        cards.push(Card {
            title: "Faults".to_owned(),
            big: format!("{:.0} <small>s</small>", to.since(from).as_secs_f64()),
            text: format!("of at most {} s", run.lasting_ms / 1_000),
        });
    }
    sloop_page::cards(&cards)
}

fn comparisons(run: &ExperimentStatus) -> String {
    let head = [
        "Fault",
        "Objective",
        "Verdict",
        "Effect",
        "Surely",
        "Tolerated",
        "Faulted",
        "Control",
        "Absorbed",
        "Design effect",
    ];
    let rows = run.comparisons.iter().map(|one| {
        vec![
            fault(run, one.fault),
            format!("{} {}", one.objective.slo, one.objective.index),
            verdict(one),
            one.effect.map_or_else(|| "-".to_owned(), share),
            format!(
                "{} to {}",
                share(one.interval.low),
                share(one.interval.high)
            ),
            share(one.tolerance),
            counts(one.faulted),
            counts(one.control),
            one.absorbed.map_or_else(|| "-".to_owned(), share),
            format!("{:.1}", one.design_effect),
        ]
    });
    sloop_page::table(&head, &escaped(rows.collect()))
}

/// Both arms of a comparison: over time, and by latency.
fn arms(run: &ExperimentStatus, one: &ComparisonStatus) -> String {
    let title = format!("{} on {}", fault(run, one.fault), one.objective.slo);
    let mut content = format!(
        "<div class=pair><figure><figcaption>Bad requests over time</figcaption>{}</figure>\
         <figure><figcaption>Share of requests within a latency</figcaption>{}</figure></div>{}",
        charts::over_time(run, one),
        charts::distributions(one),
        legend([("s1", "arm of the fault"), ("s0", "control arm")]),
    );
    if !one.faulted_latency.is_empty() {
        let rows = quantiles(one).into_iter().map(Vec::from);
        let head = ["Latency", "Arm of the fault", "Control arm", "More"];
        content.push_str(&sloop_page::table(&head, &escaped(rows.collect())));
    }
    let mut why = vec![format!(
        "Faulted: {}; control: {}.",
        counts(one.faulted),
        counts(one.control)
    )];
    why.extend(retries(one));
    why.extend(contamination(one));
    let why = why.join(" ");
    let said = [gap(one), together(one), callers(one)];
    let said = said.into_iter().flatten();
    let said = said.map(|said| format!("<li>{}</li>", sloop_page::escaped(&said)));
    let said: String = said.collect();
    if !said.is_empty() {
        content.push_str(&format!("<ul class=said>{said}</ul>"));
    }
    sloop_page::section(&title, &why, &content)
}

/// What was spent of each budget over time.
fn budgets(run: &ExperimentStatus) -> String {
    let figures = run.budgets.iter().map(|one| {
        let name = format!("{} {}", one.objective.slo, one.objective.index);
        format!(
            "<figure><figcaption>{}</figcaption>{}</figure>",
            sloop_page::escaped(&name),
            charts::budget(run, one)
        )
    });
    let figures: String = figures.collect();
    sloop_page::section(
        "Budget spent",
        "Bad requests in the arms of faults, added up, and how many there may be.",
        &format!("<div class=pair>{figures}</div>"),
    )
}

fn timeline(run: &ExperimentStatus) -> String {
    let rows = run
        .events
        .iter()
        .map(|event| vec![moment(event.at), event.what.clone()]);
    let mut rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        rows.push(vec![moment(run.due_at), run.because.clone()]);
    }
    let table = sloop_page::table(&["When", "What"], &escaped(rows));
    format!("<div class=timeline>{table}</div>")
}
