//! When an experiment runs: `asked`, `once`, at moments, or in a window of the calendar.

use core::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use sloop_controllers::{ChaosIntent, ChaosSchedule};
use sloop_model::WallTime;

use super::super::super::reader::{At, Fields, quoted};

/// Days of the week, as documents call them.
pub(in crate::documents) const DAYS: &[(&str, Weekday)] = &[
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
/// Days that are looked ahead. Documents are read again once an hour, so the list never ends.
const AHEAD_DAYS: i32 = 60;

/// Reads a schedule, seen at `now`, of an experiment that takes `lasting`.
pub(super) fn read(
    at: &At<'_>,
    now: WallTime,
    lasting: Duration,
    seed: u64,
) -> Option<ChaosSchedule> {
    if let super::super::super::tree::Value::Text(_) = at.node().value {
        return at.word(&[
            ("asked", ChaosSchedule::Asked),
            ("once", ChaosSchedule::Once),
        ]);
    }
    let fields = at.fields(&["at", "days", "from", "to", "zone"])?;
    match (fields.get("at"), fields.get("days")) {
        (Some(moments), None) => read_moments(&moments),
        (None, Some(days)) => {
            let window = read_window(&fields, &days, lasting)?;
            Some(ChaosSchedule::At(window.moments(now, seed)))
        }
        (Some(_), Some(_)) | (None, None) => {
            at.refuse("needs one of at and days");
            None
        }
    }
}

fn read_moments(at: &At<'_>) -> Option<ChaosSchedule> {
    let items = at.items(ChaosIntent::MOMENTS_MAX)?;
    let mut moments = items
        .iter()
        .map(|item| {
            let text = item.text()?;
            let parsed: Option<Timestamp> = text.parse().ok();
            let moment = parsed.and_then(wall);
            if moment.is_none() {
                item.refuse(format!(
                    "is {}; it must be a moment as \"2026-01-31T12:30:00Z\"",
                    quoted(text)
                ));
            }
            moment
        })
        .collect::<Option<Vec<_>>>()?;
    moments.sort();
    moments.dedup();
    Some(ChaosSchedule::At(moments))
}

/// Times of day on some days of the week in which a run begins, and ends.
#[derive(Clone, Debug)]
struct Window {
    days: Vec<Weekday>,
    from: Time,
    to: Time,
    /// How long a run takes, with what it may wait until it begins: it is due early enough to end in time.
    taking: Duration,
    zone: TimeZone,
}

fn read_window(fields: &Fields<'_>, days: &At<'_>, lasting: Duration) -> Option<Window> {
    let items = days.items(DAYS.len())?;
    let days_read: Option<Vec<Weekday>> = items.iter().map(|item| item.word(DAYS)).collect();
    if items.is_empty() {
        days.refuse("has 0 items; it must have at least 1");
    }
    let from = fields.required("from").and_then(|at| read_time(&at));
    let to = fields.required("to");
    let to_read = to.as_ref().and_then(read_time);
    let zone = fields.required("zone").and_then(|at| read_zone(&at));
    let (from, to_read) = (from?, to_read?);
    // To the second, as a time of day is written to the minute.
    let length = u64::try_from(seconds(to_read) - seconds(from))
        .ok()
        .map(Duration::from_secs);
    let taking = lasting + ChaosIntent::BEGINS_WITHIN;
    if length.is_none_or(|length| length < taking) {
        to?.refuse(format!(
            "is {to_read}; from {from} on there must be time for the {} s that it lasts and the {} s in which it may begin",
            lasting.as_secs(),
            ChaosIntent::BEGINS_WITHIN.as_secs()
        ));
        return None;
    }
    Some(Window {
        days: days_read?,
        from,
        to: to_read,
        taking,
        zone: zone?,
    })
}

fn seconds(time: Time) -> i64 {
    i64::from(time.hour()) * 3_600 + i64::from(time.minute()) * 60
}

fn read_time(at: &At<'_>) -> Option<Time> {
    let text = at.text()?;
    let time = Time::strptime("%H:%M", text).ok();
    if time.is_none() {
        at.refuse(format!(
            "is {}; it must be a time as \"09:30\"",
            quoted(text)
        ));
    }
    time
}

fn read_zone(at: &At<'_>) -> Option<TimeZone> {
    let text = at.text()?;
    let zone = TimeZone::get(text).ok();
    if zone.is_none() {
        at.refuse(format!(
            "is {}; it must be a name of the IANA time zone database, as \"Europe/Paris\"",
            quoted(text)
        ));
    }
    zone
}

impl Window {
    /// One moment on each of its days, which the seed and the date choose, from yesterday on.
    fn moments(&self, now: WallTime, seed: u64) -> Vec<WallTime> {
        let millis = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let now = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
        let today = now.to_zoned(self.zone.clone()).date();
        let dates = (-1..AHEAD_DAYS).filter_map(|day| today.checked_add(day.days()).ok());
        let dates = dates.filter(|date| self.days.contains(&date.weekday()));
        let mut moments: Vec<WallTime> = dates.filter_map(|date| self.moment(date, seed)).collect();
        moments.sort();
        moments
    }

    /// When a run begins on this day; nothing where clocks go forward and leave no time for it.
    fn moment(&self, date: Date, seed: u64) -> Option<WallTime> {
        // What a day has twice is taken as the first, what it does not have as so much later.
        let moment = |time| {
            let zoned = self.zone.to_zoned(date.to_datetime(time)).ok()?;
            wall(zoned.timestamp())
        };
        let (begin, end) = (moment(self.from)?, moment(self.to)?);
        let slack = end.since(begin).checked_sub(self.taking)?;
        let day = u64::try_from(
            date.to_datetime(Time::midnight())
                .to_zoned(TimeZone::UTC)
                .ok()?
                .timestamp()
                .as_second(),
        )
        .ok()?;
        // Sixteen bits of a product with the golden ratio spread well enough over a window of a day.
        let draw = (seed ^ day).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let later = slack.as_secs().saturating_mul(draw) >> 16;
        Some(begin.after(Duration::from_secs(later)))
    }
}

fn wall(moment: Timestamp) -> Option<WallTime> {
    let millis = u64::try_from(moment.as_millisecond()).ok()?;
    Some(WallTime::from_millis(millis))
}
