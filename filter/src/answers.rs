//! Responses and bodies, in the module that touches them.

use sloop_dataplane::{Answer, BodyPart, BodyVerdict, Exchange, HeaderWrite, Struck};
use sloop_model::ExchangeSide;

use crate::host::{self, Body, Callback};
use crate::http::Flow;
use crate::reply;
use crate::ticker::Caller;
use crate::vm::{self, Vm};

/// The headers of a response are here.
pub(crate) fn respond(context: u32, is_end: bool) -> Flow {
    let struck = vm::with(|vm| {
        let underway = vm.underway.get_mut(context)?;
        let (root, traceresponse) = (underway.root, underway.traceresponse);
        if let Some(header) = traceresponse {
            vm.count(host::replace_response_header("traceresponse", &header));
        }
        let exchange = vm.underway.get_mut(context)?.exchange.as_mut()?;
        if !exchange.awaits_response() {
            return None;
        }
        let now = host::now();
        let answer = Answer {
            context,
            is_end,
            now,
        };
        let mut failed = 0;
        let struck = vm.plane.respond(exchange, answer, |write| {
            let written = match write {
                HeaderWrite::Set(name, value) => host::replace_response_header(name, value),
                HeaderWrite::Remove(name) => host::remove_response_header(name),
            };
            failed += u64::from(written.is_err());
        });
        vm.plane.trouble().hostcalls_failed += failed;
        vm.aim(Caller { context, root }, now);
        if let Struck::End(ending) = struck {
            reply::end(vm, ending, context, ExchangeSide::Response);
        }
        Some(struck)
    });
    match struck.flatten() {
        None | Some(Struck::Pass) => Flow::Continue,
        Some(Struck::Hold | Struck::End(_)) => Flow::Pause,
    }
}

/// A part of a body is here: `bytes` are visible.
pub(crate) fn body(
    callback: &Callback,
    context: u32,
    half: ExchangeSide,
    (bytes, is_end): (usize, bool),
) -> Flow {
    let verdict = vm::with(|vm| {
        let underway = vm.underway.get_mut(context)?;
        let root = underway.root;
        let exchange = underway.exchange.as_mut()?;
        if !exchange.spoils(half) {
            return None;
        }
        let now = host::now();
        let part = BodyPart {
            context,
            half,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            is_end,
            now,
        };
        let verdict = vm.plane.body(exchange, part);
        let written = spoil(callback, exchange, half, (bytes, verdict));
        vm.count(written);
        vm.aim(Caller { context, root }, now);
        Some(verdict)
    });
    flow(verdict.flatten().is_some_and(|verdict| verdict.is_held))
}

/// The trailers behind a body are here.
pub(crate) fn trailers(context: u32, half: ExchangeSide) -> Flow {
    let is_held = vm::with(|vm| {
        let exchange = vm.underway.get_mut(context)?.exchange.as_mut()?;
        Some(exchange.spoils(half) && vm.plane.holds_trailers(exchange, half))
    });
    flow(is_held.flatten() == Some(true))
}

const fn flow(is_held: bool) -> Flow {
    if is_held { Flow::Pause } else { Flow::Continue }
}

/// Leaves of the visible bytes of a body what is to stay, with what is to be changed in it.
fn spoil(
    callback: &Callback,
    exchange: &Exchange,
    half: ExchangeSide,
    (visible, verdict): (usize, BodyVerdict),
) -> Result<(), host::Failed> {
    let keep = usize::try_from(verdict.keep).unwrap_or(usize::MAX);
    let body = Body::of(half);
    if keep == 0 && 0 < visible {
        return body.replace(visible, b"");
    }
    if verdict.corrupt.is_none() && visible <= keep {
        return Ok(());
    }
    let mut kept = callback.body(body, keep)?.to_vec();
    if let Some(fresh) = verdict.corrupt
        && let Ok(from) = usize::try_from(fresh.from)
        && let Some(bytes) = kept.get_mut(from..)
    {
        exchange.corrupt(bytes, fresh.at);
    }
    body.replace(visible, &kept)
}

impl Vm {
    /// What the answer to a request says about its trace, if it should.
    pub(crate) fn traceresponse(&mut self, context: u32) -> Option<[u8; 55]> {
        self.underway.get_mut(context)?.traceresponse
    }
}
