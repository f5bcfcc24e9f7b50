use super::*;

fn moment(text: &str) -> WallTime {
    let moment: jiff::Timestamp = text.parse().unwrap();
    WallTime::from_millis(u64::try_from(moment.as_millisecond()).unwrap())
}

fn calendar(start: &str, zone: &str) -> Calendar {
    Calendar {
        start: DateTime::strptime(START_FORM, start).unwrap(),
        zone: TimeZone::get(zone).unwrap(),
    }
}

fn shorthand(count: u32, unit: Unit) -> Shorthand {
    Shorthand { count, unit }
}

/// The window before `now`'s, `now`'s, and the next one.
fn three(calendar: &Calendar, duration: Shorthand, now: &str) -> [WallTime; 3] {
    let starts = calendar.starts(duration, moment(now));
    [starts[0], starts[1], starts[2]]
}

#[test]
fn months_from_the_31st_end_with_the_month() {
    assert_eq!(
        three(
            &calendar("2025-01-31 00:00:00", "UTC"),
            shorthand(1, Unit::Month),
            "2026-03-15T00:00:00Z"
        ),
        [
            "2026-01-31T00:00:00Z",
            "2026-02-28T00:00:00Z",
            "2026-03-31T00:00:00Z"
        ]
        .map(moment)
    );
}

#[test]
fn a_day_is_as_long_as_the_clocks_make_it() {
    // Paris turned its clocks forward on 2026-03-29 at 01:00 UTC.
    assert_eq!(
        three(
            &calendar("2026-01-01 00:00:00", "Europe/Paris"),
            shorthand(1, Unit::Day),
            "2026-03-29T12:00:00Z"
        ),
        [
            "2026-03-27T23:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z"
        ]
        .map(moment)
    );
}

#[test]
fn a_moment_that_the_clocks_leave_out_comes_an_hour_later() {
    // 02:30 does not exist in Paris on 2026-03-29.
    let starts = calendar("2026-03-28 02:30:00", "Europe/Paris")
        .starts(shorthand(1, Unit::Day), moment("2026-03-29T12:00:00Z"));
    assert_eq!(starts[1], moment("2026-03-29T01:30:00Z"));
}

#[test]
fn quarters_weeks_and_years_count_from_the_beginning() {
    let from = calendar("2020-01-06 12:30:00", "UTC");
    let current =
        |count, unit| from.starts(shorthand(count, unit), moment("2026-11-22T00:00:00Z"))[1];
    assert_eq!(current(1, Unit::Quarter), moment("2026-10-06T12:30:00Z"));
    assert_eq!(current(2, Unit::Week), moment("2026-11-16T12:30:00Z"));
    assert_eq!(current(1, Unit::Year), moment("2026-01-06T12:30:00Z"));
}

#[test]
fn a_window_begins_in_the_very_moment_that_it_is_said_to() {
    let from = calendar("2026-01-01 00:00:00", "UTC");
    let month = shorthand(1, Unit::Month);
    let current = |now| from.starts(month, moment(now))[1];
    assert_eq!(
        current("2026-03-01T00:00:00Z"),
        moment("2026-03-01T00:00:00Z")
    );
    assert_eq!(
        current("2026-02-28T23:59:59.999Z"),
        moment("2026-02-01T00:00:00Z")
    );
}

#[test]
fn a_beginning_to_come_and_one_long_past_are_fine() {
    let future = calendar("2030-01-01 00:00:00", "UTC");
    let starts = future.starts(shorthand(1, Unit::Day), moment("2026-01-01T00:00:00Z"));
    assert_eq!(starts[0], moment("2030-01-01T00:00:00Z"));
    let past = calendar("1900-01-01 00:00:00", "UTC");
    let starts = past.starts(shorthand(1, Unit::Day), moment("2026-01-01T00:00:00Z"));
    assert_eq!(starts[1], moment("2026-01-01T00:00:00Z"));
    assert_eq!(starts.len(), 402, "ascending and bounded");
    assert!(starts.is_sorted());
}

#[test]
fn windows_of_hours_are_equally_long_whatever_the_clocks_do() {
    let window = |start: &str, count, unit| {
        let from = calendar(start, "Europe/Paris");
        match from.fixed(shorthand(count, unit), String::new()) {
            Some(SloWindow::Fixed {
                from, length_ms, ..
            }) => (from, length_ms.get()),
            other => panic!("fixed: {other:?}"),
        }
    };
    assert_eq!(
        window("2026-03-28 18:00:00", 6, Unit::Hour),
        (moment("2026-03-28T17:00:00Z"), 6 * 3_600_000)
    );
    let (from, length_ms) = window("1969-12-31 23:10:00", 30, Unit::Minute);
    assert_eq!((from.as_millis(), length_ms), (600_000, 1_800_000));
}
