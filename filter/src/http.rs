//! One request and its response.

use sloop_dataplane::{
    Arrival, Begun, Claim, Ending, Exchange, HeaderMap, HeaderWrite, Joins, Kept, Request,
    STREAM_WORD_MAX, ScopeId, Verdict, is_grpc,
};
use sloop_model::{ExchangeSide, Flags, OwnVerdict, Side, Time};

use crate::host::{self, Body, Callback};
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

/// A request whose context Envoy has made. Its headers come next, or it is logged without any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Created {
    context: u32,
    root: u32,
    side: Side,
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct Underway {
    pub(crate) side: Side,
    pub(crate) root: u32,
    /// None as long as its headers did not come.
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

/// Envoy makes the context of a request, as a child of `root`. It calls with its headers, or its log, before it makes
/// another one, so to remember the last is enough; one that comes between all the same is put to the others.
pub(crate) fn create(context: u32, root: u32) {
    vm::with(|vm| {
        let Some(side) = vm.roots.side(root) else {
            return;
        };
        let created = Created {
            context,
            root,
            side,
        };
        if let Some(before) = vm.created.replace(created) {
            set_aside(vm, before);
        }
    });
}

#[cold]
fn set_aside(vm: &mut Vm, created: Created) {
    let Created {
        context,
        root,
        side,
    } = created;
    let is_remembered = vm.underway.insert(context, Underway::without(side, root));
    vm.plane.trouble().requests_over_cap += u64::from(!is_remembered);
}

impl Underway {
    const fn without(side: Side, root: u32) -> Self {
        Self {
            side,
            root,
            exchange: None,
            #[cfg(feature = "answers")]
            traceresponse: None,
        }
    }
}

/// The side and the root context of a request whose headers come; none of one that was not made, or began before.
fn begun(vm: &mut Vm, context: u32) -> Option<(Side, u32)> {
    if let Some(created) = vm.created.take_if(|created| created.context == context) {
        return Some((created.side, created.root));
    }
    let underway = vm.underway.get_mut(context)?;
    underway.exchange.is_none().then_some(())?;
    let Underway { side, root, .. } = vm.underway.remove(context)?;
    Some((side, root))
}

/// The headers of a request are here.
pub(crate) fn begin(callback: &Callback, context: u32) -> Flow {
    let now = host::now();
    let verdict = vm::with(|vm| {
        let (side, root) = begun(vm, context)?;
        if vm.underway.is_full() {
            vm.plane.trouble().requests_over_cap += 1;
            return None;
        }
        let headers = vm.count(callback.request_headers())?;
        let mut request = Request::unread(HeaderMap::new(headers));
        vm.plane.read_request(side, &mut request);
        let scope = scope_of(vm, callback, side, &request)?;
        let caller = Caller { context, root };
        let verdict = decide(vm, callback, (caller, side, scope), &request, now)?;
        if verdict == Verdict::Hold || vm.plane.take_planned() {
            vm.aim(caller, now);
        }
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
            | Verdict::RefuseRetry
            | Verdict::Block { .. }
            | Verdict::Late
            | Verdict::End(_),
        ) => Flow::Pause,
    }
}

/// A part of an answer went by, with so many bytes.
pub(crate) fn heard(
    enter: impl FnOnce() -> Callback,
    context: u32,
    (bytes, is_end): (usize, bool),
) {
    vm::with(|vm| {
        if is_end {
            vm.heard.ends(context, bytes, host::now());
        } else {
            vm.heard.goes_on(context);
            if vm.plane.has_probes() {
                hear_probe(vm, &enter(), context);
            }
        }
    });
}

/// A part of an answer went by while there are probes: it may be one's.
#[cold]
fn hear_probe(vm: &mut Vm, callback: &Callback, context: u32) -> Option<()> {
    let Underway { root, exchange, .. } = vm.underway.get_mut(context)?;
    let (root, exchange) = (*root, exchange.as_mut()?);
    if exchange.is_probe() {
        // The headers themselves went by before.
        let status = callback.number(RESPONSE_CODE)?.try_into().ok()?;
        let body = Body::of(ExchangeSide::Response);
        let begins = callback.body(body, STREAM_WORD_MAX).unwrap_or_default();
        let now = host::now();
        vm.plane.hear_probe(exchange, (status, begins), now);
        if vm.plane.take_planned() {
            vm.aim(Caller { context, root }, now);
        }
    }
    Some(())
}

/// A request is over.
pub(crate) fn end(callback: &Callback, context: u32) {
    vm::with(|vm| {
        let underway = match vm.underway.remove(context) {
            Some(underway) => underway,
            None => match vm.created.take_if(|created| created.context == context) {
                Some(created) => Underway::without(created.side, created.root),
                // It passed uncounted.
                None => return,
            },
        };
        let Some(mut exchange) = underway.exchange else {
            vm.plane.end_without_beginning();
            return;
        };
        let now = host::now();
        let is_whole = vm.heard.is_whole(context, now);
        let ending = ending_of(callback, &exchange, is_whole);
        if vm.plane.asks_attempts(&exchange, &ending) {
            let attempts = callback
                .number(ATTEMPTS)
                .and_then(|all| all.try_into().ok());
            exchange.attempted(attempts.unwrap_or(1));
        }
        if let Some(kept) = vm.plane.end(exchange, ending, now) {
            keep(vm, callback, kept);
        }
        if vm.plane.take_planned() | vm.ticker.is_late(now) {
            let caller = Caller {
                context,
                root: underway.root,
            };
            vm.aim(caller, now);
        }
    });
}

/// Keeps a span. Its headers are still there, which costs one more reading for each span that is kept, and so does
/// what was answered.
fn keep(vm: &mut Vm, callback: &Callback, mut kept: Kept) {
    if kept.is_answered_here() {
        kept.answered(callback.response_status(), grpc_status(callback));
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
    (caller, side, scope): (Caller, Side, ScopeId),
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
        context: caller.context,
        joined: joined.as_ref(),
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
    let underway = Underway {
        exchange: Some(exchange),
        #[cfg(feature = "answers")]
        traceresponse: vm.plane.responds(side, &_trace).then(|| _trace.header()),
        ..Underway::without(side, caller.root)
    };
    // There is room.
    vm.underway.insert(caller.context, underway);
    Some(verdict)
}

/// What Envoy says about the end. What the filter answered itself needs no words of Envoy, and an answer that went
/// through whole seldom flags.
fn ending_of(callback: &Callback, exchange: &Exchange, is_whole: bool) -> Ending {
    match exchange.verdict() {
        OwnVerdict::Refused
        | OwnVerdict::Faulted
        | OwnVerdict::Shed
        | OwnVerdict::Blocked
        | OwnVerdict::DeadlinePassed => Ending::default(),
        OwnVerdict::Passed => {
            let status = callback.response_status();
            let flags = if is_whole && !exchange.needs_flags(status) {
                Flags::default()
            } else {
                Flags(callback.number(RESPONSE_FLAGS).unwrap_or(0))
            };
            Ending {
                status,
                flags,
                grpc: exchange
                    .is_grpc()
                    .then(|| answered_grpc(callback))
                    .flatten(),
            }
        }
    }
}

/// The gRPC status that the service answered with. To an answer that is no gRPC, Envoy gives one by its HTTP status, and
/// that is never 0: so a service that is asked in gRPC and answers in something else is judged by what it answered.
fn answered_grpc(callback: &Callback) -> Option<u8> {
    let status = grpc_status(callback)?;
    let is_said = status == 0
        || callback
            .response_header(b"content-type")
            .is_some_and(is_grpc);
    is_said.then_some(status)
}

fn grpc_status(callback: &Callback) -> Option<u8> {
    let status = callback.number(GRPC_STATUS)?;
    u8::try_from(status).ok()
}
