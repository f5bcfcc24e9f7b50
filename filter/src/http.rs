//! One request and its response.

use sloop_dataplane::{
    Arrival, Begun, Claim, Ending, Exchange, HeaderMap, HeaderWrite, Joins, Kept, Request, ScopeId,
    Verdict,
};
use sloop_model::{Flags, OwnVerdict, Side, Time};

use crate::host::{self, Callback};
use crate::reply;
use crate::ticker::Caller;
use crate::vm::{self, Vm};

/// Properties that a request may need, as the host wants their paths.
const ROUTE_NAME: &[u8] = b"xds\0route_name";
const PROTOCOL: &[u8] = b"request\0protocol";
const RESPONSE_CODE: &[u8] = b"response\0code";
const RESPONSE_FLAGS: &[u8] = b"response\0flags";
const GRPC_STATUS: &[u8] = b"response\0grpc_status";
const ATTEMPTS: &[u8] = b"upstream\0request_attempt_count";

/// A request whose context Envoy has made.
#[derive(Debug)]
pub(crate) struct Underway {
    pub(crate) side: Side,
    pub(crate) root: u32,
    has_begun: bool,
    pub(crate) exchange: Option<Exchange>,
    /// What the answer says about the trace, if it should.
    #[cfg(feature = "answers")]
    pub(crate) traceresponse: Option<[u8; 55]>,
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
        let (side, root) = (underway.side, underway.root);
        let headers = vm.count(callback.request_headers())?;
        let request = Request::read(HeaderMap::new(headers));
        let scope = scope_of(vm, callback, side, &request)?;
        let verdict = decide(vm, callback, (context, side, scope), &request, now)?;
        vm.aim(Caller { context, root }, now);
        reply::give(vm, verdict, (context, side, request.is_grpc));
        Some(verdict)
    });
    // What cannot be judged passes.
    match verdict.flatten() {
        None | Some(Verdict::Pass) => Flow::Continue,
        Some(
            Verdict::Hold
            | Verdict::Refuse { .. }
            | Verdict::Shed
            | Verdict::Block { .. }
            | Verdict::Late
            | Verdict::End(_),
        ) => Flow::Pause,
    }
}

/// A request is over.
pub(crate) fn end(callback: &Callback, context: u32) {
    vm::with(|vm| {
        let Some(underway) = vm.underway.remove(context) else {
            return;
        };
        let Some(mut exchange) = underway.exchange else {
            if !underway.has_begun {
                vm.plane.end_without_beginning();
            }
            return;
        };
        let now = host::now();
        let ending = ending_of(callback, &exchange);
        if underway.side == Side::Client && vm.plane.counts_attempts(underway.side) {
            let attempts = callback
                .number(ATTEMPTS)
                .and_then(|all| all.try_into().ok());
            exchange.attempted(attempts.unwrap_or(1));
        }
        if let Some(kept) = vm.plane.end(exchange, ending, now) {
            keep(vm, callback, kept);
        }
        let caller = Caller {
            context,
            root: underway.root,
        };
        vm.aim(caller, now);
    });
}

/// Keeps a span. Its headers are still there, which costs one more reading for each span that is kept, and so does
/// what was answered.
fn keep(vm: &mut Vm, callback: &Callback, mut kept: Kept) {
    if kept.is_answered_here() {
        kept.answered(code(callback), grpc_status(callback));
    }
    let headers = callback.request_headers().unwrap_or_default();
    let protocol = callback.property(PROTOCOL).unwrap_or_default();
    vm.plane.keep(&kept, HeaderMap::new(headers), protocol);
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
    callback: &Callback,
    (context, side, scope): (u32, Side, ScopeId),
    request: &Request<'_>,
    now: Time,
) -> Option<Verdict> {
    let joined = match vm.plane.joins(side, request, now) {
        Joins::No => None,
        Joins::To(joined) => Some(joined),
        Joins::Ask(key) => {
            let (shared, _) = callback.shared(&key);
            vm.plane.joined_by(shared, request, now)
        }
    };
    let arrival = Arrival {
        request,
        context,
        joined,
        now,
    };
    let mut failed = 0;
    let begun = vm.plane.begin(side, scope, &arrival, |write| {
        let written = match write {
            HeaderWrite::Set(name, value) => host::replace_request_header(name, value),
            HeaderWrite::Remove(name) => host::remove_request_header(name),
        };
        failed += u64::from(written.is_err());
    })?;
    vm.plane.trouble().hostcalls_failed += failed;
    if let Some((key, value)) = vm.plane.to_share() {
        // Whoever comes last under a request id is the one that is meant.
        let shared = host::share(&key, value, 0);
        vm.count(shared);
    }
    let Begun {
        exchange,
        verdict,
        trace: _trace,
    } = begun;
    if let Some(underway) = vm.underway.get_mut(context) {
        underway.exchange = Some(exchange);
        #[cfg(feature = "answers")]
        if vm.plane.responds(side, &_trace) {
            underway.traceresponse = Some(_trace.header());
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
            status: code(callback),
            flags: Flags(callback.number(RESPONSE_FLAGS).unwrap_or(0)),
            grpc: exchange.is_grpc().then(|| grpc_status(callback)).flatten(),
        },
    }
}

fn code(callback: &Callback) -> Option<u16> {
    let code = callback.number(RESPONSE_CODE)?;
    u16::try_from(code).ok()
}

fn grpc_status(callback: &Callback) -> Option<u8> {
    let status = callback.number(GRPC_STATUS)?;
    u8::try_from(status).ok()
}
