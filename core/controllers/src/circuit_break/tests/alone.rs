//! One bad sidecar cannot open the fleet, however seldom the others report.

use super::*;

/// The second in which an order is given within ten minutes of these reports.
pub(super) fn ordered(reports: impl Fn(u64) -> Vec<Observation>) -> Option<u64> {
    ordered_in(World::default(), reports)
}

fn ordered_in(mut world: World, reports: impl Fn(u64) -> Vec<Observation>) -> Option<u64> {
    let mut memory = Orders::default();
    let intent = slo(SloMode::Actionable, 0.999);
    (1..=600).find(|&second| {
        world.begin_step(at(second));
        for report in reports(second) {
            world.observe(report);
        }
        let decision = DerivedBreak.step(&intent, &mut memory, &world);
        trip(&decision).is_some()
    })
}

/// What was seen in the last so many seconds.
pub(super) fn over(length: u64, mut seen: Observation) -> Observation {
    seen.from = seen.at.before(Duration::from_secs(length));
    seen
}

#[test]
fn who_reports_seldom_is_there_all_the_same() {
    for interval in [6, 10, 30, 60] {
        let given = ordered(|second| {
            let mut reports = Vec::new();
            if second % interval == 0 {
                let seen = saw("well", second, (20 * interval, 0));
                reports.push(over(interval, seen));
            }
            // Who sees bad ones reports at once.
            if 100 < second {
                reports.push(saw("bad", second, (20, 20)));
            }
            reports
        });
        assert_eq!(given, None, "every {interval} s");
    }
}

#[test]
fn nobody_is_alone_before_the_others_can_have_come_back() {
    let given = ordered(|second| match second {
        // Nobody took reports for half a minute; then all come, one after another.
        1 => vec![over(30, saw("bad", 1, (600, 600)))],
        2 => vec![saw("bad", 2, (20, 20)), over(31, saw("well", 2, (620, 0)))],
        _ => vec![saw("bad", second, (20, 20)), saw("well", second, (20, 0))],
    });
    assert_eq!(given, None);
}

#[test]
fn nor_where_what_came_first_is_long_over() {
    let given = ordered(|second| match second {
        // The first report that gets through was sent while nobody took any.
        40 => vec![over(30, saw("bad", 10, (600, 600)))],
        41 => vec![saw("bad", 41, (20, 20))],
        42 => vec![
            saw("bad", 42, (20, 20)),
            over(32, saw("well", 42, (640, 0))),
        ],
        43.. => vec![saw("bad", second, (20, 20)), saw("well", second, (20, 0))],
        _ => Vec::new(),
    });
    assert_eq!(given, None);
}

#[test]
fn where_all_report_seldom_the_others_have_longer() {
    let with = |interval| {
        let mut world = World::default();
        world.set_report_interval(Duration::from_secs(interval));
        ordered_in(world, |second| vec![saw("bad", second, (20, 20))])
    };
    assert_eq!(
        [1, 3, 30, 60].map(with),
        [Some(3), Some(7), Some(35), Some(65)],
        "an interval, and at most 4 s for a report to come"
    );
}

#[test]
fn who_is_alone_speaks_for_all_after_the_others_would_have_come() {
    let given = ordered(|second| vec![saw("bad", second, (20, 20))]);
    assert_eq!(given, Some(3));
    let left = ordered(|second| match second {
        1..=10 => vec![saw("bad", second, (20, 0)), saw("well", second, (20, 0))],
        _ => vec![saw("bad", second, (20, 20))],
    });
    assert_eq!(left, Some(75), "64 s after the other was heard of");
}
