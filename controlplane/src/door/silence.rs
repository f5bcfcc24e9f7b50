//! Whether a client has begun to speak.
//!
//! A connection on which nobody asks for anything is a place that somebody else could have. With
//! HTTP/2 a client speaks when its preface is there, as what it may do then has bounds of its own; with
//! HTTP/1.1 when the head of its first request is, however slowly it sends it.

/// What HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE_BYTES: usize = 24;

/// What a head of HTTP/1.1 ends with (RFC 9112, 2.1).
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// gRPC over HTTP/2.
    Grpc,
    /// HTTP/1.1.
    Http,
}

/// What is missing until a client has begun to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// So many bytes.
    Bytes(usize),
    /// The end of a head, of which so many bytes came.
    Head(usize),
    /// Nothing.
    Over,
}

impl Silence {
    /// Nothing came.
    pub(super) const fn until(speech: Speech) -> Self {
        match speech {
            Speech::Grpc => Self::Bytes(PREFACE_BYTES),
            Speech::Http => Self::Head(0),
        }
    }

    /// Notes what came.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        *self = match *self {
            Self::Bytes(missing) if bytes.len() < missing => Self::Bytes(missing - bytes.len()),
            Self::Head(seen) => head(seen, bytes),
            Self::Bytes(_) | Self::Over => Self::Over,
        };
    }

    /// Whether nothing is missing.
    pub(super) fn is_over(self) -> bool {
        self == Self::Over
    }
}

/// What is missing of a head after `bytes`, where `seen` bytes of its end came before.
fn head(seen: usize, bytes: &[u8]) -> Silence {
    let mut seen = seen;
    for byte in bytes {
        if HEAD_END.get(seen) == Some(byte) {
            seen += 1;
        } else {
            // Of the end only its first byte may begin it anew.
            seen = usize::from(HEAD_END.first() == Some(byte));
        }
        if seen == HEAD_END.len() {
            return Silence::Over;
        }
    }
    Silence::Head(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_over(speech: Speech, parts: &[&[u8]]) -> bool {
        let mut silence = Silence::until(speech);
        parts.iter().for_each(|part| silence.hear(part));
        silence.is_over()
    }

    #[test]
    fn a_preface_is_enough_for_grpc_and_nothing_less() {
        assert!(!is_over(Speech::Grpc, &[&[0; 23]]));
        assert!(is_over(Speech::Grpc, &[&[0; 23], &[0]]));
        assert!(is_over(Speech::Grpc, &[&[0; 100]]));
    }

    #[test]
    fn a_head_is_over_at_its_end_however_it_is_cut() {
        let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let (most, last) = head.split_at(head.len() - 1);
        assert!(!is_over(Speech::Http, &[most]));
        assert!(is_over(Speech::Http, &[most, last]));
        let bytes: Vec<&[u8]> = head.chunks(1).collect();
        assert!(is_over(Speech::Http, &bytes));
        assert!(is_over(Speech::Http, &[b"a\r\r\n\r\nrest"]));
        assert!(
            !is_over(Speech::Http, &[&[b'a'; 10_000], b"\r\n\n\r"]),
            "slow headers"
        );
    }
}
