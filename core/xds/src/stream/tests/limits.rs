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
    let kept = |client: &DeltaClient| client.stream.names_bytes(Some(&now));
    assert!(kept(&client) < client.stream.names_bytes(None));
    let one = kept(&client);
    client.change("b", "1");
    assert_eq!(kept(&client), one);
    client.change("nought", "");
    assert!(one < kept(&client));
    client.change("-none -nought", "");
    assert_eq!(kept(&client), 0);
    let mut client = SotwClient::new("cds");
    client.ask("a none", "", None);
    assert_eq!(client.stream.names_bytes(Some(&now)), 64 + "none".len());
}
