//! The commands of `sloop`.
//!
//! Conventions are those of kubectl: kinds and names as arguments, `-f` for
//! files, `-o` for the form of the output. The process ends with 0 when all
//! went well, 1 when not, 2 when the command line makes no sense.

mod apply;
mod bootstrap;
mod chaos;
mod client;
mod completions;
mod credentials;
mod delete;
mod describe;
mod explain;
mod get;
mod istio;
mod journey;
mod lines;
mod log;
mod node;
mod output;
mod policy;
mod push;
mod replay;
mod schema;
mod scope;
mod serve;
mod spending;
mod table;
mod top;
mod validate;
mod yaml;

pub use bootstrap::InvalidBootstrap;
pub use credentials::InvalidCredentials;
pub use log::InvalidLog;
pub use output::CliError;

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use http::Uri;

use crate::clock;

/// Acts on SLOs: in the sidecars, within seconds.
#[derive(Debug, Parser)]
#[command(name = "sloop", version, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    credentials: credentials::CredentialArgs,
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the control plane.
    Serve(serve::ServeArgs),
    /// List what a running control plane knows.
    Get(get::GetArgs),
    /// Show how everything stands, again and again.
    Top(top::TopArgs),
    /// Hand documents to a running control plane.
    Apply(apply::ApplyArgs),
    /// Take back a document that was handed in.
    Delete(delete::DeleteArgs),
    /// Show all about one thing, and why.
    Describe(describe::DescribeArgs),
    /// Show why a decision was made, and what became of it.
    Explain(explain::ExplainArgs),
    /// Decide again what a record says, and compare.
    Replay(replay::ReplayArgs),
    /// Print a complete Envoy configuration for a sidecar.
    Bootstrap(bootstrap::BootstrapArgs),
    /// Print the manifests for a service in Istio.
    Istio(istio::IstioArgs),
    /// Run experiments, and see what they show.
    Chaos(chaos::ChaosArgs),
    /// Show how changes to sidecars stand.
    Push(push::PushArgs),
    /// Check documents without a control plane.
    Validate(validate::ValidateArgs),
    /// Print the JSON Schema of documents, or the HTTP API.
    Schema(schema::SchemaArgs),
    /// Print what a shell needs to complete commands.
    Completions(completions::CompletionsArgs),
}

/// Where the control plane is.
#[derive(Args, Debug)]
struct AdminArgs {
    /// The HTTP API of the control plane.
    #[arg(
        long,
        value_name = "URL",
        env = "SLOOP_ADMIN",
        default_value = "http://127.0.0.1:9902",
        value_parser = admin
    )]
    admin: Uri,
}

impl Command {
    /// Whether it asks a control plane, which may want credentials.
    const fn asks(&self) -> bool {
        match self {
            Self::Get(_)
            | Self::Top(_)
            | Self::Apply(_)
            | Self::Delete(_)
            | Self::Describe(_)
            | Self::Explain(_)
            | Self::Chaos(_)
            | Self::Push(_) => true,
            Self::Serve(_)
            | Self::Replay(_)
            | Self::Bootstrap(_)
            | Self::Istio(_)
            | Self::Schema(_)
            | Self::Completions(_)
            | Self::Validate(_) => false,
        }
    }
}

/// An address without a scheme means HTTP.
fn admin(given: &str) -> Result<Uri, String> {
    let uri = if given.contains("://") {
        given.parse()
    } else {
        format!("http://{given}").parse()
    };
    let uri: Uri = uri.map_err(|error: http::uri::InvalidUri| error.to_string())?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        _ => Err("only http and https are spoken".to_owned()),
    }
}

impl Cli {
    /// Does what was asked. What it prints goes to `out`.
    ///
    /// # Errors
    ///
    /// When it cannot be done; the message is for the person who asked.
    pub fn run(self, out: &mut dyn Write) -> Result<ExitCode, CliError> {
        if self.command.asks() {
            self.credentials.give()?;
        }
        match self.command {
            Command::Serve(args) => serve::run(args)?,
            Command::Get(args) => get::run(&args, out)?,
            Command::Top(args) => top::run(&args, out)?,
            Command::Apply(args) => apply::run(&args, out)?,
            Command::Delete(args) => delete::run(&args, out)?,
            Command::Describe(args) => describe::run(&args, out)?,
            Command::Explain(args) => explain::run(&args, out)?,
            Command::Replay(args) => return replay::run(&args, out),
            Command::Bootstrap(args) => bootstrap::run(args, out)?,
            Command::Istio(args) => istio::run(args, out)?,
            Command::Chaos(args) => return chaos::run(&args, out),
            Command::Push(args) => push::run(&args, out)?,
            Command::Schema(args) => schema::run(args, out)?,
            Command::Completions(args) => completions::run(args, out)?,
            Command::Validate(args) => return Ok(validate::run(&args, clock::wall(), out)?),
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_address_may_leave_out_the_scheme() {
        assert_eq!(admin("localhost:9902").unwrap(), "http://localhost:9902/");
        assert_eq!(admin("http://[::1]:9902/").unwrap(), "http://[::1]:9902/");
        assert!(admin("https://localhost:9902").is_ok());
        assert!(admin("ftp://localhost:9902").is_err());
        assert!(admin("a b").is_err());
    }

    #[test]
    fn every_command_shows_an_example() {
        let mut waiting = vec![(String::from("sloop"), Cli::command())];
        while let Some((name, command)) = waiting.pop() {
            let help = command.get_after_help().map(ToString::to_string);
            let has_example = help.is_some_and(|help| help.contains(&name));
            let has_parts = command.has_subcommands();
            assert!(has_example || has_parts, "{name}");
            let parts = command.get_subcommands();
            waiting.extend(parts.map(|part| (format!("{name} {}", part.get_name()), part.clone())));
        }
    }
}
