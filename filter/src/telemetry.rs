//! What goes to others than our control plane: statistics of Envoy, and spans.

use core::time::Duration;

use proxy_wasm::types::LogLevel;
use sloop_dataplane::span::Batch;
use sloop_model::{Side, Time};

use crate::host::{self, Callback, GrpcCall};
use crate::root::Answered;
use crate::vm::Vm;

/// As long as a report's. A batch that was not answered by then is tried once more.
const TIMEOUT: Duration = Duration::from_secs(5);
/// gRPC's UNAVAILABLE, which a call that cannot even be made stands for.
const UNAVAILABLE: u32 = 14;

/// Batches of spans that are under way, at most one per side.
#[derive(Debug, Default)]
pub(crate) struct Exporter {
    sent: Vec<Sent>,
    /// Whether the last batch did not arrive.
    is_failing: bool,
}

#[derive(Debug)]
struct Sent {
    token: u32,
    side: Side,
    number: u32,
}

/// Adds to Envoy's statistics what is due.
pub(crate) fn show(vm: &mut Vm, now: Time) {
    for delta in vm.plane.stat_deltas(now) {
        let known = vm.plane.stats().id(delta.metric);
        let id = match (known, delta.name) {
            (Some(id), _) => Some(id),
            (None, Some(name)) => {
                let id = vm.count(host::define_counter(&name));
                if let Some(id) = id {
                    vm.plane.stats().defined(delta.metric, id);
                }
                id
            }
            (None, None) => None,
        };
        if let Some(id) = id {
            vm.count(host::increment(id, delta.by));
        }
    }
}

/// Sends, from the root context in effect, the spans that are due.
pub(crate) fn export(vm: &mut Vm, callback: &Callback, context: u32, now: Time) {
    for side in [Side::Server, Side::Client] {
        let instance = &vm.reporter.identity(callback).node;
        let Some(batch) = vm.plane.span_batch(side, (context, instance), now) else {
            continue;
        };
        let number = batch.number;
        let call = host::call(GrpcCall {
            cluster: batch.cluster,
            service: Batch::SERVICE,
            method: Batch::METHOD,
            message: &batch.message,
            timeout: TIMEOUT,
        });
        match vm.count(call) {
            Some(token) => vm.exporter.sent.push(Sent {
                token,
                side,
                number,
            }),
            None => vm.plane.spans_lost(side, number, UNAVAILABLE, now),
        }
    }
}

/// Hears how a call ended. Does nothing when it was none of spans.
pub(crate) fn answered(vm: &mut Vm, token: u32, answer: &Answered<'_>, now: Time) {
    let sent = &mut vm.exporter.sent;
    let Some(at) = sent.iter().position(|sent| sent.token == token) else {
        return;
    };
    let Sent { side, number, .. } = sent.swap_remove(at);
    match answer {
        Answered::Ok(bytes) => {
            vm.plane.spans_taken(side, number, bytes);
            vm.exporter.is_failing = false;
        }
        Answered::Failed(status) => {
            vm.plane.spans_lost(side, number, *status, now);
            // Once per trouble.
            if !core::mem::replace(&mut vm.exporter.is_failing, true) {
                let message = format!("spans do not arrive: gRPC status {status}");
                host::log(LogLevel::Warn, &message);
            }
        }
    }
}

/// Calls of the root context `old` are not heard of any more.
pub(crate) fn lose_sender(vm: &mut Vm, old: u32, now: Time) {
    vm.plane.lose_span_sender(old, now);
    // Without spans in the configuration those that are under way are given up, and numbers begin anew.
    vm.exporter.sent.retain(|sent| vm.plane.exports(sent.side));
    // At most one batch of each side is under way.
    let excess = vm.exporter.sent.len().saturating_sub(8);
    vm.exporter.sent.drain(..excess);
}
