//! `cargo xtask bench goodput`: overload and outage stories in virtual time.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Parser;
use sloop_sim::goodput::{self, Rival, Story};

/// Judges Sloop, what else could stand in its place, and nothing, by goodput, in virtual time.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench goodput",
    after_help = "Example: cargo xtask bench goodput -- --story overload --seeds 1"
)]
struct Arguments {
    /// Only stories whose name contains this
    #[arg(long)]
    story: Option<String>,
    /// Only rivals with this name; may be given several times
    #[arg(long)]
    rival: Vec<String>,
    /// How many seeds each story is played with
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Arrivals to make a story of: CSV with a column t_s
    #[arg(long, env = "SLOOP_ARRIVALS")]
    arrivals: Option<PathBuf>,
    /// The folder for goodput.json and goodput.html
    #[arg(long)]
    output: Option<PathBuf>,
}

/// Requests that each recorded arrival stands for: 8,819 arrivals in an hour become the load of a busy service.
const TIMES: usize = 20;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let mut stories = goodput::stories();
    match recording(arguments.arrivals.as_deref())? {
        Some(story) => stories.push(story),
        None => say("skipped: recorded bursts, as there is no recording; give --arrivals FILE\n")?,
    }
    if let Some(name) = &arguments.story {
        stories.retain(|story| story.name.contains(name.as_str()));
    }
    let is_named = |rival: &Rival| arguments.rival.iter().any(|name| name == rival.name());
    let rivals: Vec<Rival> = if arguments.rival.is_empty() {
        Rival::ALL.to_vec()
    } else {
        let all = Rival::ALL.into_iter().chain(Rival::CALLERS);
        all.filter(is_named).collect()
    };
    ensure!(!stories.is_empty(), "no story of that name");
    ensure!(!rivals.is_empty(), "no rival of that name");
    let seeds: Vec<u64> = (1..=arguments.seeds).collect();
    let report = goodput::tell(&stories, &rivals, &seeds);
    say(&goodput::table(&report))?;
    for failure in goodput::failures(&report) {
        say(&format!("  better than sloop: {failure}\n"))?;
    }
    let folder = arguments.output.unwrap_or_else(folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let json = serde_json::to_string_pretty(&report)?;
    for (name, text) in [
        ("goodput.json", json),
        ("goodput.html", goodput::html(&report)),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        say(&format!("  {}\n", path.display()))?;
    }
    Ok(())
}

/// The story of a recording: that of `file`, else the one that lies beside the conformance data, if any.
fn recording(file: Option<&Path>) -> anyhow::Result<Option<Story>> {
    let found = match file {
        Some(file) => file.to_owned(),
        None => match traces() {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    let text =
        std::fs::read_to_string(&found).with_context(|| format!("reading {}", found.display()))?;
    let times = times(&text).with_context(|| format!("in {}", found.display()))?;
    Ok(Some(goodput::recorded(&times, TIMES)))
}

/// The recorded arrivals beside the folder that `SLOOP_CONFORMANCE` names, or in `shared/` above the project.
fn traces() -> Option<PathBuf> {
    const NAME: &str = "traces/azure-llm-arrivals.csv";
    let named = std::env::var_os("SLOOP_CONFORMANCE").map(PathBuf::from);
    let named = named.and_then(|folder| Some(folder.parent()?.join(NAME)));
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let above = above.map(|folder| folder.join("shared").join(NAME));
    named.into_iter().chain(above).find(|path| path.is_file())
}

/// The first column, which must be called `t_s` and never go back.
fn times(text: &str) -> anyhow::Result<Vec<f64>> {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    ensure!(
        head.split(',').next() == Some("t_s"),
        "the first column is not t_s: {head:?}"
    );
    let mut times: Vec<f64> = Vec::new();
    for (line, number) in lines.zip(2..) {
        let field = line.split(',').next().unwrap_or_default();
        let time: f64 = field
            .parse()
            .with_context(|| format!("line {number}: t_s is {field:?}, which is no number"))?;
        let before = times.last().copied().unwrap_or(0.0);
        ensure!(
            before <= time && time.is_finite(),
            "line {number}: t_s is {time}; it must be at least {before}"
        );
        times.push(time);
    }
    ensure!(!times.is_empty(), "there are no arrivals");
    Ok(times)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_says_what_is_wrong_with_it() {
        assert_eq!(times("t_s,tokens\n0.5,1\n0.5,2\n").unwrap(), [0.5, 0.5]);
        for (text, error) in [
            ("time\n1\n", "the first column is not t_s"),
            ("t_s\n", "no arrivals"),
            ("t_s\n1\nx\n", "line 3: t_s is \"x\""),
            ("t_s\n1\n0\n", "line 3: t_s is 0; it must be at least 1"),
        ] {
            let given = times(text).unwrap_err().to_string();
            assert!(given.contains(error), "{given}");
        }
    }
}
