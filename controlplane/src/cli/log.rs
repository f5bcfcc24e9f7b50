//! The log on standard error.

use std::io;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, ParseError};

use crate::documents::perhaps;

/// Says what is logged.
const VARIABLE: &str = "SLOOP_LOG";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogForm {
    /// For people.
    Text,
    /// For machines, one object per line.
    Json,
}

/// Why it is not known what is to be logged.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLog {
    /// A word that is no level would be taken for a part of the program, and silence all others.
    #[error(
        "{VARIABLE} has {given:?}, which is no level; write one of {}, or PART=LEVEL{hint}",
        LEVELS.join(", ")
    )]
    Level {
        /// As given.
        given: String,
        /// What was probably meant.
        hint: String,
    },
    /// It cannot be read.
    #[error("{VARIABLE} is {given:?}, which cannot be read")]
    Unreadable {
        /// As given.
        given: String,
        /// What is wrong with it.
        source: ParseError,
    },
}

/// Begins the log, as the environment says.
pub(super) fn begin(form: LogForm) -> Result<(), InvalidLog> {
    let given = std::env::var_os(VARIABLE).unwrap_or_default();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter(&given.to_string_lossy())?)
        .with_writer(io::stderr)
        // It would say so on the same standard error, and panic: a log on a full disk must end nothing.
        .log_internal_errors(false);
    match form {
        LogForm::Text => subscriber.with_ansi(false).init(),
        LogForm::Json => subscriber.json().init(),
    }
    Ok(())
}

/// What is logged when this is `given`; nothing is as when the variable is not there.
fn filter(given: &str) -> Result<EnvFilter, InvalidLog> {
    let parts = given.split(',').map(str::trim);
    for part in parts.filter(|part| !part.is_empty() && !part.contains(['=', '['])) {
        if part.parse::<LevelFilter>().is_err() {
            return Err(InvalidLog::Level {
                given: part.to_owned(),
                hint: perhaps(part, &LEVELS),
            });
        }
    }
    let meant = if given.trim().is_empty() {
        "info"
    } else {
        given
    };
    EnvFilter::try_new(meant).map_err(|source| InvalidLog::Unreadable {
        given: given.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_silence_everything_by_mistake_is_refused() {
        for fine in [
            "",
            " ",
            "debug",
            "WARN",
            "off",
            "info,h2=trace",
            "sloop_controlplane::ads=debug, warn",
            "[step]=trace",
        ] {
            assert!(filter(fine).is_ok(), "{fine}");
        }
        let said = |given: &str| filter(given).unwrap_err().to_string();
        let levels = "write one of off, error, warn, info, debug, trace, or PART=LEVEL";
        assert_eq!(
            said("verbose"),
            format!("SLOOP_LOG has \"verbose\", which is no level; {levels}")
        );
        let debugg = said("h2=warn,debugg");
        assert!(debugg.ends_with("; did you mean \"debug\"?"), "{debugg}");
        assert!(said("h2=loud").contains("cannot be read"));
    }
}
