//! One request and its response, from beginning to end.

use core::ops::{Deref, DerefMut};
use std::rc::Rc;

use sloop_model::{ExperimentKey, FaultEnding, Flags, OwnVerdict, Side, Time};

use super::entry::Policy;
use super::wait::UnderFault;
use crate::breaker::Ticket;
use crate::context::Joined;
use crate::deny::DenyIndex;
use crate::fault::Choice;
use crate::headers::Request;
use crate::retry::Allowance;
use crate::scope::ScopeId;
use crate::shed::ShedTicket;
use crate::sli::{About, Slots};
use crate::span::{Reasons, SpanDraft};

/// What is known of a request when its headers are here.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its headers.
    pub request: &'a Request<'a>,
    /// Its number at the host, to find it again when it is held back.
    pub context: u32,
    /// What it is joined to, if its own headers do not say ([`super::Plane::joins`]).
    pub joined: Option<&'a Joined>,
    /// When it came.
    pub now: Time,
}

/// A header that is to be written, in place of all lines of its name, or to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderWrite<'a> {
    /// This value under this name.
    Set(&'a str, &'a [u8]),
    /// No line of this name.
    Remove(&'a str),
}

/// What the host says when a request is over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending {
    /// The HTTP status that the client was sent.
    pub status: Option<u16>,
    /// Envoy's flags.
    pub flags: Flags,
    /// The gRPC status that was answered; none when the answer was no gRPC. Looked at only when the request was gRPC.
    pub grpc: Option<u8>,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it pass.
    Pass,
    /// Hold it back until [`super::Plane::release`] names it.
    Hold,
    /// Answer it: the breaker is open.
    Refuse {
        /// When to try again, in whole seconds from now, at least 1.
        retry_after_seconds: u64,
    },
    /// Answer it: it is shed.
    Shed,
    /// Answer it: it is a retry, and retries do not help.
    RefuseRetry,
    /// Answer it: a deny rule refuses it.
    Block {
        /// 400 to 599.
        status: u16,
        /// Which rule, for [`super::Plane::denied_by`].
        rule: DenyIndex,
    },
    /// Answer it: its deadline has passed, nobody waits for it.
    Late,
    /// End it as a fault.
    End(FaultEnding),
}

/// A request that is under way. Hand it back to [`super::Plane::end`], or to [`super::Plane::abandon`].
///
/// It is handed around several times, so what is known of it stays where it is. The memory is used again.
#[derive(Debug)]
#[must_use = "hand it back to `Plane::end`"]
pub struct Exchange {
    pub(super) state: Box<ExchangeState>,
}

/// What is known of a request that is under way.
#[derive(Debug)]
pub struct ExchangeState {
    pub(super) side: Side,
    pub(super) scope: ScopeId,
    pub(super) policy: Rc<Policy>,
    /// Which of the policy's objectives it is about.
    pub(super) about: About,
    /// Where it counts besides its scope, and how many attempts beyond the first it stands for.
    pub(super) slots: Slots,
    pub(super) retries: u32,
    /// Whether a retry budget learns what comes of it.
    pub(super) is_judged_retry: bool,
    /// What a retry budget allowed for, where it goes out.
    pub(super) allowance: Allowance,
    pub(super) began: Time,
    pub(super) is_grpc: bool,
    /// Of a probe, whether a part of its answer was heard.
    pub(super) was_heard: bool,
    pub(super) ticket: Option<Ticket>,
    pub(super) shed_ticket: Option<ShedTicket>,
    pub(super) shadows: Shadows,
    pub(super) choice: Choice,
    /// The experiment whose fault touches it.
    pub(super) touched: Option<ExperimentKey>,
    /// The fault, and what became of it.
    pub(super) fault: Option<Box<UnderFault>>,
    pub(super) span: Option<SpanDraft>,
    pub(super) reasons: Reasons,
    pub(super) decided: Decided,
}

impl ExchangeState {
    /// Whether a fault holds a part of it back.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.is_waiting())
    }

    /// A request of `scope` that passes, judged by `policy`.
    pub(super) fn new(
        side: Side,
        scope: ScopeId,
        policy: &Rc<Policy>,
        arrival: &Arrival<'_>,
    ) -> Self {
        Self {
            side,
            scope,
            policy: Rc::clone(policy),
            about: policy.about,
            slots: Slots::default(),
            retries: 0,
            is_judged_retry: false,
            allowance: Allowance::Free,
            began: arrival.now,
            is_grpc: arrival.request.is_grpc,
            was_heard: false,
            ticket: None,
            shed_ticket: None,
            shadows: Shadows::default(),
            choice: Choice::default(),
            touched: None,
            fault: None,
            span: None,
            reasons: Reasons::NONE,
            decided: Decided::Passed,
        }
    }

    /// As [`Self::new`], in the memory of a request that is over. Field by field: most of what was there is
    /// left as it is, where a whole one would be made elsewhere first and then be copied.
    pub(super) fn renew(
        &mut self,
        new_side: Side,
        new_scope: ScopeId,
        new_policy: &Rc<Policy>,
        arrival: &Arrival<'_>,
    ) {
        let Self {
            side,
            scope,
            policy,
            about,
            slots,
            retries,
            is_judged_retry,
            allowance,
            began,
            is_grpc,
            // Written and read for probes alone.
            was_heard: _,
            ticket,
            shed_ticket,
            shadows,
            choice,
            touched,
            fault,
            span,
            reasons,
            decided,
        } = self;
        (*side, *scope) = (new_side, new_scope);
        if !Rc::ptr_eq(policy, new_policy) {
            *policy = Rc::clone(new_policy);
        }
        *about = policy.about;
        *slots = Slots::default();
        (*retries, *is_judged_retry) = (0, false);
        *allowance = Allowance::Free;
        *began = arrival.now;
        *is_grpc = arrival.request.is_grpc;
        (*ticket, *shed_ticket) = (None, None);
        *shadows = Shadows::default();
        *choice = Choice::default();
        (*touched, *fault, *span) = (None, None, None);
        *reasons = Reasons::NONE;
        *decided = Decided::Passed;
    }
}

/// Which rules would have refused it, without their shadow mode.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shadows {
    pub(super) breaker: bool,
    pub(super) denied: bool,
    pub(super) retry: bool,
}

#[derive(Debug)]
pub(super) enum Decided {
    Passed,
    Refused,
    Shed,
    RetryRefused,
    Blocked,
    Late,
    Ended,
}

impl Deref for Exchange {
    type Target = ExchangeState;

    fn deref(&self) -> &ExchangeState {
        &self.state
    }
}

impl DerefMut for Exchange {
    fn deref_mut(&mut self) -> &mut ExchangeState {
        &mut self.state
    }
}

impl Exchange {
    /// Whether the request was gRPC.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.is_grpc
    }

    /// Whether a fault waits for its response.
    #[must_use]
    pub fn awaits_response(&self) -> bool {
        let fault = self.fault.as_ref();
        fault.is_some_and(|fault| fault.awaits_response)
    }

    /// What the filter did to it.
    #[must_use]
    #[inline]
    pub fn verdict(&self) -> OwnVerdict {
        match &self.decided {
            Decided::Passed if self.has_ended() => OwnVerdict::Faulted,
            Decided::Passed => OwnVerdict::Passed,
            Decided::Refused => OwnVerdict::Refused,
            Decided::Shed | Decided::RetryRefused => OwnVerdict::Shed,
            Decided::Blocked => OwnVerdict::Blocked,
            Decided::Late => OwnVerdict::DeadlinePassed,
            Decided::Ended => OwnVerdict::Faulted,
        }
    }

    /// Whether a fault ended it after a wait.
    fn has_ended(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.has_ended())
    }
}
