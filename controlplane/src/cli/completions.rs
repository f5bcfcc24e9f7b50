//! `sloop completions`: what a shell needs to complete commands.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;

const EXAMPLE: &str = "Example:
  sloop completions bash > /etc/bash_completion.d/sloop
  sloop completions zsh > \"${fpath[1]}/_sloop\"
  sloop completions fish > ~/.config/fish/completions/sloop.fish";

/// Print what a shell needs to complete commands, options and kinds.
#[derive(Args, Clone, Copy, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct CompletionsArgs {
    /// Which shell.
    shell: Shell,
}

pub(super) fn run(args: CompletionsArgs, out: &mut dyn Write) -> io::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sloop", &mut script);
    out.write_all(&script)
}
