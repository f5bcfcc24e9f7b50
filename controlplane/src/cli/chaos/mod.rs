//! `sloop chaos`: experiments, from the order to the report.

mod compare;
mod junit;
mod page;
mod run;
mod text;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use sloop_controllers::{ExperimentStatus, ExperimentVerdict};

use super::{AdminArgs, CliError, client};
use crate::admin::AskedFor;
use crate::admin::api::List;

const EXAMPLE: &str = "Example:
  sloop chaos run -f experiment.yaml -o junit > chaos.xml
  sloop chaos report payments-slow -o html > payments-slow.html
  sloop chaos compare payments-slow payments-slow-after-fix";

/// Run experiments, and see what they show.
///
/// `run` and `report` exit with 0 when all hypotheses held, 4 when one is broken, 5 when the answer is inconclusive; as
/// everywhere 1 means that something went wrong, 2 that the command line makes no sense.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct ChaosArgs {
    #[command(subcommand)]
    command: ChaosCommand,
}

#[derive(Debug, Subcommand)]
enum ChaosCommand {
    /// Run experiments at once, and wait until they are over.
    ///
    /// They go on when this command is ended; `sloop chaos stop` ends them.
    #[command(after_help = "Example:\n  sloop chaos run -f experiment.yaml")]
    Run(run::RunArgs),
    /// Show how the newest run of an experiment stands.
    #[command(after_help = "Example:\n  sloop chaos status payments-slow")]
    Status(NameArgs),
    /// End the run of an experiment; faults are gone within two seconds.
    #[command(after_help = "Example:\n  sloop chaos stop payments-slow")]
    Stop(NameArgs),
    /// List runs, the newest first.
    #[command(after_help = "Example:\n  sloop chaos list")]
    List(ListArgs),
    /// Show all about one run.
    #[command(after_help = "Example:\n  sloop chaos report payments-slow -o html > report.html")]
    Report(ReportArgs),
    /// Show runs side by side.
    #[command(after_help = "Example:\n  sloop chaos compare payments-slow wallet-slow")]
    Compare(CompareArgs),
}

#[derive(Args, Debug)]
struct NameArgs {
    /// The experiment.
    name: String,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Args, Debug)]
struct ListArgs {
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Args, Debug)]
struct ReportArgs {
    /// The experiment; a run of the past as NAME@MILLISECONDS, as `list` shows them.
    name: String,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Args, Debug)]
struct CompareArgs {
    /// Experiments, or runs of the past as NAME@MILLISECONDS.
    #[arg(required = true, num_args = 2..)]
    names: Vec<String>,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    #[command(flatten)]
    admin: AdminArgs,
}

/// Forms of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people at a terminal.
    Table,
    /// What the HTTP API says.
    Json,
    /// A page with charts that needs nothing else.
    Html,
    /// `JUnit` XML, as most CI systems read it: a test case for each comparison.
    Junit,
}

pub(super) fn run(args: &ChaosArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    match &args.command {
        ChaosCommand::Run(args) => return run::run(args, out),
        ChaosCommand::Status(args) => {
            let run = find(&args.admin, &args.name)?;
            text::status(&run, out)?;
        }
        ChaosCommand::Stop(args) => {
            let path = format!("/v1/experiments/{}/stop", client::segment(&args.name));
            let asked: List<AskedFor> = client::post(&args.admin.admin, &path, String::new())?;
            for one in asked.items {
                writeln!(out, "{} stops{}", one.name, unless_stored(one.stored))?;
            }
        }
        ChaosCommand::List(args) => {
            let list: List<ExperimentStatus> = client::get(&args.admin.admin, "/v1/experiments")?;
            show(&list.items, args.output, out)?;
        }
        ChaosCommand::Report(args) => {
            let run = find(&args.admin, &args.name)?;
            show_one(&run, args.output, out)?;
            return Ok(code(&[run]));
        }
        ChaosCommand::Compare(args) => {
            let runs = args.names.iter().map(|name| find(&args.admin, name));
            let runs = runs.collect::<Result<Vec<_>, _>>()?;
            show(&runs, args.output, out)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is to be said of what was asked for beside that it holds.
const fn unless_stored(is_stored: bool) -> &'static str {
    match is_stored {
        true => "",
        false => " (the control plane cannot store that, and forgets it if it is killed)",
    }
}

/// The run that `name` means: the newest, or as `NAME@MILLISECONDS` the one that was due then.
fn find(admin: &AdminArgs, name: &str) -> Result<ExperimentStatus, CliError> {
    let (name, due_at) = match name.split_once('@') {
        Some((name, due_at)) => (name, format!("?due_at={}", client::segment(due_at))),
        None => (name, String::new()),
    };
    let path = format!("/v1/experiments/{}{due_at}", client::segment(name));
    client::get(&admin.admin, &path)
}

/// Runs side by side.
fn show(runs: &[ExperimentStatus], form: Form, out: &mut dyn Write) -> Result<(), CliError> {
    match form {
        Form::Table => compare::table(runs).print(out)?,
        Form::Json => writeln!(out, "{:#}", serde_json::json!(runs))?,
        Form::Html => out.write_all(compare::page(runs).as_bytes())?,
        Form::Junit => out.write_all(junit::suites(runs).as_bytes())?,
    }
    Ok(())
}

fn show_one(run: &ExperimentStatus, form: Form, out: &mut dyn Write) -> Result<(), CliError> {
    match form {
        Form::Table => text::report(run, out)?,
        Form::Html => out.write_all(page::page(run).as_bytes())?,
        Form::Json => writeln!(out, "{:#}", serde_json::json!(run))?,
        Form::Junit => out.write_all(junit::suites(std::slice::from_ref(run)).as_bytes())?,
    }
    Ok(())
}

/// The worst of several verdicts, as the process says it.
fn code(runs: &[ExperimentStatus]) -> ExitCode {
    let has = |verdict| runs.iter().any(|run| run.verdict == verdict);
    if has(Some(ExperimentVerdict::Broken)) {
        ExitCode::from(4)
    } else if has(Some(ExperimentVerdict::Inconclusive)) || has(None) {
        ExitCode::from(5)
    } else {
        ExitCode::SUCCESS
    }
}

/// A verdict in a word.
const fn word(run: &ExperimentStatus) -> &'static str {
    match run.verdict {
        Some(ExperimentVerdict::Held) => "held",
        Some(ExperimentVerdict::Broken) => "broken",
        Some(ExperimentVerdict::Inconclusive) => "inconclusive",
        None => "running",
    }
}

#[cfg(test)]
mod tests;
