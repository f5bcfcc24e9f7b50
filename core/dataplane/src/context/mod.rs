//! The runtime context of a request: what its headers say about where it
//! belongs, and what goes on to whoever it goes to.
//!
//! [`Context::read`] takes from a [`Request`] its place in a trace, what the
//! `sloop=` member says ([`Said`]) and its deadline. What this hop decides is
//! then put into [`Context::said`], and the headers that must change come from
//! [`TraceContext::header`], [`Context::tracestate`] and [`Context::write_b3`]:
//! in the ordinary case `traceparent` alone.
//!
//! Parsers here are total: whatever bytes come, they answer, in time that is
//! linear in what they look at, and what they look at is bounded.

mod b3;
mod baggage;
mod deadline;
pub(crate) mod hex;
mod join;
mod member;
mod traceparent;
mod tracestate;

use sloop_model::{
    B3Output, ContextSettings, DeadlineConfig, DeadlineMode, MemberTrust, Mode, Side, TraceOwner,
    WallTime,
};

use crate::headers::Request;
use crate::random::Random;
use b3::B3Writing;
pub use baggage::{Baggage, Word};
pub use deadline::Deadline;
pub use join::{JoinTable, Joined, Remembered, RequestKey};
pub use member::Said;
use traceparent::TRACEPARENT_BYTES;
pub use traceparent::{Incoming, Parent, TraceContext, TraceId};
pub use tracestate::{StateMember, TraceState};

/// Our key in `tracestate`.
const KEY: &[u8] = b"sloop";

/// Where and when a request is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'s> {
    /// What the configuration says.
    pub settings: &'s ContextSettings,
    /// Which way the request goes.
    pub side: Side,
    /// When it came.
    pub wall: WallTime,
}

/// The runtime context of a request.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Its place in a trace.
    pub trace: TraceContext,
    /// What is said about it: at first what its caller said, and then what this hop adds.
    pub said: Said,
    /// The `traceparent` that it came with, if the trace goes on and nothing is behind it.
    parent: Option<&'a [u8; TRACEPARENT_BYTES]>,
    state: TraceState<'a>,
    member: Member<'a>,
    timeliness: Timeliness,
    has_tracestate: bool,
    has_b3: bool,
    /// Whether the caller said without a trace if it is sampled.
    is_decided: bool,
}

/// The member that came in.
#[derive(Clone, Copy, Debug)]
enum Member<'a> {
    Absent,
    /// Of our version, and what it says.
    Ours(&'a [u8], Said),
    /// Of any version, but not believed.
    Discarded,
    /// Of another version: not ours to touch.
    Foreign,
}

/// Whether a request came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeliness {
    /// It did, or nobody said until when.
    InTime,
    /// Its deadline has passed, but deadlines are only carried on: let it pass, and count it.
    LateButPasses,
    /// Its deadline has passed: refuse it, nobody waits for the answer.
    Late,
}

/// What is to be done about a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// Nothing.
    Keep,
    /// Take all of its lines away.
    Remove,
    /// Put what was written in the place of all of its lines.
    Replace,
}

impl<'a> Context<'a> {
    /// Whether `request` says nothing about its trace, so that it is worth to look for what it was joined to.
    #[must_use]
    pub fn may_be_joined(request: &Request<'_>) -> bool {
        request.traceparent == Incoming::Absent && !request.has_b3
    }

    /// Reads the context of `request`. What it was `joined` to counts only if [`Context::may_be_joined`].
    #[must_use]
    pub fn read(
        request: &Request<'a>,
        reading: Reading<'_>,
        joined: Option<&Joined>,
        random: &mut Random,
    ) -> Self {
        let mut context = Self::unread(request);
        context.fill(request, reading, joined, random);
        context
    }

    /// The context of `request` before [`Self::fill`].
    ///
    /// Not inlined: where it is compiled for size it would be filled byte by byte.
    #[inline(never)]
    pub(crate) const fn unread(request: &Request<'a>) -> Self {
        Self {
            trace: TraceContext::UNREAD,
            said: Said::NONE,
            parent: None,
            state: TraceState::EMPTY,
            member: Member::Absent,
            timeliness: Timeliness::InTime,
            has_tracestate: request.has_tracestate,
            has_b3: request.has_b3,
            is_decided: false,
        }
    }

    /// As [`Self::read`], where the context stays: one that was returned would be copied there.
    #[inline(never)]
    pub(crate) fn fill(
        &mut self,
        request: &Request<'a>,
        reading: Reading<'_>,
        joined: Option<&Joined>,
        random: &mut Random,
    ) {
        if request.traceparent == Incoming::Absent && (request.has_b3 || joined.is_some()) {
            self.read_beside(request, reading, joined, random);
        } else {
            self.trace = TraceContext::continue_or_start(request.traceparent, random);
            // Without a parent that could be continued, it belongs to another trace.
            if let Incoming::Once(parent) = request.traceparent
                && !self.trace.is_origin()
            {
                self.parent = parent.try_into().ok();
                if request.has_tracestate {
                    self.read_state(request, reading.settings.member);
                }
            }
        }
        self.read_deadline(request, reading);
    }

    /// As [`Self::fill`], of a request without a `traceparent` whose trace is known otherwise.
    #[inline(never)]
    fn read_beside(
        &mut self,
        request: &Request<'a>,
        reading: Reading<'_>,
        joined: Option<&Joined>,
        random: &mut Random,
    ) {
        self.trace = match joined {
            Some(joined) if !request.has_b3 => {
                self.said = joined.said;
                TraceContext::below_known(joined.parent, random)
            }
            Some(_) | None => {
                let b3 = b3::read(request);
                self.is_decided = b3.is_decided();
                // Anybody may say so, as in the member.
                self.said.keep = b3.is_debug() && reading.settings.member == MemberTrust::Trust;
                b3.context(random)
            }
        };
    }

    // Not inlined, like what else few requests need: what a function might do costs, too.
    #[inline(never)]
    fn read_state(&mut self, request: &Request<'a>, trust: MemberTrust) {
        let Some((state, value)) = TraceState::read(request.tracestate, KEY) else {
            return;
        };
        self.state = state;
        let Some(value) = value else {
            return;
        };
        self.member = match (trust, Said::parse(value)) {
            (MemberTrust::Discard, _) => Member::Discarded,
            (MemberTrust::Trust, None) => Member::Foreign,
            (MemberTrust::Trust, Some(said)) => {
                self.said = said;
                Member::Ours(value, said)
            }
        };
    }

    #[inline]
    fn read_deadline(&mut self, request: &Request<'_>, reading: Reading<'_>) {
        let late = match reading.settings.deadlines {
            DeadlineMode::Ignore => return,
            DeadlineMode::Carry => Timeliness::LateButPasses,
            DeadlineMode::Enforce => Timeliness::Late,
        };
        if self.said.deadline.is_none()
            && request.grpc_timeout.is_empty()
            && request.expected_timeout.is_empty()
        {
            return;
        }
        let known = deadline::of(request, self.said.deadline, reading.side, reading.wall);
        self.said.deadline = known;
        if known.is_some_and(Deadline::has_passed) {
            self.timeliness = late;
        }
    }

    /// Gives `request` the deadline of its scope's `rule`, which is in force: one that it does not say itself, or
    /// that is later. In shadow mode it is only found out whether the request came too late.
    ///
    /// Whatever [`Context::read`] did about deadlines before, the answer is the same.
    #[inline(never)]
    pub fn limit(
        &mut self,
        request: &Request<'_>,
        rule: DeadlineConfig,
        (side, wall): (Side, WallTime),
    ) {
        let said = deadline::of(request, self.said.deadline, side, wall);
        let is_late = said.is_some_and(Deadline::has_passed);
        match rule.mode {
            Mode::Shadow => {
                if is_late && self.timeliness == Timeliness::InTime {
                    self.timeliness = Timeliness::LateButPasses;
                }
            }
            Mode::Enforce => {
                if is_late {
                    self.timeliness = Timeliness::Late;
                }
                let limit = rule.limit_ms.as_millis();
                let left_ms = said.map_or(limit, |said| limit.min(said.left_ms));
                self.said.deadline = Some(Deadline::new(left_ms, wall));
            }
        }
    }

    /// The value for `traceparent` to the service.
    #[must_use]
    #[inline]
    pub fn traceparent(&self) -> [u8; TRACEPARENT_BYTES] {
        match self.parent {
            Some(parent) => self.trace.header_below(parent),
            None => self.trace.header(),
        }
    }

    /// Whether it came in time.
    #[must_use]
    pub const fn timeliness(&self) -> Timeliness {
        self.timeliness
    }

    /// Whether the trace begins here, and it is decided here what is said about its spans.
    #[must_use]
    pub const fn decides(&self) -> bool {
        self.trace.is_origin() && !self.is_decided
    }

    /// What others say in `tracestate`; empty when that is not carried on.
    #[must_use]
    pub const fn state(&self) -> &TraceState<'a> {
        &self.state
    }

    /// What an outbound request that this one causes is joined to, if its `owner` tells the trace's id or anything was
    /// said: where Envoy begins the trace, the id is not known.
    #[must_use]
    pub fn joined(&self, owner: TraceOwner) -> Option<Joined> {
        let is_known = owner == TraceOwner::Sloop || !self.trace.is_origin();
        (is_known || !self.said.is_empty()).then(|| Joined {
            parent: if is_known {
                self.trace.as_parent()
            } else {
                Parent::UNKNOWN
            },
            said: self.said,
        })
    }

    /// Says what is to be done about `tracestate`, and writes to `into` what to put there. `more` are
    /// members of other keys that are to have these values; an empty value leaves a key out.
    ///
    /// What was in `into` before is lost; keep it, and nothing is allocated in the long run.
    #[inline]
    pub fn tracestate(&self, more: &[StateMember<'_>], into: &mut Vec<u8>) -> Rewrite {
        if !self.has_tracestate && self.said.is_empty() && more.is_empty() {
            Rewrite::Keep
        } else {
            self.rewrite(more, into)
        }
    }

    #[inline(never)]
    fn rewrite(&self, more: &[StateMember<'_>], into: &mut Vec<u8>) -> Rewrite {
        into.clear();
        let is_dropped = self.has_tracestate && self.state.is_absent();
        let mut has_changed = is_dropped || !self.state.is_tidy();
        let says_more = self.push_ours(into);
        has_changed |= says_more;
        let mut count = usize::from(!into.is_empty());
        let is_new = |member: &StateMember<'_>| {
            self.state.find(member.key).unwrap_or_default() != member.value
        };
        for member in more.iter().filter(|member| is_new(member)) {
            has_changed = true;
            if !member.value.is_empty() {
                tracestate::push(into, *member);
                count += 1;
            }
        }
        if !has_changed {
            return Rewrite::Keep;
        }
        self.state.append(into, count, |key| {
            (key == KEY && says_more)
                || more
                    .iter()
                    .any(|member| member.key == key && is_new(member))
        });
        match (into.is_empty(), self.has_tracestate) {
            (false, _) => Rewrite::Replace,
            (true, true) => Rewrite::Remove,
            (true, false) => Rewrite::Keep,
        }
    }

    /// Writes our member to `into`, which is empty, if it is not what came in. False if it is.
    fn push_ours(&self, into: &mut Vec<u8>) -> bool {
        let previous: &[u8] = match self.member {
            Member::Foreign => return false,
            Member::Absent if self.said.is_empty() => return false,
            // It stays where it is: only what changed goes to the front.
            Member::Ours(_, said) if self.said == said && !said.is_empty() => return false,
            Member::Absent | Member::Discarded => b"",
            Member::Ours(value, _) => value,
        };
        if !self.said.is_empty() || member::has_unknown(previous) {
            let value = b"";
            tracestate::push(into, StateMember { key: KEY, value });
            self.said.write(previous, into);
            let value = into.strip_prefix(b"sloop=");
            if value == Some(previous) {
                into.clear();
                return false;
            }
        }
        true
    }

    /// Calls `put` for each B3 header that is to be written, or removed if there is no value; none if
    /// `format` is none. What is to be kept is "debug" in B3.
    pub fn write_b3(&self, format: B3Output, put: impl FnMut(&'static str, Option<&[u8]>)) {
        let writing = B3Writing {
            format,
            is_debug: self.said.keep,
            replaces: self.has_b3,
        };
        b3::write(&self.trace, writing, put);
    }
}

#[cfg(test)]
mod tests;
