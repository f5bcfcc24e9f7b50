//! The filter's configurations: takes them, ticks, hears answers.
//!
//! Envoy makes a new root context for each push and keeps the old one until its
//! last request has ended. Everything that must outlive it is in [`crate::vm`].

use proxy_wasm::types::LogLevel;
use sloop_dataplane::{Release, Released};
use sloop_model::{ConfigError, FilterConfig, Side, Time};

use crate::host::{self, Callback};
use crate::ticker::Caller;
use crate::vm::{self, Vm};
use crate::{reply, report, telemetry};

/// Envoy's name as a node.
const NODE_ID: &[u8] = b"xds\0node\0id";
/// Where Envoy's node says the version of the service, the first that says any: as `sloop bootstrap` writes it, and as Istio's sidecars do
/// in the labels of their pod. The last one is Istio's own, which it sets to `latest` where no other label says a version.
const VERSIONS: [&[u8]; 4] = [
    b"xds\0node\0metadata\0version",
    b"xds\0node\0metadata\0LABELS\0version",
    b"xds\0node\0metadata\0LABELS\0app.kubernetes.io/version",
    b"xds\0node\0metadata\0LABELS\0service.istio.io/canonical-revision",
];

/// Which root contexts are configured for which side, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    configured: Vec<(u32, Side)>,
}

impl Roots {
    /// Old ones live as long as their requests. Of more than this that are alive, the first of the same side is
    /// forgotten: what begins on it passes uncounted.
    const MAX: usize = 64;

    /// The side that the root context serves; none before it is configured.
    pub(crate) fn side(&self, context: u32) -> Option<Side> {
        let mut configured = self.configured.iter().rev();
        configured
            .find(|(root, _)| *root == context)
            .map(|(_, side)| *side)
    }

    /// The root contexts that were configured for `side`.
    fn of(&self, side: Side) -> Vec<u32> {
        let of_side = self.configured.iter().filter(|(_, other)| *other == side);
        of_side.map(|(root, _)| *root).collect()
    }

    fn add(&mut self, context: u32, side: Side) {
        self.configured.push((context, side));
        if Self::MAX < self.configured.len()
            // However many pushes come to one side, the other may live on its first.
            && let Some(first) = self.configured.iter().position(|(_, other)| *other == side)
        {
            self.configured.remove(first);
        }
    }

    /// Forgets those that are gone, so that requests find theirs at once.
    fn retain(&mut self, is_alive: impl Fn(u32) -> bool) {
        self.configured.retain(|(root, _)| is_alive(*root));
    }
}

/// Takes the configuration of the root context; false refuses it, and what was in force stays.
pub(crate) fn configure(callback: &Callback, context: u32) -> bool {
    let bytes = callback.configuration();
    let config = match read(bytes.unwrap_or_default()) {
        Ok(config) => config,
        Err(error) => {
            host::log(LogLevel::Error, &format!("configuration refused: {error}"));
            vm::with(|vm| vm.plane.trouble().configs_refused += 1);
            return false;
        }
    };
    let now = host::now();
    let wall = host::wall();
    if callback.shared(BOARD) == (&[][..], 0) {
        // The first one to write it cannot tell whether another one was faster, so that is done while there
        // is nothing to lose. Where nothing can be shared, each worker is alone.
        let _ = host::share(BOARD, b"", 0);
    }
    vm::with(|vm| {
        vm.count(bytes.map(|_| ()));
        vm.plane.sync(now, wall);
        let node = callback.property(NODE_ID).unwrap_or_default();
        vm.plane.name(node);
        let versions = VERSIONS.iter().filter_map(|path| callback.property(path));
        for version in versions.filter(|version| !version.is_empty()).take(1) {
            vm.plane.name_version(version);
        }
        vm.plane.configure(&config, now);
        for old in vm.roots.of(config.side) {
            // It goes with its last request, and its calls with it.
            vm.plane.lose_sender(old, now);
            telemetry::lose_sender(vm, old, now);
        }
        vm.roots
            .retain(|root| host::set_effective_context(root).is_ok());
        vm.count(host::set_effective_context(context));
        vm.roots.add(context, config.side);
        vm.move_timer(context);
        vm.aim(Caller::root(context), now);
    });
    true
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It would be obeyed by half.
    #[cfg(not(feature = "answers"))]
    #[error("{field}: this module leaves answers alone; load sloop_filter_answers.wasm for it")]
    Answers { field: String },
}

fn read(bytes: &[u8]) -> Result<FilterConfig, Refused> {
    let config = FilterConfig::parse(bytes)?;
    #[cfg(not(feature = "answers"))]
    if let Some(field) = config.asks_for_answers() {
        return Err(Refused::Answers { field });
    }
    Ok(config)
}

/// Does what is due.
pub(crate) fn tick(callback: &Callback, context: u32) {
    let now = host::now();
    let wall = host::wall();
    vm::with(|vm| {
        if !vm.ticker.is_at(context) {
            // An older root context's timer, which would else run as long as the VM.
            vm.count(host::set_tick_period(0));
            return;
        }
        vm.plane.sync(now, wall);
        share(vm, callback, now);
        report::send(vm, callback, context, now);
        telemetry::export(vm, callback, context, now);
        telemetry::show(vm, now);
        let released = vm.plane.release(now);
        release(vm, &released);
        if !released.is_empty() | look_after(vm, now) {
            vm.count(host::set_effective_context(context));
        }
        let wake = vm.plane.wake_at();
        let timer = vm.ticker.fired(wake, now);
        vm.set_timer(timer);
    });
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answered<'a> {
    /// With an answer, of which this is the beginning.
    Ok(&'a [u8]),
    /// With another gRPC status than OK.
    Failed(u32),
}

/// Hears how a call of the root context ended.
pub(crate) fn answered(context: u32, token: u32, answer: Answered<'_>) {
    let now = host::now();
    vm::with(|vm| {
        if !report::answered(vm, token, &answer, now) {
            telemetry::answered(vm, token, &answer, now);
        }
        vm.aim(Caller::root(context), now);
    });
}

/// Under which workers share their breakers. The number changes with the format.
const BOARD: &[u8] = b"sloop.breakers.1";
/// How often another worker may come between. With more, a later tick tries again.
const SHARE_TRIES: u32 = 3;

/// Tells the other workers of this sidecar what the breakers saw, and hears what theirs did.
fn share(vm: &mut Vm, callback: &Callback, now: Time) {
    if !vm.plane.shares(now) {
        return;
    }
    for _ in 0..SHARE_TRIES {
        let (board, cas) = callback.shared(BOARD);
        let Some(board) = vm.plane.exchange_board(board, now) else {
            return;
        };
        // A failure is no mismatch, and is not tried again.
        if vm.count(host::share(BOARD, &board, cas)) != Some(false) {
            return;
        }
    }
    vm.plane.board_contended(now);
}

/// Places that a tick looks at: a quiet sidecar's all within seconds, at the cost of a few calls.
const LOOKS: usize = 16;

/// Forgets a few of the requests that are gone without an end, should there be any: else they would count as
/// under way for good. Whether another context is in effect then.
fn look_after(vm: &mut Vm, now: Time) -> bool {
    let mut has_switched = false;
    for _ in 0..LOOKS.min(vm.underway.places()) {
        let place = vm.looked_at % vm.underway.places();
        vm.looked_at = place + 1;
        let Some(number) = vm.underway.number_in(place) else {
            continue;
        };
        has_switched = true;
        if host::set_effective_context(number).is_err()
            && let Some(gone) = vm.underway.remove(number)
            && let Some(exchange) = gone.exchange
        {
            vm.plane.abandon(exchange, now);
        }
    }
    has_switched
}

fn release(vm: &mut Vm, released: &[Released]) {
    for exchange in released {
        // One that is gone ended meanwhile; nothing is left to do for it.
        if host::set_effective_context(exchange.context).is_err() {
            continue;
        }
        match exchange.release {
            Release::Continue => {
                vm.count(host::resume(reply::stream(exchange.half)));
            }
            Release::End(ending) => reply::end(vm, ending, exchange.context, exchange.half),
        }
    }
}
