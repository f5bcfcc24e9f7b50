//! `cargo xtask bench goodput --envoy`: overload and outage stories on real Envoys.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Parser;
use sloop_integration::goodput::{RIVALS, play, stories};
use sloop_integration::process::become_guard_if_asked;
use sloop_sim::goodput::{self, Rival};

/// Judges Sloop, Envoy's own filters and nothing by goodput, on real Envoys; half a minute for each story and rival.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench goodput --envoy",
    after_help = "Example: cargo xtask bench goodput --envoy -- --story overload"
)]
struct Arguments {
    /// Only stories whose name contains this
    #[arg(long)]
    story: Option<String>,
    /// Only rivals with this name; may be given several times
    #[arg(long)]
    rival: Vec<String>,
    /// How many seeds each story is played with
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// The folder for goodput-envoy.json and goodput-envoy.html
    #[arg(long)]
    output: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    become_guard_if_asked();
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting")?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut stories = stories();
    if let Some(name) = &arguments.story {
        stories.retain(|story| story.name.contains(name.as_str()));
    }
    let is_wanted = |rival: &Rival| {
        arguments.rival.is_empty() || arguments.rival.iter().any(|name| name == rival.name())
    };
    let rivals: Vec<Rival> = RIVALS.into_iter().filter(is_wanted).collect();
    ensure!(!stories.is_empty(), "no story of that name");
    ensure!(!rivals.is_empty(), "no rival of that name");
    let seeds: Vec<u64> = (1..=arguments.seeds).collect();
    let report = play(&stories, &rivals, &seeds, |what| {
        // Progress that cannot be shown is no reason to stop.
        say(&format!("  {what}\n")).ok();
    })
    .await?;
    say(&goodput::table(&report))?;
    for failure in goodput::failures(&report) {
        say(&format!("  better than sloop: {failure}\n"))?;
    }
    let folder = arguments.output.unwrap_or_else(folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let json = serde_json::to_string_pretty(&report)?;
    let page = goodput::html(&report);
    for (name, text) in [("goodput-envoy.json", json), ("goodput-envoy.html", page)] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        say(&format!("  {}\n", path.display()))?;
    }
    Ok(())
}

/// `target/bench` of the workspace.
fn folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    workspace.join("target/bench")
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .context("writing the result")
}
