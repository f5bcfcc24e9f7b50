//! What limits may be.

use super::*;

fn share(ten_thousandths: u16) -> Share {
    Share::try_from(ten_thousandths).unwrap()
}

fn limits() -> BreakerLimits {
    BreakerLimits {
        window_ms: Some(1_000),
        window_buckets: None,
        window_calls: None,
        calls_min: 10,
        failed_max: share(5_000),
        slow_max: None,
        slow_us: None,
        sigmas_hundredths: 300,
        open_ms: 1_000,
        open_max_ms: 10_000,
        probes: 5,
        ramp_ms: 2_000,
        manner: BreakerManner::default(),
    }
}

fn calls(window_calls: u32) -> BreakerLimits {
    BreakerLimits {
        window_ms: None,
        window_calls: Some(window_calls),
        ..limits()
    }
}

fn reached() -> BreakerManner {
    BreakerManner {
        threshold: Threshold::Reached,
        ..BreakerManner::default()
    }
}

fn refused(limits: BreakerLimits) -> String {
    BreakerRule::try_from(limits).unwrap_err().to_string()
}

#[test]
fn limits_have_bounds_and_say_so() {
    assert!(BreakerRule::try_from(limits()).is_ok());
    let no_probes = BreakerLimits {
        probes: 0,
        ..limits()
    };
    assert_eq!(refused(no_probes), "probes is 0; it must be from 1 to 1000");
    for bad in [
        BreakerLimits {
            open_max_ms: 999,
            ..limits()
        },
        BreakerLimits {
            failed_max: Share::WHOLE,
            ..limits()
        },
        BreakerLimits {
            slow_us: Some(1),
            ..limits()
        },
        BreakerLimits {
            window_ms: Some(99),
            ..limits()
        },
        BreakerLimits {
            calls_min: 1_000_001,
            ..limits()
        },
        calls(0),
        calls(10_001),
    ] {
        assert!(BreakerRule::try_from(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_window_is_in_time_or_in_requests() {
    let window = |limits| BreakerRule::try_from(limits).unwrap().window();
    let second = Duration::from_secs(1);
    let time = |buckets| BreakerWindow::Time {
        length: second,
        buckets,
    };
    assert_eq!(window(limits()), time(10));
    assert_eq!(window(calls(10_000)), BreakerWindow::Calls(10_000));
    let cut = |buckets, limits| BreakerLimits {
        window_buckets: Some(buckets),
        ..limits
    };
    assert_eq!(window(cut(120, limits())), time(120));
    let short = BreakerLimits {
        window_ms: Some(100),
        ..limits()
    };
    assert_eq!(
        refused(cut(101, short)),
        "window_buckets is 101; it must be from 1 to 100"
    );
    let ways = "; a window is window_ms, with window_buckets or without, or else window_calls";
    let neither = BreakerLimits {
        window_ms: None,
        ..limits()
    };
    assert_eq!(refused(neither), format!("window_ms is missing{ways}"));
    let both = BreakerLimits {
        window_ms: Some(1_000),
        ..calls(10)
    };
    assert_eq!(
        refused(both),
        format!("window_calls is given beside window_ms{ways}")
    );
    assert_eq!(
        refused(cut(10, calls(10))),
        format!("window_buckets is given without window_ms{ways}")
    );
}

#[test]
fn fewer_requests_than_the_window_holds_are_enough() {
    let calls_min = |limits| BreakerRule::try_from(limits).unwrap().calls_min();
    assert_eq!(calls_min(calls(4)), 4);
    assert_eq!(calls_min(calls(40)), 10);
    assert_eq!(calls_min(limits()), 10);
}

#[test]
fn a_share_to_be_reached_may_be_the_whole_but_not_nothing() {
    let with = |failed_max, manner| BreakerLimits {
        failed_max,
        manner,
        ..limits()
    };
    assert!(BreakerRule::try_from(with(Share::WHOLE, reached())).is_ok());
    assert!(BreakerRule::try_from(with(Share::NONE, BreakerManner::default())).is_ok());
    assert_eq!(
        refused(with(Share::NONE, reached())),
        "failed_max is 0, which everything reaches; it must be at least 1"
    );
}

#[test]
fn what_is_not_said_is_the_default_and_is_not_written() {
    let plain = r#"{"window_ms":1000,"calls_min":10,"failed_max":5000,"sigmas_hundredths":300,"open_ms":1000,"open_max_ms":10000,"probes":5,"ramp_ms":2000}"#;
    let rule: BreakerRule = serde_json::from_str(plain).unwrap();
    assert_eq!(*rule.limits(), limits());
    assert_eq!(serde_json::to_string(&rule).unwrap(), plain);
}

#[test]
fn what_is_judged_by_two_is_judged_as_strictly_as_by_either() {
    for judge in [Judge::Outcomes, Judge::Objectives, Judge::Both] {
        assert_eq!(judge.and(judge), judge);
        assert_eq!(judge.and(Judge::Both), Judge::Both);
    }
    assert_eq!(Judge::Outcomes.and(Judge::Objectives), Judge::Both);
    assert_eq!(Judge::Objectives.and(Judge::Outcomes), Judge::Both);
}

#[test]
fn manners_are_read_and_strangers_among_them_refused() {
    let with = |manner: &str| {
        let json = format!(
            r#"{{"window_calls": 100, "calls_min": 10, "failed_max": 5000, "open_ms": 1000,
                "open_max_ms": 1000, "probes": 5, "manner": {manner}}}"#
        );
        serde_json::from_str::<BreakerRule>(&json).map(|rule| rule.limits().manner)
    };
    let all = r#"{"threshold": "reached", "verdict": "ratio", "late": "counted", "wake": "on_request", "lost": "awaited", "pace": "traffic", "judge": "both"}"#;
    assert_eq!(
        with(all).unwrap(),
        BreakerManner {
            threshold: Threshold::Reached,
            verdict: ProbeVerdict::Ratio,
            late: LateOutcomes::Counted,
            wake: Wake::OnRequest,
            lost: LostProbes::Awaited,
            pace: Pace::Traffic,
            judge: Judge::Both,
        }
    );
    assert_eq!(with(r#"{"threshold": "reached"}"#).unwrap(), reached());
    assert!(with(r#"{"thresholds": "reached"}"#).is_err());
    assert!(with(r#"{"threshold": "met"}"#).is_err());
}
