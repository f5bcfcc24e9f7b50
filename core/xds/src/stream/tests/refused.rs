//! Cases 3 and 12: what becomes of what was refused, and of what came with it.

use super::order::{Asks, settled};
use super::*;

/// What a client takes of `now`, one response after the other from this nonce on, until there is nothing more to say.
fn takes<C: Asks>(client: &mut C, now: &Snapshot, first: usize, responses: &[(&str, &str)]) {
    for (nonce, (short, said)) in (first..).zip(responses) {
        assert_eq!(client.hears(now), format!("{nonce}: {said}"));
        client.acknowledge(short, &nonce.to_string());
    }
    assert_eq!(client.hears(now), "");
}

/// A client that asked for all and refused its first clusters. The next nonce is 2.
fn refuses_all_clusters<C: Asks + Default>() -> C {
    let bad = snapshot("cds=a:bad b:1; lds=l:1; rds=r:b s:b");
    let mut client = C::asks_for_all();
    assert_eq!(client.hears(&bad), "1: a b");
    client.answer("cds", "1", refusal("a is bad"));
    assert_eq!(client.hears(&bad), "");
    client
}

#[test]
fn what_came_with_a_bad_cluster_comes_again_without_it_in_both_variants() {
    let now = snapshot("cds=b:1; lds=l:1; rds=r:b s:b");
    let made = [("cds", "b"), ("lds", "l"), ("rds", "r s")];
    let mut whole: SotwClient = refuses_all_clusters();
    takes(&mut whole, &now, 2, &made);
    assert_eq!(whole.stands(&now), (true, false));
    let mut delta: DeltaClient = refuses_all_clusters();
    takes(&mut delta, &now, 2, &[&made[..], &[("cds", "-a")]].concat());
    assert_eq!(delta.stands(&now), (true, false));
}

#[test]
fn what_changes_when_a_bad_cluster_is_taken_away_goes_without_it_in_both_variants() {
    let now = snapshot("cds=b:2; lds=l:1; rds=r:b s:b");
    let made = [("cds", "b"), ("lds", "l"), ("rds", "r s")];
    takes::<SotwClient>(&mut refuses_all_clusters(), &now, 2, &made);
    let all = [&made[..], &[("cds", "-a")]].concat();
    takes::<DeltaClient>(&mut refuses_all_clusters(), &now, 2, &all);
}

#[test]
fn a_bad_cluster_may_get_another_name_in_both_variants() {
    let now = snapshot("cds=b:1 c:1; lds=l:1; rds=r:b s:c");
    let made = [("cds", "b c"), ("lds", "l"), ("rds", "r s")];
    takes::<SotwClient>(&mut refuses_all_clusters(), &now, 2, &made);
    let made = [("cds", "b"), ("cds", "c"), ("lds", "l"), ("rds", "r s")];
    let all = [&made[..], &[("cds", "-a")]].concat();
    takes::<DeltaClient>(&mut refuses_all_clusters(), &now, 2, &all);
}

/// The rest is tried once, and not for ever.
#[test]
fn what_comes_again_and_is_refused_again_does_not_come_a_third_time_in_both_variants() {
    fn twice<C: Asks + Default>() {
        let mut client: C = refuses_all_clusters();
        let now = snapshot("cds=b:1; lds=l:1; rds=r:b s:b");
        assert_eq!(client.hears(&now), "2: b");
        client.answer("cds", "2", refusal("b is bad, too"));
        assert_eq!(client.hears(&now), "");
        assert!(!client.stands(&now).0);
    }
    twice::<SotwClient>();
    twice::<DeltaClient>();
}

/// A cluster outlives the routes to it as it was when it was taken, whatever became of it since.
#[test]
fn what_outlives_what_was_refused_is_what_was_taken_before() {
    let first = snapshot("cds=a:1 b:1; lds=l:1; rds=r:a s:a");
    let mut client: SotwClient = settled(&first);
    let bad = snapshot("cds=a:bad b:1; lds=l:1; rds=r:a s:a");
    assert_eq!(Asks::hears(&mut client, &bad), "4: a b");
    client.answer("cds", "4", refusal("a is bad"));
    let now = snapshot("cds=b:bad; lds=l:1; rds=r:b s:b");
    let sent = client.stream.next(&now).unwrap().sent;
    let version = |of: &Snapshot, name| {
        let of_type = of.of_type(Kind::CLUSTER).unwrap();
        (
            name,
            of_type.get(name).unwrap().version().as_str().to_owned(),
        )
    };
    let resources = sent.resources.iter();
    let resources: Vec<_> = resources
        .map(|(name, version)| (name.as_str(), version.as_str().to_owned()))
        .collect();
    assert_eq!(resources, [version(&first, "a"), version(&now, "b")]);
    client.answer("cds", "5", refusal("b is bad"));
    assert_eq!(Asks::hears(&mut client, &now), "", "b stands");
    let now = snapshot("cds=b:2; lds=l:1; rds=r:b s:b");
    let made = [("cds", "a b"), ("rds", "r s"), ("cds", "b")];
    takes(&mut client, &now, 6, &made);
}

/// Of what was taken before and refused later the client has something until it is taken away.
#[test]
fn a_cluster_that_was_taken_and_then_refused_is_taken_away_in_delta() {
    let mut client: DeltaClient = settled(&snapshot("cds=a:1 b:1; lds=l:1; rds=r:a s:a"));
    let bad = snapshot("cds=a:bad b:1; lds=l:1; rds=r:a s:a");
    assert_eq!(client.hears(&bad), "4: a");
    Asks::answer(&mut client, "cds", "4", refusal("a is bad"));
    let now = snapshot("cds=b:1; lds=l:1; rds=r:b s:b");
    takes(&mut client, &now, 5, &[("rds", "r s"), ("cds", "-a")]);
    let again = snapshot("cds=a:bad b:1; lds=l:1; rds=r:b s:b");
    takes(&mut client, &again, 7, &[("cds", "a")]);
}

fn what_came_with_something_bad_comes_again<C: Asks + Default>(listeners: &[(&str, &str)]) {
    let mut client = C::asks_for_all();
    let bad = snapshot("cds=a:1; lds=l:bad m:1; rds=r:bad s:a");
    assert_eq!(client.hears(&bad), "1: a");
    client.acknowledge("cds", "1");
    for (nonce, short, said) in [("2", "lds", "2: l m"), ("3", "rds", "3: r s")] {
        assert_eq!(client.hears(&bad), said);
        client.answer(short, nonce, refusal("the first is bad"));
    }
    assert_eq!(client.hears(&bad), "");
    assert_eq!(client.stands(&bad), (false, true));
    let now = snapshot("cds=a:1; lds=l:2 m:1; rds=r:a s:a");
    let routes = [("rds", "r"), ("rds", "s")];
    takes(&mut client, &now, 4, &[listeners, &routes].concat());
    assert_eq!(client.stands(&now), (true, false));
}

#[test]
fn what_came_with_something_bad_comes_again_when_that_is_mended_in_both_variants() {
    what_came_with_something_bad_comes_again::<SotwClient>(&[("lds", "l m")]);
    what_came_with_something_bad_comes_again::<DeltaClient>(&[("lds", "l"), ("lds", "m")]);
}

#[test]
fn extensions_that_came_with_a_bad_one_come_again_in_both_variants() {
    let (bad, now) = (snapshot("ecds=a:bad b:1"), snapshot("ecds=a:2 b:1"));
    let said = ["1: a b", "2: a", "3: b", ""];
    let mut whole = SotwClient::new("ecds");
    whole.ask("a b", "", None);
    let mut delta = DeltaClient::new("ecds");
    delta.change("a b", "");
    assert_eq!([whole.hears(&bad), delta.hears(&bad)], [said[0]; 2]);
    whole.ask("a b", "1", refusal("a is bad"));
    delta.answer("", "1", refusal("a is bad"));
    for (nonce, said) in [("2", said[1]), ("3", said[2])] {
        assert_eq!([whole.hears(&now), delta.hears(&now)], [said; 2]);
        whole.ask("a b", nonce, None);
        delta.change("", nonce);
    }
    assert_eq!([whole.hears(&now), delta.hears(&now)], [said[3]; 2]);
    assert!(whole.stream.is_in_force(&now) && delta.stream.is_in_force(&now));
}

/// What is bad goes once more, apart from what changed.
#[test]
fn what_changes_is_not_taken_down_by_what_it_came_with_in_both_variants() {
    fn apart<C: Asks + Default>() {
        let mut client = C::asks_for_all();
        let bad = snapshot("rds=r:bad s:1");
        assert_eq!(client.hears(&bad), "1: r s");
        client.answer("rds", "1", refusal("r is bad"));
        let now = snapshot("rds=r:bad s:2");
        assert_eq!(client.hears(&now), "2: s");
        client.acknowledge("rds", "2");
        assert_eq!(client.hears(&now), "3: r");
        client.answer("rds", "3", refusal("r is bad"));
        assert_eq!(client.hears(&now), "");
        let now = snapshot("rds=r:bad s:3");
        takes(&mut client, &now, 4, &[("rds", "s")]);
        assert_eq!(client.stands(&now), (false, true));
    }
    apart::<SotwClient>();
    apart::<DeltaClient>();
}

/// What was bad is whatever the client lets go of, before it refuses or after.
#[test]
fn what_came_with_what_is_not_wanted_any_more_comes_again_in_both_variants() {
    fn alone<C: Asks + Default>(drops_first: bool) {
        let mut client = C::asks_for_all();
        let now = snapshot("rds=r:1 s:bad");
        assert_eq!(client.hears(&now), "1: r s");
        if drops_first {
            client.change_routes("-s", "r");
            client.answer_wanting("r", ("rds", "1"), refusal("s is bad"));
        } else {
            client.answer("rds", "1", refusal("s is bad"));
            assert_eq!(client.hears(&now), "");
            client.change_routes("-s", "r");
        }
        assert_eq!(client.hears(&now), "2: r");
        client.answer_wanting("r", ("rds", "2"), None);
        assert_eq!(client.hears(&now), "");
        assert_eq!(client.stands(&now), (true, false));
    }
    for drops_first in [false, true] {
        alone::<SotwClient>(drops_first);
        alone::<DeltaClient>(drops_first);
    }
}

/// As where it is the only one of its type: then the type is not managed without it.
#[test]
fn what_was_refused_and_was_not_there_meanwhile_is_sent_once_in_both_variants() {
    for none in ["ecds=", "cds="] {
        let (bad, none) = (snapshot("ecds=a:bad"), snapshot(none));
        let mut whole = SotwClient::new("ecds");
        whole.ask("a", "", None);
        let mut delta = DeltaClient::new("ecds");
        delta.change("a", "");
        for nonce in ["1", "2"] {
            let said = format!("{nonce}: a");
            assert_eq!(whole.hears(&bad), said);
            assert_eq!(delta.hears(&bad), said);
            whole.ask("a", nonce, refusal("no such file"));
            delta.answer("", nonce, refusal("no such file"));
            assert_eq!([whole.hears(&bad), delta.hears(&bad)], [""; 2]);
            let refuse = |whole: &SotwClient, delta: &DeltaClient, of: &Snapshot| {
                let whole = whole.stream.refuses(Kind::EXTENSION, of);
                [whole, delta.stream.refuses(Kind::EXTENSION, of)]
            };
            assert_eq!(refuse(&whole, &delta, &bad), [true; 2]);
            assert_eq!([whole.hears(&none), delta.hears(&none)], [""; 2]);
            assert_eq!(refuse(&whole, &delta, &none), [false; 2]);
        }
        assert_eq!([whole.hears(&bad), delta.hears(&bad)], ["3: a"; 2]);
        whole.ask("a", "3", None);
        delta.change("", "3");
        assert!(whole.stream.is_in_force(&bad) && delta.stream.is_in_force(&bad));
    }
}

/// What the client had before it refused another is still to be dropped.
#[test]
fn what_was_refused_and_is_deleted_is_taken_away() {
    let mut client = DeltaClient::new("ecds");
    client.change("a", "");
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "1: a");
    client.change("", "1");
    assert_eq!(client.hears(&snapshot("ecds=a:bad")), "2: a");
    client.answer("", "2", refusal("no"));
    assert_eq!(client.hears(&snapshot("ecds=")), "");
    assert_eq!(client.hears(&snapshot("ecds=a:-")), "3: -a");
    client.change("", "3");
    assert_eq!(client.hears(&snapshot("ecds=a:1")), "4: a");
}

/// Envoy waits 15 s for the endpoints of a cluster that comes again.
#[test]
fn endpoints_follow_a_cluster_that_comes_again_in_both_variants() {
    fn follow<C: Asks + Default>() {
        let mut client = C::default();
        let first = snapshot("cds=a:1 b:1; eds=a:1 b:1");
        client.ask("cds", "");
        client.ask("eds", "a b");
        let answer = |client: &mut C, short: &str, nonce: &str, error| {
            let wanted = if short == "eds" { "a b" } else { "" };
            client.answer_wanting(wanted, (short, nonce), error);
        };
        let bad = snapshot("cds=a:bad b:2; eds=a:1 b:1");
        let no = || refusal("a is bad");
        for (at, cds, eds, error) in [(&first, "1", "2", None), (&bad, "3", "4", no())] {
            assert_eq!(client.hears(at), format!("{cds}: a b"));
            assert_eq!(client.hears(at), format!("{eds}: a b"));
            answer(&mut client, "eds", eds, None);
            answer(&mut client, "cds", cds, error);
            assert_eq!(client.hears(at), "");
        }
        let now = snapshot("cds=b:2; eds=a:1 b:1");
        assert_eq!(client.hears(&now), "5: b");
        assert_eq!(client.hears(&now), "6: b");
    }
    follow::<SotwClient>();
    follow::<DeltaClient>();
}

/// A refusal without a name is over with the type.
#[test]
fn who_refused_a_removal_and_wants_nothing_any_more_refuses_nothing() {
    let now = snapshot("cds=a:1");
    let refuses = |client: &DeltaClient| client.stream.refuses(Kind::CLUSTER, &now);
    for drops_first in [false, true] {
        let mut client = DeltaClient::new("cds");
        client.change("*", "");
        assert_eq!(client.hears(&snapshot("cds=a:1 b:1")), "1: a b");
        client.change("", "1");
        assert_eq!(client.hears(&now), "2: -b");
        if drops_first {
            client.change("-*", "");
            client.answer("", "2", refusal("no"));
        } else {
            client.answer("", "2", refusal("no"));
            assert!(refuses(&client));
            client.change("-*", "");
        }
        assert!(!refuses(&client));
        client.change("*", "");
        assert_eq!(client.hears(&now), "3: a");
        client.change("", "3");
        assert!(client.stream.is_in_force(&now));
    }
    let mut client = SotwClient::new("cds");
    client.ask("*", "", None);
    assert_eq!(client.hears(&snapshot("cds=a:1 b:1")), "1: a b");
    client.ask("*", "1", None);
    assert_eq!(client.hears(&now), "2: a");
    client.ask("*", "2", refusal("no"));
    assert!(client.stream.refuses(Kind::CLUSTER, &now));
    client.ask("", "2", None);
    assert!(!client.stream.refuses(Kind::CLUSTER, &now));
}
