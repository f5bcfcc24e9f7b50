//! A part of a body is here: what the fault on it does.
//!
//! Envoy buffers what the filter holds back and shows it with what comes
//! behind. Three of its ways decide what is done here:
//!
//! - Some versions, once they let go of a body on the filter's word, put the next
//!   part into that buffer too, and send an empty one in its place unless the filter holds it
//!   back (by their sources: `Context::encodeData` with `buffering_response_body_` still set; 1.40 was
//!   not seen to do it). So that part is always held, until the next tick at most.
//! - A reset discards what was sent in the same turn of its loop. So a body is cut on a later tick.
//! - Trailers let go of everything, unless they are held back too.

use core::time::Duration;
use std::rc::Rc;

use sloop_model::{ExchangeSide, FaultEnding, Time};

use super::Plane;
use super::exchange::Exchange;
use super::held::Part;
use super::wait::{Place, Wish};
use crate::fault::{BodyFlow, Fresh};

/// What is visible of a body.
#[derive(Clone, Copy, Debug)]
pub struct BodyPart {
    /// The exchange's number at the host.
    pub context: u32,
    /// Whose body it is.
    pub half: ExchangeSide,
    /// How many bytes are visible: those that came, behind those that are held back.
    pub bytes: u64,
    /// Whether nothing comes behind.
    pub is_end: bool,
    /// When it came.
    pub now: Time,
}

/// What to do with what is visible of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyVerdict {
    /// How many of the visible bytes stay, from the first; the others are to be removed.
    pub keep: u64,
    /// The bytes to hand to [`Exchange::corrupt`], if any.
    pub corrupt: Option<Fresh>,
    /// Whether it is held back until [`Plane::release`] names it; else it goes on.
    pub is_held: bool,
}

impl BodyVerdict {
    const fn pass(keep: u64) -> Self {
        Self {
            keep,
            corrupt: None,
            is_held: false,
        }
    }

    const fn hold(keep: u64) -> Self {
        Self {
            keep,
            corrupt: None,
            is_held: true,
        }
    }
}

/// Long enough that what was sent is out, far below what anybody notices.
const BEFORE_CUT: Duration = Duration::from_millis(1);

impl Plane {
    /// Decides about what is visible of a body. Needed only if [`Exchange::spoils`].
    pub fn body(&mut self, exchange: &mut Exchange, part: BodyPart) -> BodyVerdict {
        let BodyPart {
            bytes, half, now, ..
        } = part;
        let policy = Rc::clone(&exchange.policy);
        let Some(fault) = &mut exchange.fault else {
            return BodyVerdict::pass(bytes);
        };
        fault.catch_up();
        let name = policy.faults.name(fault.hit);
        let ends = self.ends((exchange.side, exchange.scope), name, now);
        let fault = exchange.fault.as_mut();
        let body = fault.and_then(|fault| fault.body.as_mut());
        let Some(body) = body.filter(|body| body.half == half) else {
            return BodyVerdict::pass(bytes);
        };
        if body.is_cut {
            // With its end behind it, what waits would end properly.
            return if part.is_end {
                self.cut(exchange, part.place())
            } else {
                BodyVerdict::hold(body.plan.held().min(bytes))
            };
        }
        let is_resumed = core::mem::take(&mut body.is_resumed);
        let step = body.plan.step(bytes, now, ends.unwrap_or(now));
        self.trouble.delays_over_cap += u64::from(step.is_over_cap);
        let verdict = match step.flow {
            BodyFlow::Pass if is_resumed && 0 < step.keep => {
                self.hold_body(exchange, part, (step.keep, now), Part::Flush)
            }
            BodyFlow::Pass => self.pass_body(exchange, step.keep, now),
            BodyFlow::Hold { until } => {
                let what = if is_resumed { Part::Flush } else { Part::Body };
                self.hold_body(exchange, part, (step.keep, until), what)
            }
            // What passes now would end the body properly.
            BodyFlow::PassThenCut if part.is_end => self.cut(exchange, part.place()),
            BodyFlow::PassThenCut if is_resumed => {
                body.is_cut = true;
                self.hold_body(exchange, part, (step.keep, now), Part::FlushThenCut)
            }
            BodyFlow::PassThenCut => {
                let passed = self.pass_body(exchange, step.keep, now);
                self.cut(exchange, part.place());
                passed
            }
            BodyFlow::Cut => self.cut(exchange, part.place()),
        };
        BodyVerdict {
            corrupt: step.corrupt.filter(|_| 0 < verdict.keep),
            ..verdict
        }
    }

    /// Whether the trailers of a body are to be held back with it, until [`Plane::release`] names it.
    pub fn holds_trailers(&mut self, exchange: &mut Exchange, half: ExchangeSide) -> bool {
        let Some(fault) = &mut exchange.fault else {
            return false;
        };
        fault.catch_up();
        let Some(body) = fault.body.as_ref().filter(|body| body.half == half) else {
            return false;
        };
        let holds = body.is_cut || fault.is_waiting();
        if let Some(place) = fault.flushes_last(half) {
            // With them behind it, what waits would end properly.
            self.cut(exchange, place);
        }
        holds
    }

    /// The first `keep` bytes go on.
    fn pass_body(&mut self, exchange: &mut Exchange, keep: u64, now: Time) -> BodyVerdict {
        if let Some(fault) = &mut exchange.fault {
            fault.let_go(&mut self.held, now);
        }
        BodyVerdict::pass(keep)
    }

    /// The first `keep` bytes go on at `due`, if there is room to hold them.
    fn hold_body(
        &mut self,
        exchange: &mut Exchange,
        part: BodyPart,
        (keep, due): (u64, Time),
        what: Part,
    ) -> BodyVerdict {
        let wish = Wish {
            part: what,
            due,
            ending: None,
        };
        let is_held = self.hold(exchange, part.place(), wish);
        let fault = exchange.fault.as_mut();
        if let Some(body) = fault.and_then(|fault| fault.body.as_mut()) {
            body.plan.hold(if is_held { keep } else { 0 });
        }
        BodyVerdict {
            is_held,
            ..BodyVerdict::pass(keep)
        }
    }

    /// Nothing more goes on, and soon the stream is reset.
    fn cut(&mut self, exchange: &mut Exchange, place: Place) -> BodyVerdict {
        let wish = Wish {
            part: Part::Cut,
            due: place.now.after(BEFORE_CUT),
            ending: Some(FaultEnding::Reset),
        };
        self.hold(exchange, place, wish);
        let fault = exchange.fault.as_mut();
        if let Some(body) = fault.and_then(|fault| fault.body.as_mut()) {
            body.is_cut = true;
            body.plan.release();
        }
        BodyVerdict::hold(0)
    }
}

impl BodyPart {
    const fn place(self) -> Place {
        Place {
            context: self.context,
            half: self.half,
            now: self.now,
        }
    }
}

impl Exchange {
    /// Whether a fault spoils the body of this half.
    #[must_use]
    pub fn spoils(&self, half: ExchangeSide) -> bool {
        let body = self.fault.as_ref().and_then(|fault| fault.body.as_ref());
        body.is_some_and(|body| body.half == half)
    }

    /// Changes what [`BodyVerdict::corrupt`] says of a body: `bytes`, of which the first is the body's `at`th.
    pub fn corrupt(&self, bytes: &mut [u8], at: u64) {
        let body = self.fault.as_ref().and_then(|fault| fault.body.as_ref());
        if let Some(body) = body {
            body.plan.corrupt(bytes, at);
        }
    }
}
