//! What an exchange keeps of the fault that touches it.

use std::cell::Cell;
use std::rc::Rc;

use core::time::Duration;

use sloop_model::{ExchangeSide, FaultEnding, Time};

use super::Plane;
use super::exchange::{Exchange, ExchangeState};
use super::held::{Held, Hold, HoldState, Part};
use crate::fault::{BodyPlan, Hit};
use crate::shed::Shedder;

/// A fault on an exchange, from the moment at which it was chosen. Most exchanges have none.
#[derive(Debug)]
pub(super) struct UnderFault {
    /// The fault, in the policy of the exchange.
    pub(super) hit: Hit,
    /// Whether it waits for the response.
    pub(super) awaits_response: bool,
    /// Whether a part of the exchange was ever held back.
    pub(super) was_held: bool,
    pub(super) body: Option<Body>,
    pub(super) wait: Option<Wait>,
    /// How long it waited before `wait`.
    pub(super) waited: Duration,
}

/// A body that is to be spoilt.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) half: ExchangeSide,
    pub(super) plan: BodyPlan,
    /// Whether the host let go of it on our word since the last part was shown.
    pub(super) is_resumed: bool,
    /// Whether it ends here, by a reset.
    pub(super) is_cut: bool,
}

/// A part that is held back, or was.
#[derive(Debug)]
pub(super) struct Wait {
    context: u32,
    began: Time,
    part: Part,
    state: Rc<Cell<HoldState>>,
}

/// Which half of which exchange is held back, and since when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) context: u32,
    pub(super) half: ExchangeSide,
    pub(super) now: Time,
}

/// What is to be held back, and what then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) part: Part,
    /// When it goes on, unless the fault ends before.
    pub(super) due: Time,
    pub(super) ending: Option<FaultEnding>,
}

impl UnderFault {
    pub(super) const fn new(hit: Hit) -> Self {
        Self {
            hit,
            awaits_response: false,
            was_held: false,
            body: None,
            wait: None,
            waited: Duration::ZERO,
        }
    }

    /// Whether the exchange was ended when a wait was over.
    pub(super) fn has_ended(&self) -> bool {
        let state = self.wait.as_ref().map(|wait| wait.state.get());
        state == Some(HoldState::Ended)
    }

    /// Whether something is being held back.
    pub(super) fn is_waiting(&self) -> bool {
        let state = self.wait.as_ref().map(|wait| wait.state.get());
        matches!(state, Some(HoldState::Waiting { .. }))
    }

    /// Where a part of a body is held back behind which it is cut, and until when.
    pub(super) fn flushes_last(&self, half: ExchangeSide) -> Option<Place> {
        let wait = self.wait.as_ref()?;
        match (wait.part, wait.state.get()) {
            (Part::FlushThenCut, HoldState::Waiting { due }) => Some(Place {
                context: wait.context,
                half,
                now: due,
            }),
            _ => None,
        }
    }

    /// Learns that what was held back went on, if it did.
    pub(super) fn catch_up(&mut self) {
        let Some(wait) = &self.wait else {
            return;
        };
        let HoldState::Continued { at } = wait.state.get() else {
            return;
        };
        self.waited += at.since(wait.began);
        if let (Part::Body | Part::Flush, Some(body)) = (wait.part, &mut self.body) {
            body.plan.release();
            body.is_resumed = true;
        }
        self.wait = None;
    }

    /// Lets go, at `now`, of what is held back: the host is told by other means.
    pub(super) fn let_go(&mut self, held: &mut Held, now: Time) {
        if let Some(wait) = self.wait.take() {
            wait.forget(held);
            self.waited += now.since(wait.began);
        }
    }
}

impl Wait {
    fn forget(&self, held: &mut Held) {
        if let HoldState::Waiting { due } = self.state.get() {
            held.forget((due, self.context));
        }
    }
}

impl Plane {
    /// Holds a part of an exchange back. False when too much is held already.
    pub(super) fn hold(&mut self, exchange: &mut Exchange, place: Place, wish: Wish) -> bool {
        let exchange: &mut ExchangeState = exchange;
        let whose = (exchange.side, exchange.scope);
        let aside = exchange.shed_ticket.as_ref().and_then(|_| {
            let entry = self.side(exchange.side).entry(exchange.scope)?;
            entry.shedder.as_deref().map(Shedder::set_aside)
        });
        let Some(fault) = &mut exchange.fault else {
            return false;
        };
        let Place { context, half, now } = place;
        let Wish { part, due, ending } = wish;
        let ends = self.ends(whose, exchange.policy.faults.name(fault.hit), now);
        // What is held for longer waits since it began to.
        let began = match fault.wait.take() {
            Some(wait) => {
                wait.forget(&mut self.held);
                wait.began
            }
            None => now,
        };
        let state = Rc::new(Cell::new(HoldState::Waiting { due }));
        let mut hold = Box::new(Hold {
            side: exchange.side,
            scope: exchange.scope,
            policy: Rc::clone(&exchange.policy),
            fault: fault.hit,
            half,
            part,
            wanted: due,
            ending,
            is_cut_short: false,
            is_grpc: exchange.is_grpc,
            state: Rc::clone(&state),
            aside,
        });
        let due = hold.end_by(ends);
        if !self.held.hold(context, due, hold) {
            self.trouble.delays_over_cap += 1;
            fault.waited += now.since(began);
            return false;
        }
        fault.was_held |= part.is_delayed();
        fault.wait = Some(Wait {
            context,
            began,
            part,
            state,
        });
        true
    }

    /// Lets what is held back wait for as long as its fault is in force: it may have been renewed, or be no more.
    pub(super) fn renew_held(&mut self, now: Time) {
        let mut held = core::mem::take(&mut self.held);
        held.renew(|hold| {
            let name = hold.policy.faults.name(hold.fault);
            self.ends((hold.side, hold.scope), name, now)
        });
        self.held = held;
    }

    /// Forgets that an exchange waits, and says how long it did in all.
    pub(super) fn settle(&mut self, exchange: &mut Exchange, now: Time) -> Duration {
        let Some(fault) = &mut exchange.fault else {
            return Duration::ZERO;
        };
        fault.catch_up();
        if let Some(wait) = &fault.wait {
            wait.forget(&mut self.held);
            return fault.waited + now.since(wait.began);
        }
        fault.waited
    }
}
