//! Case 12: between types, make before break.

use super::*;

/// A client of both variants that asks for clusters, listeners and the routes `r` and `s`.
pub(super) trait Asks {
    fn ask(&mut self, short: &str, wanted: &str);
    /// Changes which tables of routes it wants: `s -r`, after which it wants `wanted`.
    fn change_routes(&mut self, change: &str, wanted: &str);
    /// Answers, wanting `wanted` still.
    fn answer_wanting(
        &mut self,
        wanted: &str,
        of: (&str, &str),
        error: Option<Status>,
    ) -> Option<Verdict>;
    /// Whether all of a snapshot is in force, and whether it refuses routes of it.
    fn stands(&self, snapshot: &Snapshot) -> (bool, bool);
    fn hears(&mut self, snapshot: &Snapshot) -> String;

    fn asks_for_all() -> Self
    where
        Self: Default,
    {
        let mut client = Self::default();
        client.ask("cds", "");
        client.ask("lds", "");
        client.ask("rds", "r s");
        client
    }

    fn answer(&mut self, short: &str, nonce: &str, error: Option<Status>) {
        let wanted = if short == "rds" { "r s" } else { "" };
        let settled = self.answer_wanting(wanted, (short, nonce), error);
        assert!(settled.is_some());
    }

    fn acknowledge(&mut self, short: &str, nonce: &str) {
        self.answer(short, nonce, None);
    }
}

impl Asks for SotwClient {
    fn ask(&mut self, short: &str, wanted: &str) {
        self.type_url = url(short);
        Self::ask(self, wanted, "", None);
    }

    fn change_routes(&mut self, _: &str, wanted: &str) {
        Asks::ask(self, "rds", wanted);
    }

    fn answer_wanting(
        &mut self,
        wanted: &str,
        (short, nonce): (&str, &str),
        error: Option<Status>,
    ) -> Option<Verdict> {
        self.type_url = url(short);
        Self::ask(self, wanted, nonce, error)
    }

    fn stands(&self, snapshot: &Snapshot) -> (bool, bool) {
        let refuses = self.stream.refuses(Kind::ROUTES, snapshot);
        (self.stream.is_in_force(snapshot), refuses)
    }

    fn hears(&mut self, snapshot: &Snapshot) -> String {
        Self::hears(self, snapshot)
    }
}

impl Asks for DeltaClient {
    fn ask(&mut self, short: &str, wanted: &str) {
        self.type_url = url(short);
        self.change(wanted, "");
    }

    fn change_routes(&mut self, change: &str, _: &str) {
        Asks::ask(self, "rds", change);
    }

    fn answer_wanting(
        &mut self,
        _: &str,
        (short, nonce): (&str, &str),
        error: Option<Status>,
    ) -> Option<Verdict> {
        self.type_url = url(short);
        Self::answer(self, "", nonce, error)
    }

    fn stands(&self, snapshot: &Snapshot) -> (bool, bool) {
        let refuses = self.stream.refuses(Kind::ROUTES, snapshot);
        (self.stream.is_in_force(snapshot), refuses)
    }

    fn hears(&mut self, snapshot: &Snapshot) -> String {
        Self::hears(self, snapshot)
    }
}

impl Default for SotwClient {
    fn default() -> Self {
        Self::new("cds")
    }
}

impl Default for DeltaClient {
    fn default() -> Self {
        Self::new("cds")
    }
}

/// A client that has everything of `snapshot`: the next nonce is 4.
pub(super) fn settled<C: Asks + Default>(snapshot: &Snapshot) -> C {
    let mut client = C::asks_for_all();
    for (nonce, short) in [("1", "cds"), ("2", "lds"), ("3", "rds")] {
        assert!(client.hears(snapshot).starts_with(nonce), "{short}");
        client.acknowledge(short, nonce);
    }
    assert_eq!(client.hears(snapshot), "");
    client
}

fn a_route_follows_its_cluster<C: Asks + Default>(all: &str) {
    let mut client: C = settled(&snapshot("cds=a:1; lds=l:1; rds=r:a"));
    let now = snapshot("cds=a:1 b:1; lds=l:1; rds=r:b");
    assert_eq!(client.hears(&now), format!("4: {all}"));
    assert_eq!(client.hears(&now), "", "the client has no cluster b yet");
    client.acknowledge("cds", "4");
    assert_eq!(client.hears(&now), "5: r");
}

#[test]
fn a_route_follows_its_cluster_in_both_variants() {
    a_route_follows_its_cluster::<SotwClient>("a b");
    a_route_follows_its_cluster::<DeltaClient>("b");
}

fn a_cluster_outlives_its_routes<C: Asks + Default>(gone: &str) {
    let mut client: C = settled(&snapshot("cds=a:1 b:1; lds=l:1; rds=r:b"));
    let now = snapshot("cds=a:1; lds=l:1; rds=r:a");
    assert_eq!(client.hears(&now), "4: r");
    assert_eq!(client.hears(&now), "", "the routes may still lead to b");
    client.acknowledge("rds", "4");
    assert_eq!(client.hears(&now), format!("5: {gone}"));
    client.acknowledge("cds", "5");
    assert_eq!(client.hears(&now), "");
}

#[test]
fn a_cluster_outlives_its_routes_in_both_variants() {
    a_cluster_outlives_its_routes::<SotwClient>("a");
    a_cluster_outlives_its_routes::<DeltaClient>("-b");
}

/// The client lets go of all routes while they are on their way: it may want them again before they arrive.
fn a_cluster_outlives_routes_on_their_way<C: Asks + Default>(made: &str, gone: &str) {
    let mut client = C::asks_for_all();
    let before = snapshot("cds=a:1; lds=l:1; rds=r:a s:a");
    for (nonce, short) in [("1", "cds"), ("2", "lds")] {
        assert!(client.hears(&before).starts_with(nonce), "{short}");
        client.acknowledge(short, nonce);
    }
    assert_eq!(client.hears(&before), "3: r s");
    client.change_routes("-r -s", "");
    let now = snapshot("cds=b:1; lds=l:1; rds=r:b s:b");
    assert_eq!(client.hears(&now), format!("4: {made}"));
    client.acknowledge("cds", "4");
    assert_eq!(client.hears(&now), "", "the routes may lead to a");
    assert!(client.answer_wanting("", ("rds", "3"), None).is_some());
    assert_eq!(client.hears(&now), format!("5: {gone}"));
}

#[test]
fn a_cluster_outlives_routes_on_their_way_in_both_variants() {
    a_cluster_outlives_routes_on_their_way::<SotwClient>("a b", "b");
    a_cluster_outlives_routes_on_their_way::<DeltaClient>("b", "-a");
}

fn a_cluster_outlives_its_listener<C: Asks + Default>(left: &str, gone: &str) {
    let mut client: C = settled(&snapshot("cds=a:1 b:1; lds=l:1 m:b; rds=r:a"));
    let now = snapshot("cds=a:1; lds=l:1; rds=r:a");
    assert_eq!(client.hears(&now), format!("4: {left}"));
    assert_eq!(client.hears(&now), "");
    client.acknowledge("lds", "4");
    assert_eq!(client.hears(&now), format!("5: {gone}"));
}

#[test]
fn a_cluster_outlives_its_listener_in_both_variants() {
    a_cluster_outlives_its_listener::<SotwClient>("l", "a");
    a_cluster_outlives_its_listener::<DeltaClient>("-m", "-b");
}

fn what_changes_all_at_once_is_made_and_then_broken<C: Asks + Default>(steps: [&str; 3]) {
    let mut client: C = settled(&snapshot("cds=a:1; lds=l:1; rds=r:a"));
    let now = snapshot("cds=b:1; lds=l:1; rds=r:b");
    for (nonce, (short, step)) in (4..).zip(["cds", "rds", "cds"].into_iter().zip(steps)) {
        assert_eq!(client.hears(&now), format!("{nonce}: {step}"));
        assert_eq!(client.hears(&now), "", "{short} is in flight");
        client.acknowledge(short, &nonce.to_string());
    }
    assert_eq!(client.hears(&now), "");
}

#[test]
fn what_changes_all_at_once_is_made_and_then_broken_in_both_variants() {
    what_changes_all_at_once_is_made_and_then_broken::<SotwClient>(["a b", "r", "b"]);
    what_changes_all_at_once_is_made_and_then_broken::<DeltaClient>(["b", "r", "-a"]);
}

fn a_refusal_holds_up_what_depends_on_it<C: Asks + Default>(mended: &str, gone: &str) {
    let mut client: C = settled(&snapshot("cds=a:1; lds=l:1; rds=r:a"));
    let now = snapshot("cds=b:bad; lds=l:1; rds=r:b");
    client.hears(&now);
    client.answer("cds", "4", refusal("no"));
    assert_eq!(client.hears(&now), "", "it has no cluster b");
    let now = snapshot("cds=b:good; lds=l:1; rds=r:b");
    assert_eq!(client.hears(&now), format!("5: {mended}"));
    client.acknowledge("cds", "5");
    assert_eq!(client.hears(&now), "6: r");
    client.answer("rds", "6", refusal("no"));
    assert_eq!(client.hears(&now), "", "its routes still lead to a");
    let now = snapshot("cds=b:good; lds=l:1; rds=r:also-b");
    assert_eq!(client.hears(&now), "7: r");
    client.acknowledge("rds", "7");
    assert_eq!(client.hears(&now), format!("8: {gone}"));
}

#[test]
fn a_refusal_holds_up_what_depends_on_it_in_both_variants() {
    a_refusal_holds_up_what_depends_on_it::<SotwClient>("a b", "b");
    a_refusal_holds_up_what_depends_on_it::<DeltaClient>("b", "-a");
}

/// That another change of clusters is accepted says nothing of the one that was refused before.
fn a_route_waits_for_a_cluster_that_was_refused<C: Asks + Default>(first: &str, other: &str) {
    let mut client: C = settled(&snapshot("cds=a:1; lds=l:1; rds=r:a"));
    let now = snapshot("cds=a:1 b:bad; lds=l:1; rds=r:b");
    assert_eq!(client.hears(&now), format!("4: {first}"));
    client.answer("cds", "4", refusal("no"));
    let now = snapshot("cds=a:2 b:bad; lds=l:1; rds=r:b");
    assert_eq!(client.hears(&now), format!("5: {other}"));
    client.answer("cds", "5", refusal("no"));
    assert_eq!(client.hears(&now), "", "it has no cluster b");
    let now = snapshot("cds=a:3 b:good; lds=l:1; rds=r:b");
    assert_eq!(client.hears(&now), "6: a b");
    client.acknowledge("cds", "6");
    assert_eq!(client.hears(&now), "7: r");
}

#[test]
fn a_route_waits_for_a_cluster_that_was_refused_in_both_variants() {
    a_route_waits_for_a_cluster_that_was_refused::<SotwClient>("a b", "a b");
    a_route_waits_for_a_cluster_that_was_refused::<DeltaClient>("b", "a");
}

/// Nor does that other routes are accepted.
fn a_cluster_outlives_routes_that_were_refused<C: Asks + Default>(gone: &str) {
    let mut client: C = settled(&snapshot("cds=a:1 b:1; lds=l:1; rds=r:a s:a"));
    let now = snapshot("cds=b:1; lds=l:1; rds=r:bad s:a");
    assert_eq!(client.hears(&now), "4: r");
    client.answer("rds", "4", refusal("no"));
    let now = snapshot("cds=b:1; lds=l:1; rds=r:bad s:b");
    assert_eq!(client.hears(&now), "5: s");
    client.acknowledge("rds", "5");
    assert_eq!(client.hears(&now), "", "r still leads to a");
    let now = snapshot("cds=b:1; lds=l:1; rds=r:b s:b");
    assert_eq!(client.hears(&now), "6: r");
    client.acknowledge("rds", "6");
    assert_eq!(client.hears(&now), format!("7: {gone}"));
}

#[test]
fn a_cluster_outlives_routes_that_were_refused_in_both_variants() {
    a_cluster_outlives_routes_that_were_refused::<SotwClient>("b");
    a_cluster_outlives_routes_that_were_refused::<DeltaClient>("-a");
}

/// A client of `r` alone, whose listener was then changed to lead to `s`, with another cluster; which it refused, and the change
/// was taken back. The next nonce is 8.
fn taken_back<C: Asks + Default>(first: &str) -> C {
    let before = snapshot("cds=a:1; lds=l:1; rds=r:a");
    let mut client: C = settled(&before);
    client.change_routes("-s", "r");
    let now = snapshot("cds=a:1 b:1; lds=l:2; rds=r:a s:bad");
    assert_eq!(client.hears(&now), format!("4: {first}"));
    client.acknowledge("cds", "4");
    assert_eq!(client.hears(&now), "5: l");
    client.acknowledge("lds", "5");
    client.change_routes("s", "r s");
    assert_eq!(client.hears(&now), "6: s");
    client.answer("rds", "6", refusal("no"));
    assert_eq!(client.hears(&now), "");
    assert_eq!(client.stands(&now), (false, true));
    assert_eq!(client.hears(&before), "7: l");
    client.acknowledge("lds", "7");
    client
}

fn a_refusal_ends_with_the_name_that_it_is_about<C: Asks + Default>(first: &str, gone: &str) {
    let before = snapshot("cds=a:1; lds=l:1; rds=r:a");
    let mut client: C = taken_back(first);
    client.change_routes("-s", "r");
    assert_eq!(client.hears(&before), format!("8: {gone}"));
    client.acknowledge("cds", "8");
    assert_eq!(client.hears(&before), "");
    assert_eq!(client.stands(&before), (true, false));
    // It is refused anew when it is asked for anew.
    let again = snapshot("cds=a:1; lds=l:1; rds=r:a s:bad");
    client.change_routes("s", "r s");
    assert_eq!(client.hears(&again), "9: s");
    client.answer("rds", "9", refusal("no"));
    assert_eq!(client.stands(&again), (false, true));
}

#[test]
fn a_refusal_ends_with_the_name_that_it_is_about_in_both_variants() {
    a_refusal_ends_with_the_name_that_it_is_about::<SotwClient>("a b", "a");
    a_refusal_ends_with_the_name_that_it_is_about::<DeltaClient>("b", "-b");
}

/// As of who asks for a name all the time, whether or not there is something.
fn a_refusal_ends_with_what_it_is_about<C: Asks + Default>(first: &str, gone: &str) {
    let before = snapshot("cds=a:1; lds=l:1; rds=r:a");
    let mut client: C = taken_back(first);
    assert_eq!(client.hears(&before), format!("8: {gone}"));
    client.acknowledge("cds", "8");
    assert_eq!(client.hears(&before), "");
    assert_eq!(client.stands(&before), (true, false));
    let again = snapshot("cds=a:1; lds=l:1; rds=r:a s:bad");
    assert_eq!(client.hears(&again), "9: s", "it may take it now");
    client.answer("rds", "9", refusal("no"));
    assert_eq!(client.hears(&again), "");
    assert_eq!(client.stands(&again), (false, true));
}

#[test]
fn a_refusal_ends_with_what_it_is_about_in_both_variants() {
    a_refusal_ends_with_what_it_is_about::<SotwClient>("a b", "a");
    a_refusal_ends_with_what_it_is_about::<DeltaClient>("b", "-b");
}

fn what_was_let_go_of_on_its_way_is_not_refused<C: Asks + Default>() {
    let mut client: C = settled(&snapshot("cds=a:1; lds=l:1; rds=r:a s:a"));
    let now = snapshot("cds=a:1; lds=l:1; rds=r:a s:bad");
    assert_eq!(client.hears(&now), "4: s");
    client.change_routes("-s", "r");
    let settled = client.answer_wanting("r", ("rds", "4"), refusal("no"));
    assert!(settled.is_some());
    assert_eq!(client.hears(&now), "");
    assert_eq!(client.stands(&now), (true, false));
}

#[test]
fn what_was_let_go_of_on_its_way_is_not_refused_in_both_variants() {
    what_was_let_go_of_on_its_way_is_not_refused::<SotwClient>();
    what_was_let_go_of_on_its_way_is_not_refused::<DeltaClient>();
}

/// As clients of gRPC do, which ask for clusters by name. What they had when they refused a set with it they have still.
fn a_cluster_that_was_refused_and_dropped_holds_up_nothing<C: Asks + Default>(both: &str) {
    let mut client = C::default();
    client.ask("cds", "a");
    client.ask("lds", "l");
    let before = snapshot("cds=a:1 b:bad; lds=l:1");
    for (short, heard) in [("cds", "1: a"), ("lds", "2: l")] {
        assert_eq!(client.hears(&before), heard);
        let settled = client.answer_wanting(&heard[3..], (short, &heard[..1]), None);
        assert!(settled.is_some());
    }
    client.ask("cds", &format!("{both}b"));
    assert_eq!(client.hears(&before), format!("3: {both}b"));
    client.answer_wanting("a b", ("cds", "3"), refusal("no"));
    let now = snapshot("cds=a:1 b:bad; lds=l:2");
    assert_eq!(client.hears(&now), "", "b may be what l leads to");
    client.ask("cds", if both.is_empty() { "-b" } else { "a" });
    assert_eq!(client.hears(&now), "4: l");
}

#[test]
fn a_cluster_that_was_refused_and_dropped_holds_up_nothing_in_both_variants() {
    a_cluster_that_was_refused_and_dropped_holds_up_nothing::<SotwClient>("a ");
    a_cluster_that_was_refused_and_dropped_holds_up_nothing::<DeltaClient>("");
}

/// Beside another control plane, extensions are all that is managed.
#[test]
fn what_is_not_managed_or_not_asked_for_holds_up_nothing() {
    let mut client: SotwClient = Asks::asks_for_all();
    assert_eq!(Asks::hears(&mut client, &snapshot("rds=r:a")), "1: r");
    let mut client = DeltaClient::new("rds");
    client.change("r", "");
    assert_eq!(client.hears(&snapshot("cds=a:1; rds=r:a")), "1: r");
}

/// The version of a set that is not that of the snapshot is its own.
#[test]
fn a_set_with_what_must_still_stay_has_a_version_of_its_own() {
    let mut client: SotwClient = settled(&snapshot("cds=a:1; lds=l:1; rds=r:a"));
    let now = snapshot("cds=b:1; lds=l:1; rds=r:b");
    let both = client.stream.next(&now).unwrap().sent.version.clone();
    let whole = snapshot("cds=a:1 b:1");
    assert_eq!(&both, whole.of_type(Kind::CLUSTER).unwrap().version());
}

#[test]
fn endpoints_go_by_the_name_that_their_cluster_gives() {
    let cluster = |content: &str| {
        Resource::new(Kind::CLUSTER, "a", content.as_bytes()).with_endpoints("pool")
    };
    let at = |content: &str| {
        Snapshot::builder()
            .with(cluster(content))
            .with(Resource::new(Kind::ENDPOINTS, "pool", b"1"))
            .build()
    };
    let mut client = DeltaClient::new("cds");
    client.change("", "");
    assert_eq!(client.hears(&at("1")), "1: a");
    client.change("", "1");
    client.type_url = Kind::ENDPOINTS;
    client.change("pool", "");
    assert_eq!(client.hears(&at("1")), "2: pool");
    client.change("", "2");
    assert_eq!(client.hears(&at("2")), "3: a");
    assert_eq!(client.hears(&at("2")), "4: pool");
}
