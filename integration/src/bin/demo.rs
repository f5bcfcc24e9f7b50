//! `cargo xtask demo`: an SLO that changes what real sidecars do.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use sloop_integration::demo::{self, Programs, Screen};
use sloop_integration::process::become_guard_if_asked;
use sloop_integration::replay::{self, AppArgs, Moment, Replay};
use sloop_integration::shop::{self, ShopArgs};

/// Shows an SLO that changes what real Envoy sidecars do, in under two minutes.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask demo",
    args_conflicts_with_subcommands = true,
    after_help = "Example: cargo xtask demo --keep"
)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    story: StoryArgs,
    #[command(flatten)]
    replay: ReplayArgs,
}

#[derive(Debug, Args)]
struct StoryArgs {
    /// Leaves everything running afterwards, and says what to try
    #[arg(long)]
    keep: bool,
    /// Runs an experiment instead: payments slow for some, broken for a few
    #[arg(long, conflicts_with = "keep")]
    chaos: bool,
    /// What arrivals are drawn from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// Replays the requests of this CSV file instead (columns t_s, method, path; route and status if you have them)
    #[arg(long, value_name = "FILE", conflicts_with = "keep")]
    replay: Option<PathBuf>,
    /// So many times faster than they came; without it the replay takes 20 seconds
    #[arg(long, requires = "replay")]
    speed: Option<f64>,
    /// Kills the control plane and starts it again: after so many seconds (8), or at a share of the replay (0.5, 50%)
    #[arg(long, value_name = "SECONDS_OR_SHARE", requires = "replay")]
    restart_at: Option<Moment>,
}

impl ReplayArgs {
    fn wanted(self) -> Option<Replay> {
        Some(Replay {
            file: self.replay?,
            speed: self.speed,
            restart_at: self.restart_at,
        })
    }
}

/// What this program is when the demo starts it again.
#[derive(Debug, Subcommand)]
enum Part {
    /// A service of the shop
    #[command(hide = true)]
    Shop(ShopArgs),
    /// The service behind a replay
    #[command(hide = true)]
    App(AppArgs),
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
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all went as promised.
async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    match arguments.part {
        Some(Part::Shop(args)) => {
            shop::serve(args).await?;
            Ok(true)
        }
        Some(Part::App(args)) => {
            replay::app(args).await?;
            Ok(true)
        }
        // Whatever was started ends when the futures are dropped. First of all the demo itself
        // hears of Ctrl-C: when it waits for that, it has a result.
        None => tokio::select! {
            biased;
            done = show(arguments.story, arguments.replay.wanted()) => done,
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                anyhow::bail!("ended before there was a result");
            }
        },
    }
}

async fn show(story: StoryArgs, recording: Option<Replay>) -> anyhow::Result<bool> {
    let programs = Programs::find()?;
    let folder = folder();
    let mut screen = Screen::default();
    if let Some(args) = recording {
        screen.say(&format!("replaying {}", args.file.display()));
        let replayed = replay::replay(&args, &programs, &folder.join("replay")).await?;
        print(&replay::table(&replayed))?;
        return Ok(replayed.is_exact());
    }
    if story.chaos {
        screen.say("a shop behind real Envoys, and an experiment on its payments");
        let folder = folder.join("chaos");
        let done = demo::chaos::experiment(story.seed, &programs, &folder, &mut screen).await?;
        print(&demo::chaos::summary(&done))?;
        return Ok(done.truths.iter().all(demo::chaos::Truth::is_contained));
    }
    screen.say("two shops behind real Envoys with the same load: one is watched, one is guarded");
    let told = demo::tell(
        &demo::Plan::story(story.seed),
        &programs,
        &folder,
        &mut screen,
    )
    .await?;
    print(&format!("\n{}\n", demo::table(&told.report)))?;
    let mut kept = true;
    for promise in &told.report.promises {
        kept &= promise.kept;
        let word = if promise.kept { "kept    " } else { "NOT KEPT" };
        print(&format!(
            "  {word}  {} ({})\n",
            promise.what, promise.measured
        ))?;
    }
    print(&format!("\n{}", demo::decided(&told.report.enforced)))?;
    print(&format!("\n{}", demo::told(&told.report.enforced)))?;
    print(&format!("\n  report: {}\n", told.page.display()))?;
    if story.keep {
        let run = &told.report.enforced;
        print(&demo::hints(&told.stage, &programs, run))?;
        tokio::select! {
            stopped = tokio::signal::ctrl_c() => stopped?,
            ended = demo::keep(&told.stage, &told.ear) => ended?,
        }
    }
    Ok(kept)
}

/// Reports, logs and stores go below `target/demo` of the workspace.
fn folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    workspace.join("target/demo")
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .context("writing the result")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_needs_a_file_and_the_story_needs_nothing() {
        let parse = |words: &[&str]| Arguments::try_parse_from(words);
        assert!(parse(&["demo"]).unwrap().replay.wanted().is_none());
        let replay = parse(&["demo", "--replay", "a.csv", "--restart-at", "50%"]);
        assert!(replay.unwrap().replay.wanted().is_some());
        assert!(parse(&["demo", "--speed", "2"]).is_err());
    }
}
