//! What connections may take.

use std::time::Duration;

/// Bounds on connections to the gRPC port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoorLimits {
    /// Connections at one time.
    pub connections_max: usize,
    /// The same of all clients with one identity, which only TLS gives.
    pub connections_per_identity_max: usize,
    /// Handshakes that are reckoned at one time; more wait. Who only waits for the client is not among them, so of more
    /// than the process has threads nobody notices anything; below that, the rest of the threads is left to others. The
    /// client's proof, which comes later, has no turn.
    pub handshakes_max: usize,
    /// How long a connection may take until it is secured, its turn to be reckoned included, and then until it speaks: HTTP/2, at the HTTP API a first request.
    pub handshake_time_max: Duration,
    /// How long a connection lasts, give or take a tenth; the client of a secured one then has to prove anew who it is.
    /// gRPC in the clear lasts for ever.
    pub connection_age_max: Duration,
    /// How long nothing may be read or written on a connection that has spoken; for ever where there is none. gRPC has
    /// its own [`crate::ads::AdsLimits::keep_alive_time_max`].
    pub quiet_max: Option<Duration>,
    /// Calls that one connection may begin at once.
    pub calls_burst: u32,
    /// Calls per second that one connection may begin for long.
    pub calls_per_second: u32,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            // A sidecar has one, and one more per worker once it reports. The machine's limit of
            // open files is often reached before.
            connections_max: 60_000,
            // Whoever has one certificate leaves as many to others.
            connections_per_identity_max: 30_000,
            // Each takes half a millisecond of a core.
            handshakes_max: 256,
            handshake_time_max: Duration::from_secs(5),
            connection_age_max: Duration::from_secs(60 * 60),
            quiet_max: None,
            // A worker reports ten times a second at most, and begins one stream of discovery.
            calls_burst: 1_000,
            calls_per_second: 100,
        }
    }
}

/// A bound that somebody came up against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`DoorLimits::connections_max`].
    Connections,
    /// [`DoorLimits::connections_per_identity_max`].
    ConnectionsPerIdentity,
    /// [`DoorLimits::handshakes_max`]; the turn did not come in time.
    Handshakes,
    /// [`DoorLimits::handshake_time_max`].
    HandshakeTime,
    /// No certificate, or one that nobody trusts, or other nonsense.
    Handshake,
    /// A certificate without a name that says whose it is.
    Identity,
    /// [`DoorLimits::connection_age_max`]; the connection was ended, which is no trouble.
    ConnectionAge,
    /// [`DoorLimits::quiet_max`]; the connection was ended, which is no trouble.
    Quiet,
    /// [`DoorLimits::calls_per_second`].
    Calls,
    /// A connection that was ended because it went on far beyond that.
    CallsFlood,
    /// [`crate::ads::AdsLimits::calls_per_connection_max`]: the last place was taken.
    CallsPerConnection,
    /// [`crate::ads::AdsLimits::resets_max`] or [`crate::ads::AdsLimits::faulty_calls_max`]; the connection was ended.
    Resets,
    /// [`crate::ads::AdsLimits::keep_alive_time_max`]; the connection was ended.
    KeepAlive,
    /// [`crate::ads::AdsLimits::new_streams_per_second`].
    NewStreams,
    /// [`crate::ads::AdsLimits::new_streams_per_identity_per_second`].
    NewStreamsPerIdentity,
    /// [`crate::ads::AdsLimits::streams_max`].
    Streams,
    /// [`crate::ads::AdsLimits::streams_per_identity_max`].
    StreamsPerIdentity,
    /// [`crate::ads::AdsLimits::groups_max`].
    Groups,
    /// [`crate::ads::AdsLimits::node_bytes_max`] or [`crate::ads::AdsLimits::metadata_bytes_max`].
    NodeBytes,
    /// [`crate::ads::AdsLimits::request_bytes_max`].
    RequestBytes,
    /// [`crate::ads::AdsLimits::requests_per_second`].
    Requests,
    /// [`crate::ads::AdsLimits::load_bytes_max`].
    LoadBytes,
    /// [`crate::ads::AdsLimits::load_clusters_max`].
    LoadClusters,
    /// [`crate::ads::AdsLimits::load_requests_per_second`]; what cannot be was left out.
    LoadCounts,
    /// [`sloop_xds::StreamLimits::types_max`].
    Types,
    /// [`sloop_xds::StreamLimits::names_max`].
    Names,
    /// [`sloop_xds::StreamLimits::name_bytes_max`].
    NameBytes,
    /// [`crate::ads::AdsLimits::names_room`].
    NamesRoom,
    /// [`crate::ads::AdsLimits::names_room_per_identity`].
    NamesRoomPerIdentity,
    /// [`crate::ads::AdsLimits::stall_max`]; the connection was ended.
    Stall,
    /// [`crate::ingest::ReportLimits::bytes_max`].
    ReportBytes,
    /// [`crate::ingest::ReportLimits::time_max`].
    ReportTime,
    /// [`crate::ingest::ReportLimits::room`].
    ReportRoom,
    /// [`crate::ingest::ReportLimits::room_per_identity`].
    IdentityRoom,
    /// [`crate::ingest::ReportLimits::room_per_connection`].
    ConnectionRoom,
    /// A report that takes more than there would be room for if there were no other.
    ReportWeight,
    /// [`crate::ingest::ReportLimits::requests_per_second`]; what cannot be was left out.
    ReportCounts,
    /// [`sloop_controllers::World::VMS_MAX`].
    Workers,
    /// Nodes by whose failures changes are judged.
    Nodes,
}

impl Limit {
    /// The name in metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::ConnectionsPerIdentity => "connections_per_identity",
            Self::Handshakes => "handshakes",
            Self::HandshakeTime => "handshake_time",
            Self::Handshake => "handshake",
            Self::Identity => "identity",
            Self::ConnectionAge => "connection_age",
            Self::Quiet => "quiet",
            Self::Calls => "calls",
            Self::CallsFlood => "calls_flood",
            Self::CallsPerConnection => "calls_per_connection",
            Self::Resets => "resets",
            Self::KeepAlive => "keep_alive",
            Self::NewStreams => "new_streams",
            Self::NewStreamsPerIdentity => "new_streams_per_identity",
            Self::Streams => "streams",
            Self::StreamsPerIdentity => "streams_per_identity",
            Self::Groups => "groups",
            Self::NodeBytes => "node_bytes",
            Self::RequestBytes => "request_bytes",
            Self::Requests => "requests",
            Self::LoadBytes => "load_bytes",
            Self::LoadClusters => "load_clusters",
            Self::LoadCounts => "load_counts",
            Self::Types => "types",
            Self::Names => "names",
            Self::NameBytes => "name_bytes",
            Self::NamesRoom => "names_room",
            Self::NamesRoomPerIdentity => "names_room_per_identity",
            Self::Stall => "stall",
            Self::ReportBytes => "report_bytes",
            Self::ReportTime => "report_time",
            Self::ReportRoom => "report_room",
            Self::IdentityRoom => "report_room_per_identity",
            Self::ConnectionRoom => "report_room_per_connection",
            Self::ReportWeight => "report_weight",
            Self::ReportCounts => "report_counts",
            Self::Workers => "workers",
            Self::Nodes => "nodes",
        }
    }
}
