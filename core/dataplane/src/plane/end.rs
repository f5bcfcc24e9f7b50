//! A request is over: what is counted, and who learns from it.

use std::rc::Rc;

use core::time::Duration;

use sloop_model::{Dimension, Ended, Flags, Judgement, Outcome, OwnVerdict, Side, Time};

use super::Plane;
use super::entry::Entry;
use super::exchange::{Decided, Ending, Exchange, ExchangeState};
use super::guard::Relief;
use super::proof;
use super::spans::Kept;
use crate::retry::{Allowance, Tried};
use crate::shed::ShedEnding;
use crate::sli::{self, Judged, Place};
use crate::span::{EndedSpan, Reasons};

impl Plane {
    /// Counts how a request ended, and lets breaker and shedder learn from it. What is returned is a span
    /// that is to be kept: hand it to [`Plane::keep`] with the request's headers.
    #[inline(never)]
    pub fn end(&mut self, mut exchange: Exchange, ending: Ending, now: Time) -> Option<Kept> {
        let verdict = exchange.verdict();
        let is_held = exchange.is_held();
        let waited = self.settle(&mut exchange, now);
        let ended = Ended {
            verdict,
            status: ending.status,
            flags: ending.flags,
            grpc: ending.grpc.filter(|_| exchange.is_grpc),
        };
        let state = match exchange.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        let counts_attempts = state.counts_attempts();
        let entry = state.entry(exchange.scope)?;
        entry.in_flight = entry.in_flight.saturating_sub(1);
        // What a budget alone wanted to know where requests go out is not all that there were.
        let retries = match exchange.side {
            Side::Client if !counts_attempts => 0,
            Side::Server | Side::Client => exchange.retries,
        };
        let until = asked_until(&ended, exchange.began, now);
        let latency_us = until.micros_since(exchange.began);
        let request = sli::Request {
            objectives: &exchange.policy.objectives,
            about: exchange.about,
            ended: &ended,
            latency_us,
            place: Place::Rows(&exchange.slots),
            is_in_force: Rc::ptr_eq(&entry.policy, &exchange.policy),
        };
        let judged = entry.counts.add(request);
        entry.counts.retries += u64::from(retries);
        count_verdict(entry, &exchange, verdict, judged.is_good);
        if !exchange.choice.is_untouched() {
            let request = sli::Request {
                place: Place::Cells(judged.cells.of(Dimension::Caller)),
                is_in_force: false,
                ..request
            };
            for arm in exchange.policy.faults.counted(exchange.choice) {
                let is_counted = entry.arms.add(arm, request, retries);
                self.trouble.arms_over_cap += u64::from(!is_counted);
            }
        }
        if let Some(key) = exchange.touched {
            entry.active.end(key, &mut self.active);
        }
        // The waits were ours: they say nothing about the service.
        let own = until.since(exchange.began.after(waited));
        let is_news = exchange.ticket.is_some();
        let seen = Seen {
            ended: &ended,
            outcome: proved(judged.outcome, &ended, is_held),
            own,
            now,
        };
        teach(entry, &mut exchange, judged, &seen, &mut self.probes);
        if is_news {
            // The others are told although no other request may come.
            self.has_planned |= self.sharing.has_news(now);
        }
        if entry.guard.has_changed() {
            self.has_planned |= entry.changed(&mut self.outbox, now);
        }
        if judged.is_bad {
            self.has_planned |= self.outbox.stir(now);
        }
        let kept = self.kept(&exchange, ended, judged, now);
        self.spare(exchange);
        kept
    }

    /// Keeps the memory of a request that is over for another one.
    fn spare(&mut self, exchange: Exchange) {
        if self.spare.len() < Self::SPARE_MAX {
            self.spare.push(exchange);
        }
    }

    /// Requests whose memory is kept: more are seldom under way at a time in one worker, and these take 64 KiB.
    const SPARE_MAX: usize = 256;

    /// Forgets, at `now`, a request that is gone without an end. Nothing is learnt from it, but what it was permitted is
    /// given back.
    pub fn abandon(&mut self, mut exchange: Exchange, now: Time) {
        self.trouble.ends_unseen += 1;
        let began = exchange.began;
        self.settle(&mut exchange, began);
        let state = match exchange.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        if let Some(entry) = state.entry(exchange.scope) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
            if let Some(key) = exchange.touched {
                entry.active.end(key, &mut self.active);
            }
            if exchange.is_probe() {
                self.probes = self.probes.saturating_sub(1);
            }
            if let Some(ticket) = exchange.ticket.take() {
                let no_evidence = (Outcome::ClientCancel, Duration::ZERO);
                let relief = Relief::None;
                entry.guard.record(ticket, no_evidence, relief, now);
            }
            if let (Some(shedder), Some(ticket)) = (&mut entry.shedder, exchange.shed_ticket.take())
            {
                shedder.forget(ticket);
            }
            if let Some(budget) = &mut entry.retries {
                budget.settle(exchange.allowance, 0, began);
            }
        }
    }

    /// The span of the request, if it is to be kept.
    fn kept(
        &mut self,
        exchange: &Exchange,
        ended: Ended,
        judged: Judged,
        now: Time,
    ) -> Option<Kept> {
        let draft = exchange.span.as_ref()?;
        let missed = if judged.is_bad {
            Reasons::OBJECTIVE
        } else {
            Reasons::NONE
        };
        let reasons = exchange.reasons.and(missed);
        let spans = match exchange.side {
            Side::Server => &mut self.server.spans,
            Side::Client => &mut self.client.spans,
        };
        if !spans.as_mut()?.wants(draft, reasons) {
            return None;
        }
        let span = EndedSpan {
            draft: *draft,
            reasons,
            began: exchange.began,
            ended: now,
            ended_unix_nanos: self.clock.unix_nanos(now),
            status: ended.status,
            is_grpc: exchange.is_grpc,
            grpc: ended.grpc,
            outcome: judged.outcome,
            verdict: ended.verdict,
        };
        Some(Kept {
            side: exchange.side,
            scope: exchange.scope,
            span,
        })
    }
}

/// What an outcome proves. Envoy's timers do not wait for what a fault holds back, and so say nothing of the service.
fn proved(outcome: Outcome, ended: &Ended, is_held: bool) -> Outcome {
    let is_timer = outcome == Outcome::Timeout || matches!(ended.status, Some(408 | 504));
    if is_held && is_timer {
        Outcome::Faulted
    } else {
        outcome
    }
}

/// Until when the service might have answered. What its client did not finish took no time.
fn asked_until(ended: &Ended, began: Time, now: Time) -> Time {
    if ended.is_unfinished() { began } else { now }
}

/// Counts what the filter did to the request, or would have done.
fn count_verdict(entry: &mut Entry, exchange: &Exchange, verdict: OwnVerdict, is_good: bool) {
    match &exchange.decided {
        Decided::Refused => entry.guard.count_refused(),
        Decided::RetryRefused => entry.retries_refused += 1,
        Decided::Ended | Decided::Passed | Decided::Shed | Decided::Blocked | Decided::Late => {}
    }
    if let Some(fault) = &exchange.fault {
        entry.counts.delayed += u64::from(fault.was_held);
        entry.counts.aborted += u64::from(verdict == OwnVerdict::Faulted);
    }
    if exchange.shadows.breaker {
        entry.guard.count_shadow_refused(is_good);
    }
    if exchange.shadows.denied {
        entry.shadow_denied += 1;
        entry.shadow_denied_good += u64::from(is_good);
    }
    if exchange.shadows.retry {
        entry.shadow_retries_refused += 1;
        entry.shadow_retries_refused_good += u64::from(is_good);
    }
}

/// What breaker and shedder learn from.
pub(super) struct Seen<'a> {
    pub(super) ended: &'a Ended,
    pub(super) outcome: Outcome,
    /// How long it took, without what was our own.
    pub(super) own: Duration,
    pub(super) now: Time,
}

/// Lets breaker, shedder and retry budget learn from the request.
fn teach(
    entry: &mut Entry,
    exchange: &mut Exchange,
    judged: Judged,
    seen: &Seen<'_>,
    probes: &mut u32,
) {
    let Judged {
        outcome,
        is_good,
        is_bad_for_all,
        ..
    } = judged;
    if exchange.is_judged_retry
        && exchange.fault.is_none()
        && let Some(budget) = &mut entry.retries
        && budget.learns_from(exchange.began)
    {
        // Who went away before the answer had no use of it, nor has who got another failure, whatever objectives
        // call bad. Those about some requests only have no say: the budget is everybody's. What was answered here says
        // nothing, nor what a fault made of it.
        let is_left = outcome == Outcome::ClientCancel;
        if is_left || outcome.is_evidence() {
            budget.learn(is_left || is_bad_for_all || !outcome.is_served());
        }
    }
    if exchange.side == Side::Client && exchange.policy.bounds_retries {
        settle(entry, exchange, seen.ended, judged);
    }
    let said = prove(entry, exchange, seen, probes);
    if let (Some(shedder), Some(ticket)) = (&mut entry.shedder, exchange.shed_ticket.take()) {
        let ending = ShedEnding {
            outcome: proof::of(seen.outcome, shedder.judge(), said),
            latency: seen.own,
            is_good,
        };
        shedder.record(ticket, ending, seen.now);
    }
}

/// Lets the breaker learn from the request, once, and returns what objectives say about it.
pub(super) fn prove(
    entry: &mut Entry,
    exchange: &mut ExchangeState,
    seen: &Seen<'_>,
    probes: &mut u32,
) -> Option<Judgement> {
    let &Seen {
        ended,
        outcome,
        own,
        now,
    } = seen;
    let policy = &exchange.policy;
    let said = policy
        .has_guards
        .then(|| proof::said(exchange.about.of(&policy.objectives), ended, outcome, own));
    *probes = probes.saturating_sub(u32::from(exchange.is_probe()));
    if let Some(ticket) = exchange.ticket.take() {
        // What was shed after the breaker had let it pass proves nothing, and gives its permission back.
        let relief = entry.relief(own);
        let outcome = proof::of(outcome, entry.guard.judge(), said);
        entry.guard.record(ticket, (outcome, own), relief, now);
    }
    said
}

/// Lets the retry budget learn what came of a request that went out, and counts what it did.
fn settle(entry: &mut Entry, exchange: &Exchange, ended: &Ended, judged: Judged) {
    let retries = exchange.retries;
    let wants_more = ended.flags.intersects(Flags::RETRIED_OUT);
    // As inbound: objectives about some requests only have no say.
    let is_good = judged.outcome.is_served() && !judged.is_bad_for_all;
    match exchange.allowance {
        Allowance::None => entry.retries_refused += u64::from(wants_more),
        Allowance::Shadow if 0 < retries => {
            entry.shadow_retries_refused += 1;
            entry.shadow_retries_refused_good += u64::from(is_good);
        }
        Allowance::Free | Allowance::Taken(_) | Allowance::Shadow => {}
    }
    let Some(budget) = &mut entry.retries else {
        return;
    };
    budget.settle(exchange.allowance, retries, exchange.began);
    let is_left = judged.outcome == Outcome::ClientCancel;
    let is_known = exchange.fault.is_none() && budget.learns_from(exchange.began);
    if is_known && (is_left || judged.outcome.is_evidence()) {
        budget.learn_tried(Tried {
            retries,
            wants_more,
            is_good,
        });
    }
}

/// An own answer says nothing about the service, so neither breaker nor shedder learns from it.
const _: () = assert!(!Outcome::Shed.is_evidence() && !Outcome::Blocked.is_evidence());
