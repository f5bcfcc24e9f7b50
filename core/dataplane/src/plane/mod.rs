//! The memory of one Wasm VM: what it is configured with, what happened, and what it has to tell.
//!
//! One VM serves both filters of a sidecar, so there is state per [`Side`]. It
//! outlives configurations: a push changes what holds, not what was counted,
//! and a request that began under an old configuration is judged by it when it
//! ends. Each side has one configuration, the last that arrived.

mod begin;
mod body;
mod clock;
mod describe;
mod end;
mod entry;
mod exchange;
mod guard;
mod held;
mod inject;
mod join;
mod outbox;
mod probe;
mod proof;
mod protect;
mod respond;
mod sharing;
mod side;
mod spans;
mod statistics;
mod wait;
mod whole;

use core::time::Duration;

use sloop_model::{
    DimensionValue, FilterConfig, ReportSettings, Scope, Side, Time, TraceResponse, WallTime,
};

use crate::context::TraceContext;
use crate::fault::{ActiveTotal, Sidecar};
use crate::headers::Request;
use crate::random::Random;
use crate::report::{Report, Trouble};
use crate::scope::ScopeId;
use crate::shed::FleetReading;
use crate::sorted::merged;
pub use begin::Begun;
pub use body::{BodyPart, BodyVerdict};
use clock::Clock;
use entry::Adopting;
pub use exchange::{Arrival, Ending, Exchange, ExchangeState, HeaderWrite, Verdict};
use held::Held;
pub use held::{Release, Released};
use join::Join;
pub use join::Joins;
use outbox::{Outbox, Step};
pub use probe::STREAM_WORD_MAX;
pub use respond::{Answer, Struck};
use sharing::Sharing;
use side::SideState;
pub use spans::Kept;
use spans::OtValue;
use statistics::Statistics;
pub use whole::Heard;

/// The memory of one VM.
#[derive(Debug)]
pub struct Plane {
    clock: Clock,
    /// By which the moments were worked out at which deny rules and shedding expire.
    reckoned: Clock,
    random: Random,
    server: SideState,
    client: SideState,
    held: Held,
    outbox: Outbox,
    trouble: Trouble,
    statistics: Statistics,
    sharing: Sharing,
    /// Probes of breakers of whose answers nothing was heard.
    probes: u32,
    /// Requests that faults touch.
    active: ActiveTotal,
    join: Option<Join>,
    sidecar: Sidecar,
    /// The version of the service, as Envoy's node says.
    version: Option<DimensionValue>,
    has_traffic: bool,
    /// See [`Plane::take_planned`].
    has_planned: bool,
    /// Memory for requests. What they hold of old configurations goes with a new one.
    spare: Vec<Exchange>,
    /// What is being written for one request; kept for its memory.
    tracestate: Vec<u8>,
    ot: OtValue,
}

/// Which scope a request belongs to, as far as its headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This one.
    Scope(ScopeId),
    /// That of the route that Envoy chose: ask for its name, then [`Plane::named`].
    ByRouteName,
    /// None: this side has no configuration.
    Unconfigured,
}

impl Plane {
    /// A memory without a configuration. `seed` should be random: trace ids and the VM's own name come from it. Its last
    /// word is in the name alone. From a few trace ids all others can be worked out, and nobody who sees them shall know
    /// under which name this VM reports.
    #[must_use]
    pub fn new(seed: [u64; 5]) -> Self {
        let [a, b, c, d, secret] = seed;
        let mut random = Random::seeded([a, b, c, d]);
        let incarnation = match random.word_not_zero() ^ secret {
            0 => 1,
            name => name,
        };
        Self {
            clock: Clock::default(),
            reckoned: Clock::default(),
            random,
            server: SideState::new(Side::Server),
            client: SideState::new(Side::Client),
            held: Held::default(),
            outbox: Outbox::new(incarnation),
            trouble: Trouble::default(),
            statistics: Statistics::default(),
            sharing: Sharing::new(),
            probes: 0,
            active: ActiveTotal::default(),
            join: None,
            sidecar: Sidecar::UNKNOWN,
            version: None,
            has_traffic: false,
            has_planned: false,
            spare: Vec::new(),
            tracestate: Vec::new(),
            ot: OtValue::default(),
        }
    }

    /// Learns that the wall clock showed `wall` at `now`. What expires does so by the wall clock, also when that is set:
    /// to be told once a minute is enough, of which [`Plane::wake_at`] reminds.
    pub fn sync(&mut self, now: Time, wall: WallTime) {
        self.clock.sync(now, wall);
        if self.reckoned.was_set_before(&self.clock) {
            self.reckon(now);
            self.renew_held(now);
        }
    }

    fn reckon(&mut self, now: Time) {
        self.reckoned = self.clock;
        self.server.reckon(now, &self.clock);
        self.client.reckon(now, &self.clock);
    }

    /// How often the wall clock is looked at where something goes by it and nothing else is to be done. Operators are
    /// told of expiries in minutes.
    const LOOK: Duration = Duration::from_mins(1);

    /// Learns which sidecar this is, by its name as Envoy's node; one without a name stays unknown.
    pub fn name(&mut self, node: &[u8]) {
        if !node.is_empty() {
            self.sidecar = Sidecar::named(node);
        }
    }

    /// Learns the version of the service that this is a sidecar of, as Envoy's node says it. It counts where a
    /// configuration names none; what cannot be a value says nothing.
    pub fn name_version(&mut self, version: &[u8]) {
        if let Ok(version) = DimensionValue::try_from(version) {
            self.version = Some(version);
        }
    }

    /// Puts `config` in force on its side, at `now`.
    pub fn configure(&mut self, config: &FilterConfig, now: Time) {
        self.spare.clear();
        self.reckon(now);
        if self.has_traffic {
            // It may be the last that wants statistics.
            self.show();
            self.statistics.leave(now);
            self.pass_over(config);
        }
        let configured = config.dimensions.as_ref();
        let configured = configured.and_then(|one| one.version.as_ref());
        let version = configured.or(self.version.as_ref()).cloned();
        let words = version.as_ref().map_or("", DimensionValue::as_str);
        let adopting = Adopting {
            now,
            clock: self.clock,
            sidecar: self.sidecar.of_version(words.as_bytes()),
        };
        let side = match config.side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        side.configure(config, adopting, &mut self.trouble);
        if let Some(status) = &mut side.status {
            status.version = version;
        }
        self.sharing.begin(now);
        side.sweep(now, &mut self.trouble);
        self.adopt_join();
        self.renew_held(now);
        let side = match config.side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        };
        // An order to open is a change that the control plane waits for.
        if self.has_traffic && side.has_changed() {
            self.outbox.hurry(now);
        }
    }

    /// Whether the answer to a request of this trace says which trace it is.
    #[must_use]
    pub const fn responds(&self, side: Side, trace: &TraceContext) -> bool {
        let respond = match side {
            Side::Server => self.server.respond,
            Side::Client => self.client.respond,
        };
        match respond {
            TraceResponse::Origin => trace.is_origin(),
            TraceResponse::Always => true,
            TraceResponse::Never => false,
        }
    }

    /// Reads a request's headers once, for all that this side asks about. [`Request::read`] does, too, but dimensions
    /// then look through the headers once more.
    #[inline]
    pub fn read_request(&self, side: Side, request: &mut Request<'_>) {
        let wanted = match side {
            Side::Server => &self.server.wanted,
            Side::Client => &self.client.wanted,
        };
        request.look_through(wanted);
    }

    /// Finds the scope of a request.
    #[must_use]
    pub fn claim(&self, side: Side, request: &Request<'_>) -> Claim {
        let state = match side {
            Side::Server => &self.server,
            Side::Client => &self.client,
        };
        match (state.find(request), state.route_names, state.other()) {
            (_, _, None) => Claim::Unconfigured,
            (Some(id), _, _) => Claim::Scope(id),
            (None, true, _) => Claim::ByRouteName,
            (None, false, Some(other)) => Claim::Scope(other),
        }
    }

    /// The scope of a request that Envoy routed by the route called `name`; of one without a name, if it is empty.
    pub fn named(&mut self, side: Side, name: &[u8]) -> Option<ScopeId> {
        let state = match side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        };
        state.named(name, &mut self.trouble)
    }

    /// A request ended that this VM never saw begin: another filter answered it before.
    pub const fn end_without_beginning(&mut self) {
        self.trouble.ends_without_beginning += 1;
    }

    /// What should not have happened, for the shell to add to.
    pub const fn trouble(&mut self) -> &mut Trouble {
        &mut self.trouble
    }

    /// Learns what the whole fleet counted on a scope.
    pub fn learn(&mut self, scope: &Scope, reading: FleetReading, now: Time) {
        self.side(scope.side).learn(scope, reading, now);
    }

    /// Takes the exchanges whose wait is over.
    pub fn release(&mut self, now: Time) -> Vec<Released> {
        self.held.release(now)
    }

    /// Where reports go, if anywhere.
    #[must_use]
    pub fn report_settings(&self) -> Option<&ReportSettings> {
        self.server.report.as_ref().or(self.client.report.as_ref())
    }

    /// When the shell must come back, with [`Plane::release`], [`Plane::report`] and [`Plane::stat_deltas`]; never, before the first request.
    #[must_use]
    pub fn wake_at(&self) -> Option<Time> {
        let report =
            (self.has_traffic && self.report_settings().is_some()).then(|| self.outbox.wake_at());
        let wake = sooner(report, self.sharing.due());
        let wake = sooner(wake, self.held.next_due());
        let wake = sooner(wake, self.stats_wake());
        let wake = sooner(wake, self.look_due());
        sooner(wake, self.spans_due())
    }

    /// Whether requests that began, and are not held back, or that ended, or spans that were kept may have made
    /// [`Plane::wake_at`] sooner since this was last asked. Few do, and to ask this costs a fifth.
    pub const fn take_planned(&mut self) -> bool {
        core::mem::replace(&mut self.has_planned, false)
    }

    fn look_due(&self) -> Option<Time> {
        let expires = self.server.expires || self.client.expires;
        (self.has_traffic && expires).then(|| self.clock.looked_at().after(Self::LOOK))
    }

    /// The report that `sender` should send at `now`, if one is due. The same one again when it was lost.
    pub fn report(&mut self, sender: u32, now: Time) -> Option<&Report> {
        self.report_settings()?;
        match self.outbox.step(now) {
            Step::Wait => return None,
            Step::SendAgain => self.trouble.reports_repeated += u64::from(self.outbox.was_sent()),
            Step::Make => {
                let report = self.take(now);
                self.outbox.freeze(report, now, self.clock.wall(now));
                self.server.sweep(now, &mut self.trouble);
                self.client.sweep(now, &mut self.trouble);
            }
        }
        self.outbox.send(sender, now)
    }

    /// The report with this sequence arrived: its counts are forgotten.
    pub fn acknowledge(&mut self, sequence: u64) {
        self.outbox.acknowledge(sequence, self.interval());
    }

    /// The report with this sequence did not arrive, as was learnt at `now`. It is sent again.
    pub fn lose(&mut self, sequence: u64, now: Time) {
        self.outbox.lose(sequence, now.after(self.interval()));
    }

    /// Whoever sent reports as `sender` is gone, and will not hear an answer.
    pub fn lose_sender(&mut self, sender: u32, now: Time) {
        self.outbox.lose_sender(sender, now);
    }

    fn interval(&self) -> Duration {
        let millis = self
            .report_settings()
            .map_or(1_000, |report| report.interval_ms);
        Duration::from_millis(u64::from(millis))
    }

    /// Everything that happened since the last report.
    fn take(&mut self, now: Time) -> Report {
        // What goes out is shown first: an objective may be forgotten with it.
        self.show();
        let served = self.server.take(now, &self.clock);
        let called = self.client.take(now, &self.clock);
        let scopes = merged(served, called, |one, other| one.scope.cmp(&other.scope));
        Report {
            incarnation: 0,
            sequence: 0,
            from: WallTime::default(),
            to: WallTime::default(),
            scopes,
            filters: [&self.server.status, &self.client.status]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
            denials: [self.server.denials(), self.client.denials()].concat(),
            trouble: self.take_trouble(),
        }
    }

    const fn side(&mut self, side: Side) -> &mut SideState {
        match side {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        }
    }
}

/// The earlier of two moments that may never come.
#[inline]
fn sooner(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, None) => one,
        (None, other) => other,
    }
}

#[cfg(test)]
mod tests;
