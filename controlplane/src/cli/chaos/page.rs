//! A run as a page with charts.

use sloop_controllers::{ComparisonStatus, Counts, ExperimentStatus, ExperimentVerdict};
use sloop_page::{Card, Chart, Frame, Scale, legend};

use super::compare::{chart as effects, escaped};
use super::text::{band, counts, fault, moment, share, verdict};
use super::word;

const METHOD: [&str; 5] = [
    "Arms are drawn from the trace id and the seed, and run at the same time: what else happens meets both alike. All \
     requests of an arm count, whether or not they came to meet the fault.",
    "Intervals and verdicts are from e-processes for two binomials by blocks (Turner, Ly, Gruenwald): they hold at every \
     moment at once, so stopping early costs nothing. Held and broken err with a chance of at most 5 %.",
    "Quantile bands are those of Howard and Ramdas (2022), which hold at every moment, too.",
    "Absorbed is 1 - effect / (1 - bad in the control arm): the share of faulted requests that the system made good.",
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
            &format!("{}{}", effects(std::slice::from_ref(run)), comparisons(run)),
        ));
        for one in run.comparisons.iter().take(rows.min(8)) {
            body.push(arms(run, one));
        }
    }
    body.push(sloop_page::section(
        "What happened",
        &targets(run),
        &timeline(run),
    ));
    let mut notes: Vec<String> = run.suggestions.clone();
    notes.extend(METHOD.map(str::to_owned));
    body.push(sloop_page::notes("How to read this", &notes));
    sloop_page::page(&format!("Experiment {}", run.name), "", &body.concat())
}

fn targets(run: &ExperimentStatus) -> String {
    let faults: Vec<String> = (0..run.faults.len())
        .map(|index| fault(run, index))
        .collect();
    format!(
        "Faults {} on {}; seed {}.",
        faults.join(", "),
        run.targets.join(", "),
        run.seed
    )
}

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
    if let Some(one) = run.comparisons.first() {
        cards.push(Card {
            title: format!("Effect on {}", one.objective.slo),
            big: one.effect.map_or_else(|| "-".to_owned(), share),
            text: format!(
                "surely {} to {}; {} is tolerated",
                share(one.interval.low),
                share(one.interval.high),
                share(one.tolerance)
            ),
        });
    }
    if let Some(budget) = run.budgets.first() {
        cards.push(Card {
            title: "Budget spent".to_owned(),
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
        "Faulted",
        "Control",
        "Effect",
        "Surely",
        "Tolerated",
        "Absorbed",
        "Design effect",
        "Verdict",
    ];
    let rows = run.comparisons.iter().map(|one| {
        vec![
            fault(run, one.fault),
            format!("{} {}", one.objective.slo, one.objective.index),
            counts(one.faulted),
            counts(one.control),
            one.effect.map_or_else(|| "-".to_owned(), share),
            format!(
                "{} to {}",
                share(one.interval.low),
                share(one.interval.high)
            ),
            share(one.tolerance),
            one.absorbed.map_or_else(|| "-".to_owned(), share),
            format!("{:.1}", one.design_effect),
            verdict(one),
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
        over_time(run, one),
        distributions(one),
        legend([("s1", "arm of the fault"), ("s0", "control arm")]),
    );
    if !one.faulted_latency.is_empty() {
        let rows = one.faulted_latency.iter().zip(&one.control_latency);
        let rows = rows.map(|(faulted, control)| {
            vec![
                format!("p{}", faulted.quantile * 100.0),
                band(faulted),
                band(control),
            ]
        });
        let head = ["Latency", "Arm of the fault", "Control arm"];
        content.push_str(&sloop_page::table(&head, &escaped(rows.collect())));
    }
    let mut why = format!(
        "Faulted: {}; control: {}.",
        counts(one.faulted),
        counts(one.control)
    );
    if let Some(more) = one.contamination {
        why.push_str(&format!(
            " The control arm is {} worse than requests were before: the experiment harms those that it should not.",
            share(more)
        ));
    }
    sloop_page::section(&title, &why, &content)
}

fn over_time(run: &ExperimentStatus, one: &ComparisonStatus) -> String {
    let begun = run.started_at.unwrap_or(run.due_at);
    let seconds = |at: sloop_model::WallTime| at.since(begun).as_secs_f64();
    let end = one
        .points
        .last()
        .map_or(1.0, |point| seconds(point.at) + 1.0);
    let bad = |counts: Counts| {
        #[expect(clippy::cast_precision_loss, reason = "requests of a second")]
        let share = counts.bad() as f64 / counts.total as f64;
        (0 < counts.total).then_some(share)
    };
    let tops = one
        .points
        .iter()
        .flat_map(|point| [bad(point.faulted), bad(point.control)]);
    let top = tops.flatten().fold(0.05, f64::max);
    let (scale, lines) = Scale::up_to(top.min(1.0));
    let (time, ticks) = Scale::up_to(end);
    let mut chart = Chart::new(
        "Share of bad requests over time",
        Frame::half(230.0),
        time,
        scale,
    );
    let names: Vec<_> = lines.iter().map(|line| (*line, share(*line))).collect();
    chart.grid(names.iter().map(|(at, name)| (*at, name.as_str())));
    let names: Vec<_> = ticks
        .iter()
        .map(|tick| (*tick, format!("{tick:.0} s")))
        .collect();
    chart.ticks(names.iter().map(|(at, name)| (*at, name.as_str())));
    chart.line(
        "s0",
        one.points
            .iter()
            .map(|point| (seconds(point.at), bad(point.control))),
    );
    chart.line(
        "s1",
        one.points
            .iter()
            .map(|point| (seconds(point.at), bad(point.faulted))),
    );
    chart.finish()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds and counts below 2^52"
)]
fn distributions(one: &ComparisonStatus) -> String {
    let slowest = one.latencies.last().map_or(1_000.0, |(us, ..)| *us as f64);
    let top = slowest.max(10_000.0) * 1.2;
    let scale = Scale::Log(500.0, top);
    let mut chart = Chart::new(
        "Share of requests within a latency",
        Frame::half(230.0),
        scale,
        Scale::Linear(0.0, 1.0),
    );
    chart.grid([(0.0, "0%"), (0.5, "50%"), (0.9, "90%"), (1.0, "100%")]);
    let ticks = [
        (1e3, "1 ms"),
        (1e4, "10 ms"),
        (1e5, "100 ms"),
        (1e6, "1 s"),
        (1e7, "10 s"),
    ];
    chart.ticks(ticks.into_iter().filter(|(us, _)| *us <= top));
    for (class, is_faulted) in [("s0", false), ("s1", true)] {
        let count = |(_, faulted, control): &(u64, u64, u64)| {
            if is_faulted {
                *faulted as f64
            } else {
                *control as f64
            }
        };
        let all: f64 = one.latencies.iter().map(count).sum();
        let mut below = 0.0;
        let points: Vec<_> = one
            .latencies
            .iter()
            .map(|entry| {
                below += count(entry);
                (entry.0 as f64, (0.0 < all).then_some(below / all.max(1.0)))
            })
            .collect();
        chart.line(class, points);
    }
    chart.finish()
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
    sloop_page::table(&["When", "What"], &escaped(rows))
}
