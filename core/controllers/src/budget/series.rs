//! All that is kept of one objective.

mod waiting;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use sloop_model::{FilterConfig, ObjectiveId, Scope, WallTime};

use super::ring::{Ring, Sum};
use super::{Cell, Counts, Fleet, Resolution, SeenBy};
use waiting::Stored;

/// The counts of one objective at all resolutions, and of its scopes for the last seconds.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    seconds: Ring,
    minutes: Ring,
    hours: Ring,
    days: Ring,
    /// Cells that differ from what was last taken to be stored.
    changed: BTreeSet<(Resolution, u64)>,
    /// Whether any of it may be due since it was last looked for what is: most series are not touched between two batches.
    is_touched: bool,
    stored: Stored,
    /// What was counted from the beginning of its window to the next whole hour, and when that was, where a window of the calendar
    /// begins within an hour (UTC): hours alone would count what was before it, too.
    beginning: Option<(WallTime, Sum)>,
    is_beginning_new: bool,
    /// Until when the newest report counted, and for how long. Not stored: after a restart the next one tells.
    reported: Option<(WallTime, Duration)>,
    /// All that was added since the process began. Not stored.
    entered: Counts,
    /// Which sidecars saw what on which scope just now.
    pub(crate) fleets: BTreeMap<Scope, Fleet>,
    /// What those ever saw that made room.
    fleets_gone: Counts,
    /// Whether some may have become idle since it was looked for one that can make room.
    has_idled: bool,
}

/// What is known of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// What was counted.
    pub(crate) counts: Counts,
    /// The share of its time that somebody reported on, `0.0..=1.0`.
    pub(crate) covered: f64,
}

impl Reading {
    /// Filters report once a minute at the latest: for as long it is not known yet what happens now.
    const NOT_YET: Duration = Duration::from_secs(64);

    /// Whether somebody reported on all of a window of this `length`, but for what cannot be known yet, and on half of it at least.
    pub(crate) fn is_whole(&self, length: Duration) -> bool {
        let unknown = length.mul_f64((1.0 - self.covered).clamp(0.0, 1.0));
        0.5 <= self.covered && unknown <= Self::NOT_YET
    }
}

impl Default for Series {
    fn default() -> Self {
        Self {
            seconds: Ring::new(Resolution::Second.cells()),
            minutes: Ring::new(Resolution::Minute.cells()),
            hours: Ring::new(Resolution::Hour.cells()),
            days: Ring::new(Resolution::Day.cells()),
            changed: BTreeSet::new(),
            is_touched: false,
            stored: Stored::default(),
            beginning: None,
            is_beginning_new: false,
            reported: None,
            entered: Counts::default(),
            fleets: BTreeMap::new(),
            fleets_gone: Counts::default(),
            has_idled: false,
        }
    }
}

impl Series {
    const DAY_HOURS: u64 = Resolution::Day.cell_ms() / Resolution::Hour.cell_ms();

    /// Adds what was counted after `from` up to `to`. False when no ring reaches back to it.
    pub(crate) fn add(&mut self, from: WallTime, to: WallTime, counts: Counts) -> bool {
        if counts.total == 0 {
            return true;
        }
        let mut kept = false;
        for resolution in Resolution::ALL {
            // Days by their hours, so that they always add up to the same: what waits is completed by them.
            let (unit, units) = match resolution {
                Resolution::Second | Resolution::Minute | Resolution::Hour => (resolution, 1),
                Resolution::Day => (Resolution::Hour, Self::DAY_HOURS),
            };
            let newest = to.as_millis() / unit.cell_ms();
            let oldest = (from.as_millis() / unit.cell_ms() + 1).min(newest);
            let (first, last) = (oldest / units, newest / units);
            let until = |end: u64| {
                let part = end.saturating_sub(oldest).min(newest - oldest + 1);
                counts.until(part, newest - oldest + 1)
            };
            let part = |number: u64| Sum {
                counts: match first == last {
                    true => counts,
                    false => until((number + 1) * units).minus(until(number * units)),
                },
                known_s: 0,
            };
            let reached = self.ring_mut(resolution).spread((first, last), part);
            let changed = reached.filter(|number| part(*number) != Sum::default());
            for number in changed {
                kept = true;
                self.changed.insert((resolution, number));
            }
        }
        if kept {
            self.is_touched = true;
            self.entered = self.entered.plus(counts);
        }
        kept
    }

    /// All that was added since the process began: it never falls, and what was stored before is not in it.
    pub(crate) const fn entered(&self) -> Counts {
        self.entered
    }

    /// Adds what a VM saw on `scope`. Beyond the scopes that a filter can have it counts in all only, unless there are some on
    /// which nobody was heard of lately: these make room.
    pub(crate) fn add_to_fleet(&mut self, scope: &Scope, seen_by: SeenBy<'_>, counts: Counts) {
        if let Some(fleet) = self.fleets.get_mut(scope) {
            return fleet.add(seen_by, counts);
        }
        if FilterConfig::SCOPES_MAX <= self.fleets.len() && self.has_idled {
            self.has_idled = false;
            let idle = self.fleets.extract_if(.., |_, fleet| fleet.is_idle());
            let idle = idle.map(|(_, fleet)| fleet.ever());
            self.fleets_gone = idle.fold(self.fleets_gone, Counts::plus);
        }
        if self.fleets.len() < FilterConfig::SCOPES_MAX {
            let fleet = self.fleets.entry(scope.clone()).or_default();
            fleet.add(seen_by, counts);
        }
    }

    /// Forgets of the fleets what is no longer asked for.
    pub(crate) fn forget_idle(&mut self, now: WallTime) {
        self.fleets
            .values_mut()
            .for_each(|fleet| fleet.forget_idle(now));
        self.has_idled = true;
    }

    /// All that sidecars counted just now, ever since the process began: whoever looks again sees what is new.
    pub(crate) fn ever(&self) -> Counts {
        let fleets = self.fleets.values().map(Fleet::ever);
        fleets.fold(self.fleets_gone, Counts::plus)
    }

    /// Notes that somebody reported on the time after `from` up to `to`.
    pub(crate) fn mark_known(&mut self, from: WallTime, to: WallTime) {
        self.reported = self.reported.max(Some((to, to.since(from))));
        let first = from.as_millis() / 1_000 + 1;
        let last = to.as_millis() / 1_000;
        // Seconds further back than their ring cannot be told apart from those already known.
        let first = first.max(last.saturating_sub(Resolution::Second.cells() - 1));
        for second in first..=last {
            if self.seconds.between(second, second).known_s == 0 {
                let known = Sum {
                    counts: Counts::default(),
                    known_s: 1,
                };
                if self.add_to(Resolution::Second, second, known) {
                    self.add_to(Resolution::Minute, second / 60, known);
                    self.add_to(Resolution::Hour, second / 3_600, known);
                    self.add_to(Resolution::Day, second / 86_400, known);
                }
            }
        }
    }

    /// What is known of the time from `start` to `now`; nothing when nobody reported on any of it.
    pub(crate) fn since(&self, now: WallTime, start: WallTime) -> Option<Reading> {
        self.between((start, now), now)
    }

    /// What is known of the time from `start` to `end`, told at `now`: as exactly as what reaches back to `start` then.
    pub(crate) fn between(
        &self,
        (start, end): (WallTime, WallTime),
        now: WallTime,
    ) -> Option<Reading> {
        let length = end.since(start);
        let resolution = Resolution::for_window(now.since(start));
        let first = match resolution {
            Resolution::Second | Resolution::Minute | Resolution::Hour => start,
            // Years and quarters begin at midnight somewhere: near to that of UTC, and seldom after it.
            Resolution::Day => start.after(Duration::from_millis(resolution.cell_ms() / 2)),
        };
        let first = first.as_millis() / resolution.cell_ms();
        let last = end.as_millis() / resolution.cell_ms();
        let ring = self.ring(resolution);
        let sum = match (resolution, self.beginning) {
            (Resolution::Hour, Some((begun, sum))) if begun == start => {
                sum.plus(ring.between(first + 1, last))
            }
            (_, _) => ring.between(first, last),
        };
        if sum.known_s == 0 && sum.counts.total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds of 400 days are far below 2^52"
        )]
        let covered = sum.known_s as f64 / length.as_secs_f64().max(1.0);
        Some(Reading {
            counts: sum.counts,
            covered: covered.min(1.0),
        })
    }

    /// Learns that its window began at `start`, which stays so until the window ends. While minutes reach back to it, which they do
    /// for six hours, a late report still counts; then what they said last holds.
    pub(crate) fn note_beginning(&mut self, start: WallTime) {
        let hour_ms = Resolution::Hour.cell_ms();
        let minute = |at: u64| at / Resolution::Minute.cell_ms();
        let first = minute(start.as_millis());
        let is_whole = start.as_millis().is_multiple_of(hour_ms);
        if is_whole || first + Resolution::Minute.cells() < self.minutes.numbers().end {
            return;
        }
        let next_hour = (start.as_millis() / hour_ms + 1) * hour_ms;
        let sum = self.minutes.between(first, minute(next_hour) - 1);
        let beginning = Some((start, sum));
        self.is_beginning_new |= self.beginning != beginning;
        self.beginning = beginning;
    }

    /// Whether anybody reported on the time from `start` to `end`: to the minute where minutes reach back to `start`, which they do
    /// for six hours, else to the hour. Nothing when not.
    pub(crate) fn is_known(&self, (start, end): (WallTime, WallTime)) -> Option<()> {
        let cell = |resolution: Resolution, at: u64| at / resolution.cell_ms();
        let first = cell(Resolution::Minute, start.as_millis());
        let is_reached = self.minutes.numbers().end <= first + Resolution::Minute.cells();
        let resolution = match is_reached {
            true => Resolution::Minute,
            false => Resolution::Hour,
        };
        let first = cell(resolution, start.as_millis());
        let last = cell(resolution, end.as_millis().saturating_sub(1));
        let known = self.ring(resolution).between(first, last);
        (known.known_s != 0).then_some(())
    }

    /// When each of the last minutes begins, oldest first, and what was counted in it.
    pub(crate) fn minutes(&self) -> impl Iterator<Item = (WallTime, Counts)> {
        self.minutes.numbers().map(|number| {
            let start = WallTime::from_millis(number * Resolution::Minute.cell_ms());
            (start, self.minutes.between(number, number).counts)
        })
    }

    /// Whether everything of it is further back than `kept`, so that no window has any of it.
    pub(crate) fn is_over(&self, now: WallTime, kept: Duration) -> bool {
        let end = self
            .hours
            .numbers()
            .end
            .saturating_mul(Resolution::Hour.cell_ms());
        kept < now.since(WallTime::from_millis(end))
    }

    /// All keys under which something of it may be stored: also of cells that left their ring, which nothing took the
    /// place of while it was idle.
    pub(crate) fn keys(&self, objective: &ObjectiveId) -> Vec<String> {
        Resolution::ALL
            .into_iter()
            .flat_map(|resolution| resolution.starts().map(move |start| (resolution, start)))
            .map(|(resolution, start)| Cell::Budget {
                objective: objective.clone(),
                resolution,
                start,
                counts: Counts::default(),
                known_s: 0,
            })
            .chain([beginning(objective, (WallTime::default(), Sum::default()))])
            .map(|cell| cell.key())
            .collect()
    }

    /// Until when the newest report counted, and for how long.
    pub(crate) const fn reported(&self) -> Option<(WallTime, Duration)> {
        self.reported
    }

    /// Puts right what lies ahead after the clock stepped back to `now`.
    pub(crate) fn rewind(&mut self, now: WallTime) {
        self.is_touched = true;
        for resolution in Resolution::ALL {
            let number = now.as_millis() / resolution.cell_ms();
            let gone = match resolution {
                Resolution::Second => self.seconds.forget_after(number),
                Resolution::Minute => self.minutes.fold(number),
                Resolution::Hour => self.hours.fold(number),
                Resolution::Day => self.days.fold(number),
            };
            if !gone.is_empty() {
                self.changed.insert((resolution, number));
                self.changed.extend(gone.map(|number| (resolution, number)));
                self.note_stored((resolution, number));
            }
        }
        self.beginning = self.beginning.filter(|(start, _)| *start <= now);
        self.reported = self.reported.filter(|(at, _)| *at <= now);
        for fleet in self.fleets.values_mut() {
            fleet.rewind(now);
        }
    }

    /// Takes the cells that changed since the last call, but those that wait until they are over ([`waiting`]).
    pub(crate) fn take_changes(&mut self, objective: &ObjectiveId, cells: &mut Vec<Cell>) {
        if core::mem::take(&mut self.is_beginning_new) {
            cells.extend(self.beginning.map(|known| beginning(objective, known)));
        }
        for (resolution, number) in self.take_due() {
            let sum = self.ring(resolution).between(number, number);
            cells.push(Cell::Budget {
                objective: objective.clone(),
                resolution,
                start: WallTime::from_millis(number * resolution.cell_ms()),
                counts: sum.counts,
                known_s: u32::try_from(sum.known_s).unwrap_or(u32::MAX),
            });
        }
    }

    /// Takes back a stored cell. Cheapest in the order of time.
    pub(crate) fn restore(
        &mut self,
        resolution: Resolution,
        start: WallTime,
        (counts, known_s): (Counts, u32),
    ) {
        let number = start.as_millis() / resolution.cell_ms();
        let sum = Sum {
            counts: counts.held(),
            known_s: known_s.into(),
        };
        self.ring_mut(resolution).add(number, sum);
    }

    /// Takes back what was counted from the beginning of a window to the next whole hour.
    pub(crate) fn restore_beginning(&mut self, start: WallTime, (counts, known_s): (Counts, u32)) {
        let sum = Sum {
            counts: counts.held(),
            known_s: known_s.into(),
        };
        self.beginning = Some((start, sum));
    }

    fn add_to(&mut self, resolution: Resolution, number: u64, sum: Sum) -> bool {
        let kept = self.ring_mut(resolution).add(number, sum);
        if kept {
            self.is_touched = true;
            self.changed.insert((resolution, number));
        }
        kept
    }

    const fn ring(&self, resolution: Resolution) -> &Ring {
        match resolution {
            Resolution::Second => &self.seconds,
            Resolution::Minute => &self.minutes,
            Resolution::Hour => &self.hours,
            Resolution::Day => &self.days,
        }
    }

    const fn ring_mut(&mut self, resolution: Resolution) -> &mut Ring {
        match resolution {
            Resolution::Second => &mut self.seconds,
            Resolution::Minute => &mut self.minutes,
            Resolution::Hour => &mut self.hours,
            Resolution::Day => &mut self.days,
        }
    }
}

fn beginning(objective: &ObjectiveId, (start, sum): (WallTime, Sum)) -> Cell {
    Cell::Beginning {
        objective: objective.clone(),
        start,
        counts: sum.counts,
        known_s: u32::try_from(sum.known_s).unwrap_or(u32::MAX),
    }
}
