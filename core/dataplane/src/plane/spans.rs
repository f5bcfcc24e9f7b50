//! Spans of requests: what they begin with, what is kept of them, where they go.

use sloop_model::{OwnVerdict, Side, Time};

use super::Plane;
use super::exchange::Exchange;
use crate::context::{Context, StateMember};
use crate::headers::HeaderMap;
use crate::report::Trouble;
use crate::scope::ScopeId;
use crate::span::{Batch, EndedSpan, Ot, Randomness, Reasons, SpanCounts, SpanDraft, Threshold};

/// A span that is to be kept.
#[derive(Debug)]
pub struct Kept {
    pub(super) side: Side,
    pub(super) scope: ScopeId,
    pub(super) span: EndedSpan,
}

/// The value of our `ot` member, if one is to be written.
#[derive(Debug, Default)]
pub(super) struct OtValue {
    value: Vec<u8>,
    is_set: bool,
}

impl Kept {
    /// Whether the filter answered the request, so that nobody has said yet what was answered.
    #[must_use]
    pub fn is_answered_here(&self) -> bool {
        self.span.verdict != OwnVerdict::Passed
    }

    /// Says what was answered: the HTTP status, and the gRPC status if it was gRPC.
    pub fn answered(&mut self, status: Option<u16>, grpc: Option<u8>) {
        self.span.status = status;
        self.span.grpc = grpc.filter(|_| self.span.is_grpc);
    }
}

impl Plane {
    /// Begins the span of a request, where spans are wanted. Where its trace begins, and its caller did not, it is
    /// decided here what those behind are told about its spans.
    pub(super) fn draft(&mut self, exchange: &mut Exchange, context: &mut Context<'_>) {
        self.ot.is_set = false;
        let state = match exchange.side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        };
        let Some(spans) = &state.spans else {
            return;
        };
        let ot = context.state().find(b"ot").map(Ot::parse);
        let randomness = Randomness::of(context.trace.id(), ot);
        if context.decides() {
            let origin = spans.origin(randomness);
            context.trace.set_sampled(origin.is_sampled);
            if let Some(threshold) = origin.threshold {
                self.ot.set(threshold);
            }
        }
        let trace = &context.trace;
        exchange.span = Some(SpanDraft {
            trace: trace.id(),
            span: trace.span(),
            parent: trace.parent().unwrap_or(0),
            flags: trace.flags(),
            randomness,
        });
        if context.said.keep {
            exchange.reasons = exchange.reasons.and(Reasons::MARKED);
        }
    }

    /// Keeps the span of a request that is over. `headers` are those of the request as they were sent on, empty
    /// if they cannot be read; `protocol` is Envoy's property `request.protocol`, or empty.
    pub fn keep(&mut self, kept: &Kept, headers: HeaderMap<'_>, protocol: &[u8]) {
        self.has_planned = true;
        let state = match kept.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        state.keep_span(kept.scope, &kept.span, headers, protocol);
    }

    /// The spans of a side that are to be sent at `now` from `sender`, as Envoy's node `instance`.
    pub fn span_batch(
        &mut self,
        side: Side,
        (sender, instance): (u32, &str),
        now: Time,
    ) -> Option<Batch<'_>> {
        let spans = self.side(side).spans.as_mut()?;
        spans.batch(sender, instance, now)
    }

    /// The collector took a batch; `answer` is the beginning of what it said.
    pub fn spans_taken(&mut self, side: Side, number: u32, answer: &[u8]) {
        if let Some(spans) = &mut self.side(side).spans {
            spans.acknowledge(number, answer);
        }
    }

    /// A batch did not arrive, with this gRPC status.
    pub fn spans_lost(&mut self, side: Side, number: u32, status: u32, now: Time) {
        if let Some(spans) = &mut self.side(side).spans {
            spans.lose(number, status, now);
        }
    }

    /// Whether a side has spans in its configuration.
    #[must_use]
    pub const fn exports(&self, side: Side) -> bool {
        match side {
            Side::Server => self.server.spans.is_some(),
            Side::Client => self.client.spans.is_some(),
        }
    }

    /// Whoever sent spans as `sender` is gone, and will not hear an answer.
    pub fn lose_span_sender(&mut self, sender: u32, now: Time) {
        for spans in [&mut self.server.spans, &mut self.client.spans]
            .into_iter()
            .flatten()
        {
            spans.lose_sender(sender, now);
        }
    }

    /// When spans are to be sent.
    pub(super) fn spans_due(&self) -> Option<Time> {
        let due = |spans: &Option<Box<crate::span::Spans>>| spans.as_ref()?.wake_at();
        super::sooner(due(&self.server.spans), due(&self.client.spans))
    }

    /// Counts what became of spans.
    pub(super) fn count_spans(&mut self) {
        for spans in [&mut self.server.spans, &mut self.client.spans]
            .into_iter()
            .flatten()
        {
            self.trouble.count_spans(spans.take_counts());
        }
    }
}

impl Trouble {
    /// Counts what became of spans.
    pub(super) const fn count_spans(&mut self, counts: SpanCounts) {
        let SpanCounts {
            dropped,
            lost,
            rejected,
            kept: _,
            repeated: _,
        } = counts;
        self.spans_dropped += dropped;
        self.spans_lost += lost + rejected;
    }
}

impl OtValue {
    fn set(&mut self, threshold: Threshold) {
        self.value.clear();
        Ot::parse(b"").write(Some(threshold), &mut self.value);
        // It writes the whole member.
        if self.value.starts_with(b"ot=") {
            self.value.drain(..3);
        }
        self.is_set = true;
    }

    /// The member, if it is to be written.
    pub(super) fn member(&self) -> Option<StateMember<'_>> {
        self.is_set.then_some(StateMember {
            key: b"ot",
            value: &self.value,
        })
    }
}
