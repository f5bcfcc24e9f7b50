//! When everything that a client should have is in force.

use super::*;

#[test]
fn in_force_is_what_a_delta_client_said_that_it_took() {
    let (old, new) = (snapshot("ecds=a:1"), snapshot("ecds=a:2"));
    let mut client = DeltaClient::new("ecds");
    assert!(client.stream.is_in_force(&old), "it asked for nothing");
    client.change("a", "");
    assert!(!client.stream.is_in_force(&old), "not sent");
    client.hears(&old);
    assert!(!client.stream.is_in_force(&old), "not answered");
    client.change("", "1");
    assert!(client.stream.is_in_force(&old));
    assert!(!client.stream.is_in_force(&new));
    client.hears(&new);
    client.answer("", "2", refusal("no"));
    assert!(!client.stream.is_in_force(&new), "refused");
    assert!(!client.stream.is_in_force(&old), "to be sent again");
    client.hears(&old);
    client.change("", "3");
    assert!(client.stream.is_in_force(&old));
    assert!(!client.stream.is_in_force(&snapshot("ecds=a:-")), "to go");
}

#[test]
fn a_delta_client_that_comes_back_with_it_has_it() {
    let old = snapshot("ecds=a:1");
    let mut client = DeltaClient::new("ecds");
    client.begin("a", &old);
    assert!(client.stream.is_in_force(&old));
    assert!(!client.stream.is_in_force(&snapshot("ecds=a:2")));
}

#[test]
fn in_force_is_what_a_client_of_the_state_of_the_world_said_that_it_took() {
    let (old, new) = (snapshot("ecds=a:1"), snapshot("ecds=a:2"));
    let mut client = SotwClient::new("ecds");
    client.ask("a", "", None);
    client.hears(&old);
    assert!(!client.stream.is_in_force(&old), "not answered");
    client.ask("a", "1", None);
    assert!(client.stream.is_in_force(&old));
    assert!(
        client.stream.is_in_force(&snapshot("ecds=a:1 b:1")),
        "b is not asked for"
    );
    client.hears(&new);
    client.ask("a", "2", refusal("no"));
    assert!(!client.stream.is_in_force(&new) && !client.stream.is_in_force(&old));
}
