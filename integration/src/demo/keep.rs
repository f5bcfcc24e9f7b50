//! Leaves the guarded mesh running, for people to try things.

use std::time::Instant;

use super::plan::Plan;
use super::stage::{Programs, Stage};
use super::story;

/// How much of the story's load goes on.
const SHARE: f64 = 0.5;

/// Says what is running and what to try.
#[must_use]
pub fn hints(stage: &Stage, programs: &Programs) -> String {
    let sloop = programs.sloop.display();
    let api = stage.api;
    format!(
        "
  Everything with enforcement is still running, with half of the load. Ctrl-C ends it.

    users go to         http://{entry}/catalog, /wallet, POST /checkout
    control plane       http://{api}/v1/slos, /v1/scopes, /v1/events, /metrics
    documents           {documents} (edit them: one sidecar of a service tries a change, all have it 10 s later)

  Three commands to try:

    {sloop} get slo --admin http://{api}
    {sloop} describe slo payments-availability --admin http://{api}
    curl -i -X POST -H 'host: payments' http://{outbound}/charge     # through checkout's sidecar

  Break payments and heal it again:

    curl -X PUT -d '{{\"kind\":\"errors\",\"percent\":80}}' http://{trouble}/trouble
    curl -X PUT -d '{{\"kind\":\"none\"}}' http://{trouble}/trouble
",
        entry = stage.entry,
        documents = stage.documents.display(),
        outbound = stage.checkout_outbound,
        trouble = stage.trouble,
    )
}

/// Sends users to `stage` until the future is dropped.
///
/// # Errors
///
/// When the load cannot be drawn.
pub async fn keep(stage: &Stage) -> anyhow::Result<()> {
    let mut plan = Plan::story(0);
    plan.rate *= SHARE;
    loop {
        plan.seed += 1;
        let load = story::load(stage, &plan)?;
        load.run(Instant::now(), |_| {}).await;
    }
}
