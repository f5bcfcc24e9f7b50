//! One request and its response.

use sloop_dataplane::{Arrival, Claim, Ending, Exchange, HeaderMap, Request, ScopeId, Verdict};
use sloop_model::{Flags, OwnVerdict, Side, Time};

use crate::host::{self, Callback};
use crate::reply;
use crate::ticker::Caller;
use crate::vm::{self, Vm};

/// Properties that a request may need, as the host wants their paths.
const ROUTE_NAME: &[u8] = b"xds\0route_name";
const RESPONSE_CODE: &[u8] = b"response\0code";
const RESPONSE_FLAGS: &[u8] = b"response\0flags";
const GRPC_STATUS: &[u8] = b"response\0grpc_status";

/// A request whose context Envoy has made.
#[derive(Debug)]
pub(crate) struct Underway {
    side: Side,
    root: u32,
    has_begun: bool,
    exchange: Option<Exchange>,
    /// What the answer says about the trace, if it should.
    #[cfg(feature = "answers")]
    traceresponse: Option<[u8; 55]>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It goes on to the service.
    Continue,
    /// It waits, or was answered here.
    Pause,
}

/// Envoy makes the context of a request, as a child of `root`.
pub(crate) fn create(context: u32, root: u32) {
    vm::with(|vm| {
        let Some(side) = vm.roots.side(root) else {
            return;
        };
        let is_remembered = vm.underway.insert(
            context,
            Underway {
                side,
                root,
                has_begun: false,
                exchange: None,
                #[cfg(feature = "answers")]
                traceresponse: None,
            },
        );
        vm.plane.trouble().requests_over_cap += u64::from(!is_remembered);
    });
}

/// The headers of a request are here.
pub(crate) fn begin(callback: &Callback, context: u32) -> Flow {
    let now = host::now();
    let verdict = vm::with(|vm| {
        let underway = vm.underway.get_mut(context)?;
        underway.has_begun = true;
        let caller = Caller {
            context,
            root: underway.root,
        };
        let side = underway.side;
        let headers = vm.count(callback.request_headers())?;
        let request = Request::read(HeaderMap::new(headers));
        let scope = scope_of(vm, callback, side, &request)?;
        let verdict = decide(vm, context, (side, scope), &request, now)?;
        vm.aim(caller, now);
        match verdict {
            Verdict::Pass | Verdict::Hold => {}
            Verdict::Refuse {
                retry_after_seconds,
            } => reply::refuse(vm, retry_after_seconds, request.is_grpc),
            Verdict::Abort { status } => reply::abort(vm, status),
        }
        Some(verdict)
    });
    // What cannot be judged passes.
    match verdict.flatten() {
        None | Some(Verdict::Pass) => Flow::Continue,
        Some(Verdict::Hold | Verdict::Refuse { .. } | Verdict::Abort { .. }) => Flow::Pause,
    }
}

/// The headers of a response are here.
#[cfg(feature = "answers")]
pub(crate) fn respond(context: u32) {
    vm::with(|vm| {
        let header = vm.underway.get_mut(context)?.traceresponse.take()?;
        vm.count(host::replace_response_header("traceresponse", &header))
    });
}

/// A request is over.
pub(crate) fn end(callback: &Callback, context: u32) {
    vm::with(|vm| {
        let Some(underway) = vm.underway.remove(context) else {
            return;
        };
        let Some(exchange) = underway.exchange else {
            if !underway.has_begun {
                vm.plane.end_without_beginning();
            }
            return;
        };
        let now = host::now();
        let ending = ending_of(callback, &exchange);
        vm.plane.end(exchange, ending, now);
        let caller = Caller {
            context,
            root: underway.root,
        };
        vm.aim(caller, now);
    });
}

/// The scope of a request. Only when no rule claims it is Envoy asked for the name of its route.
fn scope_of(
    vm: &mut Vm,
    callback: &Callback,
    side: Side,
    request: &Request<'_>,
) -> Option<ScopeId> {
    match vm.plane.claim(side, request) {
        Claim::Unconfigured => None,
        Claim::Scope(scope) => Some(scope),
        Claim::ByRouteName => {
            let name = callback.property(ROUTE_NAME).unwrap_or_default();
            vm.plane.named(side, name)
        }
    }
}

/// Decides about a request and writes what its service is to see. None: let it pass, uncounted.
fn decide(
    vm: &mut Vm,
    context: u32,
    (side, scope): (Side, ScopeId),
    request: &Request<'_>,
    now: Time,
) -> Option<Verdict> {
    let trace = vm.plane.trace(request);
    let arrival = Arrival {
        trace: trace.id(),
        context,
        is_grpc: request.is_grpc,
        now,
    };
    let (exchange, verdict) = vm.plane.begin(side, scope, arrival)?;
    let header = trace.header();
    if let Some(underway) = vm.underway.get_mut(context) {
        underway.exchange = Some(exchange);
        #[cfg(feature = "answers")]
        if vm.plane.responds(side, &trace) {
            underway.traceresponse = Some(header);
        }
    }
    match verdict {
        // The service will not see it.
        Verdict::Refuse { .. } | Verdict::Abort { .. } => {}
        Verdict::Pass | Verdict::Hold => {
            vm.count(host::replace_request_header("traceparent", &header));
            if trace.is_origin() && request.has_tracestate {
                // It belongs to the trace that could not be continued.
                vm.count(host::remove_request_header("tracestate"));
            }
        }
    }
    Some(verdict)
}

/// What Envoy says about the end. What the filter answered itself needs no words of Envoy.
fn ending_of(callback: &Callback, exchange: &Exchange) -> Ending {
    match exchange.verdict() {
        OwnVerdict::Refused
        | OwnVerdict::Faulted
        | OwnVerdict::Shed
        | OwnVerdict::Blocked
        | OwnVerdict::DeadlinePassed => Ending::default(),
        OwnVerdict::Passed => Ending {
            status: callback
                .number(RESPONSE_CODE)
                .and_then(|code| u16::try_from(code).ok()),
            flags: Flags(callback.number(RESPONSE_FLAGS).unwrap_or(0)),
            grpc: exchange
                .is_grpc()
                .then(|| callback.number(GRPC_STATUS))
                .flatten()
                .and_then(|status| u8::try_from(status).ok()),
        },
    }
}
