//! What is written in one frame.
//!
//! A message begins with a few bytes of its own, and goes on with many that all connections share. As two frames it would go
//! through all of HTTP/2 twice.

use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// Bytes that follow each other in one frame, without being copied together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    pub(crate) begin: Bytes,
    pub(crate) rest: Bytes,
}

impl From<Bytes> for Piece {
    fn from(begin: Bytes) -> Self {
        let rest = Bytes::new();
        Self { begin, rest }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.begin.len() + self.rest.len()
    }

    fn chunk(&self) -> &[u8] {
        if self.begin.is_empty() {
            &self.rest
        } else {
            &self.begin
        }
    }

    fn chunks_vectored<'a>(&'a self, to: &mut [IoSlice<'a>]) -> usize {
        let chunks = [&self.begin, &self.rest].into_iter();
        let chunks = chunks.filter(|it| !it.is_empty());
        let both = to.iter_mut().zip(chunks);
        both.map(|(to, chunk)| *to = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, count: usize) {
        let of_begin = count.min(self.begin.len());
        self.begin.advance(of_begin);
        self.rest.advance(count - of_begin);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of `abcde` in two parts when `count` bytes were written: its bytes, and as slices.
    fn left(count: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut piece = Piece {
            begin: Bytes::from_static(b"ab"),
            rest: Bytes::from_static(b"cde"),
        };
        piece.advance(count);
        let mut slices = [IoSlice::new(&[]); 3];
        let filled = piece.chunks_vectored(&mut slices);
        let slices = slices[..filled].iter().map(|it| it.to_vec()).collect();
        assert_eq!(piece.remaining(), 5 - count);
        (piece.copy_to_bytes(5 - count).to_vec(), slices)
    }

    #[test]
    fn it_is_read_as_one_however_much_of_it_was_written() {
        for count in 0..=5 {
            let (bytes, slices) = left(count);
            assert_eq!(bytes, b"abcde"[count..]);
            assert_eq!(slices.concat(), bytes, "{count}");
            assert!(slices.iter().all(|it| !it.is_empty()), "{count}");
        }
    }

    #[test]
    fn what_does_not_fit_into_the_slices_is_left_for_later() {
        let piece = Piece {
            begin: Bytes::from_static(b"ab"),
            rest: Bytes::from_static(b"c"),
        };
        let mut one = [IoSlice::new(&[])];
        assert_eq!(piece.chunks_vectored(&mut one), 1);
        assert_eq!(&*one[0], b"ab");
        assert_eq!(Piece::default().chunks_vectored(&mut one), 0);
    }
}
