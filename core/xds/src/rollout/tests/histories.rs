//! Changes that follow each other at any time, to nodes that take them over, serve and report as they like.

use proptest::prelude::*;

use super::*;

/// How often the control plane looks.
const LOOK_MS: u64 = 250;

/// Before the first change.
const USUAL_MS: u64 = 20_000;

/// What a change does to the nodes that have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Nothing,
    /// All requests fail.
    Fails,
    /// All requests fail, and filters are gone: when they come back their VMs begin.
    TakesFilters,
}

/// How a node goes about it.
#[derive(Clone, Copy, Debug)]
struct Habits {
    /// How long it takes to have what it is offered.
    takes_ms: u64,
    /// How far apart its reports are, and how long one is on its way.
    reports_ms: u64,
    transit_ms: u64,
    /// Requests in each 50 ms.
    requests: u64,
}

#[derive(Debug)]
struct Envoy {
    habits: Habits,
    /// What it has in force, and what it is to have when.
    has: (Version, Does),
    next: Option<(Version, Does, u64)>,
    counts: Counts,
    reported_ms: u64,
    /// Reports on their way: what, since when, and when they come.
    sent: Vec<(Counts, u64, u64)>,
    /// When its last report came.
    came_ms: u64,
}

impl Envoy {
    /// Lets it be offered a snapshot.
    fn offered(&mut self, version: &Version, does: Does, now_ms: u64) {
        let is_known = match &self.next {
            Some((next, ..)) => next == version,
            None => self.has.0 == *version,
        };
        if !is_known {
            let at_ms = now_ms + self.habits.takes_ms;
            self.next = Some((version.clone(), does, at_ms));
        }
    }

    /// Serves for 50 ms. Answers with reports that came, and since when they are.
    fn serve(&mut self, now_ms: u64) -> Vec<(Counts, WallTime)> {
        if let Some((version, does, _)) = self.next.take_if(|(.., at_ms)| *at_ms <= now_ms) {
            let begins = self.has.1 == Does::TakesFilters && does != Does::TakesFilters;
            self.has = (version, does);
            if begins {
                // A VM's first report is about the time since it began.
                let mut anew = Counts::default();
                anew.filters.vms = 1;
                self.sent
                    .push((anew, now_ms, now_ms + self.habits.reports_ms));
            }
        }
        let failed = match self.has.1 {
            Does::Nothing => 0,
            Does::Fails | Does::TakesFilters => self.habits.requests,
        };
        let served = of(self.habits.requests, failed);
        self.counts.envoy = self.counts.envoy.plus(served);
        if self.has.1 != Does::TakesFilters {
            self.counts.filters = self.counts.filters.plus(served);
        }
        if self.habits.reports_ms <= now_ms - self.reported_ms {
            let counts = std::mem::take(&mut self.counts);
            let comes_ms = now_ms + self.habits.transit_ms;
            self.sent.push((counts, self.reported_ms, comes_ms));
            self.reported_ms = now_ms;
        }
        let (come, sent) = std::mem::take(&mut self.sent)
            .into_iter()
            .partition(|(.., comes_ms)| *comes_ms <= now_ms);
        self.sent = sent;
        let come: Vec<(Counts, u64, u64)> = come;
        let heard = come.into_iter().map(|(counts, from_ms, _)| {
            let is_first = 0 < counts.filters.vms;
            let about_ms = now_ms - from_ms - if is_first { 0 } else { self.habits.transit_ms };
            let from_ms = self.came_ms.min(now_ms - about_ms);
            if is_first {
                return (counts, WallTime::from_millis(now_ms - about_ms));
            }
            self.came_ms = now_ms;
            (counts, WallTime::from_millis(from_ms))
        });
        heard.collect()
    }
}

/// A cohort, in which everything goes as it does between a control plane and its nodes.
#[derive(Debug)]
struct World {
    rollout: Rollout,
    envoys: Vec<Envoy>,
    tallies: Vec<Tally>,
    does: Vec<(Version, Does)>,
    now_ms: u64,
    told: Vec<Told>,
}

impl World {
    fn of(habits: &[Habits]) -> Self {
        let old = snapshot("old");
        let envoys = habits.iter().map(|habits| Envoy {
            habits: *habits,
            has: (old.version().clone(), Does::Nothing),
            next: None,
            counts: Counts::default(),
            reported_ms: 0,
            sent: Vec::new(),
            came_ms: 0,
        });
        let mut world = Self {
            rollout: Rollout::default(),
            envoys: envoys.collect(),
            tallies: vec![Tally::default(); habits.len()],
            does: vec![(old.version().clone(), Does::Nothing)],
            now_ms: 0,
            told: Vec::new(),
        };
        world.want("old", "old", Does::Nothing);
        world.pass(USUAL_MS);
        world
    }

    /// From now on all should have `whole` instead of `at_once`. The answer is its revision.
    fn want(&mut self, at_once: &str, whole: &str, does: Does) -> Version {
        self.does.push((snapshot(whole).version().clone(), does));
        let wanted = wanted(at_once, whole, whole);
        let revision = wanted.revision.clone();
        let now = WallTime::from_millis(self.now_ms);
        self.told
            .extend(self.rollout.want(wanted, &PACE, both(now)));
        self.look();
        revision
    }

    fn look(&mut self) {
        let now = WallTime::from_millis(self.now_ms);
        if self.rollout.is_watching(both(now).time) {
            let seen: Vec<Seen> = self
                .envoys
                .iter()
                .zip(&self.tallies)
                .enumerate()
                .map(|(number, (envoy, tally))| Seen {
                    node: format!("n{number}"),
                    // While it takes something over it has nothing as a whole.
                    has: envoy.next.is_none().then(|| envoy.has.0.clone()),
                    refusal: None,
                    tally: *tally,
                })
                .collect();
            self.told.extend(self.rollout.step(&seen, &PACE, both(now)));
            for (seen, tally) in seen.iter().zip(&mut self.tallies) {
                tally.follow(self.rollout.phase(&seen.node), now);
            }
        }
        let offer = self.rollout.offer().unwrap();
        for (number, envoy) in self.envoys.iter_mut().enumerate() {
            let version = offer.for_node(&format!("n{number}")).version();
            let does = self.does.iter().find(|(known, _)| known == version);
            envoy.offered(version, does.unwrap().1, self.now_ms);
        }
    }

    fn pass(&mut self, ms: u64) {
        let until_ms = self.now_ms + ms;
        while self.now_ms < until_ms {
            self.now_ms += 50;
            for (envoy, tally) in self.envoys.iter_mut().zip(&mut self.tallies) {
                for (counts, from) in envoy.serve(self.now_ms) {
                    tally.take(counts, from);
                }
            }
            if self.now_ms.is_multiple_of(LOOK_MS) {
                self.look();
            }
        }
    }

    fn is_taken_back(&self, revision: &Version) -> Option<&str> {
        self.told.iter().find_map(|told| match told {
            Told::RolledBack(rejected) if rejected.revision == *revision => {
                Some(rejected.because.as_str())
            }
            Told::RolledBack(_) | Told::Trying(_) | Told::Finished { .. } => None,
        })
    }

    fn is_finished(&self, revision: &Version) -> bool {
        let finished = Told::Finished {
            revision: revision.clone(),
        };
        self.told.contains(&finished)
    }
}

fn habits() -> impl Strategy<Value = Habits> {
    (1..20_u64, 2..80_u64, 0..8_u64, 1..20_u64).prop_map(|(takes, reports, transit, requests)| {
        Habits {
            takes_ms: takes * 50,
            reports_ms: reports * 50,
            transit_ms: transit * 50,
            requests,
        }
    })
}

fn does() -> impl Strategy<Value = Does> {
    prop_oneof![
        Just(Does::Nothing),
        Just(Does::Fails),
        Just(Does::TakesFilters)
    ]
}

/// Longer than two stages and a way back take.
const LONG_MS: u64 = 60_000;

proptest! {
    /// A good change is never taken back for what another one did, and a bad one always is: whatever came before, at
    /// whatever time, and was taken back, withdrawn or replaced.
    #[test]
    fn each_change_is_judged_by_what_it_does(
        habits in proptest::collection::vec(habits(), 1..5),
        changes in proptest::collection::vec((does(), any::<bool>(), 0..300_u64), 1..6),
        last in does(),
    ) {
        let mut world = World::of(&habits);
        let mut has = "old".to_owned();
        let mut good = Vec::new();
        for (number, (does, is_withdrawn, stays)) in changes.into_iter().enumerate() {
            let name = format!("change {number}");
            let revision = world.want(&has, &name, does);
            world.pass(stays * 50);
            if does == Does::Nothing {
                good.push(revision.clone());
            }
            if world.is_finished(&revision) {
                prop_assert_eq!(does, Does::Nothing, "{}", name);
                has = name;
            } else if is_withdrawn {
                world.want(&has, &has, Does::Nothing);
            }
        }
        let revision = world.want(&has, "last", last);
        world.pass(LONG_MS);
        if last == Does::Nothing {
            good.push(revision.clone());
            prop_assert!(world.is_finished(&revision), "{:?}", world.told);
        } else {
            let because = world.is_taken_back(&revision);
            let failed = " requests failed where it was tried, ";
            prop_assert!(because.is_some_and(|it| it.contains(failed)), "{:?}", world.told);
        }
        for revision in good {
            prop_assert_eq!(world.is_taken_back(&revision), None);
        }
    }

    /// What failed on a node until a change came is not what the change did. How long its reports are on their way is the
    /// bound of what is known of when that was.
    #[test]
    fn what_fails_until_a_change_comes_takes_nothing_back(
        mut habits in proptest::collection::vec(habits(), 2..5),
        ends in 0..40_u64,
    ) {
        habits[0].transit_ms = 0;
        let mut world = World::of(&habits);
        world.envoys[0].has.1 = Does::Fails;
        world.pass(ends * 50);
        world.envoys[0].has.1 = Does::Nothing;
        let revision = world.want("old", "new", Does::Nothing);
        world.pass(LONG_MS);
        prop_assert!(world.is_finished(&revision), "{:?}", world.told);
    }
}
