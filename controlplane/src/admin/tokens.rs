//! Secrets by which people and tools are let in.
//!
//! Of each only its SHA-256 is kept: nothing here can show one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tokio::sync::watch;

use crate::door::{Absence, TlsError, read_file};
use crate::metrics::DoorMetrics;

/// How often to look whether the file changed.
const LOOK_GAP: Duration = Duration::from_secs(1);

/// Secrets of which any is enough.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    digests: Vec<[u8; 32]>,
}

/// Why a text has no tokens that could be used. It never says what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokens {
    /// One that could be guessed, or is no token.
    #[error(
        "the token in line {line} has {given} bytes; a token has {min} to {max}, as `openssl rand -hex 32` makes it",
        min = Tokens::BYTES_MIN, max = Tokens::BYTES_MAX
    )]
    Length {
        /// Where, from 1.
        line: usize,
        /// Bytes that it has.
        given: usize,
    },
    /// One that cannot be sent.
    #[error("the token in line {line} must be of visible characters of ASCII")]
    Characters {
        /// Where, from 1.
        line: usize,
    },
    /// None would let nobody in.
    #[error("there is no token; write one in a line")]
    Empty,
    /// More than is meant.
    #[error("there are {given} tokens; there may be at most {max}", max = Tokens::MAX)]
    TooMany {
        /// How many.
        given: usize,
    },
}

/// Why a file with tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("the tokens cannot be read")]
    Read(#[source] TlsError),
    /// It has no tokens.
    #[error("{} cannot be used", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Why.
        source: InvalidTokens,
    },
}

impl Tokens {
    /// 32 hexadecimal digits are 128 random bits.
    pub const BYTES_MIN: usize = 32;
    /// Room for any format, such as signed ones, in a header.
    pub const BYTES_MAX: usize = 1_024;
    /// As each is compared with.
    pub const MAX: usize = 256;

    /// Reads one token per line. Empty lines and those that begin with `#` are none.
    ///
    /// # Errors
    ///
    /// When there is none, or one could be guessed or not be sent.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidTokens> {
        let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let tokens = (1..)
            .zip(lines)
            .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"));
        let digests: Vec<[u8; 32]> = tokens
            .map(|(line, token)| digest(line, token))
            .collect::<Result<_, _>>()?;
        match digests.len() {
            0 => Err(InvalidTokens::Empty),
            given if Self::MAX < given => Err(InvalidTokens::TooMany { given }),
            _ => Ok(Self { digests }),
        }
    }

    /// Whether `token` is one of them. Takes as long when it is nearly one.
    #[must_use]
    pub fn admit(&self, token: &[u8]) -> bool {
        let given: [u8; 32] = Sha256::digest(token).into();
        let all = self.digests.iter();
        let any = all.fold(Choice::from(0), |any, one| any | one.ct_eq(&given));
        any.into()
    }
}

fn digest(line: usize, token: &[u8]) -> Result<[u8; 32], InvalidTokens> {
    let given = token.len();
    if !(Tokens::BYTES_MIN..=Tokens::BYTES_MAX).contains(&given) {
        return Err(InvalidTokens::Length { line, given });
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err(InvalidTokens::Characters { line });
    }
    Ok(Sha256::digest(token).into())
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Tokens({})", self.digests.len())
    }
}

/// A file with tokens that may change.
#[derive(Debug)]
pub struct TokenWatch {
    file: PathBuf,
    /// What was looked at last, by its hash.
    seen: [u8; 32],
    absence: Absence,
    metrics: DoorMetrics,
    sender: watch::Sender<Arc<Tokens>>,
}

impl TokenWatch {
    /// Reads the file for the first time.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub fn begin(
        file: PathBuf,
        metrics: DoorMetrics,
    ) -> Result<(watch::Receiver<Arc<Tokens>>, Self), TokenFileError> {
        let text = read_file(&file).map_err(TokenFileError::Read)?;
        let tokens = Tokens::parse(&text).map_err(|source| TokenFileError::Invalid {
            file: file.clone(),
            source,
        })?;
        let (sender, tokens) = watch::channel(Arc::new(tokens));
        let seen = Sha256::digest(&text).into();
        let watch = Self {
            file,
            seen,
            absence: Absence::default(),
            metrics,
            sender,
        };
        Ok((tokens, watch))
    }

    /// Looks until nobody asks any more.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                () = self.sender.closed() => return,
                () = tokio::time::sleep(LOOK_GAP) => self.look(),
            }
        }
    }

    /// Looks once. What cannot be used is said once, and the tokens that were there before hold on.
    fn look(&mut self) {
        let file = self.file.display();
        let text = match read_file(&self.file) {
            Ok(text) => text,
            Err(error) => {
                if self.absence.goes_on() {
                    self.metrics.tokens_refused();
                    let because = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%file, %error, because, "tokens stay as they were");
                }
                return;
            }
        };
        if self.absence.ends() {
            tracing::info!(%file, "tokens can be read again");
        }
        let seen = Sha256::digest(&text).into();
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        match Tokens::parse(&text) {
            Ok(tokens) => {
                self.metrics.tokens_reloaded();
                self.sender.send_replace(Arc::new(tokens));
                tracing::info!(%file, "tokens were read again");
            }
            Err(error) => {
                self.metrics.tokens_refused();
                tracing::warn!(%file, %error, "tokens stay as they were");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Telemetry;

    const ONE: &str = "0123456789abcdef0123456789abcdef";
    const TWO: &str = "a-token.of_another+kind/with=more~of!it";

    #[test]
    fn any_token_of_the_file_is_enough() {
        let text = format!("# for people\n{ONE}\r\n\n   {TWO}  \n");
        let tokens = Tokens::parse(text.as_bytes()).unwrap();
        for (token, expected) in [
            (ONE, true),
            (TWO, true),
            ("", false),
            (&ONE[1..], false),
            (&TWO.to_uppercase(), false),
            ("# for people", false),
        ] {
            assert_eq!(tokens.admit(token.as_bytes()), expected, "{token}");
        }
    }

    #[test]
    fn what_could_be_guessed_or_not_be_sent_is_refused() {
        let problem = |text: &str| Tokens::parse(text.as_bytes()).unwrap_err();
        assert_eq!(problem("\n# nothing\n"), InvalidTokens::Empty);
        let given = 31;
        assert_eq!(
            problem(&format!("{ONE}\n{}", "a".repeat(given))),
            InvalidTokens::Length { line: 2, given }
        );
        let long = "a".repeat(1_025);
        assert!(matches!(
            problem(&long),
            InvalidTokens::Length { line: 1, .. }
        ));
        let blank = format!("{ONE} {ONE}");
        assert_eq!(problem(&blank), InvalidTokens::Characters { line: 1 });
        let lines = |count: usize| {
            (0..count)
                .map(|line| format!("{ONE}{line}\n"))
                .collect::<String>()
        };
        assert!(Tokens::parse(lines(256).as_bytes()).is_ok());
        assert_eq!(problem(&lines(257)), InvalidTokens::TooMany { given: 257 });
    }

    #[test]
    fn tokens_that_cannot_be_read_any_more_are_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, ONE).unwrap();
        let telemetry = Telemetry::begin().unwrap();
        let metrics = DoorMetrics::register(&telemetry.meter(), "http");
        let (tokens, mut watch) = TokenWatch::begin(file.clone(), metrics).unwrap();
        let refused = || {
            let text = telemetry.render().unwrap();
            let mut lines = text.lines();
            let name = r#"sloop_controlplane_token_reloads_total{result="refused"}"#;
            let line = lines.find_map(|line| line.strip_prefix(name));
            line.unwrap().trim().to_owned()
        };
        std::fs::remove_file(&file).unwrap();
        for look in 1..30 {
            watch.look();
            let expected = u32::from(Absence::LOOKS <= look).to_string();
            assert_eq!(refused(), expected, "{look}");
        }
        assert!(tokens.borrow().admit(ONE.as_bytes()), "it still holds");
        std::fs::write(&file, TWO).unwrap();
        watch.look();
        assert!(!tokens.borrow().admit(ONE.as_bytes()));
        assert!(tokens.borrow().admit(TWO.as_bytes()));
    }

    #[test]
    fn nothing_shows_a_token() {
        let tokens = Tokens::parse(format!("{ONE}\n{TWO}").as_bytes()).unwrap();
        assert_eq!(format!("{tokens:?}"), "Tokens(2)");
        let wrong = Tokens::parse(format!("{ONE} {TWO}").as_bytes()).unwrap_err();
        assert!(!wrong.to_string().contains("0123"));
    }
}
