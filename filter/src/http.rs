//! One request and its response.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use sloop_dataplane::{Arrival, Claim, Ending, Exchange, HeaderMap, Request, ScopeId, Verdict};
use sloop_model::{Flags, OwnVerdict, Side, Time, TraceResponse};

use crate::root::Shared;
use crate::{host, reply, vm};

/// Properties that a request may need, as the host wants their paths.
const ROUTE_NAME: &[u8] = b"xds\0route_name";
const RESPONSE_CODE: &[u8] = b"response\0code";
const RESPONSE_FLAGS: &[u8] = b"response\0flags";
const GRPC_STATUS: &[u8] = b"response\0grpc_status";

/// The context of one request.
pub(crate) struct Http {
    context: u32,
    root: Rc<Shared>,
    has_begun: bool,
    exchange: Option<Exchange>,
    /// What the answer says about the trace, if it should.
    traceresponse: Option<[u8; 55]>,
}

impl Http {
    pub(crate) const fn new(context: u32, root: Rc<Shared>) -> Self {
        Self {
            context,
            root,
            has_begun: false,
            exchange: None,
            traceresponse: None,
        }
    }

    /// Finds the request's scope and decides about it. None: let it pass, uncounted.
    fn begin(&mut self, side: Side, request: &Request<'_>, now: Time) -> Option<Verdict> {
        let scope = scope_of(side, request)?;
        let context = self.context;
        let (begun, trace, respond, wake) = vm::with(|plane| {
            let trace = plane.trace(request);
            let arrival = Arrival {
                trace: trace.id(),
                context,
                is_grpc: request.is_grpc,
                now,
            };
            let begun = plane.begin(side, scope, arrival);
            (begun, trace, plane.responds(side), plane.wake_at())
        })?;
        let (exchange, verdict) = begun?;
        self.exchange = Some(exchange);
        self.root.ticker.aim(wake, now);
        let header = trace.header();
        let is_answered_with_it = match respond {
            TraceResponse::Origin => trace.is_origin(),
            TraceResponse::Always => true,
            TraceResponse::Never => false,
        };
        self.traceresponse = is_answered_with_it.then_some(header);
        vm::count(host::replace_request_header("traceparent", &header));
        if trace.is_origin() && request.has_tracestate {
            // It belongs to the trace that could not be continued.
            vm::count(host::remove_request_header("tracestate"));
        }
        Some(verdict)
    }
}

impl Context for Http {
    fn on_done(&mut self) -> bool {
        // Its end was not told. It must not count as under way for ever.
        if let Some(exchange) = self.exchange.take() {
            vm::with(|plane| plane.abandon(exchange));
        }
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, _is_end: bool) -> Action {
        self.has_begun = true;
        let now = host::now();
        let (Some(side), Some(bytes)) = (self.root.side.get(), vm::count(host::request_headers()))
        else {
            return Action::Continue;
        };
        let request = Request::read(HeaderMap::new(&bytes));
        match self.begin(side, &request, now) {
            None | Some(Verdict::Pass) => Action::Continue,
            Some(Verdict::Hold) => Action::Pause,
            Some(Verdict::Refuse {
                retry_after_seconds,
            }) => {
                reply::refuse(retry_after_seconds, request.is_grpc);
                Action::Pause
            }
            Some(Verdict::Abort { status }) => {
                reply::abort(status);
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _is_end: bool) -> Action {
        if let Some(header) = &self.traceresponse {
            vm::count(host::replace_response_header("traceresponse", header));
        }
        Action::Continue
    }

    fn on_log(&mut self) {
        let Some(exchange) = self.exchange.take() else {
            if !self.has_begun {
                vm::with(|plane| plane.end_without_beginning());
            }
            return;
        };
        let now = host::now();
        let ending = ending_of(&exchange);
        let wake = vm::with(|plane| {
            plane.end(exchange, ending, now);
            plane.wake_at()
        });
        self.root.ticker.aim(wake.flatten(), now);
    }
}

/// The scope of a request. Only when no rule claims it is Envoy asked for the name of its route.
fn scope_of(side: Side, request: &Request<'_>) -> Option<ScopeId> {
    match vm::with(|plane| plane.claim(side, request))? {
        Claim::Unconfigured => None,
        Claim::Scope(scope) => Some(scope),
        Claim::ByRouteName => {
            let name = host::property(ROUTE_NAME).unwrap_or_default();
            vm::with(|plane| plane.named(side, &name))?
        }
    }
}

/// What Envoy says about the end. What the filter answered itself needs no words of Envoy.
fn ending_of(exchange: &Exchange) -> Ending {
    match exchange.verdict() {
        OwnVerdict::Refused
        | OwnVerdict::Faulted
        | OwnVerdict::Shed
        | OwnVerdict::Blocked
        | OwnVerdict::DeadlinePassed => Ending::default(),
        OwnVerdict::Passed => Ending {
            status: host::number(RESPONSE_CODE).and_then(|code| u16::try_from(code).ok()),
            flags: Flags(host::number(RESPONSE_FLAGS).unwrap_or(0)),
            grpc: exchange
                .is_grpc()
                .then(|| host::number(GRPC_STATUS))
                .flatten()
                .and_then(|status| u8::try_from(status).ok()),
        },
    }
}
