//! The VM's one timer: it fires when there is something to do, and not else.
//!
//! Envoy has a timer per root context. One of them serves the whole VM, since
//! what is to be done is the VM's; a push moves it to the new root context,
//! because the timer of one that is gone keeps firing into the void for as long
//! as the VM lives.

use core::time::Duration;

use sloop_model::Time;

use crate::host;
use crate::vm::Vm;

/// When the timer fires next, as far as we know, and at which root context.
#[derive(Debug)]
pub(crate) struct Ticker {
    context: Option<u32>,
    period: u32,
    due: Time,
}

/// Whose context is in effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) context: u32,
    /// Its root context: itself, or that of the request.
    pub(crate) root: u32,
}

impl Caller {
    /// A root context.
    pub(crate) const fn root(context: u32) -> Self {
        Self {
            context,
            root: context,
        }
    }
}

/// A period in milliseconds that the timer is to have; 0 stops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period(u32);

/// Longest wait, so that a timer that something stopped is noticed, and the wall clock is read again.
const PERIOD_MAX: Duration = Duration::from_secs(1);
/// Envoy's timers have milliseconds, so a difference below one is none.
const SLACK: Duration = Duration::from_millis(1);
/// A timer that is so late went with its root context: a listener was removed.
const LATE: Duration = Duration::from_secs(2);
const NEVER: Time = Time::from_nanos(u64::MAX);

impl Ticker {
    pub(crate) const fn new() -> Self {
        Self {
            context: None,
            period: 0,
            due: NEVER,
        }
    }

    /// Whether the timer is that of this root context.
    pub(crate) fn is_at(&self, context: u32) -> bool {
        self.context == Some(context)
    }

    /// Whether the timer fires too late for `wake`, or not at all.
    fn misses(&self, wake: Time, now: Time) -> bool {
        wake.after(SLACK) < self.due || self.is_late(now)
    }

    /// Whether the timer should have fired long ago.
    pub(crate) fn is_late(&self, now: Time) -> bool {
        self.due.after(LATE) < now
    }

    /// Learns that the timer fired at `now`, and which period makes it fire next at
    /// `wake`. None: the one that it has, with which the host starts it again by itself.
    pub(crate) fn fired(&mut self, wake: Option<Time>, now: Time) -> Option<Period> {
        let period = wake.map_or(0, |wake| period_until(wake, now));
        let is_new = period != self.period;
        self.run(period, now);
        is_new.then_some(Period(period))
    }

    fn run(&mut self, period: u32, now: Time) {
        self.period = period;
        self.due = match period {
            0 => NEVER,
            1.. => now.after(Duration::from_millis(u64::from(period))),
        };
    }
}

impl Vm {
    /// Makes the timer fire when the plane next wants it to, if it would fire later.
    pub(crate) fn aim(&mut self, caller: Caller, now: Time) {
        if let Some(wake) = self.plane.wake_at()
            && self.ticker.misses(wake, now)
        {
            self.start(wake, caller, now);
        }
    }

    /// Moves the timer to the root context in effect, `context`, and stops that of the one before.
    pub(crate) fn move_timer(&mut self, context: u32) {
        let old = self.ticker.context.replace(context);
        self.ticker.run(0, Time::default());
        if let Some(old) = old
            && host::set_effective_context(old).is_ok()
        {
            self.count(host::set_tick_period(0));
            self.count(host::set_effective_context(context));
        }
    }

    /// Sets the timer of the root context in effect.
    pub(crate) fn set_timer(&mut self, period: Option<Period>) {
        if let Some(Period(millis)) = period {
            self.count(host::set_tick_period(millis));
        }
    }

    /// To set the timer again and again to the same moment would keep it from firing.
    fn start(&mut self, wake: Time, caller: Caller, now: Time) {
        let period = period_until(wake, now);
        self.ticker.run(period, now);
        if let Some(root) = self.ticker.context
            && root != caller.root
            && host::set_effective_context(root).is_ok()
        {
            self.count(host::set_tick_period(period));
            self.count(host::set_effective_context(caller.context));
            return;
        }
        // It is the caller's, or its root context is gone, and the caller's takes its place.
        self.ticker.context = Some(caller.root);
        self.count(host::set_tick_period(period));
    }
}

/// Whole milliseconds from `now` until after `wake`, at least one.
fn period_until(wake: Time, now: Time) -> u32 {
    let wait = wake.since(now).min(PERIOD_MAX);
    let millis = (wait.as_secs() * 1_000)
        .saturating_add(u64::from(wait.subsec_nanos().div_ceil(1_000_000)))
        .max(1);
    u32::try_from(millis).unwrap_or(u32::MAX)
}
