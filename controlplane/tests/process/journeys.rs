//! Where the time of a journey goes, from reports to what people read.

use serde_json::Value;

use crate::commands::{at, run};
use crate::lively::Lively;
use crate::support::eventually;

#[tokio::test]
async fn whose_time_a_journey_took_is_told_by_what_sidecars_report() {
    let mut all = Lively::start().await;
    all.report().await;
    let journey = eventually("it is known", async || {
        let journeys = all.sloop.items("/v1/journeys").await;
        journeys.into_iter().next()
    })
    .await;
    // 100 ms, of which 50 were waited for payments, of which its own sidecars saw 45.
    let share = |at: usize, what: &str| journey["hops"][at][what].clone();
    assert_eq!(journey["journey"], "buy");
    assert_eq!(journey["time_us"], 10_000_000);
    assert_eq!(
        (share(0, "service"), share(0, "share")),
        ("checkout".into(), 0.5.into())
    );
    assert_eq!(share(1, "way_us"), 500_000);
    assert_eq!(share(1, "is_outside"), Value::Bool(false));

    let described = run(&all.sloop, &["describe", "journey", "buy"]);
    assert_eq!(
        described.row("checkout")[1..5],
        ["50%", "100", "50.0ms", "0us"]
    );
    assert_eq!(
        described.row("payments")[1..5],
        ["50%", "100", "45.0ms", "5.0ms"]
    );
    let unknown = at(&all.sloop, &["describe", "journey", "look"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("but on buy"), "{unknown:?}");
}
