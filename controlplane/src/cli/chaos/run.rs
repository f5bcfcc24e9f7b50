//! `sloop chaos run`: asks for experiments and waits for what they show.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use sloop_controllers::{ExperimentPhase, ExperimentStatus};

use super::super::table::printable;
use super::super::{AdminArgs, CliError, client};
use super::{Form, code, show, show_one};
use crate::admin::api::{DocumentText, List};
use crate::admin::{AskedFor, TEXTS_TYPE};
use crate::causes;
use crate::documents::{self, FileError};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A run is there after the next step, a tenth of a second later; one that is not for so long will not come.
const UNSEEN_MAX: Duration = Duration::from_secs(30);
/// A control plane that begins anew, or a network that is away for a moment, is no reason to leave a run alone.
const AWAY_MAX: Duration = Duration::from_secs(60);
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
    let admin = &args.admin.admin;
    let for_what = |path: &str| format!("{path}?dry_run={}", args.dry_run);
    let asked: List<AskedFor> = match (&args.name, &args.file) {
        (Some(name), _) => {
            let path = format!("/v1/experiments/{}/run", client::segment(name));
            client::post(admin, &for_what(&path), String::new())?
        }
        (None, file) => {
            let body = serde_json::json!([text(file.as_deref())?]).to_string();
            client::post_as(admin, &for_what("/v1/experiments"), (TEXTS_TYPE, body))?
        }
    };
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
                writeln!(out, "{}: {}", run.name, printable(&run.because))?;
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

fn text(file: Option<&Path>) -> Result<DocumentText, CliError> {
    let file = file.unwrap_or(Path::new("-"));
    let text = if file == Path::new("-") {
        documents::read_stream(io::stdin().lock())
    } else {
        let opened = File::open(file).map_err(FileError::from);
        opened.and_then(documents::read_stream)
    };
    let text = text.map_err(|source| CliError::File {
        file: file.to_owned(),
        source,
    })?;
    let file = match file == Path::new("-") {
        true => "<stdin>".to_owned(),
        false => file.display().to_string(),
    };
    Ok(DocumentText { file, text })
}

/// When each run was seen last.
#[derive(Debug)]
struct Sight {
    begun: Instant,
    seen: BTreeMap<String, Instant>,
}

impl Sight {
    /// Of nothing yet, at `now`.
    const fn begin(now: Instant) -> Self {
        Self {
            begun: now,
            seen: BTreeMap::new(),
        }
    }

    /// Takes in that the run `name` was seen at `now`.
    fn seen(&mut self, name: &str, now: Instant) {
        self.seen.insert(name.to_owned(), now);
    }

    /// Whether at `now` to look again for the run `name`, although it was not seen.
    fn may_come(&self, name: &str, now: Instant) -> bool {
        match self.seen.get(name) {
            Some(seen) => now.duration_since(*seen) < AWAY_MAX,
            None => now.duration_since(self.begun) < UNSEEN_MAX,
        }
    }
}

/// Looks until all are over; says on the standard error how they go.
fn wait(args: &RunArgs, asked: &[AskedFor]) -> Result<Vec<ExperimentStatus>, CliError> {
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let mut sight = Sight::begin(Instant::now());
    let mut looks = 0_u64;
    loop {
        let mut runs = Vec::new();
        for one in asked {
            let name = client::segment(&one.name);
            let path = format!("/v1/experiments/{name}?due_at={}", one.due_at.as_millis());
            // It is there after the next step.
            match client::get::<ExperimentStatus>(&args.admin.admin, &path) {
                Ok(run) => {
                    sight.seen(&one.name, Instant::now());
                    runs.push(run);
                }
                Err(error) if sight.may_come(&one.name, Instant::now()) => {
                    if sight.seen.contains_key(&one.name) {
                        let why = causes::whole(&error);
                        writeln!(io::stderr().lock(), "{}: not seen: {why}", one.name)?;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        looks += 1;
        for run in &runs {
            let phase = format!("{:?}", run.phase);
            let is_new = said.insert(run.name.clone(), phase.clone()) != Some(phase);
            if is_new || looks.is_multiple_of(SAY_EVERY) {
                let because = printable(&run.because);
                writeln!(io::stderr().lock(), "{}: {because}", run.name)?;
            }
        }
        let is_over = |run: &ExperimentStatus| run.phase == ExperimentPhase::Over;
        if runs.len() == asked.len() && runs.iter().all(is_over) {
            return Ok(runs);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_never_comes_is_not_waited_for_and_one_that_came_for_a_while() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut sight = Sight::begin(begun);
        assert!(sight.may_come("a", begun));
        assert!(sight.may_come("a", at(29)));
        assert!(!sight.may_come("a", at(30)));
        sight.seen("a", at(100));
        assert!(sight.may_come("a", at(159)));
        assert!(!sight.may_come("a", at(160)));
        assert!(!sight.may_come("b", at(100)), "another one");
    }
}
