//! How a request ended, in one word.
//!
//! One definition for SLIs, breakers, spans and experiments, so that budgets,
//! traces and decisions can never disagree. [`Outcome::of`] is the whole rule,
//! read from the top: the first line that fits decides.
//!
//! | first that fits | outcome |
//! |---|---|
//! | the filter refused it: breaker, shedding, rule, no time left | [`Refused`], [`Shed`], [`Blocked`], [`DeadlinePassed`] |
//! | the filter answered it as a fault | [`Faulted`] |
//! | status 101, whoever closed it then | [`Upgraded`] |
//! | flags DC, DR: the client went away | [`ClientCancel`] |
//! | flag DPE: the client broke the protocol; the same with status 400 to 499: it was told so | [`ClientCancel`]; [`ClientError`] |
//! | flags UT, SI, UMSDR, DT; the same with status 408: the client did not finish its request | [`Timeout`]; [`ClientCancel`] |
//! | flags UF, DF | [`ConnectFailure`] |
//! | flags UH, NR, NC, DO: nothing to send it to | [`NoHealthyUpstream`] |
//! | flags UC, UR, LR, UPE with no status or 500 and above | [`UpstreamReset`] |
//! | the same flags with a status below 500: cut short, or made to look well | [`Truncated`] |
//! | no status at all | [`UpstreamReset`] |
//! | gRPC status 0; 1 (client) | [`Success`]; [`ClientCancel`] |
//! | gRPC status 3, 5, 6, 7, 9, 11, 16 | [`ClientError`] |
//! | other gRPC status | [`ServerError`]; 4 is [`Timeout`] |
//! | status below 400; 400 to 499; above | [`Success`]; [`ClientError`]; [`ServerError`] |
//!
//! The split of gRPC codes into the client's and the server's fault is that of
//! OpenTelemetry's semantic conventions for RPC server spans, where UNKNOWN,
//! DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS are
//! errors; RESOURCE_EXHAUSTED (8) and ABORTED (10) are counted as the server's
//! here, since a caller cannot avoid them.
//!
//! A broken connection with a status below 500 is [`Truncated`] whoever wrote the answer. Nearly always the service did, and
//! was cut short. Where an operator has Envoy answer its own errors with such a status (`local_reply_config`), nothing was cut
//! short, but neither the client nor the filter can tell: the flags are the same, and so may be the answer. It failed all the
//! same, and the table below treats both alike.
//!
//! What an outcome means is one table, too:
//!
//! | outcomes | class | served | evidence | latency | slowness |
//! |---|---|---|---|---|---|
//! | [`Success`] | served | yes | yes | yes | yes |
//! | [`Upgraded`] | served | yes | yes | no | no |
//! | [`ClientError`] | client error | yes | yes | yes | yes |
//! | [`ServerError`], [`UpstreamReset`], [`Timeout`], [`ConnectFailure`], [`NoHealthyUpstream`], [`Truncated`] | failed | no | yes | yes | yes |
//! | [`ClientCancel`] | cancelled | no | no | no | yes |
//! | [`Refused`], [`Faulted`], [`Shed`], [`Blocked`], [`DeadlinePassed`] | own | no | no | no | no |
//!
//! What the filter answered itself never reached the service, so it says nothing
//! about it: it is no evidence, has no latency, and counts for none of the
//! service's objectives unless one selects it by name. The caller got no service
//! all the same, and that is counted where it belongs: a caller whose request was
//! refused, shed, blocked or out of time answers its own callers worse, and that
//! is in the counts of *its* scope, seen by the sidecar in front of it.
//!
//! [`Refused`]: Outcome::Refused
//! [`Shed`]: Outcome::Shed
//! [`Blocked`]: Outcome::Blocked
//! [`DeadlinePassed`]: Outcome::DeadlinePassed
//! [`Faulted`]: Outcome::Faulted
//! [`ClientCancel`]: Outcome::ClientCancel
//! [`Timeout`]: Outcome::Timeout
//! [`ConnectFailure`]: Outcome::ConnectFailure
//! [`NoHealthyUpstream`]: Outcome::NoHealthyUpstream
//! [`UpstreamReset`]: Outcome::UpstreamReset
//! [`Truncated`]: Outcome::Truncated
//! [`Upgraded`]: Outcome::Upgraded
//! [`Success`]: Outcome::Success
//! [`ClientError`]: Outcome::ClientError
//! [`ServerError`]: Outcome::ServerError

use serde::{Deserialize, Serialize};

use crate::Flags;

/// How a request ended. The numbers are the wire format of reports: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(description = "How a request ended."))]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// Served.
    Success = 0,
    /// The caller asked for something that it may not have or that is not there.
    ClientError = 1,
    /// The service answered that it failed.
    ServerError = 2,
    /// The connection to the service broke before an answer.
    UpstreamReset = 3,
    /// No answer in time.
    Timeout = 4,
    /// No connection to the service.
    ConnectFailure = 5,
    /// Nothing to connect to.
    NoHealthyUpstream = 6,
    /// The caller went away before the end.
    ClientCancel = 7,
    /// The filter's breaker refused it.
    Refused = 8,
    /// The filter answered in place of the service, as an experiment.
    Faulted = 9,
    /// The answer began well and was cut short.
    Truncated = 10,
    /// It became another protocol (101), of which no latency can be told.
    Upgraded = 11,
    /// The filter refused it to leave room for what matters more.
    Shed = 12,
    /// A rule of the filter denies it.
    Blocked = 13,
    /// Nobody waits for the answer any more, so the filter did not ask for one.
    DeadlinePassed = 14,
}

/// What kinds of outcome there are: few enough to be counted per caller, origin and journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum OutcomeClass {
    /// The service did what it is there for.
    Served = 0,
    /// It said, rightly, that the request was wrong.
    ClientError = 1,
    /// It did not do what it is there for.
    Failed = 2,
    /// The caller went away.
    Cancelled = 3,
    /// The filter answered itself.
    Own = 4,
}

impl OutcomeClass {
    /// All classes, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Served,
        Self::ClientError,
        Self::Failed,
        Self::Cancelled,
        Self::Own,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::ClientError => "client_error",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Own => "own",
        }
    }
}

/// What the filter itself did to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnVerdict {
    /// Let it pass.
    Passed,
    /// Refused it: the breaker is open.
    Refused,
    /// Answered it as a fault.
    Faulted,
    /// Refused it, to leave room for what matters more.
    Shed,
    /// Refused it: a rule denies it.
    Blocked,
    /// Refused it: its deadline had passed when it came.
    DeadlinePassed,
}

/// What is known of a request when it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What the filter did to it.
    pub verdict: OwnVerdict,
    /// The HTTP status that the client was sent; none when it was sent none.
    pub status: Option<u16>,
    /// Envoy's flags.
    pub flags: Flags,
    /// The gRPC status, when the request was gRPC. Envoy invents one for others: do not pass that on.
    pub grpc: Option<u8>,
}

impl Ended {
    /// Whether the client did not finish its request: Envoy, where it is told to wait no longer for either side, answers that
    /// with 408. How long it waited says nothing about the service, not even that somebody gave up waiting for it.
    #[must_use]
    #[inline]
    pub const fn is_unfinished(&self) -> bool {
        matches!(self.status, Some(408)) && self.flags.intersects(Flags::LATE)
    }
}

impl Outcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Success,
        Self::ClientError,
        Self::ServerError,
        Self::UpstreamReset,
        Self::Timeout,
        Self::ConnectFailure,
        Self::NoHealthyUpstream,
        Self::ClientCancel,
        Self::Refused,
        Self::Faulted,
        Self::Truncated,
        Self::Upgraded,
        Self::Shed,
        Self::Blocked,
        Self::DeadlinePassed,
    ];

    /// The outcome of what ended like this.
    #[must_use]
    #[inline]
    pub const fn of(ended: Ended) -> Self {
        match ended.verdict {
            OwnVerdict::Refused => return Self::Refused,
            OwnVerdict::Faulted => return Self::Faulted,
            OwnVerdict::Shed => return Self::Shed,
            OwnVerdict::Blocked => return Self::Blocked,
            OwnVerdict::DeadlinePassed => return Self::DeadlinePassed,
            OwnVerdict::Passed => {}
        }
        let flags = ended.flags;
        if matches!(ended.status, Some(101)) {
            // Whoever closes a WebSocket, Envoy says UC or DC: it has no other end.
            Self::Upgraded
        } else if let (0, Some(status)) = (flags.0, ended.status) {
            // What nearly all are: none of the below.
            Self::of_answer(status, ended.grpc)
        } else if flags.intersects(Flags::CANCELLED) {
            Self::ClientCancel
        } else if flags.intersects(Flags::MISUSED) {
            match ended.status {
                Some(400..500) => Self::ClientError,
                None | Some(_) => Self::ClientCancel,
            }
        } else if flags.intersects(Flags::LATE) {
            if ended.is_unfinished() {
                Self::ClientCancel
            } else {
                Self::Timeout
            }
        } else if flags.intersects(Flags::UNCONNECTED) {
            Self::ConnectFailure
        } else if flags.intersects(Flags::NOWHERE) {
            Self::NoHealthyUpstream
        } else {
            match ended.status {
                None | Some(500..) if flags.intersects(Flags::BROKEN) => Self::UpstreamReset,
                Some(_) if flags.intersects(Flags::BROKEN) => Self::Truncated,
                None => Self::UpstreamReset,
                Some(status) => Self::of_answer(status, ended.grpc),
            }
        }
    }

    #[inline]
    const fn of_answer(status: u16, grpc: Option<u8>) -> Self {
        match grpc {
            Some(grpc) => Self::of_grpc(grpc),
            None => Self::of_http(status),
        }
    }

    #[inline]
    const fn of_grpc(status: u8) -> Self {
        match status {
            0 => Self::Success,
            1 => Self::ClientCancel,
            4 => Self::Timeout,
            3 | 5 | 6 | 7 | 9 | 11 | 16 => Self::ClientError,
            _ => Self::ServerError,
        }
    }

    #[inline]
    const fn of_http(status: u16) -> Self {
        match status {
            ..400 => Self::Success,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    /// The number on the wire.
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its row of the table: the name in documents, metrics and tables, and the class.
    #[inline]
    const fn row(self) -> (&'static str, OutcomeClass) {
        match self {
            Self::Success => ("success", OutcomeClass::Served),
            Self::ClientError => ("client_error", OutcomeClass::ClientError),
            Self::ServerError => ("server_error", OutcomeClass::Failed),
            Self::UpstreamReset => ("upstream_reset", OutcomeClass::Failed),
            Self::Timeout => ("timeout", OutcomeClass::Failed),
            Self::ConnectFailure => ("connect_failure", OutcomeClass::Failed),
            Self::NoHealthyUpstream => ("no_healthy_upstream", OutcomeClass::Failed),
            Self::ClientCancel => ("client_cancel", OutcomeClass::Cancelled),
            Self::Refused => ("refused", OutcomeClass::Own),
            Self::Faulted => ("faulted", OutcomeClass::Own),
            Self::Truncated => ("truncated", OutcomeClass::Failed),
            Self::Upgraded => ("upgraded", OutcomeClass::Served),
            Self::Shed => ("shed", OutcomeClass::Own),
            Self::Blocked => ("blocked", OutcomeClass::Own),
            Self::DeadlinePassed => ("deadline_passed", OutcomeClass::Own),
        }
    }

    /// The name in documents, metrics and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// What kind of outcome it is.
    #[must_use]
    #[inline]
    pub const fn class(self) -> OutcomeClass {
        self.row().1
    }

    /// Whether the service did what it is there for: a caller's mistake, well answered, is served too.
    #[must_use]
    #[inline]
    pub const fn is_served(self) -> bool {
        match self.class() {
            OutcomeClass::Served | OutcomeClass::ClientError => true,
            OutcomeClass::Failed | OutcomeClass::Cancelled | OutcomeClass::Own => false,
        }
    }

    /// Whether it says anything about the service: what the caller gave up on,
    /// and what the filter answered itself, does not.
    #[must_use]
    #[inline]
    pub const fn is_evidence(self) -> bool {
        match self.class() {
            OutcomeClass::Served | OutcomeClass::ClientError | OutcomeClass::Failed => true,
            OutcomeClass::Cancelled | OutcomeClass::Own => false,
        }
    }

    /// Whether its duration is a latency. An upgraded connection lives as long as it likes.
    #[must_use]
    #[inline]
    pub const fn has_latency(self) -> bool {
        self.is_evidence() && !matches!(self, Self::Upgraded)
    }

    /// Whether a long duration means that the service was slow. A caller that gave up has waited that long too.
    #[must_use]
    #[inline]
    pub const fn shows_slowness(self) -> bool {
        self.has_latency() || matches!(self, Self::ClientCancel)
    }

    /// The names of all, in the order of their numbers.
    #[must_use]
    #[expect(
        clippy::indexing_slicing,
        reason = "at compile time, within both lengths"
    )]
    pub const fn names() -> [&'static str; Self::ALL.len()] {
        let mut names = [""; Self::ALL.len()];
        let mut index = 0;
        while index < names.len() {
            names[index] = Self::ALL[index].name();
            index += 1;
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: Option<u16>, flags: u64, grpc: Option<u8>) -> Outcome {
        Outcome::of(Ended {
            verdict: OwnVerdict::Passed,
            status,
            flags: Flags(flags),
            grpc,
        })
    }

    /// Status, flags and details as Envoy 1.40 gives them at the end of real requests.
    #[test]
    fn what_envoy_says_becomes_one_word() {
        for (status, flags, expected) in [
            (Some(200), 0, Outcome::Success),
            (Some(304), 0, Outcome::Success),
            (Some(404), 0, Outcome::ClientError),
            (Some(500), 0, Outcome::ServerError),
            (Some(504), 4, Outcome::Timeout),
            (Some(503), 32, Outcome::ConnectFailure),
            (Some(503), 1 << 24, Outcome::NoHealthyUpstream),
            (Some(404), 1 << 8, Outcome::NoHealthyUpstream),
            (Some(503), 64, Outcome::UpstreamReset),
            (Some(200), 1 << 23, Outcome::Truncated),
            (Some(200), 1 << 14, Outcome::ClientCancel),
            (None, 1 << 28, Outcome::ClientCancel),
            (None, 0, Outcome::UpstreamReset),
            (None, 1 << 18, Outcome::ClientCancel),
            (Some(200), 1 << 18, Outcome::ClientCancel),
            (Some(400), 1 << 18, Outcome::ClientError),
            (Some(408), 0, Outcome::ClientError),
            (Some(408), 1 << 16, Outcome::ClientCancel),
            (Some(408), 1 << 19, Outcome::ClientCancel),
            (Some(504), 1 << 16, Outcome::Timeout),
            (None, 1 << 16, Outcome::Timeout),
            (Some(101), 64, Outcome::Upgraded),
            (Some(101), 1 << 14, Outcome::Upgraded),
        ] {
            assert_eq!(of(status, flags, None), expected, "{status:?} {flags:#x}");
        }
    }

    #[test]
    fn grpc_decides_by_its_own_status() {
        assert_eq!(of(Some(200), 0, Some(0)), Outcome::Success);
        assert_eq!(of(Some(200), 0, Some(14)), Outcome::ServerError);
        assert_eq!(of(Some(200), 0, Some(4)), Outcome::Timeout);
        assert_eq!(of(Some(200), 0, Some(5)), Outcome::ClientError);
        assert_eq!(of(Some(200), 0, Some(200)), Outcome::ServerError);
    }

    #[test]
    fn our_own_answer_comes_before_what_envoy_says() {
        for (verdict, expected) in [
            (OwnVerdict::Refused, Outcome::Refused),
            (OwnVerdict::Faulted, Outcome::Faulted),
            (OwnVerdict::Shed, Outcome::Shed),
            (OwnVerdict::Blocked, Outcome::Blocked),
            (OwnVerdict::DeadlinePassed, Outcome::DeadlinePassed),
        ] {
            let ended = Ended {
                verdict,
                status: Some(503),
                flags: Flags(1 << 14),
                grpc: Some(0),
            };
            assert_eq!(Outcome::of(ended), expected);
            assert_eq!(expected.class(), OutcomeClass::Own);
            let says_nothing =
                !expected.is_evidence() && !expected.is_served() && !expected.shows_slowness();
            assert!(says_nothing, "{expected:?}");
        }
    }

    #[test]
    fn the_table_of_the_docs_is_what_holds() {
        let word = |is: bool| if is { "yes" } else { "no" };
        for outcome in Outcome::ALL {
            let name = format!("[`{outcome:?}`]");
            let row = include_str!("outcome.rs")
                .lines()
                .filter_map(|line| line.strip_prefix("//! | "))
                .find(|line| line.contains(&name) && 5 < line.matches(" | ").count() + 1)
                .map(|line| line.split(" | ").collect::<Vec<_>>());
            let [_, class, rest @ ..] = row.as_deref().expect("a row") else {
                panic!("no row of {outcome:?}")
            };
            assert_eq!(
                class.replace(' ', "_"),
                outcome.class().name(),
                "{outcome:?}"
            );
            let says = [
                outcome.is_served(),
                outcome.is_evidence(),
                outcome.has_latency(),
                outcome.shows_slowness(),
            ];
            let rest: Vec<_> = rest
                .iter()
                .map(|cell| cell.trim_end_matches(" |"))
                .collect();
            assert_eq!(rest, says.map(word), "{outcome:?}");
        }
    }

    #[test]
    fn numbers_are_positions() {
        for (index, outcome) in Outcome::ALL.iter().enumerate() {
            assert_eq!(outcome.index(), index);
        }
        for (index, class) in OutcomeClass::ALL.iter().enumerate() {
            assert_eq!(class.index(), index);
        }
    }
}
