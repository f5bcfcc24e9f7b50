//! What Envoy says about how a request ended, beside its status.

/// Envoy's response flags, as the property `response.flags` gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(pub u64);

impl Flags {
    /// Nothing to send it to: no healthy host (UH), no route (NR), no cluster (NC), drop overload (DO).
    pub const NOWHERE: Self = Self(1 << 1 | 1 << 8 | 1 << 24 | 1 << 27);
    /// No answer in time: upstream (UT), stream idle (SI), longest stream (UMSDR), longest request (DT).
    pub const LATE: Self = Self(1 << 2 | 1 << 16 | 1 << 19 | 1 << 22);
    /// No connection: upstream (UF), name not resolved (DF).
    pub const UNCONNECTED: Self = Self(1 << 5 | 1 << 26);
    /// The connection or stream broke: local reset (LR), remote reset (UR), termination (UC), protocol error (UPE).
    pub const BROKEN: Self = Self(1 << 3 | 1 << 4 | 1 << 6 | 1 << 23);
    /// Envoy would have tried again, but may not any more (URX).
    pub const RETRIED_OUT: Self = Self(1 << 15);
    /// The client went away: connection (DC), stream (DR).
    pub const CANCELLED: Self = Self(1 << 14 | 1 << 28);
    /// The client broke the protocol, as with a body of another length than it said (DPE). On HTTP/2 one frame may end all that is
    /// under way on its connection.
    pub const MISUSED: Self = Self(1 << 18);

    /// Envoy's short names for access logs (`%RESPONSE_FLAGS%`) with their bits.
    pub const NAMES: &'static [(&'static str, u32)] = &[
        ("LH", 0),
        ("UH", 1),
        ("UT", 2),
        ("LR", 3),
        ("UR", 4),
        ("UF", 5),
        ("UC", 6),
        ("UO", 7),
        ("NR", 8),
        ("DI", 9),
        ("FI", 10),
        ("RL", 11),
        ("UAEX", 12),
        ("RLSE", 13),
        ("DC", 14),
        ("URX", 15),
        ("SI", 16),
        ("IH", 17),
        ("DPE", 18),
        ("UMSDR", 19),
        ("RFCF", 20),
        ("NFCF", 21),
        ("DT", 22),
        ("UPE", 23),
        ("NC", 24),
        ("OM", 25),
        ("DF", 26),
        ("DO", 27),
        ("DR", 28),
        ("UDO", 29),
    ];

    /// Whether any of `others` is set.
    #[must_use]
    #[inline]
    pub const fn intersects(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// The flag with this short name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, bit)| Self(1 << bit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_envoys_names() {
        assert_eq!(Flags::named("UT"), Some(Flags(4)));
        assert_eq!(Flags::named("DR"), Some(Flags(1 << 28)));
        assert_eq!(Flags::named("XX"), None);
    }
}
