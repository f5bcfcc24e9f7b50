use super::*;

fn read(more: &str) -> Result<FaultRule, String> {
    let comma = if more.is_empty() { "" } else { "," };
    let json = format!(r#"{{"id": "a", "share": 500, "expires_at_ms": 1{comma}{more}}}"#);
    serde_json::from_str(&json).map_err(|error| error.to_string())
}

/// What is said about a fault with `more`.
fn refused(more: &str) -> String {
    match read(more) {
        Ok(rule) => panic!("{rule:?}"),
        Err(error) => error,
    }
}

#[test]
fn what_was_written_before_means_the_same() {
    let json =
        r#"{"id":"e","seed":7,"share":500,"delay_ms":300,"abort_status":503,"expires_at_ms":9}"#;
    let rule: FaultRule = serde_json::from_str(json).unwrap();
    assert_eq!(u16::from(rule.share()), 500);
    assert_eq!(
        rule.delay(),
        Some(&DelaySpread::Fixed(Delay::try_from(300).unwrap()))
    );
    assert_eq!(
        rule.effect().ending,
        Some(FaultEnding::Abort { status: 503 })
    );
    assert_eq!(rule.expires_at(), WallTime::from_millis(9));
    assert_eq!(
        serde_json::to_string(&rule).unwrap(),
        json,
        "and is written the same"
    );
}

#[test]
fn everything_that_can_be_written_is_read_back() {
    for more in [
        r#""delay": {"fixed_ms": 5}"#,
        r#""delay": {"uniform": {"min_ms": 0, "max_ms": 5}}"#,
        r#""delay": {"exponential": {"mean_ms": 5}}"#,
        r#""delay": {"pareto": {"scale_ms": 10, "shape": 1.5}}"#,
        r#""delay": {"quantiles": [[5000, 10], [9900, 200]]}"#,
        r#""delay": {"histogram": [[10, 90], [200, 10]]}"#,
        r#""abort_grpc_status": 14"#,
        r#""reset": true, "delay_ms": 1"#,
        r#""body": {"bytes_per_second": 100, "cut_after_bytes": 10, "corrupt": 1}, "side_of_exchange": "response""#,
        r#""headers": {"set": [["x-a", "b c"]], "remove": ["cookie"]}, "delay_ms": 1"#,
        r#""by_header": true"#,
        r#""control": 500"#,
        r#""abort_status": 503, "control": 9500, "match": {"headers": [{"name": "x-a"}]}, "caller": ["shop"],
           "criticality": ["sheddable"], "sidecars": 1000, "active_max": 5, "active_share_max": 2000"#,
    ] {
        let rule = read(more).unwrap_or_else(|error| panic!("{more}: {error}"));
        let again = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<FaultRule>(&again).unwrap(), rule);
    }
}

/// What may not be, and what is said about it.
const REFUSED: &[(&str, &str)] = &[
    ("", "does nothing"),
    (r#""delay_ms": 0"#, "delay is zero"),
    (
        r#""delay_ms": 10001"#,
        "delay is 10001 ms; it must be at most 10000 ms",
    ),
    (
        r#""abort_status": 199"#,
        "abort_status is 199; it must be from 200 to 599",
    ),
    (
        r#""abort_status": 600"#,
        "abort_status is 600; it must be from 200 to 599",
    ),
    (
        r#""abort_grpc_status": 17"#,
        "abort_grpc_status is 17; it must be from 0 to 16",
    ),
    (
        r#""delay_ms": 1, "delay": {"fixed_ms": 1}"#,
        "has delay_ms and delay; give one",
    ),
    (
        r#""abort_status": 503, "reset": true"#,
        "has abort_status and reset",
    ),
    (
        r#""abort_status": 503, "body": {"corrupt": 1}"#,
        "has abort_status and body",
    ),
    (
        r#""reset": true, "headers": {"remove": ["a"]}"#,
        "has reset and headers",
    ),
    (
        r#""by_header": true, "delay_ms": 1"#,
        "has by_header and delay",
    ),
    (
        r#""by_header": true, "side_of_exchange": "response""#,
        "has by_header and side_of_exchange",
    ),
    (
        r#""abort_status": 503, "control": 9501"#,
        "share and control are 500 and 9501 ten-thousandths; together they must be at most 10000",
    ),
    (
        r#""delay": {"uniform": {"min_ms": 5, "max_ms": 5}}"#,
        "delay.uniform.min_ms is 5; it must be from 0 to 4",
    ),
    (
        r#""delay": {"uniform": {"min_ms": 5, "max_ms": 10001}}"#,
        "delay.uniform.max_ms is 10001; it must be from 1 to 10000",
    ),
    (
        r#""delay": {"exponential": {"mean_ms": 0}}"#,
        "delay.exponential.mean_ms is 0; it must be from 1 to 10000",
    ),
    (
        r#""delay": {"pareto": {"scale_ms": 0, "shape": 1}}"#,
        "delay.pareto.scale_ms is 0",
    ),
    (
        r#""delay": {"pareto": {"scale_ms": 1, "shape": 0.4}}"#,
        "shape is 0.400; it must be from 0.5 to 100",
    ),
    (
        r#""delay": {"quantiles": []}"#,
        "delay.quantiles: no entry is positive",
    ),
    (
        r#""delay": {"quantiles": [[10, 5], [10, 6]]}"#,
        "delay.quantiles: entries are out of order",
    ),
    (
        r#""delay": {"quantiles": [[10, 5], [20, 4]]}"#,
        "delay.quantiles: entries are out of order",
    ),
    (
        r#""delay": {"quantiles": [[10, 10001]]}"#,
        "delay.quantiles is 10001",
    ),
    (
        r#""delay": {"histogram": [[5, 0]]}"#,
        "delay.histogram: no entry is positive",
    ),
    (
        r#""delay": {"histogram": [[5, 1], [5, 1]]}"#,
        "delay.histogram: entries are out of order",
    ),
    (
        r#""delay": {"histogram": [[0, 1]]}"#,
        "delay.histogram is 0; it must be from 1",
    ),
    (r#""body": {}"#, "body: it does nothing"),
    (
        r#""body": {"bytes_per_second": 0}"#,
        "body.bytes_per_second is 0; it must be from 1",
    ),
    (
        r#""body": {"corrupt": 0}"#,
        "body.corrupt is 0; it must be from 1 to 10000",
    ),
    (
        r#""body": {"truncate_after_bytes": 1, "cut_after_bytes": 1}"#,
        "body.truncate_after_bytes and body.cut_after_bytes",
    ),
    (
        r#""headers": {"remove": [":path"]}"#,
        "headers has \":path\"",
    ),
    (r#""headers": {"remove": ["X-A"]}"#, "lower case"),
    (r#""headers": {"remove": [""]}"#, "1 to 1024 bytes"),
    (
        r#""headers": {"set": [["content-length", "5"]]}"#,
        "where a message ends",
    ),
    (
        r#""headers": {"set": [["a", "b\r\nc: d"]]}"#,
        "visible ASCII and spaces",
    ),
    (
        r#""reset": true, "caller": [""]"#,
        "caller has \"\"; it must have 1 to 256",
    ),
    (
        r#""reset": true, "criticality": ["a b"]"#,
        "unknown variant `a b`",
    ),
    (
        r#""reset": true, "match": {}"#,
        "match: the match has no condition",
    ),
    (
        r#""reset": true, "active_max": 0"#,
        "active_max is 0; it must be from 1",
    ),
    (
        r#""reset": true, "active_share_max": 0"#,
        "active_share_max is 0; it must be from 1 to 10000",
    ),
    (r#""reset": true, "sidecars": 10001"#, "share is 10001"),
    (r#""rest": true"#, "unknown field `rest`"),
];

#[test]
fn every_bound_says_field_value_and_bound() {
    for (more, expected) in REFUSED {
        let error = refused(more);
        assert!(error.contains(expected), "{more}: {error}");
    }
}

#[test]
fn lists_have_a_maximum() {
    // What stands before the entries, how many there may be, one of them, and what stands behind.
    for (before, max, entry, after) in [
        (r#""reset": true, "caller": ["#, 16, r#""a""#, "]"),
        (
            r#""reset": true, "criticality": ["#,
            4,
            r#""critical""#,
            "]",
        ),
        (r#""headers": {"remove": ["#, 8, r#""a""#, "]}"),
        (r#""headers": {"set": ["#, 8, r#"["a", "b"]"#, "]}"),
        (r#""delay": {"quantiles": ["#, 64, "[N, 1]", "]}"),
        (r#""delay": {"histogram": ["#, 64, "[N, 1]", "]}"),
    ] {
        let of = |count: usize| {
            let entries = (1..=count).map(|number| entry.replace('N', &number.to_string()));
            let entries: Vec<String> = entries.collect();
            format!("{before}{}{after}", entries.join(","))
        };
        assert!(read(&of(max)).is_ok(), "{before}");
        let expected = format!("has {} entries; there may be at most {max}", max + 1);
        assert!(refused(&of(max + 1)).contains(&expected), "{before}");
    }
}

#[test]
fn ids_are_names() {
    let with = |id: &str| FaultWritten {
        id: id.to_owned(),
        abort_status: Some(503),
        ..FaultWritten::default()
    };
    assert!(FaultRule::try_from(with(&"a".repeat(64))).is_ok());
    for bad in ["", "a b", &"a".repeat(65)] {
        let error = FaultRule::try_from(with(bad)).unwrap_err();
        assert_eq!(error.field(), Some("id"), "{bad}");
    }
}

#[test]
fn errors_know_their_field() {
    let with = |change: fn(&mut FaultWritten)| {
        let mut written = FaultWritten {
            id: "a".to_owned(),
            ..FaultWritten::default()
        };
        change(&mut written);
        FaultRule::try_from(written).unwrap_err().field()
    };
    assert_eq!(with(|_| ()), None);
    assert_eq!(with(|w| w.delay_ms = Some(0)), Some("delay_ms"));
    assert_eq!(with(|w| w.abort_status = Some(0)), Some("abort_status"));
    assert_eq!(
        with(|w| w.delay = Some(DelaySpread::Exponential { mean_ms: 0 })),
        Some("delay")
    );
}

#[test]
fn an_end_may_come_earlier_but_not_later() {
    let rule = read(r#""reset": true"#).unwrap();
    let end = |millis| {
        rule.clone()
            .ending_by(WallTime::from_millis(millis))
            .expires_at()
    };
    assert_eq!(end(0), WallTime::from_millis(0));
    assert_eq!(end(2), WallTime::from_millis(1));
}
