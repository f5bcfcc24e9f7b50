//! The report, for people: lines for a terminal, Markdown, and a page. All are made from [`Report`] alone.

mod aims;
mod page;

pub use page::html;

use std::fmt::Write as _;

use super::result::{Push, Report, Run, Soak};
use aims::AIMS;

/// One table: what it is about, its columns, and a row for each fleet.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) why: &'static str,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Everything that was measured, as tables.
pub(super) fn tables(report: &Report) -> Vec<Table> {
    let mut all = vec![
        aims(report),
        connect(report),
        memory(report),
        pushes(report),
        reports(report),
        storms(report),
    ];
    if let Some(soak) = &report.soak {
        all.push(soak_table(soak));
    }
    all.retain(|table| !table.rows.is_empty());
    all
}

/// For a terminal.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    for table in tables(report) {
        let rows = std::iter::once(table.head.iter().map(|it| (*it).to_owned()).collect())
            .chain(table.rows)
            .collect::<Vec<Vec<String>>>();
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        // Writing into a string cannot fail.
        writeln!(text, "\n  {}", table.title).ok();
        for row in &rows {
            let cell = |(column, cell): (usize, &String)| match column {
                0 => format!("{cell:<width$}", width = width(column)),
                _ => format!("{cell:>width$}", width = width(column)),
            };
            let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
            writeln!(text, "    {}", cells.join("  ")).ok();
        }
    }
    writeln!(text, "\n  {}", conditions(report)).ok();
    text
}

/// For a README.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    for table in tables(report) {
        let rule = "---|".repeat(table.head.len());
        // Writing into a string cannot fail.
        writeln!(
            text,
            "{}:\n\n| {} |\n|{rule}",
            table.title,
            table.head.join(" | ")
        )
        .ok();
        for row in &table.rows {
            writeln!(text, "| {} |", row.join(" | ")).ok();
        }
        text.push('\n');
    }
    writeln!(text, "{}", conditions(report)).ok();
    text
}

/// Where it was measured, in a sentence.
pub(super) fn conditions(report: &Report) -> String {
    let machine = &report.machine;
    let load = machine.load_before;
    let load = load.map_or("unknown".to_owned(), |load| format!("{load:.1}"));
    format!(
        "{} x {}, kernel {}, load {load} before; control plane and fleet on the same processors.",
        machine.processors, machine.processor, machine.kernel
    )
}

/// What a fleet is called.
fn name(run: &Run) -> String {
    let like = if run.node_bytes == 0 {
        ""
    } else {
        ", first requests as large as Envoy's"
    };
    let tls = if run.tls { ", TLS" } else { "" };
    format!("{} ({}{like}{tls})", run.nodes, run.variants)
}

fn ms(value: f64) -> String {
    format!("{value:.0}")
}

fn kib(bytes: f64) -> String {
    format!("{:.1}", bytes / 1_024.0)
}

fn aims(report: &Report) -> Table {
    let rows = AIMS.iter().filter_map(|aim| {
        let (value, run) = report
            .runs
            .iter()
            .rev()
            .find_map(|run| Some(((aim.value)(run)?, run)))?;
        let verdict = if aim.is_met(value) { "met" } else { "not met" };
        let cells = [
            aim.name.to_owned(),
            aim.shown(aim.bound),
            aim.shown(value),
            verdict.to_owned(),
            run.nodes.to_string(),
        ];
        Some(cells.to_vec())
    });
    Table {
        title: "What it should reach",
        why: "The last fleet for which it was measured; the bounds are for 10,000 nodes on two processors that do nothing else.",
        head: vec!["", "aim", "measured", "", "nodes"],
        rows: rows.collect(),
    }
}

fn connect(report: &Report) -> Table {
    let row = |run: &Run| {
        let connect = run.connect;
        vec![
            name(run),
            format!("{:.2}", connect.all_ms / 1e3),
            format!("{:.0}", connect.cpu_us),
            format!("{:.0}", connect.own_cpu_us),
            connect.refused.to_string(),
        ]
    };
    Table {
        title: "Connecting",
        why: "All nodes connect, subscribe, are sent their configuration and acknowledge it; at most 512 are on their way at one time.",
        head: vec![
            "nodes",
            "all, s",
            "control plane, µs each",
            "simulator, µs each",
            "in vain",
        ],
        rows: report.runs.iter().map(row).collect(),
    }
}

fn memory(report: &Report) -> Table {
    let row = |run: &Run| {
        let memory = run.memory;
        let envoys = run.envoys.map_or(String::new(), |envoys| {
            format!(
                "{} ({} of {} up to date)",
                kib(envoys.bytes),
                envoys.up_to_date,
                envoys.count
            )
        });
        vec![
            name(run),
            format!("{:.1}", memory.empty_bytes as f64 / 1e6),
            kib(memory.connected_bytes),
            kib(memory.pushed_bytes),
            kib(memory.end_bytes),
            envoys,
        ]
    };
    Table {
        title: "Memory of the control plane",
        why: "What belongs to no file: without nodes in MB, then beyond that for each node in KiB.",
        head: vec![
            "nodes",
            "empty, MB",
            "connected, KiB",
            "after pushes, KiB",
            "after all, KiB",
            "each real Envoy, KiB",
        ],
        rows: report.runs.iter().map(row).collect(),
    }
}

fn push_row(run: &Run, push: &Push, beside: &str) -> Vec<String> {
    vec![
        format!("{}{beside}", name(run)),
        push.bytes.to_string(),
        ms(push.median(|it| it.first_ms)),
        ms(push.median(|it| it.p50_ms)),
        ms(push.median(|it| it.p99_ms)),
        ms(push.median(|it| it.last_ms)),
        ms(push.most(|it| it.last_ms)),
        format!("{:.1}", push.cpu_us),
        format!("{:.1}", push.own_cpu_us),
    ]
}

fn pushes(report: &Report) -> Table {
    let rows = report.runs.iter().flat_map(|run| {
        let alone = push_row(run, &run.push, "");
        let beside = run.push_with_reports.as_ref();
        let beside = beside.map(|push| push_row(run, push, ", while reports come"));
        std::iter::once(alone).chain(beside)
    });
    Table {
        title: "A changed policy, from the moment at which it is made",
        why: "In milliseconds, medians over all pushes. The control plane's time is for one node and push, with the acknowledgement; it includes what it does meanwhile.",
        head: vec![
            "nodes",
            "bytes",
            "first",
            "p50",
            "p99",
            "last",
            "slowest last",
            "control plane, µs",
            "simulator, µs",
        ],
        rows: rows.collect(),
    }
}

fn reports(report: &Report) -> Table {
    let rows = report.runs.iter().flat_map(|run| {
        run.reports.iter().map(|reports| {
            vec![
                format!("{}, {}", run.nodes, reports.name),
                format!("{} x {}", reports.nodes, reports.each),
                reports.bytes.to_string(),
                format!("{:.0}", reports.per_second),
                format!("{:.1}", reports.cpu_us),
                format!("{:.0}", reports.per_core()),
                ms(reports.p50_ms),
                ms(reports.p99_ms),
                reports.refused.to_string(),
                reports.skipped.to_string(),
            ]
        })
    });
    Table {
        title: "Reports",
        why: "Acknowledged when they are durable. The time of processors is all that the control plane spent meanwhile, also for pushes.",
        head: vec![
            "nodes",
            "connections x VMs",
            "bytes",
            "a second",
            "control plane, µs each",
            "a second and core",
            "p50, ms",
            "p99, ms",
            "put off",
            "not sent",
        ],
        rows: rows.collect(),
    }
}

fn storms(report: &Report) -> Table {
    let rows = report.runs.iter().filter_map(|run| {
        let storm = run.storm?;
        Some(vec![
            name(run),
            format!("{:.2}", storm.all_ms / 1e3),
            format!("{:.0}", storm.cpu_us),
            storm.refused.to_string(),
            storm.ended.to_string(),
            run.lost().unwrap_or_default().to_string(),
            format!("{} of {}", storm.reached, run.nodes),
            kib(storm.bytes),
        ])
    });
    Table {
        title: "All vanish at one moment and connect again at once",
        why: "Without pause and without a bound on how many at one time; who is refused comes back as Envoy does. Then a push must reach all of them.",
        head: vec![
            "nodes",
            "all accepted, s",
            "control plane, µs each",
            "in vain",
            "ended",
            "lost",
            "had the next push",
            "memory, KiB each",
        ],
        rows: rows.collect(),
    }
}

fn soak_table(soak: &Soak) -> Table {
    let first = soak.memory.first().map_or(0, |it| it.1);
    let last = soak.memory.last().map_or(0, |it| it.1);
    let cells = [
        soak.nodes.to_string(),
        soak.seconds.to_string(),
        format!("{} ({} overtaken)", soak.pushes, soak.overtaken),
        soak.churned.to_string(),
        format!("{} ({} put off)", soak.reports, soak.refused),
        soak.ended.to_string(),
        format!("{} of {}", soak.at_newest, soak.nodes),
        format!("{:.1} to {:.1}", first as f64 / 1e6, last as f64 / 1e6),
        format!("{:+.1} %", soak.growth() * 100.0),
    ];
    Table {
        title: "For long",
        why: "A push every 5 s, 5 % of the nodes vanish and come back each minute, and each reports every 10 s. Growth is the last quarter's memory against the third's.",
        head: vec![
            "nodes",
            "seconds",
            "pushes",
            "vanished",
            "reports",
            "streams ended",
            "at the latest",
            "memory, MB",
            "growth",
        ],
        rows: vec![cells.to_vec()],
    }
}

#[cfg(test)]
pub(super) mod tests;
