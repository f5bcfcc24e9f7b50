//! The one door for tasks: `cargo xtask --help`.
//!
//! One file per task. Each first sees to what it needs, so that on a machine
//! with nothing but Rust and Python every one of them works at once. What is
//! decided (which compiler, which Envoy, what CI runs) is a plain function with
//! tests; [`run`] holds everything that starts another program.

mod artifact;
mod bench;
mod ci;
mod demo;
mod fuzz;
mod run;
mod schema;
mod setup;
mod test;
mod tool;
mod wasm;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
enum Task {
    /// Gets the Wasm target, Envoy and Prometheus; quick when they are there
    Setup,
    /// Builds the filter into target/sloop_filter.wasm
    Wasm,
    /// Writes filter/config.schema.json, controlplane/documents.schema.json and controlplane/openapi.json
    Schema,
    /// Shows an SLO that changes what real sidecars do
    Demo {
        /// Passed to the demo; `cargo xtask demo -- --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Runs all tests, those on the real Envoy too
    Test {
        /// Passed to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Runs what CI runs
    Ci,
    /// Measures what filters cost
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Fuzzes parsers of outside bytes; fails on a finding
    Fuzz {
        /// One of `fuzz/fuzz_targets`; all of them when absent
        target: Option<String>,
        /// How long each of them runs
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let succeeded = |()| ExitCode::SUCCESS;
    let done = match Arguments::parse().task {
        Task::Setup => setup::run().map(succeeded),
        Task::Wasm => wasm::run().map(succeeded),
        Task::Schema => schema::run().map(succeeded),
        Task::Demo { arguments } => demo::run(&arguments).map(succeeded),
        Task::Test { arguments } => test::run(&arguments).map(succeeded),
        Task::Ci => ci::run().map(succeeded),
        Task::Bench { bench } => bench::run(&bench).map(succeeded),
        Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds).map(succeeded),
    };
    let error = match done {
        Ok(code) => return code,
        Err(error) => error,
    };
    eprintln!("error: {error:#}");
    error
        .downcast_ref::<run::Failed>()
        .map_or(ExitCode::FAILURE, run::Failed::exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo_arguments(line: &str) -> Vec<OsString> {
        let words = line.split_whitespace();
        let Task::Demo { arguments } = Arguments::try_parse_from(words).unwrap().task else {
            panic!("not the demo: {line}");
        };
        arguments
    }

    #[test]
    fn what_follows_a_benchmark_is_its_own() {
        let line = "xtask bench latency --quick --only naive";
        let Task::Bench {
            bench: bench::Bench::Latency { arguments },
        } = Arguments::try_parse_from(line.split(' ')).unwrap().task
        else {
            panic!("not the benchmark");
        };
        assert_eq!(arguments, ["--quick", "--only", "naive"]);
        let line = "xtask bench goodput --envoy -- --story overload";
        let Task::Bench {
            bench:
                bench::Bench::Goodput {
                    envoy: true,
                    arguments,
                },
        } = Arguments::try_parse_from(line.split(' ')).unwrap().task
        else {
            panic!("not the benchmark");
        };
        assert_eq!(arguments, ["--story", "overload"]);
        assert!(Arguments::try_parse_from(["xtask", "bench"]).is_err());
    }

    #[test]
    fn what_follows_demo_is_the_demos_with_and_without_dashes() {
        assert_eq!(demo_arguments("xtask demo --keep"), ["--keep"]);
        assert_eq!(demo_arguments("xtask demo -- --keep"), ["--keep"]);
        assert_eq!(
            demo_arguments("xtask demo --replay a.csv --speed 4"),
            ["--replay", "a.csv", "--speed", "4"]
        );
        assert!(demo_arguments("xtask demo").is_empty());
    }
}
