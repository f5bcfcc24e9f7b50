//! `/v1/alerts`: which alerts there are, and who knows of them.

use sloop_controllers::{AlertStatus, Signal};

use super::api::{AlertShown, TargetTold};
use crate::alerts::{Outbox, public_part};

/// `alerts`, with what `outbox` knows of those who are told.
pub(super) fn shown(alerts: Vec<AlertStatus>, outbox: &Outbox) -> Vec<AlertShown> {
    let alerts = alerts.into_iter();
    let shown = alerts.map(|mut alert| {
        let targets = alert.targets.iter().map(|target| target.name.clone());
        let told = targets.zip(outbox.told(&alert));
        let told = told.map(|(target, state)| TargetTold { target, state });
        let told = told.collect();
        hide(&mut alert);
        AlertShown { alert, told }
    });
    shown.collect()
}

/// Leaves of addresses in `signals` what is no secret.
pub(super) fn without_secrets(signals: &mut [Signal]) {
    for signal in signals {
        if let Signal::Alert(alert) = signal {
            hide(alert);
        }
    }
}

fn hide(alert: &mut AlertStatus) {
    for target in &mut alert.targets {
        target.url = public_part(&target.url);
    }
}
