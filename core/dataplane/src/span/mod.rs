//! Spans: which requests are told of, and to whom.
//!
//! A server's span inbound, a client's span outbound, with the id that was sent
//! on as its own. They go as OTLP over gRPC to a cluster of Envoy, in batches.
//!
//! # What is kept
//!
//! A request that matters, always: its [`Reasons`] are not empty. Of the others
//! a share, by [consistent probability sampling](Threshold). It is decided
//! when a request is over, because only then it is known whether it matters.
//!
//! The `tracestate` of a span says how many requests it stands for. One that
//! matters has `ot=th:0`, whatever the share: all such requests are kept, so it
//! stands for itself. One that does not has the threshold of the share. That is
//! a rule-based sampler in the sense of the specification: its rule depends on
//! what happened and not on the trace's random number, so sums over adjusted
//! counts are right, as long as nothing is dropped. `sloop.kept` says why there
//! is a span.
//!
//! A context that came in is passed on with the flag and the threshold that it
//! has: they say what the caller decided about its own spans, and that did not
//! change. What a trace that begins here says is [`Spans::origin`].
//!
//! # What it costs
//!
//! Nothing is remembered of a request but a [`SpanDraft`], and nothing is
//! allocated, until it has ended and is kept. Then its headers are read once
//! more, which Envoy allows until the end; so path, host and `tracestate` cost
//! one read per kept span and nothing per request. Texts are bounded, and so is
//! the queue; ordinary spans leave its last quarter to those that matter. Once
//! it is full spans are dropped and counted.

mod otlp;
mod queue;
mod record;
mod request;
mod sampling;

use core::time::Duration;

use sloop_model::{
    Outcome, OwnVerdict, RouteName, SampledFlag, ServiceName, Side, SpanSettings, Time,
};

use crate::context::TraceId;
use crate::headers::HeaderMap;
use otlp::Resource;
use queue::{Failed, Limits, Queue};
use record::Record;
pub use sampling::{Ot, Randomness, Threshold, ot_of};

/// What is remembered of a request for its span. Small: it is with every request while spans are configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanDraft {
    /// Its trace.
    pub trace: TraceId,
    /// Its own id: the one that was sent on. Not zero.
    pub span: u64,
    /// The id that it came with; zero when the trace began here.
    pub parent: u64,
    /// The flags that were sent on.
    pub flags: u8,
    /// The random number of its trace.
    pub randomness: Randomness,
}

/// Why a request matters; nothing, if it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u8);

impl Reasons {
    /// It does not.
    pub const NONE: Self = Self(0);
    /// It broke an objective.
    pub const OBJECTIVE: Self = Self(1);
    /// The breaker refused it, or would have, or let it pass as a probe.
    pub const BREAKER: Self = Self(2);
    /// It was shed, or would have been.
    pub const SHED: Self = Self(4);
    /// A fault was injected.
    pub const FAULT: Self = Self(8);
    /// Somebody marked its trace to be kept.
    pub const MARKED: Self = Self(16);

    /// These and `others`.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any of `others` is among them.
    #[must_use]
    pub const fn includes(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

/// A request that is over and whose span is kept.
#[derive(Clone, Copy, Debug)]
pub struct EndedSpan {
    /// What was remembered of it.
    pub draft: SpanDraft,
    /// Why it matters.
    pub reasons: Reasons,
    /// When it came.
    pub began: Time,
    /// When it was over.
    pub ended: Time,
    /// The same moment, in nanoseconds since the Unix epoch.
    pub ended_unix_nanos: u64,
    /// The HTTP status that the client was sent, if it was sent one.
    pub status: Option<u16>,
    /// Whether it was gRPC.
    pub is_grpc: bool,
    /// Its gRPC status, if it was gRPC and has one.
    pub grpc: Option<u8>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the filter did to it.
    pub verdict: OwnVerdict,
}

/// What can be seen of a request when it is over.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its headers, as they were sent on. Empty, if they cannot be read.
    pub headers: HeaderMap<'a>,
    /// Envoy's property `request.protocol`, as `HTTP/1.1`. Empty, if nobody asked.
    pub protocol: &'a [u8],
    /// The service that it was for.
    pub service: &'a ServiceName,
    /// The route of that service.
    pub route: &'a RouteName,
}

/// What the first span of a trace tells those behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether `traceparent` carries the flag `sampled`.
    pub is_sampled: bool,
    /// What `ot=th:` in `tracestate` says; nothing when absent. [`Ot::write`] writes it.
    pub threshold: Option<Threshold>,
}

/// Spans to be sent in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Says which, in the answer.
    pub number: u32,
    /// The cluster of Envoy that takes it.
    pub cluster: &'a str,
    /// An `ExportTraceServiceRequest`.
    pub message: Vec<u8>,
}

impl Batch<'_> {
    /// The gRPC service that takes it.
    pub const SERVICE: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
    /// Its method.
    pub const METHOD: &'static str = "Export";
}

/// What became of spans since it was last asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Put into the queue.
    pub kept: u64,
    /// Wanted, but the queue was full.
    pub dropped: u64,
    /// Sent a second time.
    pub repeated: u64,
    /// Given up, because no collector took them.
    pub lost: u64,
    /// Not accepted by a collector that took their batch.
    pub rejected: u64,
}

/// The spans of one side in one VM.
#[derive(Debug)]
pub struct Spans {
    side: Side,
    service: ServiceName,
    cluster: String,
    flag: SampledFlag,
    threshold: Option<Threshold>,
    limits: Limits,
    queue: Queue,
    counts: SpanCounts,
}

impl Spans {
    /// No spans yet, of `service`, whose sidecar this is.
    #[must_use]
    pub fn new(side: Side, service: &ServiceName, settings: &SpanSettings) -> Self {
        Self {
            side,
            service: service.clone(),
            cluster: settings.cluster.clone(),
            flag: settings.sampled_flag,
            threshold: Threshold::of(settings.sampling),
            limits: limits(settings),
            queue: Queue::new(),
            counts: SpanCounts::default(),
        }
    }

    /// Puts other settings in force. What waits is kept, even if it is more than may wait from here on.
    pub fn configure(&mut self, service: &ServiceName, settings: &SpanSettings) {
        let before = core::mem::replace(self, Self::new(self.side, service, settings));
        self.queue = before.queue;
        self.counts = before.counts;
    }

    /// What a trace that begins here with this random number tells those behind.
    #[must_use]
    pub fn origin(&self, randomness: Randomness) -> Origin {
        match self.flag {
            SampledFlag::Always => Origin {
                is_sampled: true,
                threshold: None,
            },
            SampledFlag::Decided => Origin {
                is_sampled: self.samples(randomness),
                threshold: self.threshold.filter(|one| one.keeps(randomness)),
            },
        }
    }

    /// Whether a request that is over is to be kept, and there is room: if so, hand it to [`Spans::keep`].
    #[must_use]
    pub fn wants(&mut self, draft: &SpanDraft, reasons: Reasons) -> bool {
        if reasons.is_empty() && !self.samples(draft.randomness) {
            return false;
        }
        let queue_max = self.limits.queue_max;
        let room = if reasons.is_empty() {
            queue_max - queue_max / 4
        } else {
            queue_max
        };
        let has_room = self.queue.len() < room;
        self.counts.dropped += u64::from(!has_room);
        has_room
    }

    /// Puts a span into the queue, when [`Spans::wants`] said so.
    pub fn keep(&mut self, span: &EndedSpan, seen: &Seen<'_>) {
        let is_sampled = self.samples(span.draft.randomness);
        let threshold = if span.reasons.is_empty() {
            self.threshold
        } else {
            Some(Threshold::NONE_REJECTED)
        };
        let record = Record::new(span, seen, is_sampled, threshold);
        self.queue.push(record, span.ended);
        self.counts.kept += 1;
    }

    /// When [`Spans::batch`] has something to do; never, when nothing waits.
    #[must_use]
    pub fn wake_at(&self) -> Option<Time> {
        self.queue.wake_at(self.limits)
    }

    /// The batch that `sender` should send at `now`, if one is due.
    ///
    /// `instance` is Envoy's name of itself (`node.id`), empty when it has none.
    pub fn batch(&mut self, sender: u32, instance: &str, now: Time) -> Option<Batch<'_>> {
        if let Some(number) = self.queue.overdue(now) {
            self.fail(number, true, now);
        }
        let (number, spans) = self.queue.take(self.limits, sender, now)?;
        let resource = Resource {
            side: self.side,
            service: self.service.as_str(),
            instance,
        };
        Some(Batch {
            number,
            cluster: &self.cluster,
            message: otlp::request(resource, self.queue.oldest(spans)),
        })
    }

    /// The batch with this number was taken; `response` is the `ExportTraceServiceResponse`, or its beginning.
    pub fn acknowledge(&mut self, number: u32, response: &[u8]) {
        if let Some(spans) = self.queue.acknowledge(number) {
            // Whatever the collector says, it can reject no more than it was sent.
            self.counts.rejected += otlp::rejected(response).min(spans as u64);
        }
    }

    /// The batch with this number was answered with a gRPC status other than OK, as was learnt at `now`.
    pub fn lose(&mut self, number: u32, status: u32, now: Time) {
        self.fail(number, otlp::is_retryable(status), now);
    }

    /// Whoever sent batches as `sender` is gone, and will not hear an answer.
    pub fn lose_sender(&mut self, sender: u32, now: Time) {
        if let Some(number) = self.queue.sent_by(sender) {
            self.fail(number, true, now);
        }
    }

    /// The counts at the end: what still waits is dropped. That includes a batch under way, whose answer nobody will hear.
    #[must_use]
    pub fn into_counts(mut self) -> SpanCounts {
        self.counts.dropped += self.queue.len() as u64;
        self.counts
    }

    /// Takes the counts.
    #[must_use]
    pub const fn take_counts(&mut self) -> SpanCounts {
        core::mem::replace(
            &mut self.counts,
            SpanCounts {
                kept: 0,
                dropped: 0,
                repeated: 0,
                lost: 0,
                rejected: 0,
            },
        )
    }

    fn samples(&self, randomness: Randomness) -> bool {
        self.threshold.is_some_and(|one| one.keeps(randomness))
    }

    fn fail(&mut self, number: u32, is_retryable: bool, now: Time) {
        match self.queue.fail(number, is_retryable, now) {
            Some(Failed::Again(spans)) => self.counts.repeated += spans as u64,
            Some(Failed::Gone(spans)) => self.counts.lost += spans as u64,
            None => {}
        }
    }
}

fn limits(settings: &SpanSettings) -> Limits {
    // Bounded by the settings, so they fit.
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        interval: Duration::from_millis(u64::from(settings.interval_ms)),
        queue_max: size(settings.queue_max),
        batch_max: size(settings.batch_max),
    }
}

#[cfg(test)]
mod tests;
