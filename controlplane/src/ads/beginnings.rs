//! How many streams may begin: of each client, and of all together.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use sloop_controllers::SpiffeId;
use sloop_model::WallTime;

use super::allowance::Allowance;
use super::limits::AdsLimits;
use crate::door::{Limit, Peer};

/// Shares that are kept: twice the fleet that a control plane is made for, each from an address of its own. When there is
/// no room, those go of which nothing is missing; whoever then still finds none has only what all have.
const SHARES_MAX: usize = 20_000;

/// Shares are looked through for full ones so often at most, however many ask for room.
const SWEEP_GAP: Duration = Duration::from_secs(1);

/// Whose share it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// Of all that show certificates with this name.
    Identity(SpiffeId),
    /// Of all that come from this address in the clear; of IPv6 the first half counts, as a machine may have all of the other.
    Address(IpAddr),
}

impl Whose {
    /// The share of `peer`.
    pub(super) fn of(peer: &Peer) -> Self {
        match peer.identity() {
            Some(identity) => Self::Identity(identity.clone()),
            None => Self::at(peer.address().ip()),
        }
    }

    /// The share of whoever comes from `address`.
    fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
            address @ IpAddr::V4(_) => address,
        })
    }
}

/// What is left of beginnings. Shares outlive the streams that began by them: to end a stream gives nothing back.
#[derive(Debug, Default)]
pub(super) struct Beginnings {
    /// Nobody asked for one when absent.
    of_all: Option<Allowance>,
    /// Who is not there has all of it.
    shares: BTreeMap<Whose, Allowance>,
    /// When shares were looked through last; they never were when absent.
    swept: Option<WallTime>,
}

impl Beginnings {
    /// Whether one more stream may begin at `now`; if so, it is counted. The share is asked first, so who has used theirs
    /// up takes nothing from others, and nothing is taken of it when all together have none left.
    pub(super) fn take(
        &mut self,
        limits: &AdsLimits,
        whose: Option<Whose>,
        now: WallTime,
    ) -> Result<(), Limit> {
        let full = || Allowance::new(limits.new_streams_burst, limits.new_streams_per_second, now);
        let Some(whose) = whose else {
            let of_all = self.of_all.get_or_insert_with(full);
            return of_all.take(now).then_some(()).ok_or(Limit::NewStreams);
        };
        let known = self.shares.get(&whose).copied();
        let mut share = known.unwrap_or_else(|| {
            let (burst, per_second) = (
                limits.new_streams_per_identity_burst,
                limits.new_streams_per_identity_per_second,
            );
            Allowance::new(burst, per_second, now)
        });
        if !share.take(now) {
            return Err(Limit::NewStreamsPerIdentity);
        }
        if !self.of_all.get_or_insert_with(full).take(now) {
            return Err(Limit::NewStreams);
        }
        if known.is_some() || self.has_room(now) {
            self.shares.insert(whose, share);
        }
        Ok(())
    }

    /// Whether one more share may be kept. Full ones say nothing, and make room.
    fn has_room(&mut self, now: WallTime) -> bool {
        if self.shares.len() < SHARES_MAX {
            return true;
        }
        if self.swept.is_none_or(|at| SWEEP_GAP <= now.since(at)) {
            self.swept = Some(now);
            self.shares.retain(|_, share| !share.is_full(now));
        }
        self.shares.len() < SHARES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> WallTime {
        WallTime::default().after(Duration::from_millis(ms))
    }

    fn client(number: u32) -> Whose {
        Whose::Address(IpAddr::from(number.to_be_bytes()))
    }

    fn named(name: &str) -> Whose {
        let id = format!("spiffe://example.org/{name}");
        Whose::Identity(SpiffeId::try_from(id.as_str()).unwrap())
    }

    /// Ten at once and four a second, of each client three and one.
    fn few() -> AdsLimits {
        AdsLimits {
            new_streams_burst: 10,
            new_streams_per_second: 4,
            new_streams_per_identity_burst: 3,
            new_streams_per_identity_per_second: 1,
            ..AdsLimits::default()
        }
    }

    #[test]
    fn who_begins_too_many_leaves_the_rest_to_others() {
        let (limits, mut beginnings) = (few(), Beginnings::default());
        let refused = Err(Limit::NewStreamsPerIdentity);
        for flood in [client(1), named("flood")] {
            let mut begins = || beginnings.take(&limits, Some(flood.clone()), at(0));
            let seen: Vec<_> = (0..1_000).map(|_| begins()).collect();
            assert_eq!(seen[..4], [Ok(()), Ok(()), Ok(()), refused]);
            assert!(seen[4..].iter().all(|it| *it == refused));
        }
        // Six of ten are gone: two others and one whose client is not known begin.
        for newcomer in [Some(client(2)), Some(named("newcomer")), None] {
            assert_eq!(beginnings.take(&limits, newcomer, at(0)), Ok(()));
        }
        let mut begins = |at_ms| beginnings.take(&limits, Some(client(1)), at(at_ms));
        assert_eq!([begins(999), begins(1_000)], [refused, Ok(())]);
    }

    #[test]
    fn a_machine_with_many_addresses_of_one_network_has_one_share() {
        let at = |text: &str| Whose::at(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }

    #[test]
    fn by_default_a_fleet_of_ten_thousand_at_one_address_comes_back_at_once() {
        let (limits, mut beginnings) = (AdsLimits::default(), Beginnings::default());
        for _ in 0..10_000 {
            assert_eq!(beginnings.take(&limits, Some(client(1)), at(0)), Ok(()));
        }
    }

    #[test]
    fn nothing_is_taken_of_a_share_when_all_together_have_none_left() {
        let (limits, mut beginnings) = (few(), Beginnings::default());
        for _ in 0..10 {
            assert_eq!(beginnings.take(&limits, None, at(0)), Ok(()));
        }
        for _ in 0..10 {
            let refused = beginnings.take(&limits, Some(client(1)), at(0));
            assert_eq!(refused, Err(Limit::NewStreams));
        }
        let mut begins = || beginnings.take(&limits, Some(client(1)), at(750));
        let seen = [begins(), begins(), begins()];
        assert_eq!(seen, [Ok(()), Ok(()), Ok(())], "its three are there");
    }

    #[test]
    fn so_many_shares_are_kept_and_full_ones_make_room() {
        let limits = AdsLimits {
            new_streams_burst: u32::MAX,
            new_streams_per_identity_burst: 1,
            new_streams_per_identity_per_second: 1,
            ..AdsLimits::default()
        };
        let mut beginnings = Beginnings::default();
        let kept = u32::try_from(SHARES_MAX).unwrap();
        let mut begins = |number, ms| {
            let begun = beginnings.take(&limits, Some(client(number)), at(ms));
            (begun, beginnings.shares.len())
        };
        for number in 1..=kept {
            assert_eq!(begins(number, 1_000).0, Ok(()));
        }
        let newcomer = kept + 1;
        assert_eq!(begins(newcomer, 1_999), (Ok(()), SHARES_MAX));
        assert_eq!(begins(newcomer, 1_999), (Ok(()), SHARES_MAX), "of all");
        // They are full again a second after they were used.
        assert_eq!(begins(newcomer, 2_998), (Ok(()), SHARES_MAX), "not yet");
        assert_eq!(begins(newcomer, 2_999), (Ok(()), 1));
        let refused = Err(Limit::NewStreamsPerIdentity);
        assert_eq!(begins(newcomer, 2_999), (refused, 1));
    }
}
