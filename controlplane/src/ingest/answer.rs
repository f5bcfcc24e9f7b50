//! The answer to a report: one message, and that the call went well.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use hyper::body::Frame;
use prost::Message;
use sloop_xds_protos::report::v1::ReportResponse;

/// In front of a message: that it is not compressed, and its length
/// (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).
const HEAD_BYTES: usize = 5;

/// How a call ended; it comes after the message.
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The body of an answer.
#[derive(Debug)]
pub struct Answer {
    /// `None` when it was sent.
    message: Option<Bytes>,
    is_over: bool,
}

impl Answer {
    pub(super) fn of(response: &ReportResponse) -> Self {
        let content = response.encode_to_vec();
        let mut message = BytesMut::with_capacity(HEAD_BYTES + content.len());
        message.put_u8(0);
        message.put_u32(u32::try_from(content.len()).unwrap_or(u32::MAX));
        message.put_slice(&content);
        Self {
            message: Some(message.freeze()),
            is_over: false,
        }
    }

    pub(crate) fn into_http<B: From<Self>>(self) -> http::Response<B> {
        let mut response = http::Response::new(B::from(self));
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, grpc);
        response
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if std::mem::replace(&mut self.is_over, true) {
            return Poll::Ready(None);
        }
        let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}
