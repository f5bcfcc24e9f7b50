//! `cargo xtask bench fleet`: many sidecars and one control plane.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use sloop_bench::fleet::Variant;
use sloop_integration::fleet::{self, Programs, Settings};
use sloop_integration::process::become_guard_if_asked;
use tokio::sync::oneshot;

/// Nodes whose first requests are as large as Envoy's: enough to tell what each takes.
const LIKE_ENVOY: usize = 1_000;
/// Bytes that an Envoy 1.40 says about itself.
const ENVOY_BYTES: usize = 61_000;

/// Measures what many sidecars cost one control plane.
///
/// Exit codes: 0 measured, 1 something does not work, or a node was lost, 2 wrong arguments.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench fleet",
    after_help = "Example: cargo xtask bench fleet --clients 1000,3000,10000\n         cargo xtask bench fleet --clients 2000 --soak 30m"
)]
struct Arguments {
    /// Sizes of the fleets that are measured one after the other
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_value = "1000,3000,10000"
    )]
    clients: Vec<usize>,
    /// How they speak
    #[arg(long, value_enum, default_value_t = Speaks::Delta)]
    variant: Speaks,
    /// Pushes to each fleet
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    pushes: u16,
    /// How long reports of each kind are measured, in seconds; 0 leaves them out
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    reports: u64,
    /// Real Envoys among the first fleet; of fewer the first of everything is most of what they take
    #[arg(long, value_name = "N", default_value_t = 8)]
    envoys: usize,
    /// Connections are TLS 1.3 with client certificates, without real Envoys
    #[arg(long)]
    tls: bool,
    /// A third of everything
    #[arg(long)]
    quick: bool,
    /// Instead: churn, pushes and reports for that long, with the first of --clients
    #[arg(long, value_name = "TIME", value_parser = time)]
    soak: Option<Duration>,
    /// One more argument of `sloop serve`. May be repeated.
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    serve: Vec<String>,
}

/// How nodes speak.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Speaks {
    /// Incrementally
    Delta,
    /// State of the world
    Sotw,
    /// One so, one so
    Both,
}

impl Speaks {
    fn variants(self) -> Vec<Variant> {
        match self {
            Self::Delta => vec![Variant::Delta],
            Self::Sotw => vec![Variant::Sotw],
            Self::Both => vec![Variant::Delta, Variant::Sotw],
        }
    }
}

/// `90s`, `30m` or `2h`.
fn time(given: &str) -> Result<Duration, String> {
    let wrong = || format!("{given:?} is no time; write it as 90s, 30m or 2h");
    let unit = given.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return Err(wrong()),
    };
    let number = given.strip_suffix(unit).ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_no_number| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

fn main() -> ExitCode {
    become_guard_if_asked();
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn fleets(&self) -> Vec<Settings> {
        let part = if self.quick { 3 } else { 1 };
        let with = |nodes| Settings {
            variants: self.variant.variants(),
            pushes: usize::from(self.pushes.div_ceil(part)),
            reports: Duration::from_secs(self.reports.div_ceil(u64::from(part))),
            tls: self.tls,
            ..Settings::of(nodes)
        };
        let mut fleets: Vec<Settings> = self.clients.iter().map(|nodes| with(*nodes)).collect();
        if let Some(first) = fleets.first_mut().filter(|_| !self.tls) {
            first.envoys = self.envoys;
        }
        fleets.push(Settings {
            node_bytes: ENVOY_BYTES,
            reports: Duration::ZERO,
            storm: false,
            ..with(LIKE_ENVOY)
        });
        fleets
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let programs = programs(arguments)?;
    let folder = folder()?;
    let fleets = arguments.fleets();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("starting")?;
    let handle = runtime.handle().clone();
    let soak = arguments
        .soak
        .and_then(|time| Some((fleets.first()?.clone(), time)));
    let fleets = if soak.is_some() { vec![] } else { fleets };
    let place = folder.clone();
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("fleet".to_owned())
        .spawn(move || {
            // Who asked may be gone.
            drop(done.send(fleet::measure(&programs, &fleets, soak, &place, &handle)));
        })?;
    let report = runtime.block_on(async {
        // Whatever was started ends with this process.
        tokio::select! {
            report = result => report.context("the simulator crashed")?,
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                bail!("ended before there was a result");
            }
        }
    })?;
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        anyhow::Ok(format!("  {}\n", path.display()))
    };
    let mut text = fleet::table(&report);
    text.push('\n');
    text += &write("fleet.json", &serde_json::to_string(&report)?)?;
    text += &write("fleet.md", &fleet::markdown(&report))?;
    text += &write("fleet.html", &fleet::html(&report))?;
    say(&text)?;
    match report.lost() {
        0 => Ok(()),
        lost => bail!("{lost} nodes were lost; the tables say when"),
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut output = std::io::stdout();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .context("writing the result")
}

fn programs(arguments: &Arguments) -> anyhow::Result<Programs> {
    let beside = || anyhow::Ok(std::env::current_exe()?.with_file_name("sloop"));
    let sloop = std::env::var_os("SLOOP").map_or_else(beside, |path| Ok(PathBuf::from(path)))?;
    if !sloop.is_file() {
        let sloop = sloop.display();
        bail!("no program at {sloop}; `cargo xtask bench fleet` builds it");
    }
    Ok(Programs {
        sloop,
        arguments: arguments.serve.clone(),
        module: sloop_integration::module_path(),
    })
}

/// `target/bench` of the workspace, which is there then.
fn folder() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    let folder = workspace.join("target/bench");
    std::fs::create_dir_all(&folder).context("making target/bench")?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(["fleet"].iter().chain(words))
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("30m"), Ok(Duration::from_secs(1_800)));
        for wrong in ["", "30", "m", "-1m", "1d", "5é"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_measured_is_what_was_asked_for() {
        let fleets = parse(&["--clients", "100,200", "--quick", "--envoys", "1"])
            .unwrap()
            .fleets();
        let sizes: Vec<_> = fleets.iter().map(|it| (it.nodes, it.node_bytes)).collect();
        assert_eq!(sizes, [(100, 0), (200, 0), (LIKE_ENVOY, ENVOY_BYTES)]);
        let first = &fleets[0];
        assert_eq!((first.pushes, first.envoys, fleets[1].envoys), (3, 1, 0));
        let secured = parse(&["--tls"]).unwrap().fleets();
        assert!(secured.iter().all(|it| it.tls && it.envoys == 0));
        assert!(parse(&["--pushes", "0"]).is_err());
        assert_eq!(
            parse(&["--serve", "--log", "--serve", "json"])
                .unwrap()
                .serve,
            ["--log", "json"]
        );
    }
}
