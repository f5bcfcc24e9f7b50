//! Where results go: the terminal, and files below `target/bench`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::REFUSED;

/// Says what came out: the table, or why there is none, and where everything is.
pub(super) fn show(
    table: &str,
    refusals: &[String],
    files: &[PathBuf],
) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    if refusals.is_empty() {
        text.push_str(table);
    }
    for refusal in refusals {
        text.push_str(&format!("  no result: {refusal}\n"));
    }
    text.push('\n');
    for file in files {
        text.push_str(&format!("  {}\n", file.display()));
    }
    say(&text)?;
    Ok(if refusals.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(REFUSED)
    })
}

pub(super) fn say(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout();
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .context("writing the result")
}

pub(super) fn write(name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder()?.join(name);
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// `target/bench` of the workspace, which is there then.
pub(super) fn folder() -> anyhow::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    let folder = workspace.join("target/bench");
    std::fs::create_dir_all(&folder).context("making target/bench")?;
    Ok(folder)
}
