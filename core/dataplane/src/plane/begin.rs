//! A request arrives: what is decided about it, and what goes on with it.

use sloop_model::{B3Output, DeadlineMode, JoinReach, Side, Time, TraceOwner, WallTime};

use super::Plane;
use super::exchange::{Arrival, Decided, Exchange, ExchangeState, HeaderWrite, Verdict};
use super::protect::Guarded;
use crate::context::{
    Baggage, Context, Reading, RequestKey, Rewrite, Timeliness, TraceContext, Word,
};
use crate::scope::ScopeId;
use crate::sli::Seen;

/// A request that began.
#[derive(Debug)]
pub struct Begun {
    /// The request, to be handed back.
    pub exchange: Exchange,
    /// What to do with it.
    pub verdict: Verdict,
    /// Its place in a trace.
    pub trace: TraceContext,
}

impl Plane {
    /// Decides about a request of `scope`, and calls `write` for each header that is to be changed for the service
    /// to see. None when there is no such scope: let it pass, uncounted.
    pub fn begin(
        &mut self,
        side: Side,
        scope: ScopeId,
        arrival: &Arrival<'_>,
        mut write: impl FnMut(HeaderWrite<'_>),
    ) -> Option<Begun> {
        let mut context = Context::unread(arrival.request);
        let place = (side, scope);
        let (exchange, verdict) = self.begin_writing(place, arrival, &mut context, &mut write)?;
        Some(Begun {
            exchange,
            verdict,
            trace: context.trace,
        })
    }

    /// [`Self::begin`] as one function of this crate, which is compiled for speed where the filter is compiled for size.
    /// The `context` is where it stays: what is returned would be copied.
    #[inline(never)]
    fn begin_writing<'a>(
        &mut self,
        (side, scope): (Side, ScopeId),
        arrival: &Arrival<'a>,
        context: &mut Context<'a>,
        write: &mut dyn FnMut(HeaderWrite<'_>),
    ) -> Option<(Exchange, Verdict)> {
        let now = arrival.now;
        self.start(now);
        self.read(side, arrival, context);
        let mut exchange = self.enter(side, scope, arrival)?;
        self.draft(&mut exchange, context);
        let caller = self.see(&mut exchange, arrival);
        if exchange.policy.chooses {
            self.choose(&mut exchange, arrival, caller);
        }
        self.limit(&exchange, context, arrival);
        let verdict = self.judge(&mut exchange, context, arrival, caller);
        match verdict {
            Verdict::Pass | Verdict::Hold => {
                if exchange.policy.bounds_retries {
                    self.bound(&mut exchange, now, write);
                }
                self.send_on(side, context, &exchange, write);
                self.remember(side, context, arrival);
            }
            // The service will not see it, and so causes nothing.
            Verdict::Refuse { .. }
            | Verdict::Shed
            | Verdict::RefuseRetry
            | Verdict::Block { .. }
            | Verdict::Late
            | Verdict::End(_) => {}
        }
        Some((exchange, verdict))
    }

    fn read<'a>(&mut self, side: Side, arrival: &Arrival<'a>, context: &mut Context<'a>) {
        let state = match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        };
        let settings = &state.context;
        let wall = match settings.deadlines {
            DeadlineMode::Ignore => WallTime::default(),
            DeadlineMode::Carry | DeadlineMode::Enforce => self.clock.wall(arrival.now),
        };
        let reading = Reading {
            settings,
            side: state.stamped(arrival),
            wall,
        };
        context.fill(arrival.request, reading, arrival.joined, &mut self.random);
    }

    /// The request, as one that passes.
    fn enter(&mut self, side: Side, scope: ScopeId, arrival: &Arrival<'_>) -> Option<Exchange> {
        let state = match side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        let entry = state.entry(scope)?;
        entry.in_flight = entry.in_flight.saturating_add(1);
        Some(match self.spare.pop() {
            Some(mut spare) => {
                spare.renew(side, scope, &entry.policy, arrival);
                spare
            }
            None => Exchange {
                state: Box::new(ExchangeState::new(side, scope, &entry.policy, arrival)),
            },
        })
    }

    /// Counts the request for what it says of itself, where anybody asks, and says who sent it.
    fn see<'a>(&mut self, exchange: &mut Exchange, arrival: &Arrival<'a>) -> Option<&'a [u8]> {
        let settings = self.dimensions(exchange.side)?;
        let seen = match arrival.request.found {
            Some(found) => Seen::of(settings, found),
            None => Seen::read(settings, arrival.request.headers),
        };
        if arrival.request.has_baggage() {
            let baggage = Baggage::read(arrival.request, settings);
            let bytes = Word::as_bytes;
            let with_baggage = Seen {
                origin: baggage.origin.as_ref().map(bytes),
                journey: baggage.journey.as_ref().map(bytes),
                ..seen
            };
            self.describe(exchange, &with_baggage);
        } else {
            self.describe(exchange, &seen);
        }
        seen.caller
    }

    /// Gives the request the deadline that the rule of its scope says, if there is one that has not expired.
    fn limit(&self, exchange: &Exchange, context: &mut Context<'_>, arrival: &Arrival<'_>) {
        if let Some(rule) = exchange.policy.deadline {
            let wall = self.clock.wall(arrival.now);
            if rule
                .expires_at_ms
                .is_none_or(|expires_at| wall < expires_at)
            {
                let side = match exchange.side {
                    Side::Server => Side::Server,
                    Side::Client => self.client.stamped(arrival),
                };
                context.limit(arrival.request, rule, (side, wall));
            }
        }
    }

    /// Asks each rule in turn; the first that does not let it pass decides.
    fn judge(
        &mut self,
        exchange: &mut Exchange,
        context: &mut Context<'_>,
        arrival: &Arrival<'_>,
        caller: Option<&[u8]>,
    ) -> Verdict {
        match context.timeliness() {
            Timeliness::InTime => {}
            Timeliness::LateButPasses => self.trouble.late_passed += 1,
            Timeliness::Late => {
                exchange.decided = Decided::Late;
                return Verdict::Late;
            }
        }
        // Whoever comes next is told as well: it is the first to say so that knows best.
        context.said.criticality = context.said.criticality.or(exchange.policy.criticality);
        let caller = caller.unwrap_or_default();
        if let Some(blocked) = self.deny(exchange, arrival, caller) {
            return blocked;
        }
        if let Some(refused) = self.retry(exchange, arrival) {
            return refused;
        }
        match self.guard(exchange, arrival.now) {
            Guarded::Refused(refused) => return refused,
            Guarded::Probes => {}
            Guarded::Passes => {
                if let Some(shed) = self.shed(exchange, context, arrival.now) {
                    return shed;
                }
            }
        }
        self.inject(exchange, context, arrival, caller)
    }

    /// Writes the context for whoever comes next.
    fn send_on(
        &mut self,
        side: Side,
        context: &Context<'_>,
        exchange: &Exchange,
        mut write: &mut dyn FnMut(HeaderWrite<'_>),
    ) {
        let state = match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        };
        if state.context.owner == TraceOwner::Sloop {
            write(HeaderWrite::Set("traceparent", &context.traceparent()));
        }
        let more = self.ot.member();
        match context.tracestate(more.as_slice(), &mut self.tracestate) {
            Rewrite::Keep => {}
            Rewrite::Remove => write(HeaderWrite::Remove("tracestate")),
            Rewrite::Replace => write(HeaderWrite::Set("tracestate", &self.tracestate)),
        }
        if state.context.b3 != B3Output::None {
            context.write_b3(state.context.b3, |name, value| {
                write(value.map_or(HeaderWrite::Remove(name), |value| {
                    HeaderWrite::Set(name, value)
                }));
            });
        }
        super::inject::change_headers(exchange, &mut write);
    }

    /// Remembers an inbound request for the outbound ones that it causes. Of a trace that begins here and is Envoy's,
    /// nobody knows the id that would be joined, so it is only what was said.
    fn remember(&mut self, side: Side, context: &Context<'_>, arrival: &Arrival<'_>) {
        if side == Side::Server
            && let Some(join) = &mut self.join
            && let Some(joined) = context.joined(self.server.context.owner)
            && let Some(key) = RequestKey::of(arrival.request)
        {
            let wall = self.clock.wall(arrival.now);
            let remembered = join.table.remember(key, joined, wall);
            if join.settings.reach() == JoinReach::Sidecar {
                join.written.clear();
                remembered.write(&mut join.written);
                join.key = Some(key.shared());
            }
        }
    }

    /// The first request begins the reports: threads without traffic have nothing to say.
    pub(super) fn start(&mut self, now: Time) {
        if !self.has_traffic {
            self.has_traffic = true;
            self.has_planned = true;
            self.statistics.start(now);
            let interval = self.interval();
            self.outbox.start(now, self.clock.wall(now), interval);
        }
    }
}
