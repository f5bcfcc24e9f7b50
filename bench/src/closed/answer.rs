//! Where an HTTP/1.1 answer ends, and with which status. Nothing else is looked at.

use super::Broken;

/// An answer that is all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// Bytes of head and body.
    pub(super) length: usize,
}

impl Answer {
    /// Nothing, when it has the status `expected`.
    pub(crate) const fn expect(self, expected: u16) -> Result<(), Broken> {
        expect(self.status, expected)
    }
}

/// Nothing, when both are the same.
pub(super) const fn expect(given: u16, expected: u16) -> Result<(), Broken> {
    if given == expected {
        Ok(())
    } else {
        Err(Broken::Status { given, expected })
    }
}

/// What the bytes that have arrived are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// The beginning of an answer.
    Partial,
    /// An answer.
    Whole(Answer),
}

/// Why an answer cannot be told from what follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnswer {
    /// Not HTTP/1.1.
    #[error("the answer begins with {given:?}; HTTP/1.1 and a status was expected")]
    Status {
        /// Its first bytes.
        given: String,
    },
    /// Its length is not said in its head.
    #[error("the answer has no content-length; answers in chunks are not supported")]
    Length,
    /// More than is read.
    #[error("the answer is longer than the buffer")]
    TooLong,
    /// More than one was asked for.
    #[error("{extra} bytes follow the answer; nothing was expected")]
    Extra {
        /// How many.
        extra: usize,
    },
}

/// What begins the head of an answer, and how long that is with the status.
const BEGINNING: &[u8] = b"HTTP/1.1 ";
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"\r\ncontent-length:";

pub(super) fn scan(bytes: &[u8]) -> Result<Scan, InvalidAnswer> {
    let Some(head) = position(bytes, END_OF_HEAD) else {
        return Ok(Scan::Partial);
    };
    let status = bytes
        .strip_prefix(BEGINNING)
        .and_then(|rest| number(rest.get(..3)?))
        .and_then(|status| u16::try_from(status).ok());
    let Some(status) = status else {
        let beginning = bytes.get(..16).unwrap_or(bytes);
        return Err(InvalidAnswer::Status {
            given: String::from_utf8_lossy(beginning).into_owned(),
        });
    };
    // With the end of the last line, which ends the search for the number.
    let lines = bytes.get(..head + 2).unwrap_or_default();
    let body = content_length(lines).ok_or(InvalidAnswer::Length)?;
    let length = head.saturating_add(END_OF_HEAD.len()).saturating_add(body);
    match bytes.len().checked_sub(length) {
        None => Ok(Scan::Partial),
        Some(0) => Ok(Scan::Whole(Answer { status, length })),
        Some(extra) => Err(InvalidAnswer::Extra { extra }),
    }
}

fn content_length(lines: &[u8]) -> Option<usize> {
    let at = lines
        .windows(LENGTH.len())
        .position(|window| window.eq_ignore_ascii_case(LENGTH))?;
    let value = lines.get(at + LENGTH.len()..)?;
    let end = value.iter().position(|byte| *byte == b'\r')?;
    number(value.get(..end)?.trim_ascii())
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn position(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let answer =
            b"HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\nContent-Length: 3\r\n\r\nno\n";
        for arrived in 0..answer.len() {
            assert_eq!(scan(&answer[..arrived]), Ok(Scan::Partial), "{arrived}");
        }
        let whole = Answer {
            status: 503,
            length: answer.len(),
        };
        assert_eq!(scan(answer), Ok(Scan::Whole(whole)));
    }

    #[test]
    fn an_answer_may_have_no_body() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        assert!(matches!(scan(answer), Ok(Scan::Whole(_))));
    }

    #[test]
    fn what_cannot_be_told_apart_is_an_error() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", InvalidAnswer::Length),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
                InvalidAnswer::Length,
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabc",
                InvalidAnswer::Extra { extra: 2 },
            ),
            (
                "HTTP/2 200\r\n\r\n",
                InvalidAnswer::Status {
                    given: "HTTP/2 200\r\n\r\n".into(),
                },
            ),
        ] {
            assert_eq!(scan(answer.as_bytes()), Err(expected), "{answer:?}");
        }
    }
}
