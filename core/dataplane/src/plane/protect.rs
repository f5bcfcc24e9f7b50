//! Deny rules, retry budgets, breakers and shedding, as a request meets them.

use sloop_model::{BreakerMode, Time};

use super::Plane;
use super::exchange::{Arrival, Decided, Exchange, HeaderWrite, Verdict};
use super::guard::Admission;
use crate::context::Context;
use crate::deny::{Asked, DenyIndex, Refusal};
use crate::retry::{Allowance, NO_RETRIES, RetryAdmit, RetryBudget, Strain};
use crate::shed::{self, ShedAdmit, Shedder};
use crate::sli;
use crate::span::Reasons;
use sloop_model::Side;

/// What the breaker says.
#[derive(Debug)]
pub(super) enum Guarded {
    /// It passes.
    Passes,
    /// It passes to find out how the service is: who sheds it finds out nothing.
    Probes,
    /// It does not pass.
    Refused(Verdict),
}

impl Plane {
    /// The deny rule that refused a request, for logs; none when the rules changed since.
    #[must_use]
    pub fn denied_by(&self, side: Side, rule: DenyIndex) -> Option<&str> {
        match side {
            Side::Server => self.server.deny.id(rule),
            Side::Client => self.client.deny.id(rule),
        }
    }

    /// Asks the deny rules.
    pub(super) fn deny(
        &mut self,
        exchange: &mut Exchange,
        arrival: &Arrival<'_>,
        caller: &[u8],
    ) -> Option<Verdict> {
        let state = self.side(exchange.side);
        if state.deny.is_empty() || exchange.policy.is_spared {
            return None;
        }
        let asked = Asked {
            request: arrival.request,
            scope: exchange.scope,
            caller,
        };
        let denial = state.ask_deny(asked, arrival.now)?;
        exchange.shadows.denied = denial.shadow_refused;
        let Refusal { rule, status } = denial.refused?;
        exchange.decided = Decided::Blocked;
        Some(Verdict::Block { status, rule })
    }

    /// Asks the retry budget about a request that came in. First attempts pass, and add to it.
    pub(super) fn retry(
        &mut self,
        exchange: &mut Exchange,
        arrival: &Arrival<'_>,
    ) -> Option<Verdict> {
        if !exchange.policy.bounds_retries || exchange.side == Side::Client {
            return None;
        }
        let (budget, strain) = self.retry_budget(exchange, arrival.now)?;
        if sli::attempt(arrival.request).is_none_or(|attempt| attempt <= 1) {
            budget.first();
            return None;
        }
        exchange.retries = 1;
        match budget.admit(strain, arrival.now) {
            RetryAdmit::Pass => exchange.is_judged_retry = true,
            RetryAdmit::Shadow => {
                exchange.is_judged_retry = true;
                exchange.shadows.retry = true;
                exchange.reasons = exchange.reasons.and(Reasons::SHED);
            }
            RetryAdmit::Refuse => {
                exchange.decided = Decided::RetryRefused;
                exchange.reasons = exchange.reasons.and(Reasons::SHED);
                return Some(Verdict::RefuseRetry);
            }
        }
        None
    }

    /// Asks the retry budget about a request that goes out: whether there may be retries of it.
    pub(super) fn bound(
        &mut self,
        exchange: &mut Exchange,
        now: Time,
        write: &mut dyn FnMut(HeaderWrite<'_>),
    ) {
        if exchange.side == Side::Client
            && let Some((budget, strain)) = self.retry_budget(exchange, now)
        {
            exchange.allowance = budget.allow(strain, now);
            if exchange.allowance == Allowance::None {
                let (name, value) = NO_RETRIES;
                write(HeaderWrite::Set(name, value));
            }
        }
    }

    /// The retry budget of a request's scope, unless it has expired, and whether the scope sheds.
    fn retry_budget(
        &mut self,
        exchange: &Exchange,
        now: Time,
    ) -> Option<(&mut RetryBudget, Strain)> {
        let wall = self.clock.wall(now);
        let entry = self.side(exchange.side).entry(exchange.scope)?;
        if entry.retries.as_ref()?.has_expired(wall) {
            entry.retries = None;
        }
        let strain = if entry.shedder.as_deref().is_some_and(Shedder::sheds) {
            Strain::Sheds
        } else {
            Strain::None
        };
        Some((entry.retries.as_deref_mut()?, strain))
    }

    /// Asks the breaker.
    pub(super) fn guard(&mut self, exchange: &mut Exchange, now: Time) -> Guarded {
        let state = match exchange.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        let Some(entry) = state.entry(exchange.scope) else {
            return Guarded::Passes;
        };
        if !entry.guard.is_wanted() {
            return Guarded::Passes;
        }
        let admission = entry.guard.admit(&mut self.random, now, &self.clock);
        if entry.guard.has_changed() {
            self.has_planned |= entry.changed(&mut self.outbox, now);
        }
        self.has_planned |= self.sharing.has_news(now);
        match admission {
            Admission::Pass(ticket) => exchange.ticket = ticket,
            Admission::Probe(ticket, mode) => {
                exchange.ticket = Some(ticket);
                exchange.was_heard = false;
                self.probes += 1;
                exchange.reasons = exchange.reasons.and(Reasons::BREAKER);
                if mode == BreakerMode::Enforce {
                    return Guarded::Probes;
                }
            }
            Admission::Shadow => {
                exchange.shadows.breaker = true;
                exchange.reasons = exchange.reasons.and(Reasons::BREAKER);
            }
            Admission::Refuse { retry_at } => {
                exchange.decided = Decided::Refused;
                exchange.reasons = exchange.reasons.and(Reasons::BREAKER);
                let wait = retry_at.since(now);
                let whole = wait.as_secs() + u64::from(0 < wait.subsec_nanos());
                return Guarded::Refused(Verdict::Refuse {
                    retry_after_seconds: whole.max(1),
                });
            }
        }
        Guarded::Passes
    }

    /// Asks the shedder.
    pub(super) fn shed(
        &mut self,
        exchange: &mut Exchange,
        context: &Context<'_>,
        now: Time,
    ) -> Option<Verdict> {
        let entry = self.side(exchange.side).entry(exchange.scope)?;
        let shedder = entry.shedder.as_mut()?;
        if shedder.has_expired() {
            return None;
        }
        let class = context.said.criticality.unwrap_or_default();
        match shedder.admit(class, shed::draw(context.trace.id()), now) {
            ShedAdmit::Pass(ticket) => {
                if ticket.would_shed() {
                    exchange.reasons = exchange.reasons.and(Reasons::SHED);
                }
                exchange.shed_ticket = Some(ticket);
                None
            }
            ShedAdmit::Shed => {
                exchange.decided = Decided::Shed;
                exchange.reasons = exchange.reasons.and(Reasons::SHED);
                Some(Verdict::Shed)
            }
        }
    }
}
