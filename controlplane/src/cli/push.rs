//! `sloop push`.

use std::io::Write;

use clap::{Args, Subcommand};

use super::table::{Table, ago, printable};
use super::{AdminArgs, CliError, client};
use crate::admin::api::{List, PushStage, PushStatus};

const EXAMPLE: &str = "Example:
  sloop push status
  sloop push status checkout";

/// What to do about pushes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct PushArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show how changes stand: which nodes try one, which have it, and why one was taken back.
    #[command(after_help = EXAMPLE)]
    Status {
        /// A service, or a group of its nodes as `edge{zone=a}`; all when left out.
        group: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

pub(super) fn run(args: &PushArgs, out: &mut dyn Write) -> Result<(), CliError> {
    match &args.what {
        What::Status { group, admin } => status(group.as_deref(), admin, out),
    }
}

fn status(group: Option<&str>, admin: &AdminArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let all: List<PushStatus> = client::get(&admin.admin, "/v1/pushes")?;
    let is_meant =
        |it: &&PushStatus| group.is_none_or(|name| it.group == name || it.service == name);
    let meant: Vec<&PushStatus> = all.items.iter().filter(is_meant).collect();
    if let Some(name) = group
        && meant.is_empty()
    {
        return Err(CliError::Refused(format!("there is no group {name:?}")));
    }
    print(&meant, all.at_ms, out)
}

fn print(groups: &[&PushStatus], now: u64, out: &mut dyn Write) -> Result<(), CliError> {
    let mut table = Table::of(&[
        "GROUP", "STAGE", "SINCE", "TRYING", "NODES", "IN FORCE", "REFUSING", "SLOWEST",
    ]);
    for group in groups {
        let (since, trying) = match &group.stage {
            PushStage::Settled => (None, 0),
            PushStage::Trying {
                since_ms, count, ..
            } => (Some(*since_ms), *count),
            PushStage::RolledBack { at_ms, .. } => (Some(*at_ms), 0),
        };
        table.row(vec![
            group.group.clone(),
            group.stage.name().to_owned(),
            ago(now, since),
            trying.to_string(),
            group.nodes.to_string(),
            group.in_force.to_string(),
            group.refusing.to_string(),
            group
                .slowest_ms
                .map_or_else(|| "-".to_owned(), |took| format!("{took}ms")),
        ]);
    }
    table.print(out)?;
    for group in groups {
        let name = &group.group;
        let mut said = Vec::new();
        match &group.stage {
            PushStage::Settled => {}
            PushStage::Trying { trying, .. } => {
                said.push(format!("{name} is tried by {}", trying.join(", ")));
            }
            PushStage::RolledBack { reason, .. } => {
                said.push(format!("{name} was taken back: {reason}"));
            }
        }
        if !group.behind.is_empty() {
            let behind = group.behind.join(", ");
            said.push(format!("{name} is not in force on {behind}"));
        }
        for sentence in said {
            writeln!(out, "{}", printable(&sentence))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str, stage: PushStage) -> PushStatus {
        PushStatus {
            group: name.to_owned(),
            service: name.to_owned(),
            stage,
            nodes: 3,
            in_force: 2,
            refusing: 1,
            behind: vec!["n1".to_owned()],
            slowest_ms: Some(12),
        }
    }

    #[test]
    fn a_group_is_shown_with_who_tries_and_why_it_was_taken_back() {
        let trying = PushStage::Trying {
            trying: vec!["n1".to_owned()],
            count: 1,
            since_ms: 1_000,
            revision: "r".to_owned(),
        };
        let back = PushStage::RolledBack {
            reason: "n1 refuses it: no\n\u{1b}[2K".to_owned(),
            at_ms: 1_000,
            revision: "r".to_owned(),
        };
        let groups = [group("a", trying), group("b", back)];
        let mut out = Vec::new();
        print(&groups.iter().collect::<Vec<_>>(), 5_000, &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        for part in [
            "a       trying        4s      1        3       2          1          12ms",
            "a is tried by n1",
            r"b was taken back: n1 refuses it: no\n\u{1b}[2K",
            "b is not in force on n1",
        ] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }
}
