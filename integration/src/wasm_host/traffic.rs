//! Exchanges through a VM's filters, and the calls that the filters make.

use super::abi::CONTINUE;
use super::host::GrpcCall;
use super::stream::{Exchange, Phase, Stream};
use super::way::Half;
use super::{Request, Response, Vm};

/// Exchanges.
impl Vm {
    /// A request arrives at the filter `root_id`.
    ///
    /// # Panics
    ///
    /// When that filter has no configuration.
    #[track_caller]
    pub fn begin(&mut self, root_id: &str, request: Request) -> Exchange {
        let exchange = self.begin_unseen(root_id, request);
        self.stream_mut(exchange).way(Half::Request).has_ended = true;
        self.request_headers(exchange, 1);
        exchange
    }

    /// A request arrives that the filter is not shown, because an earlier filter answers it.
    ///
    /// # Panics
    ///
    /// As [`Self::begin`].
    #[track_caller]
    #[expect(clippy::panic, reason = "a mistake in a test")]
    pub fn begin_unseen(&mut self, root_id: &str, request: Request) -> Exchange {
        let Some(root) = self.root(root_id) else {
            panic!("{root_id} has no configuration");
        };
        self.last_context += 1;
        let stream = Stream::new(root, request);
        self.store
            .data_mut()
            .streams
            .insert(self.last_context, stream);
        Exchange(self.last_context)
    }

    /// The service answers.
    #[track_caller]
    pub fn respond(&mut self, exchange: Exchange, response: Response) {
        self.stream_mut(exchange).response = response;
        if self.stream(exchange).response.headers.is_some() {
            self.stream_mut(exchange).way(Half::Response).has_ended = true;
            self.response_headers(exchange, 1);
        }
    }

    /// The exchange is over: the filter logs it and forgets it. Returns what the client and the service saw.
    #[track_caller]
    pub fn end(&mut self, exchange: Exchange) -> Stream {
        let Exchange(context) = exchange;
        self.create_if_new(exchange);
        self.stream_mut(exchange).phase = Phase::Log;
        self.enter(context, "proxy_on_log", &[context]);
        self.enter(context, "proxy_on_done", &[context]);
        self.enter(context, "proxy_on_delete", &[context]);
        let ended = self.stream(exchange).clone();
        self.store.data_mut().streams.remove(&context);
        self.end_if_unused(ended.root);
        ended
    }

    /// The exchange is gone without a word: no callback tells the filter.
    #[track_caller]
    pub fn vanish(&mut self, exchange: Exchange) {
        let root = self.stream(exchange).root;
        self.store.data_mut().streams.remove(&exchange.0);
        self.end_if_unused(root);
    }

    /// A whole exchange: the request, this answer if the filter lets the request through, the end.
    #[track_caller]
    pub fn exchange(&mut self, root_id: &str, request: Request, response: Response) -> Stream {
        let exchange = self.begin(root_id, request);
        if self.stream(exchange).times_sent() != 0 {
            self.respond(exchange, response);
        }
        self.end(exchange)
    }

    /// What is known of an exchange that is not over.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[must_use]
    #[track_caller]
    #[expect(clippy::panic, reason = "a mistake in a test")]
    pub fn stream(&self, exchange: Exchange) -> &Stream {
        match self.store.data().streams.get(&exchange.0) {
            Some(stream) => stream,
            None => panic!("{exchange:?} is over"),
        }
    }
}

/// Calls to the control plane.
impl Vm {
    /// Calls that wait for an answer.
    #[must_use]
    pub fn calls(&self) -> Vec<GrpcCall> {
        self.store.data().calls.values().cloned().collect()
    }

    /// Answers a call with status OK and `message`.
    #[track_caller]
    pub fn answer(&mut self, call: &GrpcCall, message: &[u8]) {
        let size = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let host = self.store.data_mut();
        host.calls.remove(&call.token);
        host.grpc_answer = message.into();
        host.grpc_status = 0;
        let arguments = [call.context, call.token, size];
        self.enter(call.context, "proxy_on_grpc_receive", &arguments);
    }

    /// Ends a call with another gRPC status.
    #[track_caller]
    pub fn fail(&mut self, call: &GrpcCall, status: u32) {
        let host = self.store.data_mut();
        host.calls.remove(&call.token);
        host.grpc_status = status;
        let arguments = [call.context, call.token, status];
        self.enter(call.context, "proxy_on_grpc_close", &arguments);
    }

    /// Takes a cluster out of Envoy's configuration: calls to it are refused at once.
    pub fn remove_cluster(&mut self, name: &str) {
        self.store.data_mut().clusters_gone.insert(name.into());
    }
}

/// The machinery.
impl Vm {
    /// Envoy makes a stream's context with its first callback, whichever that is.
    #[track_caller]
    fn create_if_new(&mut self, exchange: Exchange) {
        let Exchange(context) = exchange;
        let stream = self.stream_mut(exchange);
        let root = stream.root;
        if !std::mem::replace(&mut stream.created, true) {
            self.enter(context, "proxy_on_context_create", &[context, root]);
        }
    }

    #[track_caller]
    pub(super) fn request_headers(&mut self, exchange: Exchange, is_end: u32) {
        self.create_if_new(exchange);
        let Exchange(context) = exchange;
        let stream = self.stream_mut(exchange);
        stream.phase = Phase::Request;
        let count = u32::try_from(stream.request.headers.len()).unwrap_or(u32::MAX);
        let arguments = [context, count, is_end];
        let action = self.enter(context, "proxy_on_request_headers", &arguments);
        let stream = self.stream_mut(exchange);
        if stream.reply().is_some() || stream.is_closed() {
            return;
        }
        self.act(exchange, Half::Request, action);
    }

    #[track_caller]
    pub(super) fn response_headers(&mut self, exchange: Exchange, is_end: u32) {
        let Exchange(context) = exchange;
        self.create_if_new(exchange);
        let stream = self.stream_mut(exchange);
        stream.phase = Phase::Response;
        stream.is_responding = true;
        let was_replied = stream.reply().is_some();
        let headers = stream.response.headers.as_ref();
        let count = headers.and_then(|headers| u32::try_from(headers.len()).ok());
        let arguments = [context, count.unwrap_or_default(), is_end];
        let action = self.enter(context, "proxy_on_response_headers", &arguments);
        let stream = self.stream_mut(exchange);
        if stream.is_closed() || stream.reply().is_some() != was_replied {
            return;
        }
        self.act(exchange, Half::Response, action);
    }

    /// Does what the filter answered to headers.
    #[track_caller]
    fn act(&mut self, exchange: Exchange, half: Half, action: Option<u32>) {
        let stream = self.stream_mut(exchange);
        if action.is_none_or(|action| action == CONTINUE) {
            stream.send_headers(half);
            let way = stream.way(half);
            way.is_over = way.has_ended;
        } else {
            stream.stop(half);
        }
    }

    #[track_caller]
    #[expect(clippy::panic, reason = "a mistake in a test")]
    pub(super) fn stream_mut(&mut self, exchange: Exchange) -> &mut Stream {
        match self.store.data_mut().streams.get_mut(&exchange.0) {
            Some(stream) => stream,
            None => panic!("{exchange:?} is over"),
        }
    }
}
