//! What the host knows: clocks, contexts, calls, and what they cost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::stream::{Phase, Stream};
use super::way::Half;

/// The wall clock's first moment: an ordinary day, 2026-01-01T00:00:00Z in milliseconds since the Unix epoch.
const WALL_BEGINS_MS: u64 = 1_767_225_600_000;

/// The monotonic clock's first moment. Not zero, as on a machine that has been up for a while.
const MONOTONIC_BEGINS: Duration = Duration::from_secs(1_000);

/// A unary gRPC call that the filter made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcCall {
    /// Names it in its VM.
    pub token: u32,
    /// The cluster that is called.
    pub cluster: String,
    /// Full name of the service.
    pub service: String,
    /// Name of the method.
    pub method: String,
    /// The request message.
    pub message: Vec<u8>,
    /// How long the filter waits for the answer.
    pub timeout: Duration,
    /// The context that called.
    pub(super) context: u32,
}

/// What something cost. Exact: the same work costs the same each time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Calls into the host, by name.
    pub hostcalls: BTreeMap<&'static str, u64>,
    /// Callbacks that the host made.
    pub entries: u64,
    /// Entries to get memory for a value that the host returns: the dearest part of a hostcall.
    pub allocations: u64,
    /// Bytes of texts that go from the host to the guest and back: values, names, paths. Numbers are not among them.
    pub bytes: u64,
    /// Instructions of the guest, as wasmtime counts fuel.
    pub fuel: u64,
}

impl Cost {
    /// Calls into the host, all of them.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.hostcalls.values().sum()
    }

    /// What was spent since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let spent = self.hostcalls.iter().filter_map(|(name, count)| {
            let spent = count - earlier.hostcalls.get(name).unwrap_or(&0);
            (spent != 0).then_some((*name, spent))
        });
        Self {
            hostcalls: spent.collect(),
            entries: self.entries - earlier.entries,
            allocations: self.allocations - earlier.allocations,
            bytes: self.bytes - earlier.bytes,
            fuel: self.fuel - earlier.fuel,
        }
    }
}

/// A filter's root context.
#[derive(Clone, Debug)]
pub(super) struct Root {
    pub(super) root_id: String,
    pub(super) configuration: Vec<u8>,
    /// Zero: no ticks.
    pub(super) period: Duration,
    pub(super) due: Duration,
}

/// A metric that the filter defined.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) is_counter: bool,
    pub(super) value: i64,
}

/// What the VMs of one Envoy share: values and their versions by key.
pub(super) type Shared = BTreeMap<Vec<u8>, (Vec<u8>, u32)>;

/// What is wrong with shared data, for one VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SharedTrouble {
    /// Nothing.
    None,
    /// So many times still, another VM writes between this one's reading and its writing.
    Contended(u32),
    /// The VM may not use it.
    Gone,
}

/// Everything on the host's side of one VM.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) since_start: Duration,
    /// How far the wall clock was set, forward or back.
    pub(super) wall_set_ms: i64,
    pub(super) random: u64,
    pub(super) effective: u32,
    pub(super) roots: BTreeMap<u32, Root>,
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) replied: Vec<u32>,
    /// Halves that the filter let go on, in the callback that runs.
    pub(super) resumed: Vec<(u32, Half)>,
    pub(super) calls: BTreeMap<u32, GrpcCall>,
    pub(super) clusters_gone: BTreeSet<String>,
    pub(super) grpc_answer: Vec<u8>,
    pub(super) grpc_status: u32,
    pub(super) last_token: u32,
    pub(super) metrics: Vec<Metric>,
    shared: Arc<Mutex<Shared>>,
    pub(super) shared_trouble: SharedTrouble,
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) log: Vec<String>,
    pub(super) cost: Cost,
}

impl Host {
    pub(super) fn new(seed: u64) -> Self {
        let properties = [
            ("plugin_vm_id", "sloop"),
            ("xds\0node\0id", "node-1"),
            ("xds\0node\0cluster", "shop"),
        ];
        Self {
            since_start: Duration::ZERO,
            wall_set_ms: 0,
            random: seed,
            effective: 0,
            roots: BTreeMap::new(),
            streams: BTreeMap::new(),
            replied: Vec::new(),
            resumed: Vec::new(),
            calls: BTreeMap::new(),
            clusters_gone: BTreeSet::new(),
            grpc_answer: Vec::new(),
            grpc_status: 0,
            last_token: 0,
            metrics: Vec::new(),
            shared: Arc::default(),
            shared_trouble: SharedTrouble::None,
            properties: properties
                .map(|(path, value)| (path.into(), value.into()))
                .into(),
            log: Vec::new(),
            cost: Cost::default(),
        }
    }

    /// A VM of the same Envoy, at the same moment.
    pub(super) fn beside(&self, seed: u64) -> Self {
        Self {
            since_start: self.since_start,
            wall_set_ms: self.wall_set_ms,
            shared: Arc::clone(&self.shared),
            ..Self::new(seed)
        }
    }

    /// What the VMs of this Envoy share.
    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nanoseconds of the monotonic clock.
    pub(super) fn monotonic(&self) -> u64 {
        nanos(MONOTONIC_BEGINS + self.since_start)
    }

    /// Nanoseconds since the Unix epoch.
    pub(super) fn wall(&self) -> u64 {
        let begins = WALL_BEGINS_MS.saturating_add_signed(self.wall_set_ms);
        nanos(Duration::from_millis(begins) + self.since_start)
    }

    /// Random bytes from a seed: the same in each run. `SplitMix64` (Steele, Lea, Flood 2014).
    pub(super) fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The stream whose callback runs, or that the guest switched to.
    pub(super) fn stream(&self) -> Option<&Stream> {
        self.streams.get(&self.effective)
    }

    /// As [`Self::stream`].
    pub(super) fn stream_mut(&mut self) -> Option<&mut Stream> {
        self.streams.get_mut(&self.effective)
    }

    /// The root context that is in effect, or the one of the stream that is.
    pub(super) fn root_id(&self) -> u32 {
        self.stream().map_or(self.effective, |stream| stream.root)
    }

    /// The metric with this id; ids count from one.
    pub(super) fn metric(&mut self, id: u32) -> Option<&mut Metric> {
        let index = usize::try_from(id).ok()?.checked_sub(1)?;
        self.metrics.get_mut(index)
    }

    /// The property at `path`, whose parts are separated by zeros, if it can be read in this phase.
    pub(super) fn property(&self, path: &[u8]) -> Option<Vec<u8>> {
        let path = path.strip_suffix(b"\0").unwrap_or(path);
        if matches!(path, b"plugin_root_id" | b"plugin_name") {
            let root = self.roots.get(&self.root_id())?;
            return Some(root.root_id.clone().into_bytes());
        }
        if let Some(value) = self.properties.get(path) {
            return Some(value.clone());
        }
        property_of(self.stream()?, path)
    }
}

fn property_of(stream: &Stream, path: &[u8]) -> Option<Vec<u8>> {
    let number = |number: i64| Some(number.to_le_bytes().to_vec());
    let is_log = stream.phase == Phase::Log;
    match path {
        b"xds\0route_name" => Some(stream.request.route.clone()?.into_bytes()),
        b"response\0flags" if is_log => number(stream.response.flags.cast_signed()),
        b"response\0flags" => number(0),
        b"response\0code" if is_log => number(stream.status()?),
        b"upstream\0request_attempt_count" if is_log => number(stream.response.attempts?),
        b"request\0protocol" => Some(b"HTTP/1.1".to_vec()),
        // Envoy always has one once there are headers, and invents it for plain HTTP.
        b"response\0grpc_status" if is_log => {
            let invented = invented_grpc_status(stream.status()?);
            number(stream.response.grpc_status.unwrap_or(invented))
        }
        b"response\0code_details" if is_log => {
            let details = stream.reply.as_ref().map(|reply| reply.details.clone());
            Some(
                details
                    .unwrap_or_else(|| "via_upstream".into())
                    .into_bytes(),
            )
        }
        _ => None,
    }
}

/// The gRPC status that Envoy gives to an answer without one, by its HTTP status
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>).
const fn invented_grpc_status(http: i64) -> i64 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
