//! The time that an SLO's error budget is for.

use std::num::NonZeroU64;
use std::time::Duration;

use jiff::Span;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sloop_controllers::SloWindow;
use sloop_model::WallTime;

use super::super::reader::{At, Fields, Spot, quoted};
use super::duration::{self, Shorthand, Unit};

/// Calendar windows that are listed ahead: more than a year of the shortest ones.
const AHEAD: u32 = 400;
/// The form of a calendar's beginning.
const START_FORM: &str = "%Y-%m-%d %H:%M:%S";

/// A time window as it is written.
#[derive(Clone, Debug)]
pub(in crate::documents) struct Window {
    pub(in crate::documents) spot: Spot,
    duration: Shorthand,
    calendar: Option<Calendar>,
}

#[derive(Clone, Debug)]
struct Calendar {
    start: DateTime,
    zone: TimeZone,
}

/// Why a window cannot be evaluated by this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::documents) enum Unmeasurable {
    /// No time at all.
    #[error("the window {0} is empty")]
    Empty(String),
    /// Outside of the calendar, which ends with the year 9999.
    #[error("the calendar has no window {0} now")]
    NoMoment(String),
}

/// Reads `timeWindow`, of which there must be exactly one.
pub(super) fn read(spec: &Fields<'_>) -> Option<Window> {
    let Some(list) = spec.get("timeWindow") else {
        let missing = spec.at().spot().field("timeWindow");
        spec.at()
            .sink()
            .refuse(missing.says("is required: a list of exactly one window"));
        return None;
    };
    let items = list.items(usize::MAX)?;
    if items.len() != 1 {
        let given = items.len();
        list.refuse(format!("has {given} items; it must have exactly 1"));
    }
    let windows: Vec<Option<Window>> = items.iter().map(read_one).collect();
    windows.into_iter().next()?
}

fn read_one(at: &At<'_>) -> Option<Window> {
    let fields = at.fields(&["duration", "isRolling", "calendar"])?;
    let is_rolling = fields
        .get("isRolling")
        .and_then(|rolling| rolling.bool())
        .unwrap_or(false);
    let duration = fields
        .required("duration")
        .and_then(|at| duration::read(&at));
    let calendar = fields.get("calendar");
    match (&calendar, is_rolling) {
        (Some(_), true) => at.refuse("has a calendar and isRolling: true; give one of them"),
        (None, false) => at.refuse("needs isRolling: true or a calendar"),
        (Some(_), false) | (None, true) => {}
    }
    let calendar = match calendar {
        Some(at) => Some(read_calendar(&at)?),
        None => None,
    };
    Some(Window {
        spot: at.spot().clone(),
        duration: duration?,
        calendar,
    })
}

fn read_calendar(at: &At<'_>) -> Option<Calendar> {
    let fields = at.fields(&["startTime", "timeZone"])?;
    let start = fields.required("startTime").and_then(|at| read_start(&at));
    let zone = fields.required("timeZone").and_then(|at| read_zone(&at));
    Some(Calendar {
        start: start?,
        zone: zone?,
    })
}

fn read_start(at: &At<'_>) -> Option<DateTime> {
    let text = at.text()?;
    let parsed = DateTime::strptime(START_FORM, text).ok();
    if parsed.is_none() {
        at.refuse(format!(
            "is {}; it must be a date and time as \"2026-01-31 12:30:00\"",
            quoted(text)
        ));
    }
    parsed
}

fn read_zone(at: &At<'_>) -> Option<TimeZone> {
    let text = at.text()?;
    let zone = TimeZone::get(text).ok();
    let known = zone.as_ref().and_then(TimeZone::iana_name);
    match known {
        Some(name) if name == text => zone,
        Some(name) => {
            at.refuse(format!("is {}; did you mean {name:?}?", quoted(text)));
            None
        }
        None => {
            at.refuse(format!(
                "is {}; it must be a name of the IANA time zone database, as \"Europe/Paris\"",
                quoted(text)
            ));
            None
        }
    }
}

impl Window {
    /// Its length where no calendar is at hand.
    pub(in crate::documents) fn length(&self) -> Duration {
        self.duration.length()
    }

    /// The window as the controllers know it, seen at `now`.
    ///
    /// # Errors
    ///
    /// When it is empty, or a calendar window that moves too fast.
    pub(in crate::documents) fn at(&self, now: WallTime) -> Result<SloWindow, Unmeasurable> {
        if self.duration.count == 0 {
            return Err(Unmeasurable::Empty(self.duration.to_string()));
        }
        let Some(calendar) = &self.calendar else {
            let millis = self.duration.length().as_millis();
            return Ok(SloWindow::Rolling(
                u64::try_from(millis).unwrap_or(u64::MAX),
            ));
        };
        let zone = calendar.zone.iana_name().unwrap_or_default();
        let text = format!("{} from {}, {zone}", self.duration, calendar.start);
        let never = || Unmeasurable::NoMoment(self.duration.to_string());
        if matches!(self.duration.unit, Unit::Minute | Unit::Hour) {
            return calendar.fixed(self.duration, text).ok_or_else(never);
        }
        let starts = calendar.starts(self.duration, now);
        if starts.is_empty() {
            return Err(never());
        }
        Ok(SloWindow::Calendar { text, starts })
    }
}

impl Calendar {
    /// When windows of `duration` begin: the one before `now`'s, `now`'s, and [`AHEAD`] more.
    fn starts(&self, duration: Shorthand, now: WallTime) -> Vec<WallTime> {
        let current = self.index_at(duration, now);
        let first = current.saturating_sub(1);
        (first..=current.saturating_add(AHEAD))
            .map_while(|index| self.start(duration, index))
            .filter_map(|millis| u64::try_from(millis).ok())
            .map(WallTime::from_millis)
            .collect()
    }

    /// Windows of minutes or hours: equally long whatever the clocks do.
    fn fixed(&self, duration: Shorthand, text: String) -> Option<SloWindow> {
        let from = self.zone.to_zoned(self.start).ok()?.timestamp();
        let from = i128::from(from.as_millisecond());
        let length_ms = u64::try_from(duration.length().as_millis()).ok()?;
        let length_ms = NonZeroU64::new(length_ms)?;
        // Of windows that began before the epoch, the first that begins after it.
        let from = if from < 0 {
            from.rem_euclid(length_ms.get().into())
        } else {
            from
        };
        Some(SloWindow::Fixed {
            text,
            from: WallTime::from_millis(u64::try_from(from).ok()?),
            length_ms,
        })
    }

    /// When the window number `index` begins, in Unix milliseconds. Counted from the
    /// first beginning, so that months from the 31st stay at the month's end.
    fn start(&self, duration: Shorthand, index: u32) -> Option<i64> {
        let count = i64::from(duration.count).checked_mul(i64::from(index))?;
        let span = match duration.unit {
            Unit::Minute | Unit::Hour => return None,
            Unit::Day => Span::new().try_days(count),
            Unit::Week => Span::new().try_weeks(count),
            Unit::Month => Span::new().try_months(count),
            Unit::Quarter => Span::new().try_months(count.checked_mul(3)?),
            Unit::Year => Span::new().try_years(count),
        }
        .ok()?;
        let local = self.start.checked_add(span).ok()?;
        let moment = self.zone.to_zoned(local).ok()?.timestamp();
        Some(moment.as_millisecond())
    }

    /// The number of the window that `now` is in; 0 when the first is still to come.
    fn index_at(&self, duration: Shorthand, now: WallTime) -> u32 {
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let began = |index| {
            self.start(duration, index)
                .is_some_and(|start| start <= now)
        };
        let (mut low, mut high) = (0, u32::MAX);
        while low < high {
            let middle = high - (high - low) / 2;
            if began(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests;
