//! Bodies through a VM's filters.

use super::abi::CONTINUE;
use super::stream::Exchange;
use super::way::{Half, Stop};
use super::{Request, Response, Vm};

impl Vm {
    /// As [`Self::begin`], of a request with a body; its parts follow.
    #[track_caller]
    pub fn begin_with_body(&mut self, root_id: &str, request: Request) -> Exchange {
        let exchange = self.begin_unseen(root_id, request);
        self.request_headers(exchange, 0);
        exchange
    }

    /// As [`Self::respond`], with a body; its parts follow.
    #[track_caller]
    pub fn respond_with_body(&mut self, exchange: Exchange, response: Response) {
        self.stream_mut(exchange).response = response;
        self.response_headers(exchange, 0);
    }

    /// A part of a body comes.
    #[track_caller]
    pub fn part(&mut self, exchange: Exchange, half: Half, bytes: &[u8]) {
        if self.stream_mut(exchange).way(half).arrive(bytes) {
            self.show_part(exchange, half);
        }
    }

    /// The last part of a body comes.
    #[track_caller]
    pub fn last_part(&mut self, exchange: Exchange, half: Half, bytes: &[u8]) {
        self.stream_mut(exchange).way(half).has_ended = true;
        self.part(exchange, half, bytes);
    }

    /// Trailers come.
    #[track_caller]
    pub fn trailers(&mut self, exchange: Exchange, half: Half) {
        let Exchange(context) = exchange;
        let way = self.stream_mut(exchange).way(half);
        way.has_ended = true;
        if way.stop == Some(Stop::Headers) {
            return;
        }
        let callback = match half {
            Half::Request => "proxy_on_request_trailers",
            Half::Response => "proxy_on_response_trailers",
        };
        let action = self.enter(context, callback, &[context, 1]);
        if action.is_none_or(|action| action == CONTINUE) {
            // They take along what is held back.
            self.stream_mut(exchange).way(half).resume();
        }
    }

    /// The filter said that a half may go on.
    #[track_caller]
    pub(super) fn resume(&mut self, exchange: Exchange, half: Half) {
        let stream = self.stream_mut(exchange);
        let stop = stream.way(half).stop;
        stream.way(half).resume();
        if stop == Some(Stop::Headers) {
            stream.send_headers(half);
            if stream.way(half).is_unseen() {
                self.show_part(exchange, half);
            }
        }
    }

    #[track_caller]
    fn show_part(&mut self, exchange: Exchange, half: Half) {
        let Exchange(context) = exchange;
        let way = self.stream_mut(exchange).way(half);
        let (size, is_end) = (way.visible().len(), way.has_ended);
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let callback = match half {
            Half::Request => "proxy_on_request_body",
            Half::Response => "proxy_on_response_body",
        };
        let action = self.enter(context, callback, &[context, size, is_end.into()]);
        let stream = self.stream_mut(exchange);
        if stream.is_closed() {
            return;
        }
        if action.is_some_and(|action| action != CONTINUE) {
            stream.way(half).pause();
        } else if !stream.way(half).pass() {
            stream.misused("let Envoy lose a part of a body");
        }
    }
}
