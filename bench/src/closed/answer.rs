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
    #[error("the answer has neither a content-length nor chunks; it would end with the connection")]
    Length,
    /// A chunk does not begin with its size (RFC 9112, 7.1).
    #[error(
        "a chunk of the answer begins with {given:?}; its size in hexadecimal digits was expected"
    )]
    Chunk {
        /// Its first line.
        given: String,
    },
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
const LENGTH: &[u8] = b"content-length";
const ENCODING: &[u8] = b"transfer-encoding";
/// Of these an answer never has a body (RFC 9112, 6.3).
const WITHOUT_BODY: [u16; 2] = [204, 304];

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
    let begin = head.saturating_add(END_OF_HEAD.len());
    let head = bytes.get(..head).unwrap_or_default();
    let body = bytes.get(begin..).unwrap_or_default();
    let length = if WITHOUT_BODY.contains(&status) {
        Some(0)
    } else if value_of(head, ENCODING).is_some_and(|value| value.eq_ignore_ascii_case(b"chunked")) {
        chunked(body)?
    } else {
        let length = value_of(head, LENGTH).and_then(number);
        Some(length.ok_or(InvalidAnswer::Length)?)
    };
    let Some(length) = length.map(|body| begin.saturating_add(body)) else {
        return Ok(Scan::Partial);
    };
    match bytes.len().checked_sub(length) {
        None => Ok(Scan::Partial),
        Some(0) => Ok(Scan::Whole(Answer { status, length })),
        Some(extra) => Err(InvalidAnswer::Extra { extra }),
    }
}

/// The value of the header with this `name`.
fn value_of<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (given, value) = line.split_at_checked(colon)?;
        let is_it = given.eq_ignore_ascii_case(name);
        is_it.then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

/// How long a body in chunks is with everything around them; `None` while its end has not come.
fn chunked(body: &[u8]) -> Result<Option<usize>, InvalidAnswer> {
    let mut at = 0_usize;
    loop {
        let rest = body.get(at..).unwrap_or_default();
        let Some(end) = position(rest, b"\r\n") else {
            return Ok(None);
        };
        let line = rest.get(..end).unwrap_or_default();
        let size = size_of_chunk(line)?;
        at = at.saturating_add(end).saturating_add(2);
        if size == 0 {
            // Trailers, each a line, and an empty one.
            let trailers = body.get(at.saturating_sub(2)..).unwrap_or_default();
            let end = position(trailers, END_OF_HEAD);
            return Ok(end.map(|end| at.saturating_add(end).saturating_add(2)));
        }
        at = at.saturating_add(size).saturating_add(2);
    }
}

fn size_of_chunk(line: &[u8]) -> Result<usize, InvalidAnswer> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let text = std::str::from_utf8(digits.trim_ascii()).ok();
    let size = text.and_then(|text| usize::from_str_radix(text, 16).ok());
    size.ok_or_else(|| InvalidAnswer::Chunk {
        given: String::from_utf8_lossy(line).into_owned(),
    })
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
    fn an_answer_in_chunks_ends_with_the_empty_one_and_its_trailers() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for body in [
            "0\r\n\r\n",
            "3\r\nok\n\r\n0\r\n\r\n",
            "A;name=value\r\n0123456789\r\n1\r\nx\r\n0\r\nx-sum: 7\r\n\r\n",
            "4\r\n\r\n\r\n\r\n0\r\n\r\n",
        ] {
            let answer = format!("{head}{body}");
            for arrived in 0..answer.len() {
                let part = &answer.as_bytes()[..arrived];
                assert_eq!(scan(part), Ok(Scan::Partial), "{body:?} {arrived}");
            }
            let whole = Answer {
                status: 200,
                length: answer.len(),
            };
            assert_eq!(scan(answer.as_bytes()), Ok(Scan::Whole(whole)), "{body:?}");
        }
    }

    #[test]
    fn an_answer_of_a_status_without_body_has_none() {
        let answer = b"HTTP/1.1 304 Not Modified\r\ncontent-length: 20\r\n\r\n";
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
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
                InvalidAnswer::Chunk {
                    given: "xyz".into(),
                },
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
