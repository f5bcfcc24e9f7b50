use super::*;
use crate::Violation;

fn sotw(limits: StreamLimits, requests: &[(&str, &[&str])]) -> Result<(), Violation> {
    let mut stream = SotwStream::new(limits, LegacyWildcard::Honoured);
    requests.iter().try_for_each(|(type_url, names)| {
        let request = DiscoveryRequest {
            type_url: (*type_url).to_owned(),
            resource_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..DiscoveryRequest::default()
        };
        stream.take(request).map(|_| ())
    })
}

fn delta(limits: StreamLimits, requests: &[(&str, &[&str])]) -> Result<(), Violation> {
    let mut stream = DeltaStream::new(limits, LegacyWildcard::Honoured);
    requests.iter().try_for_each(|(type_url, names)| {
        let request = DeltaDiscoveryRequest {
            type_url: (*type_url).to_owned(),
            resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
            ..DeltaDiscoveryRequest::default()
        };
        stream.take(request).map(|_| ())
    })
}

const SMALL: StreamLimits = StreamLimits {
    types_max: 2,
    names_max: 2,
    name_bytes_max: 4,
};

/// Case 16.
#[test]
fn a_request_names_its_type() {
    assert_eq!(sotw(SMALL, &[("", &[])]), Err(Violation::TypeUrlMissing));
    assert_eq!(delta(SMALL, &[("", &[])]), Err(Violation::TypeUrlMissing));
}

#[test]
fn a_stream_of_one_type_may_leave_it_out_and_carries_no_other() {
    let of = |type_url: &str| DiscoveryRequest {
        type_url: type_url.to_owned(),
        ..DiscoveryRequest::default()
    };
    let cds = |type_url: &str| SotwStream::confined(of(type_url), Kind::CLUSTER);
    assert_eq!(cds(""), Ok(of(Kind::CLUSTER)));
    assert_eq!(cds(Kind::CLUSTER), Ok(of(Kind::CLUSTER)));
    let other = cds(Kind::ROUTES).unwrap_err().to_string();
    assert!(other.contains(Kind::ROUTES) && other.contains(Kind::CLUSTER));
}

/// Case 20.
#[test]
fn types_names_and_bytes_have_bounds() {
    for take in [sotw, delta] {
        assert!(take(SMALL, &[("t", &["abcd", "b"]), ("u", &[]), ("t", &[])]).is_ok());
        assert!(take(SMALL, &[("t", &[]), ("u", &[]), ("v", &[])]).is_err());
        assert!(take(SMALL, &[("t", &["a", "b", "c"])]).is_err());
        assert!(take(SMALL, &[("t", &["abcde"])]).is_err());
        assert!(take(SMALL, &[("types", &[])]).is_err());
    }
}

#[test]
fn names_that_add_up_have_a_bound() {
    let grows: &[(&str, &[&str])] = &[("t", &["a", "b"]), ("t", &["c"])];
    assert!(delta(SMALL, grows).is_err());
    assert!(sotw(SMALL, grows).is_ok(), "the list replaces the last one");
}

#[test]
fn a_refusals_text_is_cut_at_a_character() {
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    client.hears(&snapshot("ecds=a:1"));
    let Some(Verdict::Refused { message, .. }) = client.ask("a", "1", refusal(&"ä".repeat(2_000)))
    else {
        panic!("refused");
    };
    assert_eq!(message.len(), Verdict::MESSAGE_BYTES_MAX);
}

/// What there is is kept anyway, and not by the word of a client.
#[test]
fn names_of_what_there_is_not_are_kept_by_the_word_of_the_client() {
    let now = snapshot("cds=a:1 b:1");
    let mut client = DeltaClient::new("cds");
    client.change("a none", "");
    client.hears(&now);
    let kept = |client: &mut DeltaClient| client.stream.names_bytes(Some(&now));
    assert!(kept(&mut client) < client.stream.names_bytes(None));
    let one = kept(&mut client);
    client.change("b", "1");
    assert_eq!(kept(&mut client), one);
    client.change("nought", "");
    assert!(one < kept(&mut client));
    client.change("-none -nought", "");
    assert_eq!(kept(&mut client), 0);
    let mut client = SotwClient::new("cds");
    client.ask("a none", "", None);
    assert_eq!(client.stream.names_bytes(Some(&now)), 64 + "none".len());
}

/// A stream that keeps about as many names as one may.
fn full<S: Stream + Default>(request: impl Fn(&str, Vec<String>) -> S::Request) -> S {
    let mut stream = S::default();
    let limits = StreamLimits::default();
    for of_type in 0..limits.types_max {
        let names = (1..limits.names_max).map(|name| name.to_string());
        let request = request(&format!("t{of_type}"), names.collect());
        stream.take(request).unwrap();
    }
    stream
}

/// How long it took to fill a stream, and then to take requests that name one thing each and to ask each time how much it keeps,
/// while all that was asked for first is on its way.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "what takes a thousand times as long is seen without care"
)]
fn spent<S: Stream + Default>(
    fill: impl Fn(&str, Vec<String>) -> S::Request,
    one: impl Fn(u32) -> S::Request,
) -> [std::time::Duration; 2] {
    let names = (1..StreamLimits::default().names_max).map(|name| name.to_string());
    let offered = names.fold(Snapshot::builder(), |offered, name| {
        offered.with(Resource::new("t0", &name, b"x"))
    });
    let offered = offered.with(Resource::new("t1", "7", b"x")).build();
    let begun = std::time::Instant::now();
    let mut stream: S = full(fill);
    let filled = begun.elapsed();
    let sent = stream.next(&offered).unwrap().sent;
    assert_eq!(sent.type_url, "t0");
    let begun = std::time::Instant::now();
    for round in 0..1_000 {
        stream.take(one(round)).unwrap();
        let (all, beyond) = (stream.names_bytes(None), stream.names_bytes(Some(&offered)));
        assert!(beyond < all);
    }
    [filled, begun.elapsed()]
}

/// To go through all that is kept for each of them would take a thousand times as long as to keep it, or about that.
#[test]
fn a_request_for_one_name_costs_no_look_at_all_that_are_kept() {
    let sotw = |type_url: &str, resource_names| DiscoveryRequest {
        type_url: type_url.to_owned(),
        resource_names,
        ..DiscoveryRequest::default()
    };
    let one = |round: u32| sotw("t0", vec![format!("one{round}")]);
    let [filled, asked] = spent::<SotwStream>(sotw, one);
    assert!(asked < 10 * filled, "{asked:?} after {filled:?}");
    let delta = |type_url: &str, resource_names_subscribe| DeltaDiscoveryRequest {
        type_url: type_url.to_owned(),
        resource_names_subscribe,
        ..DeltaDiscoveryRequest::default()
    };
    let one = |round: u32| {
        let mut request = delta("t0", vec![format!("one{}", round / 2)]);
        if round % 2 == 1 {
            request.resource_names_unsubscribe = request.resource_names_subscribe.split_off(0);
        }
        request
    };
    let [filled, asked] = spent::<DeltaStream>(delta, one);
    assert!(asked < 10 * filled, "{asked:?} after {filled:?}");
}
