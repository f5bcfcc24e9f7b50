//! The page.

use sloop_page::{Card, Chart, Frame, Scale, cards, escaped, header, legend, notes, page, section};

use super::super::result::{Report, Run, Soak};
use super::{conditions, tables};

const STYLE: &str = ".less { fill: var(--s2); }";

/// The whole page, which needs nothing else.
#[must_use]
pub fn html(report: &Report) -> String {
    let mut body = header(
        "Many sidecars and one control plane",
        "What the control plane takes for each sidecar, and how soon all of them have what changed: the program as it ships, and as many connections as there are sidecars.",
    );
    body += &headlines(report);
    if 1 < small(report).count() {
        body += &section(
            "How it grows",
            "Time until a changed policy was with the last node, over the number of nodes; medians, and below them half of the nodes.",
            &growth(report),
        );
    }
    for table in tables(report) {
        let rows: Vec<Vec<String>> = table
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| escaped(cell)).collect())
            .collect();
        body += &section(
            table.title,
            table.why,
            &sloop_page::table(&table.head, &rows),
        );
    }
    if let Some(soak) = &report.soak {
        body += &section(
            "Memory over time",
            "Bytes of the control plane that belong to no file, each second.",
            &memory(soak),
        );
    }
    body += &notes("How it was measured", &method(report));
    page("Sloop: many sidecars and one control plane", STYLE, &body)
}

fn headlines(report: &Report) -> String {
    let Some(run) = report.runs.iter().rfind(|run| run.node_bytes == 0) else {
        return String::new();
    };
    let card = |title: &str, big: String, text: &str| Card {
        title: title.to_owned(),
        big,
        text: text.to_owned(),
    };
    cards(&[
        card(
            "Nodes",
            run.nodes.to_string(),
            "Each with a connection of its own.",
        ),
        card(
            "A change is with all of them after",
            format!("{:.0} <small>ms</small>", run.push.median(|it| it.last_ms)),
            "From the moment at which it is made, which is before it is stored.",
        ),
        card(
            "One node and push",
            format!("{:.0} <small>µs of processor</small>", run.push.cpu_us),
            "With what the node answers.",
        ),
        card(
            "Memory",
            format!(
                "{:.0} <small>KiB per node</small>",
                run.memory.pushed_bytes / 1_024.0
            ),
            "After all pushes.",
        ),
    ])
}

/// The fleets that differ in their number of nodes alone.
fn small(report: &Report) -> impl Iterator<Item = &Run> {
    report.runs.iter().filter(|run| run.node_bytes == 0)
}

fn growth(report: &Report) -> String {
    let runs: Vec<&Run> = small(report).collect();
    let right = runs.iter().map(|run| run.nodes as f64).fold(1.0, f64::max);
    let top = runs.iter().map(|run| run.push.median(|it| it.last_ms));
    let top = top.fold(1.0, f64::max) * 1.1;
    let mut chart = Chart::new(
        "Time until a change is with the nodes, over their number",
        Frame::whole(260.0),
        Scale::Linear(0.0, right),
        Scale::Linear(0.0, top),
    );
    let named = |value: f64| (value, format!("{value:.0}"));
    let ticks: Vec<_> = runs.iter().map(|run| named(run.nodes as f64)).collect();
    chart.ticks(ticks.iter().map(|(at, name)| (*at, name.as_str())));
    let grid: Vec<_> = [0.0, 0.25, 0.5, 0.75, 1.0]
        .map(|share| named(share * top))
        .to_vec();
    let grid: Vec<_> = grid
        .into_iter()
        .map(|(at, name)| (at, format!("{name} ms")))
        .collect();
    chart.grid(grid.iter().map(|(at, name)| (*at, name.as_str())));
    let points = |of: fn(&Run) -> f64| -> Vec<(f64, Option<f64>)> {
        let point = |run: &&Run| (run.nodes as f64, Some(of(run)));
        runs.iter().map(point).collect()
    };
    chart.line("s0", points(|run| run.push.median(|it| it.last_ms)));
    chart.line("s1", points(|run| run.push.median(|it| it.p50_ms)));
    legend([("s0", "the last node"), ("s1", "half of the nodes")]) + &chart.finish()
}

fn memory(soak: &Soak) -> String {
    let top = soak
        .memory
        .iter()
        .map(|it| it.1 as f64 / 1e6)
        .fold(1.0, f64::max)
        * 1.1;
    let right = soak.seconds.max(1) as f64;
    let mut chart = Chart::new(
        "Memory of the control plane over time",
        Frame::whole(220.0),
        Scale::Linear(0.0, right),
        Scale::Linear(0.0, top),
    );
    let ticks: Vec<_> = (0..=4).map(|part| right * f64::from(part) / 4.0).collect();
    let ticks: Vec<_> = ticks.iter().map(|at| (*at, format!("{at:.0} s"))).collect();
    chart.ticks(ticks.iter().map(|(at, name)| (*at, name.as_str())));
    let grid: Vec<_> = [0.0, 0.5, 1.0]
        .map(|share| (share * top, format!("{:.0} MB", share * top)))
        .to_vec();
    chart.grid(grid.iter().map(|(at, name)| (*at, name.as_str())));
    let points = soak
        .memory
        .iter()
        .map(|(at, bytes)| (*at as f64, Some(*bytes as f64 / 1e6)));
    chart.line("s0", points);
    chart.finish()
}

fn method(report: &Report) -> Vec<String> {
    vec![
        "The control plane is `sloop serve` as it is built for release, in a process of its own, with a store on disk.".to_owned(),
        "Each node has a TCP connection, on which HTTP/2, gRPC and discovery are spoken; all are driven by one thread without a task or buffer for each, on the same machine.".to_owned(),
        "A push is a change of the documents. Its time counts from the moment at which the control plane made the configuration, by its own record of events, to the moment at which a node has read the response.".to_owned(),
        "Processor time is that of all threads of the control plane, by the kernel's scheduler; memory what belongs to no file (Anonymous in smaps_rollup). What the kernel keeps for sockets is in neither.".to_owned(),
        conditions(report),
    ]
}
