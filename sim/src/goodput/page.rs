//! The report as a page.

use sloop_page::{Chart, Frame, Scale, escaped, header, legend, notes, page, section};

use super::result::{Report, Row, Told};
use super::rival::Rival;
use super::table::{NOISE, failures};

const STYLE: &str = ".best { font-weight: 650; } path.sloop { stroke-width: 3; } path.rest { stroke-width: 1.2; opacity: 0.75; }";

/// Colours, in the order of [`Rival::everybody`]: the last, who is on real Envoys alone, has that of one who never is.
const CLASSES: [&str; 11] = [
    "s7", "s1", "s2", "s3", "s5", "s6", "s0", "s4", "s8", "s9", "s8",
];

/// The whole page.
#[must_use]
pub fn html(report: &Report) -> String {
    let lead = format!(
        "Requests answered well and within 250 ms, per second, by a service of three hosts in trouble: the same arrivals for all, {}, seeds: {}.",
        report.played.name(),
        report.seeds.len()
    );
    let mut body = header("Does it help?", &lead);
    body += &section(
        "At a glance",
        "Good answers of all that anybody could have given, over the whole of each story, in percent. Bold: the best, within the noise.",
        &(overview(report) + &verdict(report)),
    );
    for story in &report.stories {
        body += &section(&story.name, &story.about, &(chart(story) + &details(story)));
    }
    let is_there = |rival: &Rival| {
        let mut stories = report.stories.iter();
        stories.any(|story| story.row(*rival).is_some())
    };
    let about: Vec<String> = Rival::everybody()
        .filter(is_there)
        .map(|rival| format!("{}: {}.", rival.name(), rival.about()))
        .collect();
    body += &notes("Who is compared", &about);
    page("Sloop: does it help?", STYLE, &body)
}

fn overview(report: &Report) -> String {
    let names = report.stories.first().map_or(&[][..], |story| &story.rows);
    let mut head = vec!["story"];
    head.extend(names.iter().map(|row| row.name.as_str()));
    let row = |story: &Told| {
        let best = story.rows.iter().map(|row| row.of_attainable.mean);
        let best = best.fold(0.0, f64::max);
        let cell = |row: &Row| {
            let mean = row.of_attainable.mean;
            let class = if best - NOISE <= mean { "best" } else { "" };
            format!("<span class=\"{class}\">{:.1}</span>", mean * 100.0)
        };
        let name = escaped(&story.name);
        core::iter::once(name)
            .chain(story.rows.iter().map(cell))
            .collect()
    };
    let rows: Vec<Vec<String>> = report.stories.iter().map(row).collect();
    sloop_page::table(&head, &rows)
}

/// Whether anybody is better; nothing where it was not played everywhere.
fn verdict(report: &Report) -> String {
    let mut stories = report.stories.iter();
    if stories.all(|story| story.row(Rival::Sloop).is_some()) {
        sentences(&failures(report))
    } else {
        String::new()
    }
}

fn sentences(failures: &[String]) -> String {
    if failures.is_empty() {
        return "<p class=kept>Sloop is first, or as good as the first, in every story.</p>"
            .to_owned();
    }
    let items: String = failures
        .iter()
        .map(|failure| format!("<li>{}</li>", escaped(failure)))
        .collect();
    format!("<p class=broken>Somebody is better than Sloop alone:</p><ul>{items}</ul>")
}

fn chart(story: &Told) -> String {
    let length = story
        .rows
        .iter()
        .map(|row| row.per_second.len())
        .min()
        .unwrap_or(0);
    let highest = story
        .rows
        .iter()
        .flat_map(|row| row.per_second.iter().copied());
    let (scale, ticks) = Scale::up_to(highest.fold(1.0, f64::max));
    let label = format!("Good answers per second in the story {}", story.name);
    let time = Scale::Linear(0.0, length.max(1) as f64);
    let mut chart = Chart::new(&label, Frame::whole(260.0), time, scale);
    let (from, to) = story.trouble;
    if from < to {
        chart.shade("shade", (from, to), "trouble");
    }
    let names: Vec<_> = (0..=length / 10)
        .map(|tens| (tens as f64 * 10.0, format!("{} s", tens * 10)))
        .collect();
    chart.ticks(names.iter().map(|(at, name)| (*at, name.as_str())));
    let values: Vec<_> = ticks
        .iter()
        .map(|tick| (*tick, format!("{tick}/s")))
        .collect();
    chart.grid(values.iter().map(|(at, name)| (*at, name.as_str())));
    for (rival, class) in Rival::everybody().zip(CLASSES) {
        let weight = match rival {
            Rival::Sloop => "sloop",
            Rival::Nothing
            | Rival::Outliers
            | Rival::AdmissionControl
            | Rival::AdaptiveConcurrency
            | Rival::Throttle
            | Rival::Resilience4j
            | Rival::SloopOutliers
            | Rival::SloopControlled
            | Rival::SloopCallers
            | Rival::BudgetCallers => "rest",
        };
        let Some(row) = story.row(rival) else {
            continue;
        };
        let points = row.per_second.iter().enumerate();
        let points = points.map(|(second, good)| (second as f64 + 0.5, Some(*good)));
        chart.line(&format!("{class} {weight}"), points);
    }
    let shown = Rival::everybody().zip(CLASSES);
    let shown = shown.filter(|(rival, _)| story.row(*rival).is_some());
    chart.finish() + &legend(shown.map(|(rival, class)| (class, rival.name())))
}

fn details(story: &Told) -> String {
    let seconds = |time: Option<f64>| time.map_or("-".to_owned(), |time| format!("{time:.1} s"));
    let percent = |share: f64| format!("{:.1}", share * 100.0);
    let row = |row: &Row| {
        let spread = row.of_attainable;
        let [sheddable, sheddable_plus, critical, critical_plus] = [
            row.mean(|run| run.by_class[0]),
            row.mean(|run| run.by_class[1]),
            row.mean(|run| run.by_class[2]),
            row.mean(|run| run.by_class[3]),
        ]
        .map(percent);
        vec![
            escaped(&row.name),
            format!(
                "{} [{}, {}]",
                percent(spread.mean),
                percent(spread.low),
                percent(spread.high)
            ),
            format!("{:.0}", row.mean(|run| run.goodput)),
            sheddable,
            sheddable_plus,
            critical,
            critical_plus,
            seconds(row.time(|run| run.mitigated)),
            seconds(row.time(|run| run.recovered)),
            percent(row.mean(|run| run.needless)),
        ]
    };
    let rows: Vec<_> = story.rows.iter().map(row).collect();
    let head = [
        "",
        "% of attainable",
        "good/s in trouble",
        "sheddable %",
        "sheddable_plus %",
        "critical %",
        "critical_plus %",
        "mitigated",
        "recovered",
        "refused before %",
    ];
    sloop_page::table(&head, &rows)
}
