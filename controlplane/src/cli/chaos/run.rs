//! `sloop chaos run`: asks for experiments and waits for what they show.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sloop_controllers::{ExperimentPhase, ExperimentStatus};

use super::super::{AdminArgs, CliError, client};
use super::{Form, code, show, show_one};
use crate::admin::AskedFor;
use crate::admin::api::List;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many looks are between two lines about a run, unless its phase changes.
const SAY_EVERY: u64 = 10;

#[derive(Args, Debug)]
pub(super) struct RunArgs {
    /// A file with documents of kind ChaosExperiment, or - for the standard input.
    #[arg(
        short = 'f',
        long = "filename",
        value_name = "FILE",
        required_unless_present = "name"
    )]
    file: Option<PathBuf>,
    /// Instead of a file: an experiment that is declared already.
    #[arg(conflicts_with = "file")]
    name: Option<String>,
    /// Only say what it would take, or why it may not begin; no request meets a fault. Exits with 0 if it would begin.
    #[arg(long, conflicts_with_all = ["no_wait", "pages"])]
    dry_run: bool,
    /// Return at once.
    #[arg(long)]
    no_wait: bool,
    /// Form of the output.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// Also write the report as a page, one for each experiment: NAME.html in this folder.
    #[arg(long, value_name = "FOLDER")]
    pages: Option<PathBuf>,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(super) fn run(args: &RunArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let (path, body) = match (&args.name, &args.file) {
        (Some(name), _) => {
            let path = format!("/v1/experiments/{}/run", client::segment(name));
            (path, String::new())
        }
        (None, file) => ("/v1/experiments".to_owned(), text(file.as_deref())?),
    };
    let path = format!("{path}?dry_run={}", args.dry_run);
    let asked: List<AskedFor> = client::post(&args.admin.admin, &path, body)?;
    for one in asked.items.iter().filter(|one| !one.stored) {
        let unless_stored = super::unless_stored(one.stored);
        drop(writeln!(
            io::stderr(),
            "{} is asked for{unless_stored}",
            one.name
        ));
    }
    if args.no_wait {
        for one in asked.items {
            writeln!(out, "{} is asked for", one.name)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let runs = wait(args, &asked.items)?;
    if args.dry_run {
        return foreseen(&runs, args.output, out);
    }
    if let Some(folder) = &args.pages {
        std::fs::create_dir_all(folder)?;
        for run in &runs {
            std::fs::write(
                folder.join(format!("{}.html", run.name)),
                super::page::page(run),
            )?;
        }
    }
    match runs.as_slice() {
        [run] => show_one(run, args.output, out)?,
        runs => show(runs, args.output, out)?,
    }
    Ok(code(&runs))
}

/// What runs would take: in words, or all that is known of them.
fn foreseen(
    runs: &[ExperimentStatus],
    form: Form,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    match form {
        Form::Table => {
            for run in runs {
                writeln!(out, "{}: {}", run.name, run.because)?;
            }
        }
        Form::Json | Form::Html | Form::Junit => show(runs, form, out)?,
    }
    let is_ready = runs.iter().all(|run| run.plan.is_some());
    Ok(if is_ready {
        ExitCode::SUCCESS
    } else {
        code(runs)
    })
}

fn text(file: Option<&Path>) -> Result<String, CliError> {
    let mut text = String::new();
    match file {
        Some(path) if path != Path::new("-") => text = std::fs::read_to_string(path)?,
        Some(_) | None => drop(io::stdin().lock().read_to_string(&mut text)?),
    }
    Ok(text)
}

/// Looks until all are over; says on the standard error how they go.
fn wait(args: &RunArgs, asked: &[AskedFor]) -> Result<Vec<ExperimentStatus>, CliError> {
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let mut looks = 0_u64;
    loop {
        let mut runs = Vec::new();
        for one in asked {
            let name = client::segment(&one.name);
            let path = format!("/v1/experiments/{name}?due_at={}", one.due_at.as_millis());
            // It is there after the next step.
            match client::get::<ExperimentStatus>(&args.admin.admin, &path) {
                Ok(run) => runs.push(run),
                Err(CliError::Refused(_)) if !said.contains_key(&one.name) => {}
                Err(error) => return Err(error),
            }
        }
        looks += 1;
        for run in &runs {
            let phase = format!("{:?}", run.phase);
            let is_new = said.insert(run.name.clone(), phase.clone()) != Some(phase);
            if is_new || looks.is_multiple_of(SAY_EVERY) {
                writeln!(io::stderr().lock(), "{}: {}", run.name, run.because)?;
            }
        }
        let is_over = |run: &ExperimentStatus| run.phase == ExperimentPhase::Over;
        if runs.len() == asked.len() && runs.iter().all(is_over) {
            return Ok(runs);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
