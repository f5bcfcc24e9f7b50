//! Sends reports and hears whether they arrived.

use core::time::Duration;

use proxy_wasm::types::LogLevel;
use sloop_dataplane::report::{Report, readings};
use sloop_model::{Module, Time};

use crate::host::{self, Callback, GrpcCall};
use crate::root::Answered;
use crate::vm::Vm;

/// Long enough for a control plane that is busy. The next report waits as long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What this module can touch.
const MODULE: Module = if cfg!(feature = "answers") {
    Module::Answers
} else {
    Module::Requests
};

/// Sends the VM's reports, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    /// The call that is under way and the report in it.
    sent: Option<(u32, u64)>,
    identity: Option<Identity>,
    /// Whether the last report did not arrive.
    is_failing: bool,
}

/// Sends, from the root context in effect, the report that is due at `now`, if one is.
pub(crate) fn send(vm: &mut Vm, callback: &Callback, context: u32, now: Time) {
    vm.reporter.identity(callback);
    let Some(cluster) = vm
        .plane
        .report_settings()
        .map(|report| report.cluster.clone())
    else {
        return;
    };
    let (Some(report), Some(identity)) = (vm.plane.report(context, now), &vm.reporter.identity)
    else {
        return;
    };
    let sequence = report.sequence;
    let message = report.encode(&identity.node, &identity.cluster, MODULE);
    let call = host::call(GrpcCall {
        cluster: &cluster,
        service: Report::SERVICE,
        method: Report::METHOD,
        message: &message,
        timeout: TIMEOUT,
    });
    match vm.count(call) {
        Some(token) => vm.reporter.sent = Some((token, sequence)),
        None => lose(vm, sequence, now, "the call cannot be made"),
    }
}

/// Hears how a call ended. False when it was none of a report.
pub(crate) fn answered(vm: &mut Vm, token: u32, answer: &Answered<'_>, now: Time) -> bool {
    let sent = vm.reporter.sent.take_if(|(sent, _)| *sent == token);
    let Some((_, sequence)) = sent else {
        return false;
    };
    match answer {
        Answered::Ok(bytes) => {
            vm.plane.acknowledge(sequence);
            readings(bytes, &mut |scope, reading| {
                vm.plane.learn(scope, reading, now);
            });
            if core::mem::replace(&mut vm.reporter.is_failing, false) {
                host::log(LogLevel::Info, "reports arrive again");
            }
        }
        Answered::Failed(status) => lose(vm, sequence, now, &format!("gRPC status {status}")),
    }
    true
}

fn lose(vm: &mut Vm, sequence: u64, now: Time, why: &str) {
    vm.plane.lose(sequence, now);
    // Once per trouble: the reports are tried again every interval.
    if !core::mem::replace(&mut vm.reporter.is_failing, true) {
        let message = format!("reports do not arrive and are kept: {why}");
        host::log(LogLevel::Warn, &message);
    }
}

/// Whose reports these are: the names that Envoy was started with, empty when it was started without.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) node: String,
    cluster: String,
}

impl Identity {
    fn of_envoy(callback: &Callback) -> Self {
        let text = |path| {
            let bytes = callback.property(path).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        Self {
            node: text(b"xds\0node\0id"),
            cluster: text(b"xds\0node\0cluster"),
        }
    }
}

impl Reporter {
    /// The names of this sidecar.
    pub(crate) fn identity(&mut self, callback: &Callback) -> &Identity {
        self.identity
            .get_or_insert_with(|| Identity::of_envoy(callback))
    }
}
