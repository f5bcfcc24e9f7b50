//! Objectives that are budgeted by slices of time, and composites of them.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{ObjectiveId, WallTime};

use crate::budget::{Series, Slices, Slicing};
use crate::{Cell, Counts, World};

/// How the slices of an objective are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) slicing: Slicing,
    /// For a composite: the objectives that it is made of, which are cut alike. Empty otherwise.
    pub(crate) members: Vec<ObjectiveId>,
}

/// The slices of all objectives that have some.
#[derive(Clone, Debug, Default)]
pub(super) struct Sliced {
    slices: BTreeMap<ObjectiveId, Slices>,
    /// The members of each composite.
    members: BTreeMap<ObjectiveId, Vec<ObjectiveId>>,
    /// Those that nobody wants, and since when.
    unwanted: BTreeMap<ObjectiveId, WallTime>,
    /// What is taken back from the store, until all of it is, and when its newest cell ends.
    restoring: BTreeMap<(ObjectiveId, Slicing), (WallTime, Slices)>,
    /// Keys of what is stored and no longer wanted.
    gone: Vec<String>,
}

/// What nobody wants for so long is no slip of whoever edits documents, and goes.
const UNWANTED_KEPT: Duration = Duration::from_secs(86_400);
/// Objectives whose slices go in one step, whole: each has up to three thousand entries of the store to delete.
const GO_MAX: usize = 20;
/// Objectives that are kept although nobody wants them: as many as a large mesh has. More do not wait.
const UNWANTED_MAX: usize = 5_000;

/// The counts that slices are cut from.
type AllSeries = BTreeMap<ObjectiveId, Series>;

impl Sliced {
    /// Makes the slices of the objectives in `wanted`. One that is cut anew knows
    /// what the last six hours tell by the minute. One that is to be cut in another way loses its slices in one of the
    /// next calls, and one that nobody wants after a day: a document that does not parse costs no budget.
    ///
    /// Whoever is to be cut in another way keeps its slices until its turn comes, in the store, too: under the same keys, and
    /// whole, so that a restart in between finds what it would have found. Call it in each step.
    pub(super) fn cut(
        &mut self,
        wanted: &BTreeMap<ObjectiveId, Cut>,
        series: &AllSeries,
        now: WallTime,
    ) {
        for id in self.over(wanted, now) {
            self.unwanted.remove(&id);
            if let Some(slices) = self.slices.remove(&id) {
                self.gone.extend(slices.keys(&id));
            }
        }
        let mut cut_anew = BTreeSet::new();
        for (id, cut) in wanted {
            if self.slices.contains_key(id) {
                continue;
            }
            let mut slices = Slices::new(cut.slicing);
            if let Some(series) = series.get(id) {
                slices.rebuild(series.minutes());
                slices.close(now);
            }
            self.slices.insert(id.clone(), slices);
            cut_anew.insert(id);
        }
        self.combine(wanted, &cut_anew, series);
    }

    /// Notes which objectives are not in `wanted`. Returns those whose slices are to go in this step, at most [`GO_MAX`]:
    /// first those that are waited for.
    fn over(&mut self, wanted: &BTreeMap<ObjectiveId, Cut>, now: WallTime) -> Vec<ObjectiveId> {
        self.unwanted.retain(|id, _| !wanted.contains_key(id));
        let mut over = Vec::new();
        let mut unwanted = Vec::new();
        for (id, slices) in &self.slices {
            match wanted.get(id) {
                Some(cut) if cut.slicing != slices.slicing() => over.push(id),
                Some(_) => {}
                None if self.unwanted.len() < UNWANTED_MAX || self.unwanted.contains_key(id) => {
                    let since = *self.unwanted.entry(id.clone()).or_insert(now);
                    if UNWANTED_KEPT <= now.since(since) {
                        unwanted.push(id);
                    }
                }
                None => unwanted.push(id),
            }
        }
        let over = over.into_iter().chain(unwanted);
        over.take(GO_MAX).cloned().collect()
    }

    /// Adds what was counted after `from` up to `to`. Returns how many requests came too late.
    pub(super) fn add(
        &mut self,
        id: &ObjectiveId,
        (from, to): (WallTime, WallTime),
        counts: Counts,
    ) -> u64 {
        self.slices
            .get_mut(id)
            .map_or(0, |slices| slices.add(from, to, counts))
    }

    /// Lets the slices count that are over at `now`, and composites follow their members.
    pub(super) fn close(&mut self, series: &AllSeries, now: WallTime) {
        let mut over: BTreeMap<ObjectiveId, BTreeSet<u64>> = BTreeMap::new();
        for (id, slices) in &mut self.slices {
            let mut numbers = slices.take_touched();
            numbers.extend(slices.close(now));
            if !self.members.is_empty() && !numbers.is_empty() {
                over.insert(id.clone(), numbers);
            }
        }
        for (id, members) in &self.members {
            let numbers = members.iter().filter_map(|member| over.get(member));
            let numbers: BTreeSet<u64> = numbers.flatten().copied().collect();
            combine(&mut self.slices, series, (id, members), &numbers);
        }
    }

    /// The slices of an objective, if it has some that are cut so.
    pub(super) fn get(&self, id: &ObjectiveId, slicing: Slicing) -> Option<&Slices> {
        let slices = self.slices.get(id);
        slices.filter(|slices| slices.slicing() == slicing)
    }

    /// Puts right what lies ahead after the clock stepped back to `now`.
    pub(super) fn rewind(&mut self, now: WallTime) {
        for slices in self.slices.values_mut() {
            slices.rewind(now);
        }
        for since in self.unwanted.values_mut() {
            *since = (*since).min(now);
        }
    }

    /// Takes the cells that changed since the last call.
    pub(super) fn take_changes(&mut self, cells: &mut Vec<Cell>) {
        for (id, slices) in &mut self.slices {
            slices.take_changes(id, cells);
        }
    }

    /// Takes the keys of what is stored and no longer wanted.
    pub(super) fn take_gone(&mut self) -> Vec<String> {
        core::mem::take(&mut self.gone)
    }

    /// The slices to restore a cell into that ends at `end`.
    pub(super) fn restored(
        &mut self,
        id: ObjectiveId,
        slicing: Slicing,
        end: WallTime,
    ) -> &mut Slices {
        let (newest, slices) = self
            .restoring
            .entry((id, slicing))
            .or_insert_with(|| (end, Slices::new(slicing)));
        *newest = end.max(*newest);
        slices
    }

    /// Called when everything was taken back. What was cut in another way than the newest cell, which a store may have kept
    /// from before it was cut anew, is of no use.
    pub(super) fn complete(&mut self) {
        let mut ends = BTreeMap::new();
        for ((id, _), (end, slices)) in core::mem::take(&mut self.restoring) {
            if ends.get(&id).is_some_and(|newest| end < *newest) {
                continue;
            }
            ends.insert(id.clone(), end);
            self.slices.insert(id, slices);
        }
    }

    /// Notes which composites there are, and works out those that have other members than before, or were cut anew, or of
    /// which a member was.
    fn combine(
        &mut self,
        wanted: &BTreeMap<ObjectiveId, Cut>,
        cut_anew: &BTreeSet<&ObjectiveId>,
        series: &AllSeries,
    ) {
        let composites = wanted.iter().filter(|(_, cut)| !cut.members.is_empty());
        let members: BTreeMap<ObjectiveId, Vec<ObjectiveId>> = composites
            .map(|(id, cut)| (id.clone(), cut.members.clone()))
            .collect();
        for (id, members) in &members {
            let is_new = |id: &ObjectiveId| cut_anew.contains(id);
            let is_as_before = !is_new(id) && !members.iter().any(is_new);
            if is_as_before && self.members.get(id) == Some(members) {
                continue;
            }
            let slices = members.iter().filter_map(|member| self.slices.get(member));
            let numbers: BTreeSet<u64> = slices.flat_map(Slices::numbers).collect();
            combine(&mut self.slices, series, (id, members), &numbers);
        }
        self.members = members;
    }
}

impl World {
    /// Whether the budget of an objective counts slices, and not requests.
    pub(crate) fn is_sliced(&self, objective: &ObjectiveId) -> bool {
        let Sliced {
            slices, unwanted, ..
        } = &self.sliced;
        slices.contains_key(objective) && !unwanted.contains_key(objective)
    }
}

/// Works out the slices `numbers` of a composite from those of its members: bad when any
/// member's was (OpenSLO v1, notes on composite SLOs), and good only when it is
/// known of every member that it was not. Nothing while one of them waits to be cut as the others.
fn combine(
    slices: &mut BTreeMap<ObjectiveId, Slices>,
    series: &AllSeries,
    (id, members): (&ObjectiveId, &[ObjectiveId]),
    numbers: &BTreeSet<u64>,
) {
    let Some(mut composite) = slices.remove(id) else {
        return;
    };
    let length = composite.slicing().length();
    let mut cut = members.iter().filter_map(|member| slices.get(member));
    if cut.any(|member| member.slicing().length() != length) {
        slices.insert(id.clone(), composite);
        return;
    }
    for &number in numbers {
        let judged = members.iter().map(|member| {
            let slice = slices.get(member)?.was_good(number);
            let known = || series.get(member)?.is_known(composite.span(number));
            match slice {
                Some(good) => Some(Some(good)),
                None => known().map(|()| None),
            }
        });
        let judged: Vec<Option<Option<bool>>> = judged.collect();
        let is_bad = judged.contains(&Some(Some(false)));
        let is_good = judged.contains(&Some(Some(true))) && !judged.contains(&None);
        let counts = Counts {
            total: u64::from(is_bad || is_good),
            good: u64::from(!is_bad && is_good),
        };
        composite.set(number, counts);
    }
    composite.take_touched();
    slices.insert(id.clone(), composite);
}
