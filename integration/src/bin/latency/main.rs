//! `cargo xtask bench latency`: what a filter costs each request.

mod output;
mod prove;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use sloop_bench::closed::Protocol;
use sloop_integration::envoy;
use sloop_integration::latency::{
    self, Beside, Live, Modules, OpenSettings, Plan, Priority, Report, Running, SLOOP_ALL, Service,
    Settings, Variant,
};
use sloop_integration::process::become_guard_if_asked;

use output::{folder, say, show, write};
use prove::prove;

/// It ran, but its numbers must not be used.
const REFUSED: u8 = 3;
/// Something costs more than before.
const WORSE: u8 = 4;

/// How much of everything is measured.
struct Amount {
    /// Pairs of slices of 400 requests for each variant.
    rounds: usize,
    /// Seconds for more pairs of those whose ratio is not sure by then.
    more_s: u64,
    /// Counts for each variant with --instructions; they differ by a few thousandths.
    counts: usize,
    /// Pairs of slices for latency, and how long these are in milliseconds.
    open: (usize, u64),
    beside: Beside,
}

/// When nothing else is said: within twelve minutes, less where the machine is quiet; ratios are told to a tenth.
const WHOLE: Amount = Amount {
    rounds: 60,
    more_s: 240,
    counts: 5,
    open: (45, 600),
    beside: Beside {
        growth_rounds: 30,
        starts: 5,
        pushes: 40,
    },
};
/// Enough for differences of a percent or two, within three minutes.
const QUICK: Amount = Amount {
    rounds: 30,
    more_s: 0,
    counts: 3,
    open: (18, 300),
    beside: Beside {
        growth_rounds: 18,
        starts: 2,
        pushes: 15,
    },
};

/// Sloop's default.
const REPORT_MS: u32 = 1_000;
/// Under Valgrind a slice takes seconds; a report in it would look like the cost of requests.
const REPORT_INSTRUCTIONS_MS: u32 = 60_000;

/// Measures what filters cost each request, on a real Envoy.
///
/// Exit codes: 0 measured, 1 something does not work, 2 wrong arguments, 3 measured, but not to be trusted.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench latency",
    args_conflicts_with_subcommands = true,
    after_help = "Example: cargo xtask bench latency --quick --only naive,sloop --variant mine=my.wasm"
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Pairs of slices of 400 requests for each variant [default: 60, and more where a ratio is not sure; 30 with --quick], or counts with --instructions [default: 5]
    #[arg(long)]
    rounds: Option<usize>,
    /// Less of everything, or 3 counts
    #[arg(long)]
    quick: bool,
    /// Processor time alone: no latency, nothing beside the variants
    #[arg(long)]
    cpu: bool,
    /// Counts instructions instead, by Valgrind: takes longer, and neighbours do not matter
    #[arg(long)]
    instructions: bool,
    /// Which variants besides `none` and `none2`, separated by commas; all when absent
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// One more: NAME=FILE.wasm, NAME=FILE.wasm,CONFIGURATION_FILE, or NAME=FILE with Envoy HTTP filters in YAML
    #[arg(long, value_name = "NAME=FILE")]
    variant: Vec<String>,
    /// Speaks HTTP/2 to Envoy; processor time alone
    #[arg(long, conflicts_with = "instructions")]
    http2: bool,
    /// Speaks it inside TLS; processor time alone
    #[arg(long, conflicts_with = "instructions")]
    tls: bool,
    /// Has Envoy answer by itself, without a service behind it
    #[arg(long, conflicts_with = "instructions")]
    direct: bool,
    /// Another build of ours: NAME=FILE.wasm,CONFIGURATION_FILE; `cargo xtask bench latency --baseline REV` makes one
    #[arg(long, value_name = "NAME=FILES")]
    build: Vec<String>,
    /// Leaves priorities as they are, for a machine that others need: needs more rounds, and shows caches that they cool
    #[arg(long)]
    polite: bool,
    /// What the order of slices is drawn from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures two listeners of an Envoy that runs already on this machine, as it is
    Running(RunningArguments),
    /// Measures filters whose cost is known, and says whether it was found within the stated error
    Prove {
        /// Leaves priorities as they are
        #[arg(long)]
        polite: bool,
        /// Pairs of slices for each
        #[arg(long, default_value_t = 2 * WHOLE.rounds)]
        rounds: usize,
    },
    /// Says what changed between two runs, beyond the noise
    ///
    /// Exit codes: 0 nothing got worse, 1 the files cannot be compared, 4 something got worse.
    Compare {
        /// `latency.json` or `instructions.json` of before
        old: PathBuf,
        /// The same of after
        new: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct RunningArguments {
    /// The address of its admin interface
    #[arg(long, value_name = "ADDRESS")]
    admin: SocketAddr,
    /// The listener without the filter
    #[arg(long, value_name = "ADDRESS")]
    without: SocketAddr,
    /// The listener with it
    #[arg(long, value_name = "ADDRESS")]
    with: SocketAddr,
    /// The `Host` of requests
    #[arg(long, default_value = "localhost")]
    host: String,
    /// The path of requests
    #[arg(long, default_value = "/")]
    path: String,
    /// Requests a second for latency; 0 leaves latency out
    #[arg(long, default_value_t = 500.0)]
    rate: f64,
    /// Less of everything
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    become_guard_if_asked();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime
        .context("starting")
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    const fn amount(&self) -> &'static Amount {
        if self.quick { &QUICK } else { &WHOLE }
    }

    fn modules(&self) -> anyhow::Result<Modules> {
        Ok(Modules {
            sloop: envoy::module()?,
            naive: naive()?,
            raw: latency::write_raw(&folder()?)?,
        })
    }

    /// What is measured, of ours and of others.
    fn plan(&self) -> anyhow::Result<Plan> {
        let modules = self.modules()?;
        let report_ms = if self.instructions {
            REPORT_INSTRUCTIONS_MS
        } else {
            REPORT_MS
        };
        let mut ours = latency::all(&modules, report_ms)?;
        // They are most of the time that a whole run takes.
        if !self.only.is_empty() || !(self.quick || self.instructions) {
            ours.extend(latency::apart(&modules, report_ms)?);
        }
        let theirs = self.variant.iter().map(|text| Variant::parse(text));
        let builds = self
            .build
            .iter()
            .map(|text| latency::another(text, report_ms));
        let theirs = builds.chain(theirs).collect::<anyhow::Result<_>>()?;
        let variants = latency::choose(ours.clone(), &self.only, theirs)?;
        // What is measured beside the variants is Sloop's.
        let has_sloop = variants.iter().any(|one| one.name == SLOOP_ALL);
        Ok(Plan {
            open: latency::usual(&variants, &ours, self.quick),
            modules: has_sloop.then_some(modules),
            variants,
            settings: self.settings(),
        })
    }

    fn settings(&self) -> Settings {
        let priority = if self.polite {
            Priority::Ordinary
        } else {
            Priority::RealTime
        };
        let amount = self.amount();
        let rounds = self.rounds.unwrap_or(amount.rounds);
        let mut settings = Settings::new(rounds, self.seed, priority);
        // Who says how many means that many.
        if self.rounds.is_none() {
            settings.more_s = amount.more_s;
        }
        if self.http2 {
            settings.protocol = Protocol::Http2;
        }
        settings.tls = self.tls;
        if self.direct {
            settings.service = Service::Direct;
        }
        if self.cpu {
            return settings;
        }
        // The generator of latency speaks HTTP/1.1 in the clear alone.
        if !(self.http2 || self.tls) {
            let (open_rounds, slice_ms) = amount.open;
            settings.open = Some(OpenSettings::new(open_rounds, slice_ms));
        }
        // What is beside the variants is the same whatever is spoken.
        if !(self.http2 || self.tls || self.direct) {
            settings.beside = amount.beside;
        }
        settings
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let work = async {
        match &arguments.command {
            None => measure(&arguments).await,
            Some(Command::Running(of)) => running(of).await,
            Some(Command::Prove { polite, rounds }) => prove(*polite, *rounds).await,
            Some(Command::Compare { old, new }) => compare(old, new),
        }
    };
    // Whatever was started ends when the future is dropped.
    tokio::select! {
        done = work => done,
        stopped = tokio::signal::ctrl_c() => {
            stopped?;
            anyhow::bail!("ended before there was a result");
        }
    }
}

async fn measure(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let plan = arguments.plan()?;
    let live = Live::default();
    if arguments.instructions {
        let counts = arguments.rounds.unwrap_or(arguments.amount().counts);
        let counted = latency::instructions(plan.variants, counts, live).await?;
        let name = if counted.is_usable() {
            "instructions.json"
        } else {
            "instructions.refused.json"
        };
        let path = write(name, &serde_json::to_string(&counted)?)?;
        let table = latency::instructions_table(&counted);
        return show(&table, &counted.refusals, &[path]);
    }
    let report = latency::measure(plan, live).await?;
    let files = files(&report)?;
    show(&latency::table(&report), &report.refusals, &files)
}

async fn running(of: &RunningArguments) -> anyhow::Result<ExitCode> {
    let amount = if of.quick { &QUICK } else { &WHOLE };
    let (open_rounds, slice_ms) = amount.open;
    let open = OpenSettings {
        rate: of.rate,
        ..OpenSettings::new(open_rounds, slice_ms)
    };
    let settings = Settings {
        open: (0.0 < of.rate).then_some(open),
        more_s: amount.more_s,
        ..Settings::new(amount.rounds, 7, Priority::Ordinary)
    };
    let running = Running {
        admin: of.admin,
        without: of.without,
        with: of.with,
        host: of.host.clone(),
        path: of.path.clone(),
    };
    let report = latency::running(running, settings, Live::default()).await?;
    let files = files(&report)?;
    show(&latency::table(&report), &report.refusals, &files)
}

/// Writes everything that a run is kept in. Numbers that must not be used are kept apart, and nothing is made of them.
fn files(report: &Report) -> anyhow::Result<Vec<PathBuf>> {
    let json = serde_json::to_string(report)?;
    if !report.is_usable() {
        return Ok(vec![write("latency.refused.json", &json)?]);
    }
    let mut files = vec![
        ("latency.json".to_owned(), json),
        ("latency.md".to_owned(), latency::markdown(report)),
    ];
    let latency = report.latency.as_ref().filter(|open| open.is_usable());
    for row in latency.into_iter().flat_map(|open| &open.variants) {
        files.push((format!("latency-{}.hgrm", row.name), latency::hgrm(row)));
    }
    let html = latency::html(report, &files);
    files.push(("latency.html".to_owned(), html));
    files.iter().map(|(name, text)| write(name, text)).collect()
}

fn compare(old: &Path, new: &Path) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let comparison = latency::compare(&read(old)?, &read(new)?)?;
    say(&comparison.table())?;
    Ok(if comparison.is_worse() {
        ExitCode::from(WORSE)
    } else {
        ExitCode::SUCCESS
    })
}

/// `$SLOOP_NAIVE_MODULE`, which `cargo xtask` sets.
fn naive() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("SLOOP_NAIVE_MODULE")
        .context("SLOOP_NAIVE_MODULE names no module; run `cargo xtask bench latency`")?;
    let path = PathBuf::from(path);
    path.canonicalize()
        .with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["latency"].iter().chain(words))
    }

    #[test]
    fn quick_is_less_of_everything_and_rounds_are_what_is_said() {
        let settings = |words: &[&str]| parse(words).unwrap().settings();
        assert_eq!(settings(&["--quick"]).rounds, QUICK.rounds);
        let said = settings(&["--rounds", "19"]);
        assert_eq!((said.rounds, said.more_s), (19, 0));
        assert_eq!(settings(&[]).more_s, WHOLE.more_s);
        assert_eq!(settings(&[]).open.unwrap().rounds, 45);
        let cpu = settings(&["--cpu"]);
        assert_eq!((cpu.open, cpu.beside), (None, Beside::default()));
        assert_eq!(
            parse(&["--only", "naive,sloop"]).unwrap().only,
            ["naive", "sloop"]
        );
    }

    #[test]
    fn what_another_protocol_cannot_measure_is_left_out() {
        let settings = |words: &[&str]| parse(words).unwrap().settings();
        let http2 = settings(&["--http2"]);
        assert_eq!((http2.protocol, http2.open), (Protocol::Http2, None));
        let tls = settings(&["--tls"]);
        assert_eq!((tls.tls, tls.open), (true, None));
        assert_eq!(tls.beside, Beside::default());
        let direct = settings(&["--direct"]);
        assert_eq!(direct.service, Service::Direct);
        assert!(direct.open.is_some());
    }

    #[test]
    fn an_envoy_that_runs_is_two_listeners_and_an_admin_interface() {
        let words = [
            "running",
            "--admin",
            "127.0.0.1:9901",
            "--without",
            "127.0.0.1:1",
        ];
        assert!(parse(&words).is_err());
        let words = [words.as_slice(), &["--with", "127.0.0.1:2"]].concat();
        assert!(parse(&words).is_ok());
    }

    #[test]
    fn comparing_takes_two_files_and_nothing_else() {
        assert!(parse(&["compare", "a.json", "b.json"]).is_ok());
        assert!(parse(&["compare", "a.json"]).is_err());
        assert!(parse(&["--quick", "compare", "a.json", "b.json"]).is_err());
    }

    #[test]
    fn instructions_are_counted_over_http1_in_the_clear_alone() {
        for other in ["--tls", "--http2", "--direct"] {
            assert!(parse(&["--instructions", other]).is_err(), "{other}");
        }
    }
}
