//! Requests to each variant, and the worker's time that they take.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use sloop_bench::closed::{Closed, Dial, ECHO};
use sloop_bench::paired::Pair;
use sloop_bench::schedstat::Thread;

use super::rounds::Known;
use super::variants::{Trace, Tracer, Variant};

/// Requests in a slice: some 20 ms, in which the machine hardly changes, and enough that
/// reading the clock at both ends is nothing.
pub(super) const SLICE: usize = 400;
/// Before the first slice of each variant: its connections, and those to the service, are open, memory is there.
pub(super) const WARM_UP: usize = 2_000;
/// Envoy logs and destroys a request after its caller has the answer.
const SETTLE: Duration = Duration::from_micros(400);

/// The trace that requests come with; not sampled, as most are.
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

/// A variant and the connections to it.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) variant: Variant,
    /// Requests that it was sent.
    pub(super) sent: u64,
    /// One pair for each round that it was in, in the order of time. Empty for the baseline.
    pub(super) pairs: Vec<Pair>,
    closed: Closed,
}

/// All variants, the baseline first, behind one worker.
#[derive(Debug)]
pub(super) struct Lanes {
    pub(super) lanes: Vec<Lane>,
    workers: Vec<Thread>,
    request: Vec<u8>,
    random: SmallRng,
}

impl Lane {
    /// Connects to the listener of `variant` and sees that it does what it is said to do.
    pub(super) fn open(
        variant: Variant,
        address: SocketAddr,
        dial: &Dial,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let mut lane = Self::open_unseen(variant, address, dial, connections)?;
        let (status, answer) = lane.closed.ask(&request(ECHO))?;
        look(&lane.variant, status, &answer)?;
        lane.sent += 1;
        Ok(lane)
    }

    /// As [`Self::open`], to what somebody else is responsible for.
    pub(super) fn open_unseen(
        variant: Variant,
        address: SocketAddr,
        dial: &Dial,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let closed = Closed::connect_by(dial, address, connections).context("connecting")?;
        Ok(Self {
            variant,
            sent: 0,
            pairs: Vec::new(),
            closed,
        })
    }

    /// What is known of it so far.
    pub(super) fn known(&self) -> Known<'_> {
        Known {
            name: &self.variant.name,
            status: self.variant.status,
            pairs: &self.pairs,
        }
    }

    fn send(&mut self, request: &[u8], count: usize) -> anyhow::Result<()> {
        let Self {
            variant, closed, ..
        } = self;
        let sampled = match variant.tracer {
            Some(Tracer::OneIn100) => count / 100,
            Some(Tracer::Unsampled) | None => 0,
        };
        closed
            .send(&as_sampled(request), sampled, variant.status)
            .and_then(|()| closed.send(request, count - sampled, variant.status))
            .with_context(|| format!("{} failed", variant.name))?;
        self.sent += u64::try_from(count)?;
        Ok(())
    }
}

/// One connection to a listener, for one request after the other.
#[derive(Debug)]
pub(super) struct Asker {
    closed: Closed,
    request: Vec<u8>,
    status: u16,
}

impl Asker {
    /// Connects to the listener of `variant`, and sends nothing yet.
    pub(super) fn connect(variant: &Variant, address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            closed: Closed::connect(address, 1).context("connecting")?,
            request: request(""),
            status: variant.status,
        })
    }

    /// Sends a request, and returns when it was answered.
    pub(super) fn ask(&mut self) -> anyhow::Result<()> {
        Ok(self.closed.send(&self.request, 1, self.status)?)
    }
}

impl Lanes {
    /// `lanes` with the baseline first. Draws the order of slices from `seed`.
    pub(super) fn new(lanes: Vec<Lane>, worker: Thread, seed: u64) -> Self {
        Self::asking(lanes, vec![worker], request(""), seed)
    }

    /// With a request of one's own, and the time of all `workers` together.
    pub(super) fn asking(
        lanes: Vec<Lane>,
        workers: Vec<Thread>,
        request: Vec<u8>,
        seed: u64,
    ) -> Self {
        Self {
            lanes,
            workers,
            request,
            random: SmallRng::seed_from_u64(seed),
        }
    }

    /// Sends requests to each variant that are not measured.
    pub(super) fn warm_up(&mut self, count: usize) -> anyhow::Result<()> {
        (0..self.lanes.len()).try_for_each(|index| self.send(index, count))
    }

    /// Sends `count` requests to a variant.
    pub(super) fn send(&mut self, index: usize, count: usize) -> anyhow::Result<()> {
        let lane = self.lanes.get_mut(index).context("there is no such lane")?;
        lane.send(&self.request, count)?;
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// One pair of slices for each variant, in random order.
    pub(super) fn round(&mut self) -> anyhow::Result<()> {
        self.round_of((1..self.lanes.len()).collect())
    }

    /// One pair of slices for each variant of `order`, in random order.
    pub(super) fn round_of(&mut self, mut order: Vec<usize>) -> anyhow::Result<()> {
        order.shuffle(&mut self.random);
        for index in order {
            let pair = if self.random.random() {
                let baseline = self.slice(0)?;
                let variant = self.slice(index)?;
                Pair { baseline, variant }
            } else {
                let variant = self.slice(index)?;
                let baseline = self.slice(0)?;
                Pair { baseline, variant }
            };
            if let Some(lane) = self.lanes.get_mut(index) {
                lane.pairs.push(pair);
            }
        }
        Ok(())
    }

    /// Pairs of all variants together.
    pub(super) fn pairs(&self) -> usize {
        self.lanes.iter().map(|lane| lane.pairs.len()).sum()
    }

    fn time(&self) -> anyhow::Result<Duration> {
        let mut sum = Duration::ZERO;
        for worker in &self.workers {
            sum += worker.time()?;
        }
        Ok(sum)
    }

    /// Nanoseconds of the worker per request.
    fn slice(&mut self, index: usize) -> anyhow::Result<f64> {
        let before = self.time()?;
        self.send(index, SLICE)?;
        let took = self.time()?.saturating_sub(before);
        Ok(took.as_secs_f64() * 1e9 / SLICE as f64)
    }
}

/// A request with nine headers. `end` goes to the end of its path.
pub(super) fn request(end: &str) -> Vec<u8> {
    format!(
        "GET /pay/orders/17{end} HTTP/1.1\r\n\
         host: shop.example\r\n\
         user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
         accept: application/json\r\n\
         accept-encoding: gzip, deflate, br\r\n\
         accept-language: en-US,en;q=0.5\r\n\
         authorization: Bearer 6q0dG9rZW4tZm9yLXRoZS1iZW5jaG1hcms3a1x\r\n\
         cookie: session=5c0f1e9b3a7d4c62; theme=dark\r\n\
         x-request-id: 8d1f2a40-6c1b-4c1e-9d55-0f2b7c3a9e10\r\n\
         traceparent: 00-{TRACE_ID}-{SPAN_ID}-00\r\n\r\n"
    )
    .into_bytes()
}

/// The same request with its trace sampled.
fn as_sampled(request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let sampled = text.replace(&format!("{SPAN_ID}-00"), &format!("{SPAN_ID}-01"));
    sampled.into_bytes()
}

/// Whether a variant does what it is said to do, by the answer of the service that echoes.
fn look(variant: &Variant, status: u16, answer: &str) -> anyhow::Result<()> {
    let name = &variant.name;
    if status != variant.status {
        bail!(
            "{name} answers with status {status}; {} was expected",
            variant.status
        );
    }
    let lines = || {
        answer
            .lines()
            .filter_map(|line| line.strip_prefix("traceparent: "))
    };
    let is_kept = |line: &str| line.contains(SPAN_ID);
    let is_of_trace = |line: &str| line.contains(TRACE_ID);
    let does = match variant.trace {
        Trace::Kept => lines().eq([format!("00-{TRACE_ID}-{SPAN_ID}-00")]),
        Trace::CarriedOn => {
            lines().count() == 1 && lines().all(|line| is_of_trace(line) && !is_kept(line))
        }
        Trace::Unknown => true,
    };
    if !does {
        let seen: Vec<&str> = lines().collect();
        bail!("{name} sends on traceparent {seen:?}, which is not what it is for");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use sloop_bench::closed::{Protocol, Sink};

    use super::*;

    fn variant(trace: Trace, status: u16) -> Variant {
        Variant {
            name: "it".into(),
            about: String::new(),
            filters: String::new(),
            status,
            trace,
            tracer: None,
            reports: false,
            vm: None,
        }
    }

    #[test]
    fn a_request_has_nine_headers() {
        let text = String::from_utf8(request("")).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains(": ")).count(), 9);
    }

    #[test]
    fn a_variant_that_does_not_do_its_work_is_found_out() {
        let kept = format!("traceparent: 00-{TRACE_ID}-{SPAN_ID}-00");
        let carried_on = format!("traceparent: 00-{TRACE_ID}-aaaaaaaaaaaaaaaa-00");
        let other = "traceparent: 00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaaaaa-00";
        let twice = format!("{carried_on}\r\n{carried_on}");
        for (trace, answer, does) in [
            (Trace::Kept, kept.as_str(), true),
            (Trace::Kept, &carried_on, false),
            (Trace::Kept, "", false),
            (Trace::CarriedOn, &carried_on, true),
            (Trace::CarriedOn, &kept, false),
            (Trace::CarriedOn, other, false),
            (Trace::CarriedOn, &twice, false),
            (Trace::CarriedOn, "", false),
            (Trace::Unknown, other, true),
        ] {
            let looked = look(&variant(trace, 200), 200, answer);
            assert_eq!(looked.is_ok(), does, "{trace:?} {answer}");
        }
        assert!(look(&variant(Trace::Unknown, 200), 503, "").is_err());
    }

    #[test]
    fn what_was_sent_is_what_arrived() {
        let sink = Sink::start().unwrap();
        let (ready, is_ready) = mpsc::channel();
        let (over, is_over) = mpsc::channel::<()>();
        let builder = std::thread::Builder::new().name("idle-worker".to_owned());
        let idle = builder.spawn(move || {
            ready.send(()).unwrap();
            is_over.recv().ok();
        });
        // It has its name once it has said so.
        is_ready.recv().unwrap();
        let worker = Thread::named(std::process::id(), "idle-worker").unwrap();
        let lane = |_| {
            Lane::open(
                variant(Trace::Kept, 200),
                sink.address(),
                &Dial::plain(Protocol::Http1),
                4,
            )
            .unwrap()
        };
        let mut lanes = Lanes::new((0..3).map(lane).collect(), worker, 1);
        lanes.warm_up(10).unwrap();
        lanes.round().unwrap();
        lanes.round_of(vec![2]).unwrap();
        drop(over);
        idle.unwrap().join().unwrap();
        let sent: u64 = lanes.lanes.iter().map(|lane| lane.sent).sum();
        assert_eq!(sent, sink.served());
        let pairs: Vec<usize> = lanes.lanes.iter().map(|lane| lane.pairs.len()).collect();
        assert_eq!(pairs, [0, 1, 2]);
    }
}
