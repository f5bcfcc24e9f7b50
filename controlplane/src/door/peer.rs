//! What is known about the other side of a connection.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use sloop_controllers::{Access, Denied, SpiffeId};
use tokio::sync::{Semaphore, oneshot};
use tonic::Status;

use super::limits::{DoorLimits, Limit};
use super::workload::Workload;
use crate::ads::Allowance;
use crate::clock;
use crate::ingest::Report;
use crate::metrics::DoorMetrics;

/// Refused calls that a connection may have at once, and per second for long. Beyond, whoever is
/// there does not listen, and the connection ends.
const REFUSED_BURST: u32 = 1_000;
const REFUSED_PER_SECOND: u32 = 100;

/// The other side of a connection; in the extensions of every request that came over it.
#[derive(Clone, Debug)]
pub struct Peer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    client: Client,
    metrics: DoorMetrics,
    state: Mutex<State>,
    /// What it shares with other connections of its identity.
    workload: Option<Arc<Workload>>,
    /// Bytes of its reports that may be in memory; set by what reads the first.
    room: OnceLock<Arc<Semaphore>>,
}

/// What its certificate says about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// There is none.
    Unverified,
    /// It is trusted.
    Verified,
    /// It is trusted, and of this workload.
    Named(SpiffeId),
}

#[derive(Debug)]
struct State {
    calls: Allowance,
    refused: Allowance,
    /// Whether it was said that it wanted what it may not have.
    was_denied: bool,
    /// Ends the connection when it is dropped.
    end: Option<oneshot::Sender<()>>,
}

impl Peer {
    /// The peer of a connection that begins. The connection must end when `end` is dropped.
    pub(super) fn new(
        address: SocketAddr,
        (client, workload): (Client, Option<Arc<Workload>>),
        limits: &DoorLimits,
        metrics: DoorMetrics,
        end: oneshot::Sender<()>,
    ) -> Self {
        let now = clock::wall();
        let state = State {
            calls: Allowance::new(limits.calls_burst, limits.calls_per_second, now),
            refused: Allowance::new(REFUSED_BURST, REFUSED_PER_SECOND, now),
            was_denied: false,
            end: Some(end),
        };
        Self {
            shared: Arc::new(Shared {
                address,
                client,
                metrics,
                state: Mutex::new(state),
                workload,
                room: OnceLock::new(),
            }),
        }
    }

    /// Where it connects from.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Who it is, by its certificate; `None` without TLS.
    #[must_use]
    pub fn identity(&self) -> Option<&SpiffeId> {
        match &self.shared.client {
            Client::Named(identity) => Some(identity),
            Client::Verified | Client::Unverified => None,
        }
    }

    /// Whether it showed a certificate, which then is trusted.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.shared.client != Client::Unverified
    }

    /// The room that its reports have in memory, which is `bytes`.
    #[must_use]
    pub fn room(&self, bytes: usize) -> Arc<Semaphore> {
        let room = || Arc::new(Semaphore::new(bytes));
        Arc::clone(self.shared.room.get_or_init(room))
    }

    /// The room that the reports of all connections with its identity have, which is `bytes`; `None` without one.
    #[must_use]
    pub fn room_of_identity(&self, bytes: usize) -> Option<Arc<Semaphore>> {
        let workload = self.shared.workload.as_ref()?;
        Some(workload.room(bytes))
    }

    /// Ends its connection, whatever is under way. Says whether nobody did so before.
    pub fn end(&self) -> bool {
        self.state().end.take().is_some()
    }

    /// Whether it may be a sidecar of `service`. Without TLS anybody may.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED` when no rule says so.
    pub fn sidecar(&self, access: &Access, service: &str) -> Result<(), Status> {
        let allowed = self.identity().map(|it| access.sidecar(it, service));
        allowed
            .unwrap_or(Ok(()))
            .map_err(|denied| self.deny(&denied))
    }

    /// Whether it may send this report. Without TLS anybody may.
    ///
    /// # Errors
    ///
    /// `PERMISSION_DENIED` when no rule says so.
    pub fn report(&self, access: &Access, report: &Report) -> Result<(), Status> {
        let scopes = report.scopes.iter().map(|counts| &counts.scope);
        let allowed = self
            .identity()
            .map(|it| access.report(it, &report.group, scopes));
        allowed
            .unwrap_or(Ok(()))
            .map_err(|denied| self.deny(&denied))
    }

    /// Counts that it wanted what it may not have.
    fn deny(&self, denied: &Denied) -> Status {
        let status = Status::permission_denied(denied.to_string());
        self.shared.metrics.denied(denied);
        let mut state = self.state();
        // Peers come back every other second, for as long as nobody gives them leave.
        if std::mem::replace(&mut state.was_denied, true) {
            return status;
        }
        tracing::warn!(address = %self.address(), %denied, "somebody may not do what they want");
        status
    }

    /// Counts a call that begins.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` when its connection has begun too many.
    pub fn call(&self) -> Result<(), Status> {
        let now = clock::wall();
        let mut state = self.state();
        if state.calls.take(now) {
            return Ok(());
        }
        self.shared.metrics.hit(Limit::Calls);
        if !state.refused.take(now) && state.end.take().is_some() {
            self.shared.metrics.hit(Limit::CallsFlood);
            let (address, identity) = (self.address(), self.identity());
            tracing::warn!(%address, ?identity, "a connection with a flood of calls was ended");
        }
        Err(Status::resource_exhausted(
            "too many calls on one connection",
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = &self.shared.state;
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
