//! Which programs a build of cargo made, and where.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::{self, Failed};

/// The programs of one build, by their names.
#[derive(Debug, Default)]
pub(crate) struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Where the program is.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        self.0.get(name).cloned()
    }

    /// Reads cargo's messages, one JSON object in each line. Tests are programs too, but not asked for by name.
    fn read(messages: &str) -> Self {
        let programs = messages.lines().filter_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            let target = message.get("target")?;
            let is_program = target
                .get("kind")?
                .as_array()?
                .iter()
                .any(|kind| kind == "bin");
            let is_test = message.pointer("/profile/test")?.as_bool()?;
            let path = message.get("executable")?.as_str()?;
            let name = target.get("name")?.as_str()?;
            (is_program && !is_test).then(|| (name.to_owned(), path.into()))
        });
        Self(programs.collect())
    }
}

/// Runs the build `command`; what the compiler says goes to the terminal.
///
/// # Errors
///
/// When the build fails.
pub(crate) fn build(command: &mut Command) -> Result<Programs> {
    run::say("run", &run::line(command));
    command.arg("--message-format=json-render-diagnostics");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        return Err(Failed::new(command, output.status).into());
    }
    Ok(Programs::read(&String::from_utf8_lossy(&output.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_among_libraries_and_tests() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"a"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"sloop"},"profile":{"test":true},"executable":"/t/deps/sloop-1"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"sloop"},"profile":{"test":false},"executable":"/t/sloop"}
not json
{"reason":"build-finished","success":true}"#;
        let programs = Programs::read(messages);
        assert_eq!(programs.program("sloop"), Some("/t/sloop".into()));
        assert_eq!(programs.program("a"), None);
    }
}
