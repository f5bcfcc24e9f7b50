//! How often a sidecar is pushed to while what it should have changes all the time.

use std::time::{Duration, Instant};

use sloop_controlplane::clock;

use crate::applied::ask;
use crate::discovery::{Sidecar, Versions};
use crate::support::{Home, ROUTES, SOON, Sloop};

/// How often something changes.
const CHANGE_GAP: Duration = Duration::from_millis(100);

/// Declares one document after the other in the same place, for ever.
async fn keeps_changing(sloop: &Sloop, document: impl Fn(u32) -> String) {
    let mut tick = tokio::time::interval(CHANGE_GAP);
    for change in 0.. {
        tick.tick().await;
        let answer = ask(sloop, "POST", "/v1/documents", &document(change)).await;
        assert_eq!(answer.status(), 200);
    }
}

/// What `sidecar` is sent while documents change, until it is `enough`: how often, and within which time.
async fn pushes(
    sidecar: &mut Sidecar,
    sloop: &Sloop,
    document: impl Fn(u32) -> String,
    enough: impl Fn(usize, Duration) -> bool,
) -> (usize, Duration) {
    let begun = Instant::now();
    let mut count = 0;
    let hears = async {
        while !enough(count, begun.elapsed()) {
            if sidecar.hears_within(CHANGE_GAP).await.is_some() {
                count += 1;
            }
        }
    };
    tokio::select! {
        () = hears => {}
        () = keeps_changing(sloop, document) => {}
    }
    (count, begun.elapsed())
}

/// Counts what `sidecar` is sent, for ever.
async fn count(sidecar: &mut Sidecar, count: &mut usize) {
    loop {
        if sidecar.hears_within(CHANGE_GAP).await.is_some() {
            *count += 1;
        }
    }
}

/// One in each second, the last of which has only begun; and one that was on its way.
fn most_in(took: Duration) -> usize {
    usize::try_from(took.as_secs()).unwrap() + 2
}

#[tokio::test]
async fn a_sidecar_is_pushed_to_once_a_second_and_oftener_only_for_what_protects_or_harms_it() {
    let home = Home::new();
    let sloop = home.start_with(&["--rollout-first", "0"]);
    let mut sidecar = Sidecar::connect_as("checkout-1", &sloop, &Versions::new()).await;
    sidecar.hears().await;
    let routes = |change: u32| ROUTES.replace("/pay", &format!("/pay-{change}"));
    let long = Duration::from_secs(5);
    let (heard, took) = pushes(&mut sidecar, &sloop, routes, |_, took| long <= took).await;
    assert!((2..=most_in(took)).contains(&heard), "{heard} in {took:?}");

    let mut other = Sidecar::connect_of(("cart", "cart-1"), &sloop, &Versions::new()).await;
    other.hears().await;
    let ends = clock::wall().after(Duration::from_secs(600)).as_millis();
    let fault = |change: u32| {
        let share = change % 100 + 1;
        let routes = ROUTES.replace("checkout", "cart");
        let routes = routes.replace("/pay", &format!("/pay-{change}"));
        format!(
            "apiVersion: sloop.dev/v1
kind: FaultInjection
metadata: {{name: slow}}
spec:
  service: checkout
  route: pay
  fault: {{share: {share}%, delay_ms: 5, expires_at_ms: {ends}}}
---
{routes}"
        )
    };
    let enough = |count: usize, took: Duration| count == 12 || SOON < took;
    let mut heard_by_other = 0;
    let (heard, took) = tokio::select! {
        pushed = pushes(&mut sidecar, &sloop, fault, enough) => pushed,
        () = count(&mut other, &mut heard_by_other) => unreachable!(),
    };
    // At one a second the twelfth would come eleven seconds after the first.
    let is_often = heard == 12 && took < Duration::from_secs(11);
    assert!(is_often, "{heard} in {took:?}");
    // Its own routes changed as often, and nothing that protects or harms it.
    let is_seldom = (1..=most_in(took)).contains(&heard_by_other);
    assert!(is_seldom, "{heard_by_other} in {took:?}");
}
