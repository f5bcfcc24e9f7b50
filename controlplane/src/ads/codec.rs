//! Messages from shared bytes.

use std::marker::PhantomData;

use bytes::{Buf, BufMut};
use prost::Message;
use sloop_xds::Response;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Reads requests of type `R` and writes responses that are encoded already.
#[derive(Debug)]
pub(super) struct Pieces<R>(PhantomData<R>);

impl<R> Default for Pieces<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<R: Message + Default + 'static> Codec for Pieces<R> {
    type Encode = Response;
    type Decode = R;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

/// Requests after the first are small, and so is a response with policy.
const BUFFER_BYTES: usize = 1_024;
/// tonic's own.
const YIELD_BYTES: usize = 32 * 1_024;

impl<R> Encoder for Pieces<R> {
    type Item = Response;
    type Error = Status;

    fn encode(&mut self, response: Response, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.reserve(response.encoded_len());
        for piece in response.pieces {
            to.put(piece);
        }
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

impl<R: Message + Default> Decoder for Pieces<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        if !from.has_remaining() {
            return Ok(Some(R::default()));
        }
        match R::decode(from) {
            Ok(request) => Ok(Some(request)),
            Err(error) => Err(Status::invalid_argument(error.to_string())),
        }
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
