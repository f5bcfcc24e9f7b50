//! One root context's timer: it fires when there is something to do, and not else.

use core::cell::Cell;
use core::time::Duration;

use sloop_model::Time;

use crate::{host, vm};

/// When the timer fires next, as far as we know.
#[derive(Debug)]
pub(crate) struct Ticker {
    period: Cell<u32>,
    due: Cell<Time>,
}

/// Longest wait, so that a timer that something stopped is noticed, and the wall clock is read again.
const PERIOD_MAX: Duration = Duration::from_secs(1);
/// Envoy's timers have milliseconds, so a difference below one is none.
const SLACK: Duration = Duration::from_millis(1);
const NEVER: Time = Time::from_nanos(u64::MAX);

impl Ticker {
    pub(crate) const fn new() -> Self {
        Self {
            period: Cell::new(0),
            due: Cell::new(NEVER),
        }
    }

    /// Makes the timer fire at `wake` if it would fire later. To set it again and
    /// again to the same moment would keep it from firing.
    pub(crate) fn aim(&self, wake: Option<Time>, now: Time) {
        if let Some(wake) = wake
            && wake.after(SLACK) < self.due.get()
        {
            self.set(wake, now);
        }
    }

    /// Learns that the timer fired at `now`, and makes it fire next at `wake`.
    pub(crate) fn fired(&self, wake: Option<Time>, now: Time) {
        let Some(wake) = wake else {
            self.stop();
            return;
        };
        // The host sets it again by itself, with the same period.
        if period_until(wake, now) == self.period.get() {
            self.due
                .set(now.after(Duration::from_millis(u64::from(self.period.get()))));
        } else {
            self.set(wake, now);
        }
    }

    /// Stops the timer. A root context that is done must, or its timer runs as long as the VM.
    pub(crate) fn stop(&self) {
        self.period.set(0);
        self.due.set(NEVER);
        vm::count(host::set_tick_period(0));
    }

    fn set(&self, wake: Time, now: Time) {
        let period = period_until(wake, now);
        self.period.set(period);
        self.due
            .set(now.after(Duration::from_millis(u64::from(period))));
        vm::count(host::set_tick_period(period));
    }
}

/// Whole milliseconds from `now` until after `wake`, at least one.
fn period_until(wake: Time, now: Time) -> u32 {
    let wait = wake
        .since(now)
        .min(PERIOD_MAX)
        .as_micros()
        .div_ceil(1_000)
        .max(1);
    u32::try_from(wait).unwrap_or(u32::MAX)
}
