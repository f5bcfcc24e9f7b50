//! What is held back as a fault.

use std::cell::Cell;
use std::rc::Rc;

use core::time::Duration;

use sloop_model::{ExchangeSide, FaultEnding, Side, Time};

use super::entry::Policy;
use crate::fault::Hit;
use crate::scope::ScopeId;
use crate::shed::SetAside;
use crate::sorted::SortedMap;

/// Exchanges that wait, by the moment at which they go on. Each waits at one place at a time.
#[derive(Debug, Default)]
pub(super) struct Held {
    by_due: SortedMap<(Time, u32), Box<Hold>>,
}

/// One exchange that waits.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) side: Side,
    pub(super) scope: ScopeId,
    pub(super) policy: Rc<Policy>,
    /// The fault, in the policy.
    pub(super) fault: Hit,
    pub(super) half: ExchangeSide,
    pub(super) part: Part,
    /// When the wait is to be over.
    pub(super) wanted: Time,
    /// How the exchange ends then, instead of going on.
    pub(super) ending: Option<FaultEnding>,
    /// Whether the fault ends before, as far as is known: then it goes on.
    pub(super) is_cut_short: bool,
    pub(super) is_grpc: bool,
    pub(super) state: Rc<Cell<HoldState>>,
    /// Where shedding counts it, that it is not with the service.
    #[expect(dead_code, reason = "it counts until it is dropped")]
    pub(super) aside: Option<SetAside>,
}

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The headers, and all that comes behind them.
    Headers,
    /// A part of the body.
    Body,
    /// A part of the body that the host would lose if it were not held.
    Flush,
    /// As [`Part::Flush`]; what comes behind is [`Part::Cut`].
    FlushThenCut,
    /// What comes behind a body that was cut off.
    Cut,
}

impl Part {
    /// Whether the host must hold it, whatever else it holds.
    const fn must_be_held(self) -> bool {
        match self {
            Self::Headers | Self::Body => false,
            Self::Flush | Self::FlushThenCut | Self::Cut => true,
        }
    }

    /// Whether it stays held when the fault is withdrawn: a gap in a body cannot be closed.
    const fn is_final(self) -> bool {
        match self {
            Self::Headers | Self::Body | Self::Flush => false,
            Self::FlushThenCut | Self::Cut => true,
        }
    }

    /// Whether it comes later than without the fault.
    pub(super) const fn is_delayed(self) -> bool {
        match self {
            Self::Headers | Self::Body | Self::Flush | Self::FlushThenCut => true,
            Self::Cut => false,
        }
    }
}

/// What became of a wait. The [`super::Exchange`] shares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoldState {
    Waiting { due: Time },
    Continued { at: Time },
    Ended,
}

/// What to do with an exchange whose wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Let it go on.
    Continue,
    /// End it.
    End(FaultEnding),
}

/// An exchange whose wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    /// Which one, by its number at the host.
    pub context: u32,
    /// Which half of it waited.
    pub half: ExchangeSide,
    /// What to do with it.
    pub release: Release,
    /// Whether it is a gRPC request.
    pub is_grpc: bool,
}

impl Held {
    /// Held requests keep their memory in Envoy: a thousand are an experiment, more are an outage.
    pub(super) const MAX: usize = 1_024;
    /// What is sent is out by then.
    const AFTER_FLUSH: Duration = Duration::from_millis(1);

    /// Whether no more may be held.
    pub(super) fn is_full(&self) -> bool {
        Self::MAX <= self.by_due.len()
    }

    /// Holds `context` until `due`. False when too many are held already; what must be held is in any case, and
    /// so at most as many as faults touch ([`crate::fault::ActiveTotal::MAX`]).
    pub(super) fn hold(&mut self, context: u32, due: Time, hold: Box<Hold>) -> bool {
        let has_room = !self.is_full() || hold.part.must_be_held();
        if has_room {
            self.by_due.insert((due, context), hold);
        }
        has_room
    }

    /// Forgets a request that ended while it waited.
    pub(super) fn forget(&mut self, key: (Time, u32)) {
        self.by_due.remove(&key);
    }

    /// When the next one goes on.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.by_due.iter().next().map(|((due, _), _)| *due)
    }

    /// Takes those whose wait is over at `now`.
    pub(super) fn release(&mut self, now: Time) -> Vec<Released> {
        let mut released = Vec::new();
        // What is cut off below is due later.
        for ((_, context), hold) in self.by_due.take_before(|(due, _)| now < *due) {
            let (state, release) = match hold.ending.filter(|_| !hold.is_cut_short) {
                None => (HoldState::Continued { at: now }, Release::Continue),
                Some(ending) => (HoldState::Ended, Release::End(ending)),
            };
            released.push(Released {
                context,
                half: hold.half,
                release,
                is_grpc: hold.is_grpc,
            });
            if hold.part == Part::FlushThenCut {
                self.cut(context, now.after(Self::AFTER_FLUSH), hold);
            } else {
                hold.state.set(state);
            }
        }
        released
    }

    /// Resets the stream at `due`.
    fn cut(&mut self, context: u32, due: Time, mut hold: Box<Hold>) {
        hold.state.set(HoldState::Waiting { due });
        (hold.part, hold.wanted) = (Part::Cut, due);
        hold.ending = Some(FaultEnding::Reset);
        self.by_due.insert((due, context), hold);
    }

    /// Learns when the faults end for which it waits: at once, where nothing is said.
    pub(super) fn renew(&mut self, ends: impl Fn(&Hold) -> Option<Time>) {
        for ((_, context), mut hold) in core::mem::take(&mut self.by_due).into_entries() {
            let due = hold.end_by(ends(&hold));
            self.by_due.insert((due, context), hold);
        }
    }
}

impl Hold {
    /// Learns when its fault ends, which is at once where that is not known, and says when it goes on: nothing that was injected outlives it.
    pub(super) fn end_by(&mut self, ends: Option<Time>) -> Time {
        let ends = ends.unwrap_or_default();
        self.is_cut_short = !self.part.is_final() && ends <= self.wanted;
        let due = if self.is_cut_short { ends } else { self.wanted };
        self.state.set(HoldState::Waiting { due });
        due
    }
}
