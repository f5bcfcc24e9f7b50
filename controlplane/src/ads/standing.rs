//! Whether a node runs with what it should.

use std::collections::BTreeMap;
use std::time::Duration;

use sloop_model::WallTime;
use sloop_xds::Version;
use sloop_xds::rollout::{Seen, Tally};

use super::{NodeStatus, Refusal};

/// How a stream stands with what its node should have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    wanted: Option<Version>,
    /// Since when that is wanted.
    since: WallTime,
    /// When all of it was in force; `None` while it is not.
    in_force_at: Option<WallTime>,
}

impl Standing {
    /// The node should have this from `now` on.
    pub(super) fn wants(&mut self, version: &Version, now: WallTime) {
        if self.wanted.as_ref() != Some(version) {
            *self = Self {
                wanted: Some(version.clone()),
                since: now,
                in_force_at: None,
            };
        }
    }

    /// Whether all of `version` is in force at `now`. Says how long that took, once.
    pub(super) fn stands(
        &mut self,
        version: &Version,
        is_in_force: bool,
        now: WallTime,
    ) -> Option<Duration> {
        self.wants(version, now);
        let was = self.in_force_at.is_some();
        if !is_in_force {
            self.in_force_at = None;
            return None;
        }
        let at = *self.in_force_at.get_or_insert(now);
        (!was).then(|| at.since(self.since))
    }

    /// What is in force as a whole; `None` while something is missing.
    #[must_use]
    pub fn has(&self) -> Option<&Version> {
        self.in_force_at.and(self.wanted.as_ref())
    }

    /// How long it took until what the node should have was in force; `None` while it is not.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        self.in_force_at.map(|at| at.since(self.since))
    }

    /// Since when the node does not run with what it should; `None` when it does, or that is not known.
    #[must_use]
    pub fn behind_since(&self) -> Option<WallTime> {
        let is_behind = self.wanted.is_some() && self.in_force_at.is_none();
        is_behind.then_some(self.since)
    }
}

/// How long a refusal counts at least, whatever became of it: within milliseconds a node may take something else over, and whoever
/// looks, looks a few times a second, or later when they are busy.
const REFUSAL_COUNTS: Duration = Duration::from_secs(5);

/// How nodes stand at `now`, by id: what a node has it has on all of its streams. What was counted of them is not known here.
pub(super) fn by_node<'a>(
    streams: impl Iterator<Item = &'a NodeStatus>,
    now: WallTime,
) -> Vec<Seen> {
    let mut nodes: BTreeMap<&str, Seen> = BTreeMap::new();
    for stream in streams {
        let refusal = refusal(stream, now);
        let refusal = refusal.map(|it| (it.at, it.message.clone()));
        let has = stream.standing.has();
        match nodes.get_mut(stream.id.as_str()) {
            Some(seen) => {
                seen.has.take_if(|version| has != Some(&*version));
                seen.refusal = seen.refusal.take().max(refusal);
            }
            None => {
                let seen = Seen {
                    node: stream.id.clone(),
                    has: has.cloned(),
                    refusal,
                    tally: Tally::default(),
                };
                nodes.insert(&stream.id, seen);
            }
        }
    }
    nodes.into_values().collect()
}

/// What a stream refused last, of what it refuses or did so lately.
fn refusal(stream: &NodeStatus, now: WallTime) -> Option<&Refusal> {
    // Of what was refused later than now, by a clock that was set back, it is not known how late.
    let is_recent = |it: &Refusal| it.at <= now && now.since(it.at) < REFUSAL_COUNTS;
    let refusals = stream.types.values().filter_map(|of_type| {
        let refused = of_type.refused.as_ref();
        refused.filter(|it| of_type.is_refusing || is_recent(it))
    });
    refusals.max_by_key(|refusal| refusal.at)
}

#[cfg(test)]
mod tests {
    use sloop_xds::fleet::Cohort;

    use super::super::{TypeStatus, Variant};
    use super::*;

    fn version(text: &str) -> Version {
        Version::claimed(text)
    }

    fn at(seconds: u64) -> WallTime {
        WallTime::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_time_to_effect_is_said_once() {
        let mut standing = Standing::default();
        assert_eq!((standing.took(), standing.behind_since()), (None, None));
        standing.wants(&version("1"), at(1));
        assert_eq!(standing.stands(&version("1"), false, at(2)), None);
        assert_eq!(standing.behind_since(), Some(at(1)));
        let took = Some(Duration::from_secs(3));
        assert_eq!(standing.stands(&version("1"), true, at(4)), took);
        assert_eq!(standing.stands(&version("1"), true, at(5)), None);
        assert_eq!(standing.took(), took);
        assert_eq!(standing.has(), Some(&version("1")));
        standing.wants(&version("1"), at(6));
        assert!(standing.has().is_some(), "wanted already");
        standing.wants(&version("2"), at(7));
        assert_eq!(standing.has(), None);
    }

    #[test]
    fn what_was_lost_is_not_in_force_any_more() {
        let mut standing = Standing::default();
        standing.stands(&version("1"), true, at(1));
        standing.stands(&version("1"), false, at(2));
        assert_eq!(standing.has(), None);
    }

    fn stream(id: &str, has: Option<&str>, refused_at: Option<u64>) -> NodeStatus {
        let mut standing = Standing::default();
        if let Some(has) = has {
            standing.stands(&version(has), true, at(1));
        }
        let refused = |seconds| TypeStatus {
            is_refusing: true,
            refused: Some(Refusal {
                version: version("1"),
                message: "no".to_owned(),
                at: at(seconds),
            }),
            ..TypeStatus::default()
        };
        NodeStatus {
            stream: 1,
            id: id.to_owned(),
            group: "shop".to_owned(),
            cohort: Cohort::of_service("shop"),
            zone: String::new(),
            connected_since: at(0),
            variant: Variant::Delta,
            types: refused_at
                .map(|seconds| ("t".to_owned(), Box::new(refused(seconds))))
                .into_iter()
                .collect(),
            accepted: BTreeMap::new(),
            standing,
        }
    }

    #[test]
    fn a_node_has_what_all_of_its_streams_have() {
        let streams = [
            stream("a", Some("1"), None),
            stream("a", Some("1"), Some(3)),
            stream("b", Some("1"), Some(5)),
            stream("b", None, Some(4)),
        ];
        let seen = by_node(streams.iter(), at(60));
        let has: Vec<_> = seen.iter().map(|it| it.has.clone()).collect();
        assert_eq!(has, [Some(version("1")), None]);
        let refusals = seen.iter().map(|it| it.refusal.clone().unwrap().0);
        assert_eq!(refusals.collect::<Vec<_>>(), [at(3), at(5)]);
    }

    /// What it is sent instead it may have taken over before anybody looks.
    #[test]
    fn a_refusal_counts_for_a_while_when_it_is_over() {
        let mut over = stream("a", Some("1"), Some(3));
        over.types
            .values_mut()
            .for_each(|it| it.is_refusing = false);
        let refuses = |seconds| {
            by_node([&over].into_iter(), at(seconds))[0]
                .refusal
                .is_some()
        };
        assert_eq!([2, 3, 7, 8].map(refuses), [false, true, true, false]);
    }
}
