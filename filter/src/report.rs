//! Sends reports and hears whether they arrived.

mod wire;

use core::cell::Cell;
use core::time::Duration;

use proxy_wasm::types::LogLevel;
use sloop_model::Time;

use crate::host::{self, GrpcCall};
use crate::vm;
use wire::Identity;

/// Long enough for a control plane that is busy. The next report waits as long.
const TIMEOUT: Duration = Duration::from_secs(5);
/// gRPC's OK.
const OK: u32 = 0;

/// Sends the VM's reports from one root context.
pub(crate) struct Reporter {
    context: u32,
    /// The call that is under way and the report in it.
    sent: Option<(u32, u64)>,
    identity: Option<Identity>,
}

thread_local! {
    /// Whether the last report did not arrive. Of the VM, so that a push does not make it news again.
    static IS_FAILING: Cell<bool> = const { Cell::new(false) };
}

impl Reporter {
    pub(crate) const fn new(context: u32) -> Self {
        Self {
            context,
            sent: None,
            identity: None,
        }
    }

    /// Sends the report that is due at `now`, if one is.
    pub(crate) fn send(&mut self, now: Time) {
        let identity = self.identity.get_or_insert_with(Identity::of_envoy);
        let context = self.context;
        let due = vm::with(|plane| {
            let cluster = plane.report_settings()?.cluster.clone();
            let report = plane.report(context, now)?;
            Some((cluster, report.sequence, wire::encode(report, identity)))
        });
        let Some((cluster, sequence, message)) = due.flatten() else {
            return;
        };
        let call = host::call(GrpcCall {
            cluster: &cluster,
            service: "sloop.report.v1.ReportService",
            method: "Report",
            message: &message,
            timeout: TIMEOUT,
        });
        match vm::count(call) {
            Some(token) => self.sent = Some((token, sequence)),
            None => lose(sequence, now, "the call cannot be made"),
        }
    }

    /// Hears how a call ended.
    pub(crate) fn answered(&mut self, token: u32, status: u32, now: Time) {
        let Some((_, sequence)) = self.sent.take_if(|(sent, _)| *sent == token) else {
            return;
        };
        if status == OK {
            vm::with(|plane| plane.acknowledge(sequence));
            if IS_FAILING.replace(false) {
                host::log(LogLevel::Info, "reports arrive again");
            }
        } else {
            lose(sequence, now, &format!("gRPC status {status}"));
        }
    }
}

fn lose(sequence: u64, now: Time, why: &str) {
    vm::with(|plane| plane.lose(sequence, now));
    // Once per trouble: the reports are tried again every interval.
    if !IS_FAILING.replace(true) {
        let message = format!("reports do not arrive and are kept: {why}");
        host::log(LogLevel::Warn, &message);
    }
}
