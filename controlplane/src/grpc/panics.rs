//! What becomes of mistakes of ours: panics.
//!
//! One in a call ends that call, and its client is told so by a reset of the stream; the other calls of the sidecar go on.
//! One in what carries them ends the connection, as everything does that goes wrong with a connection: its client comes back.
//! Both are counted and logged, since nobody else would say it.

use std::any::Any;

use crate::metrics::DoorMetrics;

/// What panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panicked {
    /// A call, or what it does beside its answer.
    Call,
    /// What carries the calls of a connection.
    Connection,
}

/// What somebody panicked with.
pub(super) type Panic = Box<dyn Any + Send>;

impl Panicked {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Call, Self::Connection];

    /// The word for it in metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Connection => "connection",
        }
    }

    /// Counts and logs that it did, with `panic`.
    pub(super) fn note(self, panic: &Panic, metrics: Option<&DoorMetrics>) {
        if let Some(metrics) = metrics {
            metrics.panicked(self);
        }
        let said = match panic.downcast_ref::<&str>() {
            Some(said) => said,
            None => panic
                .downcast_ref::<String>()
                .map_or("something that is no text", String::as_str),
        };
        tracing::error!(what = self.word(), said, "a mistake of ours ended it");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Future, pending};
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use bytes::Bytes;
    use http::{Request, Response, StatusCode};
    use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, ReadBuf, duplex};
    use tonic::body::Body;
    use tonic::server::NamedService;
    use tonic::service::Routes;

    use super::super::{Carrier, Services};
    use super::*;
    use crate::ads::AdsLimits;
    use crate::door::Peer;
    use crate::metrics::Telemetry;

    /// It answers `Answer`, and panics at everything else.
    #[derive(Clone)]
    struct Mistaken;

    impl NamedService for Mistaken {
        const NAME: &'static str = "test.Mistaken";
    }

    impl tonic::codegen::Service<Request<Body>> for Mistaken {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            Box::pin(async move {
                assert_eq!(request.uri().path(), "/test.Mistaken/Answer", "on purpose");
                Ok(Response::new(Body::empty()))
            })
        }
    }

    /// A connection, of which some panic when they are read.
    struct Wire {
        inside: DuplexStream,
        panics: bool,
    }

    impl AsyncRead for Wire {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            assert!(!self.panics, "on purpose");
            Pin::new(&mut self.inside).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for Wire {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.inside).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inside).poll_flush(context)
        }

        fn poll_shutdown(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inside).poll_shutdown(context)
        }
    }

    impl Carrier for Wire {
        fn peer(&self) -> Option<Peer> {
            None
        }
    }

    /// Serves these connections, as (its end, whether it panics).
    fn serve(wires: impl IntoIterator<Item = (DuplexStream, bool)>) -> Telemetry {
        let telemetry = Telemetry::begin().unwrap();
        let metrics = DoorMetrics::register(&telemetry.meter(), "grpc");
        let services = Services::of(Routes::new(Mistaken)).counted_by(metrics);
        let wires = wires.into_iter();
        let wires = wires.map(|(inside, panics)| Ok(Wire { inside, panics }));
        let wires: Vec<_> = wires.collect();
        tokio::spawn(async move {
            let limits = AdsLimits::default();
            let wires =
                tokio_stream::StreamExt::chain(tokio_stream::iter(wires), tokio_stream::pending());
            services.serve(&limits, wires, pending()).await;
        });
        telemetry
    }

    /// Makes a call, and returns the status of the answer; nothing when there is none.
    fn call(
        client: &mut h2::client::SendRequest<Bytes>,
        method: &str,
    ) -> impl Future<Output = Option<StatusCode>> + use<> {
        let request = Request::post(format!("http://here/test.Mistaken/{method}"))
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let (answer, _) = client.send_request(request, true).unwrap();
        async { answer.await.ok().map(|answer| answer.status()) }
    }

    async fn client(wire: DuplexStream) -> h2::client::SendRequest<Bytes> {
        let (client, connection) = h2::client::handshake(wire).await.unwrap();
        tokio::spawn(connection);
        client.ready().await.unwrap()
    }

    fn count(telemetry: &Telemetry, part: Panicked) -> u64 {
        let text = telemetry.render().unwrap();
        let part = part.word();
        let name = format!("sloop_controlplane_grpc_panics_total{{what=\"{part}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn a_call_that_panics_ends_alone() {
        let (near, far) = duplex(1 << 16);
        let telemetry = serve([(far, false)]);
        let mut client = client(near).await;
        for _ in 0..2 {
            let broken = call(&mut client, "Panic");
            let beside = call(&mut client, "Answer");
            assert_eq!(beside.await, Some(StatusCode::OK));
            assert_eq!(broken.await, None);
        }
        let counts = Panicked::ALL.map(|part| count(&telemetry, part));
        assert_eq!(counts, [2, 0]);
    }

    #[tokio::test]
    async fn a_connection_that_panics_is_counted_and_the_others_go_on() {
        let (mut broken, far_broken) = duplex(1 << 16);
        let (near, far) = duplex(1 << 16);
        let telemetry = serve([(far_broken, true), (far, false)]);
        let mut client = client(near).await;
        assert_eq!(call(&mut client, "Answer").await, Some(StatusCode::OK));
        let mut end = Vec::new();
        broken.read_to_end(&mut end).await.unwrap();
        let counts = Panicked::ALL.map(|part| count(&telemetry, part));
        assert_eq!(counts, [0, 1]);
    }
}
