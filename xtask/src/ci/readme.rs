//! The test command that the README tells people to type.

use std::fs;

use anyhow::{Context, Result};

use crate::workspace;

/// The command, as it stands in the README: what people are told must work.
///
/// # Errors
///
/// When there is no README, or no such command in it.
pub(super) fn test_command() -> Result<String> {
    let readme =
        fs::read_to_string(workspace::root().join("README.md")).context("cannot read README.md")?;
    test_line(&readme)
        .map(str::to_owned)
        .context("README.md has no fenced block with `cargo xtask test` in it")
}

/// The line with the command in the first fenced block that has one, without its prompt and comment.
fn test_line(readme: &str) -> Option<&str> {
    let mut in_fence = false;
    for line in readme.lines().map(str::trim) {
        if line.starts_with("```") {
            in_fence = !in_fence;
        } else if in_fence {
            let command = line.strip_prefix("$ ").unwrap_or(line);
            let command = command.split(" #").next().unwrap_or(command).trim_end();
            if command.starts_with("cargo xtask test") {
                return Some(command);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_found_in_a_fence_only() {
        let readme = "Run `cargo xtask test`:\n\ncargo xtask test --prose\n\n```sh\n$ cargo xtask demo   # shows it\n$ cargo xtask test   # proves it\n```\n";
        assert_eq!(test_line(readme), Some("cargo xtask test"));
        assert_eq!(test_line("cargo xtask test\n```\nls\n```\n"), None);
        assert_eq!(
            test_line("```\ncargo xtask test\n"),
            Some("cargo xtask test")
        );
    }
}
