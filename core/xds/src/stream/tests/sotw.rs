use super::*;

/// Case 1.
#[test]
fn the_first_request_gets_exactly_what_it_names() {
    let mut client = SotwClient::new("ecds");
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "", "nobody asked");
    client.ask("a", "", None);
    let at = snapshot("ecds=a:1 b:1; rds=r:1");
    let response = client.stream.next(&at).unwrap();
    assert_eq!(said(&response), "a");
    assert_eq!(response.sent.type_url, Kind::EXTENSION);
    assert!(!response.sent.nonce.is_empty());
    assert_eq!(client.hears(&at), "");
}

/// Case 2.
#[test]
fn an_acknowledgement_is_followed_by_silence() {
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "1: a");
    let settled = client.ask("a", "1", None);
    assert!(matches!(settled, Some(Verdict::Acknowledged(_))));
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "");
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:1")), "", "not asked for");
}

/// Case 3.
#[test]
fn what_was_refused_is_not_sent_again_but_the_next_version_is() {
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    assert_eq!(client.hears(&snapshot("ecds=a:bad")), "1: a");
    let Some(Verdict::Refused { sent, message }) = client.ask("a", "1", refusal("no")) else {
        panic!("a refusal is known by its error");
    };
    assert_eq!((sent.nonce.as_str(), message.as_str()), ("1", "no"));
    assert_eq!(client.hears(&snapshot("ecds=a:bad")), "");
    assert_eq!(client.hears(&snapshot("ecds=a:good")), "2: a");
}

/// Case 3: Envoy joins the version of the last response with the error of another.
#[test]
fn a_refusal_with_an_accepted_version_is_a_refusal() {
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    let at = snapshot("ecds=a:1");
    let sent = client.stream.next(&at).unwrap().sent;
    let request = DiscoveryRequest {
        version_info: sent.version.to_string(),
        type_url: sent.type_url.clone(),
        resource_names: names("a"),
        response_nonce: sent.nonce.clone(),
        error_detail: refusal("no"),
        ..DiscoveryRequest::default()
    };
    let settled = client.stream.take(request).unwrap();
    assert!(matches!(settled, Some(Verdict::Refused { .. })));
}

/// Case 4.
#[test]
fn a_stale_nonce_is_ignored() {
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:1")), "1: a");
    client.ask("a", "1", None);
    assert_eq!(client.hears(&snapshot("ecds=a:2 b:1")), "2: a");
    // Had it been heard, `a` would be gone, and come again with the acknowledgement.
    assert_eq!(client.ask("b", "1", None), None);
    assert_eq!(client.hears(&snapshot("ecds=a:2 b:1")), "");
    assert!(client.ask("a", "2", None).is_some());
    assert_eq!(
        client.hears(&snapshot("ecds=a:2 b:1")),
        "",
        "b was not heard"
    );
}

/// Case 5: gRPC's clients ask for more while the first answer is on its way.
#[test]
fn an_empty_nonce_changes_the_subscription_while_a_response_is_in_flight() {
    let at = snapshot("cds=ga:1 gb:1");
    let mut client = SotwClient::new("cds");
    client.ask("ga", "", None);
    assert_eq!(client.hears(&at), "1: ga");
    assert_eq!(client.ask("ga gb", "", None), None);
    assert_eq!(client.hears(&at), "", "one in flight");
    assert!(client.ask("ga gb", "1", None).is_some());
    assert_eq!(client.hears(&at), "2: ga gb");
}

/// Case 6.
#[test]
fn a_new_name_is_answered_although_the_version_is_the_same() {
    let at = snapshot("ecds=a:1 b:1");
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    assert_eq!(client.hears(&at), "1: a");
    client.ask("a", "1", None);
    client.ask("a b", "1", None);
    assert_eq!(client.hears(&at), "2: b");
}

/// Case 7.
#[test]
fn a_name_that_was_dropped_gets_no_updates_and_is_sent_again_when_it_returns() {
    let mut client = SotwClient::new("ecds");
    client.ask("a b", "", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:1")), "1: a b");
    client.ask("a", "1", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:2")), "");
    client.ask("a b", "1", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:2")), "2: b");
    client.ask("a", "2", None);
    client.ask("a b", "2", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:2")), "3: b", "unchanged");
}

/// Case 9: what is partial says nothing of the rest.
#[test]
fn only_what_changed_is_sent_of_types_that_come_in_parts() {
    let mut client = SotwClient::new("ecds");
    client.ask("a b", "", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:1")), "1: a b");
    client.ask("a b", "1", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:2")), "2: b");
}

/// Case 8.
#[test]
fn silence_asks_for_all_clusters_and_for_no_extension() {
    let at = snapshot("cds=a:1 b:1; ecds=a:1");
    let mut clusters = SotwClient::new("cds");
    clusters.ask("", "", None);
    assert_eq!(clusters.hears(&at), "1: a b");
    let mut extensions = SotwClient::new("ecds");
    extensions.ask("", "", None);
    assert_eq!(extensions.hears(&at), "");
    extensions.ask("*", "", None);
    assert_eq!(extensions.hears(&at), "1: a");
}

/// Case 9.
#[test]
fn clusters_come_as_a_full_set_and_vanish_by_omission() {
    let mut client = SotwClient::new("cds");
    client.ask("", "", None);
    assert_eq!(client.hears(&snapshot("cds=a:1 b:1")), "1: a b");
    client.ask("", "1", None);
    assert_eq!(client.hears(&snapshot("cds=a:1 b:2")), "2: a b");
    client.ask("", "2", None);
    assert_eq!(client.hears(&snapshot("cds=a:1")), "3: a");
    client.ask("", "3", None);
    assert_eq!(client.hears(&snapshot("cds=")), "4: ", "delete all");
    client.ask("", "4", None);
    assert_eq!(client.hears(&snapshot("cds=")), "");
}

/// Case 9: nothing of the other types is ever said to be gone.
#[test]
fn extensions_are_never_answered_with_nothing() {
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "1: a");
    client.ask("a", "1", None);
    assert_eq!(client.hears(&snapshot("ecds=")), "");
    assert_eq!(client.hears(&snapshot("ecds=a:-")), "");
}

/// Case 10.
#[test]
fn a_missing_resource_is_sent_when_it_appears() {
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    assert_eq!(client.hears(&snapshot("ecds=")), "");
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "1: a");
}

/// Case 10: Envoy serves nobody before it has its layers or has waited for them.
#[test]
fn who_begins_with_nothing_is_told_that_a_layer_is_empty_which_is_not_there() {
    let nothing = snapshot("rtds=");
    let mut client = SotwClient::new("rtds");
    client.ask("fleet", "", None);
    let response = client.stream.next(&nothing).unwrap();
    let empty = Resource::empty_layer("fleet").version().clone();
    assert_eq!(response.sent.resources, [("fleet".to_owned(), empty)]);
    client.ask("fleet", "1", None);
    assert_eq!(client.hears(&nothing), "", "it was told");
    client.ask("fleet more", "1", None);
    assert_eq!(client.hears(&snapshot("rtds=fleet:1")), "2: fleet more");
    client.ask("fleet more", "2", None);
    assert_eq!(client.hears(&nothing), "", "nobody deleted it");
}

/// Case 15: its version says that it has layers, not which.
#[test]
fn who_brings_a_version_keeps_its_layers_until_there_are_others() {
    let mut client = SotwClient::new("rtds");
    client.come_back("fleet", &snapshot("rtds=fleet:1"));
    assert_eq!(client.hears(&snapshot("rtds=")), "");
    assert_eq!(client.hears(&snapshot("rtds=fleet:2")), "1: fleet");
}

/// Case 11: Envoy waits 15 s for the endpoints of a changed cluster.
#[test]
fn the_endpoints_of_a_changed_cluster_are_sent_again_after_it() {
    let mut client = SotwClient::new("cds");
    client.ask("", "", None);
    client.type_url = Kind::ENDPOINTS;
    client.ask("a b", "", None);
    assert_eq!(
        client.hears(&snapshot("cds=a:1 b:1; eds=a:1 b:1")),
        "1: a b"
    );
    assert_eq!(
        client.hears(&snapshot("cds=a:1 b:1; eds=a:1 b:1")),
        "2: a b"
    );
    client.ask("a b", "2", None);
    client.type_url = Kind::CLUSTER;
    client.ask("", "1", None);
    let changed = snapshot("cds=a:2 b:1; eds=a:1 b:1");
    assert_eq!(client.hears(&changed), "3: a b");
    // Before the clusters are acknowledged: Envoy does that only when it has the endpoints.
    assert_eq!(client.hears(&changed), "4: a");
    assert_eq!(client.hears(&changed), "");
}

/// Case 13.
#[test]
fn of_a_hundred_changes_behind_one_in_flight_the_last_is_sent() {
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    assert_eq!(client.hears(&snapshot("ecds=a:0")), "1: a");
    for version in 1..100 {
        assert_eq!(client.hears(&snapshot(&format!("ecds=a:{version}"))), "");
    }
    let last = snapshot("ecds=a:99");
    let settled = client.ask("a", "1", refusal("the first"));
    assert!(matches!(settled, Some(Verdict::Refused { sent, .. }) if sent.nonce == "1"));
    let sent = client.stream.next(&last).unwrap().sent;
    let version = last.of_type(Kind::EXTENSION).unwrap().version();
    assert_eq!((sent.nonce.as_str(), &sent.version), ("2", version));
}

/// Case 23.
#[test]
fn a_name_that_is_asked_for_twice_comes_once() {
    let now = snapshot("ecds=a:1");
    let mut client = SotwClient::new("ecds");
    client.ask("a a", "", None);
    assert_eq!(client.hears(&now), "1: a");
}

/// Case 22.
#[test]
fn types_have_nonces_of_their_own() {
    let at = snapshot("ecds=a:1; rds=a:1");
    let mut client = SotwClient::new("rds");
    client.ask("a", "", None);
    client.type_url = Kind::EXTENSION;
    client.ask("a", "", None);
    assert_eq!(client.hears(&at), "1: a", "routes come first");
    assert_eq!(client.hears(&at), "2: a");
    assert_eq!(
        client.ask("a", "1", None),
        None,
        "the nonce of the other type"
    );
    assert!(client.ask("a", "2", None).is_some());
}

/// Case 16.
#[test]
fn an_unknown_type_is_not_answered_and_disturbs_nobody() {
    let mut client = SotwClient::new("ecds");
    client.type_url = "type.googleapis.com/of.tomorrow";
    client.ask("a", "", None);
    client.type_url = Kind::EXTENSION;
    client.ask("a", "", None);
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "1: a");
}

/// Case 14: a version is the hash of the whole set, so a client that brings it has the set.
#[test]
fn a_client_that_comes_back_with_the_whole_set_hears_nothing() {
    let at = snapshot("cds=a:1 b:1; ecds=a:1");
    let mut client = SotwClient::new("cds");
    client.come_back("", &at);
    assert_eq!(client.hears(&at), "");
    assert_eq!(client.hears(&snapshot("cds=a:1 b:2")), "1: a b");
    let mut other = SotwClient::new("cds");
    other.come_back("", &at);
    assert_eq!(other.hears(&snapshot("cds=b:1")), "1: b");
    // Of the others a version says nothing about which names came with it.
    let mut extensions = SotwClient::new("ecds");
    extensions.come_back("a", &at);
    assert_eq!(extensions.hears(&at), "1: a");
}

/// Case 8: the specification's steps, one after the other.
#[test]
fn the_wildcard_of_silence_ends_when_names_are_given() {
    let at = snapshot("cds=a:1 b:1");
    let mut client = SotwClient::new("cds");
    client.ask("", "", None);
    assert_eq!(client.hears(&at), "1: a b");
    client.ask("* a", "1", None);
    assert_eq!(client.hears(&at), "", "the wildcard stays");
    client.ask("a", "1", None);
    assert_eq!(client.hears(&at), "", "it has let go of b itself");
    assert_eq!(client.hears(&snapshot("cds=a:2 b:2")), "2: a");
    client.ask("", "2", None);
    assert_eq!(client.hears(&snapshot("cds=a:3 b:3")), "", "unsubscribed");
}
