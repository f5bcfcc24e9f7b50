//! gRPC's framing for streams that are quiet nearly always.
//!
//! A general codec keeps a buffer for each direction, which grows to the largest message that ever came: of
//! an Envoy's first request, 61 kB for as long as it is connected. Here nothing is kept of a message that was read, and
//! what many nodes are sent is written from bytes that all of them share.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt;
use hyper::body::Frame;
use prost::{DecodeError, Message};
use sloop_xds::Response;
use tonic::Status;

use super::slot::{Giver, Taker, slot};
use crate::grpc::Piece;
use crate::ingest::Data;

/// In front of each message: a byte that says whether it is compressed, and its length.
/// [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), "Length-Prefixed-Message".
const PREFIX_BYTES: usize = 5;

/// Pieces of a response that are smaller are copied: a frame and a place in a queue cost as much.
const SHARED_MIN: usize = 1_024;

/// What goes to a client: responses, or why there are no more.
pub(super) type ToClient<T = Box<Response>> = Giver<Result<T, Status>>;

/// The requests of one stream.
#[derive(Debug)]
pub(super) struct Requests<R, B> {
    messages: Messages<B>,
    of: PhantomData<fn() -> R>,
}

impl<R: Message + Default, B: Data> Requests<R, B> {
    /// Requests of at most `bytes_max` bytes each.
    pub(super) fn of(body: B, bytes_max: usize) -> Self {
        Self {
            messages: Messages::of(body, bytes_max),
            of: PhantomData,
        }
    }

    /// The next request; `None` when the client has sent its last. Nothing is lost when it is not awaited to the end.
    pub(super) async fn message(&mut self) -> Result<Option<R>, Status> {
        let invalid = |error: DecodeError| Status::invalid_argument(error.to_string());
        let decode = |message: &[u8]| R::decode(message).map_err(invalid);
        self.messages.next(decode).await
    }
}

/// The messages of one stream, however they are read.
#[derive(Debug)]
pub(super) struct Messages<B> {
    body: B,
    /// What came of a message that is not whole, or of those after the last one that was read.
    buffered: BytesMut,
    bytes_max: usize,
}

impl<B: Data> Messages<B> {
    /// Messages of at most `bytes_max` bytes each.
    pub(super) fn of(body: B, bytes_max: usize) -> Self {
        Self {
            body,
            buffered: BytesMut::new(),
            bytes_max,
        }
    }

    /// What `read` makes of the next message; `None` when the client has sent its last. Nothing is lost when it is not
    /// awaited to the end.
    pub(super) async fn next<T>(
        &mut self,
        read: impl Fn(&[u8]) -> Result<T, Status>,
    ) -> Result<Option<T>, Status> {
        loop {
            if let Some(message) = self.buffered(&read)? {
                return Ok(Some(message));
            }
            let Some(frame) = self.body.frame().await else {
                return match self.buffered.is_empty() {
                    true => Ok(None),
                    false => Err(Status::internal("the stream ended within a request")),
                };
            };
            let frame = frame.map_err(|error| Status::from_error(error.into()))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if self.buffered.is_empty()
                && let Some((message, rest)) = first(&data, self.bytes_max)?
            {
                // Read where it arrived, as nearly all are.
                let message = read(message)?;
                self.buffered.extend_from_slice(rest);
                return Ok(Some(message));
            }
            self.buffered.extend_from_slice(&data);
        }
    }

    /// The first message of what is buffered, if it is whole.
    fn buffered<T>(
        &mut self,
        read: impl Fn(&[u8]) -> Result<T, Status>,
    ) -> Result<Option<T>, Status> {
        let Some((message, rest)) = first(&self.buffered, self.bytes_max)? else {
            return Ok(None);
        };
        let message = read(message)?;
        let read_bytes = self.buffered.len() - rest.len();
        self.buffered.advance(read_bytes);
        if self.buffered.is_empty() {
            // Given back, however much it was.
            self.buffered = BytesMut::new();
        }
        Ok(Some(message))
    }
}

/// A message, and what follows it.
type Parted<'a> = (&'a [u8], &'a [u8]);

/// The first message of `bytes`, which may have at most `max`; `None` while it is not whole.
fn first(bytes: &[u8], max: usize) -> Result<Option<Parted<'_>>, Status> {
    let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 {
        return Err(Status::unimplemented("compressed requests are not read"));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if max < length {
        return Err(Status::out_of_range(format!(
            "a request of {length} bytes; it may have at most {max}"
        )));
    }
    Ok(rest.split_at_checked(length))
}

/// What is said to a client.
pub(crate) trait Said: Send + Unpin + 'static {
    /// It as a message, in as few chunks as there can be without copying what is large.
    fn chunks(self) -> VecDeque<Bytes>;
}

impl Said for Box<Response> {
    fn chunks(self) -> VecDeque<Bytes> {
        chunks(*self)
    }
}

/// A message as it is.
impl Said for Vec<u8> {
    fn chunks(self) -> VecDeque<Bytes> {
        let mut message = BytesMut::with_capacity(PREFIX_BYTES + self.len());
        message.put_u8(0);
        message.put_u32(u32::try_from(self.len()).unwrap_or(u32::MAX));
        message.extend_from_slice(&self);
        VecDeque::from([message.freeze()])
    }
}

/// The body of an answer: what comes from [`ToClient`], then how the call ended.
#[derive(Debug)]
pub(crate) struct Responses<T = Box<Response>> {
    from: Taker<Result<T, Status>>,
    /// Of the response that is being written.
    chunks: VecDeque<Bytes>,
    is_over: bool,
}

impl<T: Said> Responses<T> {
    /// Room for one: the next response is made when this one is on its way.
    pub(super) fn channel() -> (ToClient<T>, Self) {
        let (to_client, from) = slot();
        let responses = Self {
            from,
            chunks: VecDeque::new(),
            is_over: false,
        };
        (to_client, responses)
    }

    /// The answer to a call.
    pub(super) fn into_http(self) -> http::Response<Self> {
        let mut response = http::Response::new(self);
        let grpc = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, grpc);
        response
    }

    /// As `poll_frame`, with two chunks in a frame where there are two.
    pub(crate) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Status>>> {
        let frame = ready!(hyper::body::Body::poll_frame(Pin::new(&mut *self), context));
        let piece = |begin: Bytes| begin.chain(self.chunks.pop_front().unwrap_or_default());
        Poll::Ready(frame.map(|it| it.map(|it| it.map_data(piece))))
    }
}

impl<T: Said> hyper::body::Body for Responses<T> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        let status = match ready!(self.from.poll_take(context)) {
            Some(Ok(response)) => {
                self.chunks = response.chunks();
                return self.poll_frame(context);
            }
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        self.is_over = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(
            status
                .add_header(&mut trailers)
                .map(|()| Frame::trailers(trailers)),
        ))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }
}

fn chunks(response: Response) -> VecDeque<Bytes> {
    let length = u32::try_from(response.encoded_len()).unwrap_or(u32::MAX);
    let copied = response.pieces.iter().map(Bytes::len);
    let copied: usize = copied.filter(|length| *length < SHARED_MIN).sum();
    let mut small = BytesMut::with_capacity(PREFIX_BYTES + copied);
    small.put_u8(0);
    small.put_u32(length);
    let mut chunks = VecDeque::with_capacity(2);
    for piece in response.pieces {
        if piece.len() < SHARED_MIN {
            small.put(piece);
            continue;
        }
        if !small.is_empty() {
            chunks.push_back(small.split().freeze());
        }
        chunks.push_back(piece);
    }
    if !small.is_empty() {
        chunks.push_back(small.freeze());
    }
    chunks
}

#[cfg(test)]
mod tests {
    use http_body_util::{Full, StreamBody};
    use sloop_xds::{
        DiscoveryRequest, Kind, LegacyWildcard, Resource, Snapshot, SotwStream, Stream,
        StreamLimits,
    };
    use tonic::Code;
    use tonic::body::Body;

    use super::*;

    fn request(names: usize) -> DiscoveryRequest {
        DiscoveryRequest {
            type_url: Kind::EXTENSION.to_owned(),
            resource_names: (0..names).map(|name| name.to_string()).collect(),
            ..DiscoveryRequest::default()
        }
    }

    fn framed(content: &[u8]) -> Vec<u8> {
        let mut message = vec![0];
        message.put_u32(u32::try_from(content.len()).unwrap());
        message.extend_from_slice(content);
        message
    }

    /// A body that comes in parts of `size` bytes.
    fn requests(bytes: &[u8], size: usize) -> Requests<DiscoveryRequest, Body> {
        let parts: Vec<_> = bytes
            .chunks(size)
            .map(|part| Ok::<_, Status>(Frame::data(Bytes::copy_from_slice(part))))
            .collect();
        let body = StreamBody::new(tokio_stream::iter(parts));
        Requests::of(Body::new(body), 1_000)
    }

    #[tokio::test]
    async fn requests_are_read_however_they_are_cut_and_nothing_of_them_is_kept() {
        let bytes = [request(1), request(100), request(0)]
            .map(|it| framed(&it.encode_to_vec()))
            .concat();
        for size in [1, 3, 100, bytes.len()] {
            let mut requests = requests(&bytes, size);
            for names in [1, 100, 0] {
                assert_eq!(requests.message().await.unwrap(), Some(request(names)));
            }
            assert_eq!(requests.message().await.unwrap(), None, "{size}");
            assert_eq!(requests.messages.buffered.capacity(), 0);
        }
    }

    #[tokio::test]
    async fn what_is_no_request_ends_the_stream_and_says_why() {
        let code = async |bytes: &[u8]| requests(bytes, 64).message().await.unwrap_err().code();
        assert_eq!(code(&framed(&[0; 1_001])).await, Code::OutOfRange);
        assert_eq!(code(&[0, 0xff, 0xff, 0xff, 0xff]).await, Code::OutOfRange);
        assert_eq!(code(&framed(&[0xff; 3])).await, Code::InvalidArgument);
        assert_eq!(code(&[1, 0, 0, 0, 0]).await, Code::Unimplemented);
        assert_eq!(code(&framed(b"abc")[..6]).await, Code::Internal);
    }

    fn response(sizes: &[usize]) -> Response {
        let resources = sizes.iter().enumerate().map(|(index, size)| {
            Resource::new(Kind::EXTENSION, &index.to_string(), &vec![7; *size])
        });
        let snapshot = resources.fold(Snapshot::builder(), |all, one| all.with(one));
        let mut stream = SotwStream::new(StreamLimits::default(), LegacyWildcard::Honoured);
        stream.take(request(sizes.len())).unwrap();
        stream.next(&snapshot.build()).unwrap()
    }

    #[tokio::test]
    async fn what_is_large_is_shared_and_what_is_small_goes_together() {
        let both = response(&[10, 4_000, 10, 10, 4_000]);
        let (whole, shared) = (both.pieces.concat(), both.pieces[2].clone());
        let chunks = chunks(both);
        let sizes: Vec<_> = chunks.iter().map(Bytes::len).collect();
        assert_eq!(chunks.len(), 4, "{sizes:?}");
        assert_eq!(chunks[1].as_ptr(), shared.as_ptr());
        assert_eq!(
            chunks.iter().flatten().copied().collect::<Vec<_>>(),
            framed(&whole)
        );
    }

    #[tokio::test]
    async fn what_follows_a_beginning_goes_in_one_frame_with_it() {
        for sizes in [&[10][..], &[4_000], &[10, 4_000, 10, 4_000, 10]] {
            let (to_client, mut responses) = Responses::channel();
            let sent = response(sizes);
            let whole = framed(&sent.pieces.concat());
            to_client.give(Ok(Box::new(sent)));
            drop(to_client);
            let (mut bytes, mut frames) = (Vec::new(), 0);
            while let Some(frame) =
                std::future::poll_fn(|context| responses.poll_piece(context)).await
            {
                let frame = frame.unwrap();
                frames += 1;
                match frame.into_data() {
                    Ok(mut piece) => bytes.extend(piece.copy_to_bytes(piece.remaining())),
                    Err(frame) => assert!(frame.is_trailers()),
                }
            }
            assert_eq!(bytes, whole);
            assert_eq!(frames, sizes.len().div_ceil(2) + 1, "{sizes:?}");
        }
    }

    #[tokio::test]
    async fn the_end_of_a_call_is_in_its_trailers() {
        for (end, code) in [(None, "0"), (Some(Status::not_found("gone")), "5")] {
            let (to_client, responses) = Responses::channel();
            let sent = response(&[10]);
            let bytes = framed(&sent.pieces.concat());
            to_client.give(Ok(Box::new(sent)));
            let ends = tokio::spawn(async move {
                if let Some(status) = end {
                    to_client.room().await.unwrap();
                    to_client.give(Err(status));
                }
            });
            let http = responses.into_http();
            assert_eq!(http.headers()[header::CONTENT_TYPE], "application/grpc");
            let body = http.into_body().collect().await.unwrap();
            assert_eq!(body.trailers().unwrap()["grpc-status"], code);
            assert_eq!(body.to_bytes(), bytes);
            ends.await.unwrap();
        }
        let mut none = Requests::<DiscoveryRequest, _>::of(Body::new(Full::default()), 1);
        assert!(none.message().await.unwrap().is_none());
    }
}
