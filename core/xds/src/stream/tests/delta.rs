use super::*;

/// Cases 1 and 2.
#[test]
fn the_first_request_gets_what_it_names_and_then_silence() {
    let at = snapshot("ecds=a:1 b:1");
    let mut client = DeltaClient::new("ecds");
    client.change("a", "");
    assert_eq!(client.hears(&at), "1: a");
    assert_eq!(client.hears(&at), "");
    let settled = client.change("", "1");
    assert!(matches!(settled, Some(Verdict::Acknowledged(_))));
    assert_eq!(client.hears(&at), "");
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:2")), "", "not asked for");
    assert_eq!(client.hears(&snapshot("ecds=a:2 b:2")), "2: a");
}

/// Case 3.
#[test]
fn what_was_refused_is_not_sent_again_but_the_next_version_is() {
    let mut client = DeltaClient::new("ecds");
    client.change("a", "");
    assert_eq!(client.hears(&snapshot("ecds=a:bad")), "1: a");
    let settled = client.answer("", "1", refusal("no"));
    assert!(matches!(settled, Some(Verdict::Refused { message, .. }) if message == "no"));
    assert_eq!(client.hears(&snapshot("ecds=a:bad")), "");
    assert_eq!(client.hears(&snapshot("ecds=a:good")), "2: a");
}

/// Case 4.
#[test]
fn a_stale_nonce_settles_nothing_but_its_changes_hold() {
    let at = snapshot("ecds=a:1 b:1");
    let mut client = DeltaClient::new("ecds");
    client.change("a", "");
    assert_eq!(client.hears(&at), "1: a");
    assert_eq!(client.change("b", "0"), None);
    assert_eq!(client.hears(&at), "", "the first is still in flight");
    assert!(client.change("", "1").is_some());
    assert_eq!(client.hears(&at), "2: b");
}

/// Case 7.
#[test]
fn asking_again_is_answered_again() {
    let at = snapshot("ecds=a:1 b:1");
    let mut client = DeltaClient::new("ecds");
    client.change("a b", "");
    assert_eq!(client.hears(&at), "1: a b");
    client.change("", "1");
    client.change("a", "");
    assert_eq!(client.hears(&at), "2: a", "it had it");
    client.change("-b", "2");
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:2")), "");
    client.change("-x", "");
    client.change("b", "");
    assert_eq!(client.hears(&snapshot("ecds=a:1 b:2")), "3: b");
}

/// Case 8.
#[test]
fn the_wildcard_is_said_or_left_unsaid() {
    let at = snapshot("cds=a:1 b:1; ecds=a:1");
    let mut silent = DeltaClient::new("cds");
    silent.change("", "");
    assert_eq!(silent.hears(&at), "1: a b");
    silent.change("-*", "1");
    assert_eq!(silent.hears(&snapshot("cds=a:2 b:2")), "");
    let mut extensions = DeltaClient::new("ecds");
    extensions.change("", "");
    assert_eq!(extensions.hears(&at), "");
    extensions.change("*", "");
    assert_eq!(extensions.hears(&at), "1: a");
}

/// Case 8: the client dropped the resource, but the wildcard covers it.
#[test]
fn a_name_dropped_under_the_wildcard_is_answered() {
    let at = snapshot("cds=a:1 b:1");
    let mut client = DeltaClient::new("cds");
    client.change("* a gone", "");
    assert_eq!(client.hears(&at), "1: a b -gone");
    client.change("-a", "1");
    assert_eq!(client.hears(&at), "2: a");
    client.change("-gone", "2");
    assert_eq!(client.hears(&at), "3: -gone");
}

/// Case 9.
/// By names that no longer cover it, and then by the wildcard: the client takes what was on its way meanwhile.
#[test]
fn what_was_dropped_on_its_way_and_is_wanted_again_is_known_to_the_client() {
    let at = snapshot("ecds=a:1 b:1");
    for (now, said) in [("ecds=a:2 b:1", "2: a b"), ("ecds=b:1 a:-", "2: b -a")] {
        let mut client = DeltaClient::new("ecds");
        client.change("a", "");
        assert_eq!(client.hears(&at), "1: a");
        client.change("-a", "0");
        client.change("*", "0");
        client.change("", "1");
        assert_eq!(client.hears(&snapshot(now)), said);
    }
}

#[test]
fn clusters_vanish_by_omission() {
    let mut client = DeltaClient::new("cds");
    client.change("", "");
    assert_eq!(client.hears(&snapshot("cds=a:1 b:1")), "1: a b");
    client.change("", "1");
    assert_eq!(client.hears(&snapshot("cds=b:1")), "2: -a");
}

#[test]
fn a_client_that_waits_for_all_clusters_hears_that_there_are_none() {
    let mut client = DeltaClient::new("cds");
    client.change("", "");
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "", "not managed");
    assert_eq!(client.hears(&snapshot("cds=")), "1: ");
    client.change("", "1");
    assert_eq!(client.hears(&snapshot("cds=")), "");
}

/// Case 10.
#[test]
fn a_missing_resource_is_said_to_be_missing_once_and_sent_when_it_appears() {
    let mut client = DeltaClient::new("ecds");
    client.change("a", "");
    assert_eq!(client.hears(&snapshot("ecds=")), "1: -a");
    client.change("", "1");
    assert_eq!(client.hears(&snapshot("ecds=b:1")), "");
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "2: a");
}

/// Case 11.
#[test]
fn the_endpoints_of_a_changed_cluster_are_sent_again_after_it() {
    let mut client = DeltaClient::new("cds");
    client.change("", "");
    client.type_url = Kind::ENDPOINTS;
    client.change("a b", "");
    let at = snapshot("cds=a:1 b:1; eds=a:1 b:1");
    assert_eq!(client.hears(&at), "1: a b");
    assert_eq!(client.hears(&at), "2: a b");
    client.change("", "2");
    client.type_url = Kind::CLUSTER;
    client.change("", "1");
    let changed = snapshot("cds=a:2 b:1; eds=a:1 b:1");
    assert_eq!(client.hears(&changed), "3: a");
    assert_eq!(client.hears(&changed), "4: a");
}

/// Case 13.
#[test]
fn of_a_hundred_changes_behind_one_in_flight_the_last_is_sent() {
    let mut client = DeltaClient::new("ecds");
    client.change("a", "");
    assert_eq!(client.hears(&snapshot("ecds=a:0")), "1: a");
    for version in 1..100 {
        assert_eq!(client.hears(&snapshot(&format!("ecds=a:{version}"))), "");
    }
    client.change("", "1");
    let last = snapshot("ecds=a:99");
    let sent = client.stream.next(&last).unwrap().sent;
    let own = last.of_type(Kind::EXTENSION).unwrap().get("a").unwrap();
    assert_eq!(sent.resources, [("a".to_owned(), own.version().clone())]);
}

/// Case 14.
#[test]
fn a_client_that_comes_back_gets_the_difference() {
    let had = snapshot("ecds=same:1 other:1 deleted:1");
    let mut client = DeltaClient::new("ecds");
    client.begin("same other deleted", &had);
    assert_eq!(
        client.hears(&snapshot("ecds=same:1 other:2 deleted:-")),
        "1: other -deleted"
    );
}

/// Case 14.
#[test]
fn a_client_that_comes_back_with_everything_hears_nothing() {
    let had = snapshot("ecds=a:1; cds=c:1");
    let mut client = DeltaClient::new("ecds");
    client.begin("a", &had);
    client.type_url = Kind::CLUSTER;
    client.begin("", &had);
    assert_eq!(client.hears(&had), "");
}

/// Case 15: a replica that has forgotten must not take down what it once configured.
#[test]
fn what_nobody_deleted_is_not_taken_away() {
    let had = snapshot("ecds=a:1");
    let mut client = DeltaClient::new("ecds");
    client.begin("a", &had);
    assert_eq!(client.hears(&snapshot("ecds=")), "");
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "", "it has it");
    assert_eq!(client.hears(&snapshot("ecds=")), "", "also within a stream");
    assert_eq!(client.hears(&snapshot("ecds=a:-")), "1: -a");
}

/// Case 15: clusters are a full set, but one that is not managed is not empty.
#[test]
fn a_type_that_is_not_managed_is_left_alone() {
    let had = snapshot("cds=a:1");
    let mut client = DeltaClient::new("cds");
    client.begin("", &had);
    assert_eq!(client.hears(&snapshot("ecds=")), "");
    assert_eq!(client.hears(&snapshot("cds=")), "1: ", "what else has it?");
    client.change("", "1");
    assert_eq!(client.hears(&snapshot("cds=")), "2: -a");
}

/// Case 12: a client says type by type what it brings along.
#[test]
fn a_client_that_comes_back_keeps_a_cluster_until_its_routes_are_known() {
    let had = snapshot("cds=a:1 b:1; rds=r:b");
    let now = snapshot("cds=a:1; rds=r:a");
    let mut client = DeltaClient::new("cds");
    client.begin("", &had);
    assert_eq!(client.hears(&now), "1: ", "nothing is taken away");
    client.type_url = Kind::ROUTES;
    client.begin("r", &had);
    client.type_url = Kind::CLUSTER;
    client.change("", "1");
    assert_eq!(client.hears(&now), "2: r");
    assert_eq!(client.hears(&now), "");
    client.type_url = Kind::ROUTES;
    client.change("", "2");
    assert_eq!(client.hears(&now), "3: -b");
}

/// Case 8.
#[test]
fn grpc_clients_that_name_nothing_get_nothing() {
    let at = snapshot("cds=a:1");
    let mut client = DeltaClient::new("cds");
    client.stream = DeltaStream::new(StreamLimits::default(), LegacyWildcard::Off);
    client.change("", "");
    assert_eq!(client.hears(&at), "");
    client.change("a", "");
    assert_eq!(client.hears(&at), "1: a");
}

/// Case 8: names that go with the wildcard stay when it goes.
#[test]
fn a_name_outlives_the_wildcard() {
    let mut client = DeltaClient::new("cds");
    client.change("* a", "");
    assert_eq!(client.hears(&snapshot("cds=a:1 b:1")), "1: a b");
    client.change("-*", "1");
    assert_eq!(client.hears(&snapshot("cds=a:2 b:2")), "2: a");
}

/// Case 11: the server answers clusters before it hears that the client has endpoints.
#[test]
fn endpoints_that_a_client_brings_along_go_again_after_a_changed_cluster() {
    let had = snapshot("cds=a:1 b:1; eds=a:1 b:1");
    let now = snapshot("cds=a:2 b:1; eds=a:1 b:1");
    let mut client = DeltaClient::new("cds");
    client.begin("", &had);
    assert_eq!(client.hears(&now), "1: a");
    client.type_url = Kind::ENDPOINTS;
    client.begin("a b", &had);
    assert_eq!(client.hears(&now), "2: a");
}
