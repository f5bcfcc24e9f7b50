//! `sloop describe node`.

use std::io::Write;

use http::Uri;

use super::table::{Table, ago, printable};
use super::{CliError, client};
use crate::admin::api::{CountedBy, FilterInForce, List, LoadCount, NodeStatus, ResourceStatus};

/// Describes the node with this id; all of them where services have one each.
pub(super) fn run(admin: &Uri, name: &str, out: &mut dyn Write) -> Result<(), CliError> {
    let nodes: List<NodeStatus> = client::get(admin, "/v1/nodes")?;
    let own: Vec<&NodeStatus> = nodes.items.iter().filter(|it| it.node == name).collect();
    if own.is_empty() {
        return Err(CliError::Refused(format!("there is no node {name:?}")));
    }
    for (index, node) in own.into_iter().enumerate() {
        if 0 < index {
            writeln!(out)?;
        }
        describe(node, nodes.at_ms, out)?;
    }
    Ok(())
}

fn describe(node: &NodeStatus, at_ms: u64, out: &mut dyn Write) -> Result<(), CliError> {
    head(node, at_ms).print(out)?;
    writeln!(out, "\nResources")?;
    resources(node, at_ms).print(out)?;
    for resource in &node.resources {
        if let Some(refusal) = &resource.last_refusal {
            writeln!(
                out,
                "  refused {} of {} {} ago: {}",
                printable(short(&resource.kind)),
                printable(&refusal.version),
                ago(at_ms, Some(refusal.at_ms)),
                printable(&refusal.reason)
            )?;
        }
    }
    if !node.load.is_empty() {
        writeln!(out, "\nRequests")?;
        load(node, at_ms).print(out)?;
    }
    writeln!(out, "\nFilters in force")?;
    let mut table = Table::of(&["  SIDE", "GENERATION", "ACCEPTED", "DRIFT", "SINCE", "VM"]);
    for filter in &node.filters {
        table.row(vec![
            format!("  {}", filter.side),
            filter.generation.to_string(),
            filter
                .accepted
                .map_or_else(|| "-".to_owned(), |number| number.to_string()),
            filter_drift(filter).to_owned(),
            ago(at_ms, Some(filter.applied_ms)),
            filter.vm.clone(),
        ]);
    }
    Ok(table.print(out)?)
}

fn head(node: &NodeStatus, now: u64) -> Table {
    let mut head = Table::plain();
    let mut line = |name: &str, value: String| head.row(vec![format!("{name}:"), value]);
    line("Name", node.node.clone());
    line("Service", node.group.clone());
    if let Some(cohort) = &node.cohort {
        line("Gets the same as", cohort.clone());
    }
    if !node.zone.is_empty() {
        line("Zone", node.zone.clone());
    }
    let connected = match node.connected_ms {
        Some(since) => format!("for {}", ago(now, Some(since))),
        None => "no".to_owned(),
    };
    line("Connected", connected);
    if let Some(took) = node.effect_ms {
        line("In force", format!("all, after {took}ms"));
    }
    if let Some(since) = node.behind_ms {
        line(
            "In force",
            format!("not all, since {}", ago(now, Some(since))),
        );
    }
    let reported = match node.reported_ms {
        Some(_) => format!("{} ago", ago(now, node.reported_ms)),
        None => "not since the control plane began".to_owned(),
    };
    line("Reported", reported);
    head
}

fn resources(node: &NodeStatus, now: u64) -> Table {
    let mut table = Table::of(&["  TYPE", "SENT", "AGO", "ACCEPTED", "AGO", "TOOK", "DRIFT"]);
    for resource in &node.resources {
        let text = |it: &Option<String>| it.clone().unwrap_or_else(|| "-".to_owned());
        table.row(vec![
            format!("  {}", short(&resource.kind)),
            text(&resource.sent),
            ago(now, resource.sent_ms),
            text(&resource.acknowledged),
            ago(now, resource.acknowledged_ms),
            resource
                .took_ms
                .map_or_else(|| "-".to_owned(), |took| format!("{took}ms")),
            drift(resource).to_owned(),
        ]);
    }
    table
}

/// What changes on their way to the node are judged by.
fn load(node: &NodeStatus, now: u64) -> Table {
    let mut table = Table::of(&["  COUNTED BY", "WHILE", "SINCE", "REQUESTS", "FAILED"]);
    for load in &node.load {
        let by = match load.by {
            CountedBy::Filters => "  filters",
            CountedBy::Envoy => "  envoy",
        };
        let mut line = |phase: &str, since_ms, count: LoadCount| {
            table.row(vec![
                by.to_owned(),
                phase.to_owned(),
                ago(now, Some(since_ms)),
                count.requests.to_string(),
                count.failed.to_string(),
            ]);
        };
        line("as usual", load.since_ms, load.usual);
        if let Some(stage) = load.stage {
            line("a change is tried", stage.since_ms, stage.count);
        }
    }
    table
}

/// Whether the node runs with what it was sent.
fn drift(resource: &ResourceStatus) -> &'static str {
    match (&resource.refusal, resource.sent == resource.acknowledged) {
        (Some(_), _) => "refused",
        (None, true) => "none",
        (None, false) => "not answered",
    }
}

/// Whether the filter runs with what its Envoy accepted.
fn filter_drift(filter: &FilterInForce) -> &'static str {
    match filter.accepted {
        None => "-",
        Some(accepted) if accepted == filter.generation => "none",
        Some(accepted) if filter.generation < accepted => "older",
        Some(_) => "newer",
    }
}

/// A type without where it is defined: `Cluster`.
fn short(kind: &str) -> &str {
    kind.rsplit('.').next().unwrap_or(kind)
}
