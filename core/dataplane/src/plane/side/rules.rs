//! What a side has besides its scopes' own rules: deny rules, spans, and what is heard from others.

use sloop_model::{DeadlineMode, DenyRule, FilterConfig, Scope, ScopeConfig, Time};

use super::super::clock::Clock;
use super::super::entry::Adopting;
use super::SideState;
use crate::breaker::board::{Heard, Line};
use crate::deny::{Asked, Denial};
use crate::headers::HeaderMap;
use crate::report::{DenyDelta, Trouble};
use crate::scope::ScopeId;
use crate::shed::FleetReading;
use crate::span::{self, EndedSpan, Spans};

/// Whether anything in `config` goes by the wall clock: it expires by itself, says what is late, or remembers for a while.
pub(super) fn expires(config: &FilterConfig) -> bool {
    let of_scope = |scope: &ScopeConfig| {
        let breaker = scope.breaker.as_ref().and_then(|one| one.expires_at_ms);
        let shed = scope.shed.as_ref().and_then(|one| one.expires_at_ms);
        let retries = scope.retries.and_then(|one| one.expires_at_ms);
        let lease = breaker.or(shed).or(retries);
        !scope.deny.is_empty()
            || !scope.faults.is_empty()
            || scope.deadline.is_some()
            || lease.is_some()
    };
    let context = &config.trace.context;
    !config.deny.is_empty()
        || context.deadlines != DeadlineMode::Ignore
        || context.join.is_some()
        || config.scopes.iter().any(of_scope)
}

impl SideState {
    /// Without spans in the configuration, those that wait go, and count as dropped.
    pub(super) fn adopt_spans(&mut self, config: &FilterConfig, trouble: &mut Trouble) {
        match (&config.spans, &mut self.spans) {
            (None, spans) => {
                if let Some(spans) = spans.take() {
                    trouble.count_spans(spans.into_counts());
                }
            }
            (Some(settings), Some(spans)) => spans.configure(&config.service, settings),
            (Some(settings), None) => {
                let spans = Spans::new(self.side, &config.service, settings);
                self.spans = Some(Box::new(spans));
            }
        }
    }

    pub(super) fn adopt_deny(
        &mut self,
        rules: &[DenyRule],
        scope: Option<ScopeId>,
        adopting: Adopting,
    ) {
        let Adopting { now, clock, .. } = adopting;
        for rule in rules {
            // The configuration was checked to have no more than there is room for.
            self.deny
                .push(rule, scope, clock.time(rule.expires_at(), now));
        }
    }

    /// Works out again when what is in force expires: the wall clock was set.
    pub(in crate::plane) fn reckon(&mut self, now: Time, clock: &Clock) {
        self.deny.reckon(|until| clock.time(until, now));
        for entry in self.entries.iter_mut().flatten() {
            entry.reckon(now, clock);
        }
    }

    /// What the deny rules say about a request; none when its scope is gone.
    pub(in crate::plane) fn ask_deny(&mut self, asked: Asked<'_>, now: Time) -> Option<Denial> {
        let at = usize::try_from(asked.scope.0).ok()?;
        let entry = self.entries.get_mut(at)?.as_mut()?;
        Some(self.deny.decide(asked, &mut entry.deny_budget, now))
    }

    /// Takes what the deny rules did, those that are no more included.
    pub(in crate::plane) fn denials(&mut self) -> Vec<DenyDelta> {
        self.take_denials();
        let side = self.side;
        let taken = core::mem::take(&mut self.denied).into_iter();
        taken
            .map(|(id, counts)| DenyDelta { side, id, counts })
            .collect()
    }

    /// Sets aside what the deny rules did. Bounded: there are few rules, and what has the same id adds up.
    pub(super) fn take_denials(&mut self) {
        for (id, counts) in self.deny.take_counts() {
            if let Some((_, all)) = self.denied.iter_mut().find(|(known, _)| *known == id) {
                all.add(counts);
            } else if self.denied.len() < 2 * DenyRule::MAX {
                self.denied.push((id, counts));
            }
        }
    }

    /// Keeps the span of a request that is over.
    pub(in crate::plane) fn keep_span(
        &mut self,
        scope: ScopeId,
        span: &EndedSpan,
        headers: HeaderMap<'_>,
        protocol: &[u8],
    ) {
        let at = usize::try_from(scope.0).unwrap_or(usize::MAX);
        if let (Some(Some(entry)), Some(spans)) = (self.entries.get(at), &mut self.spans) {
            let seen = span::Seen {
                headers,
                protocol,
                service: &entry.service,
                route: &entry.route,
            };
            spans.keep(span, &seen);
        }
    }

    /// Gives what the other workers told, sorted by scope, to the breakers. Whether one changed its state.
    pub(in crate::plane) fn hear(&mut self, heard: &[Heard], now: Time) -> bool {
        let mut has_changed = false;
        for entry in self.entries.iter_mut().flatten() {
            let key = entry.key(self.side);
            let Some(breaker) = entry.guard.shared() else {
                continue;
            };
            let at = heard.binary_search_by_key(&key, |heard| heard.scope);
            if let Some(heard) = at.ok().and_then(|at| heard.get(at)) {
                breaker.hear(heard, now);
                has_changed |= breaker.has_changed();
            }
        }
        has_changed
    }

    /// Adds what the breakers tell the other workers.
    pub(in crate::plane) fn tell(&mut self, lines: &mut Vec<Line>, now: Time) {
        for entry in self.entries.iter_mut().flatten() {
            let scope = entry.key(self.side);
            if let Some(told) = entry.guard.shared().and_then(|breaker| breaker.tell(now)) {
                lines.push(Line { scope, told });
            }
        }
    }

    /// Lets shedders learn what the whole fleet counted on a scope.
    pub(in crate::plane) fn learn(&mut self, scope: &Scope, reading: FleetReading, now: Time) {
        let key = (scope.service.clone(), scope.route.clone());
        let id = self.index.get(&key).copied();
        let entry = id.and_then(|id| self.entry(id));
        if let Some(shedder) = entry.and_then(|entry| entry.shedder.as_mut()) {
            shedder.learn_fleet(Some(reading), now);
        }
    }
}
