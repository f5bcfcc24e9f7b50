//! `sloop get`.

mod tables;

use std::io::Write;

use clap::{Args, ValueEnum};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sloop_controllers::objective_name;

use super::table::{printable, printable_json};
use super::{AdminArgs, CliError, client, yaml};
use crate::admin::api::List;

pub(super) use tables::{breakers, counts, faults, share};

const EXAMPLE: &str = "Example:
  sloop get slo
  sloop get scopes -o wide
  sloop get nodes -o json
  sloop get slo -o name";

/// What to list.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct GetArgs {
    /// The kind of thing.
    #[arg(value_enum)]
    kind: Kind,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Kinds of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// SLOs and how their budgets stand.
    #[value(alias = "slos")]
    Slo,
    /// Sidecars.
    #[value(alias = "node")]
    Nodes,
    /// Routes of services, and what was counted on them.
    #[value(alias = "scope")]
    Scopes,
    /// What deny rules did.
    #[value(alias = "denial")]
    Denials,
    /// What controllers decided lately, and why.
    #[value(alias = "decision")]
    Decisions,
    /// Alerts of policies, and who is told.
    #[value(alias = "alert")]
    Alerts,
    /// Files with documents, and what is wrong with them.
    #[value(alias = "document")]
    Documents,
    /// What happened lately.
    #[value(alias = "event")]
    Events,
}

/// Forms of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Columns.
    Table,
    /// More columns.
    Wide,
    /// What the HTTP API says.
    Json,
    /// The same as YAML.
    Yaml,
    /// Kind and name of each, one a line.
    Name,
}

pub(super) fn run(args: &GetArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let wide = match args.output {
        Form::Json => {
            let answer: Value = client::get(&args.admin.admin, path(args.kind))?;
            let json = format!("{answer:#}");
            return Ok(writeln!(out, "{}", printable_json(&json))?);
        }
        Form::Yaml => {
            let answer: Value = client::get(&args.admin.admin, path(args.kind))?;
            return Ok(out.write_all(yaml::text(&answer).as_bytes())?);
        }
        Form::Name => return names(args, out),
        Form::Table => false,
        Form::Wide => true,
    };
    let table = match args.kind {
        Kind::Slo => tables::slos(&list(args)?, wide),
        Kind::Nodes => tables::nodes(&list(args)?, wide),
        Kind::Scopes => tables::scopes(&list(args)?, wide),
        Kind::Denials => tables::denials(&list(args)?),
        Kind::Decisions => tables::decisions(&list(args)?),
        Kind::Alerts => tables::alerts(&list(args)?),
        Kind::Documents => tables::documents(&list(args)?),
        // Events differ too much for columns.
        Kind::Events => return lines(&list(args)?, out),
    };
    Ok(table.print(out)?)
}

/// Each thing as `kind/name`, as `describe`, `explain` and scripts take it.
fn names(args: &GetArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let (kind, fields) = naming(args.kind);
    let list: List<Value> = client::get(&args.admin.admin, path(args.kind))?;
    for item in &list.items {
        let parts = fields.iter();
        let name: Vec<String> = parts
            .filter_map(|field| Some(part(field, item.pointer(field)?)))
            .collect();
        writeln!(out, "{kind}/{}", printable(&name.join("/")))?;
    }
    Ok(())
}

/// What is at `field` of a thing, as a part of its name.
fn part(field: &str, value: &Value) -> String {
    let index = value.as_u64().filter(|_| field.ends_with("/index"));
    match index.map(u32::try_from) {
        Some(Ok(index)) => objective_name(index),
        Some(Err(_)) | None => value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    }
}

/// The kind in the singular, and where in a thing its name is.
const fn naming(kind: Kind) -> (&'static str, &'static [&'static str]) {
    match kind {
        Kind::Slo => ("slo", &["/name"]),
        Kind::Nodes => ("node", &["/node"]),
        Kind::Scopes => ("scope", &["/service", "/route", "/side"]),
        Kind::Denials => ("denial", &["/group", "/side", "/id"]),
        Kind::Decisions => ("decision", &["/id"]),
        Kind::Alerts => ("alert", &["/policy", "/objective/slo", "/objective/index"]),
        Kind::Documents => ("document", &["/file"]),
        Kind::Events => ("event", &["/id"]),
    }
}

const fn path(kind: Kind) -> &'static str {
    match kind {
        Kind::Slo => "/v1/slos",
        Kind::Nodes => "/v1/nodes",
        Kind::Scopes => "/v1/scopes",
        Kind::Denials => "/v1/denials",
        Kind::Decisions => "/v1/decisions",
        Kind::Alerts => "/v1/alerts",
        Kind::Documents => "/v1/documents",
        Kind::Events => "/v1/events",
    }
}

fn list<T: DeserializeOwned>(args: &GetArgs) -> Result<List<T>, CliError> {
    client::get(&args.admin.admin, path(args.kind))
}

fn lines(list: &List<Value>, out: &mut dyn Write) -> Result<(), CliError> {
    for item in &list.items {
        writeln!(out, "{}", printable_json(&item.to_string()))?;
    }
    Ok(())
}
