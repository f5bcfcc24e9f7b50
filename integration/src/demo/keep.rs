//! Leaves the guarded mesh running, for people to try things.

use std::time::Instant;

use super::documents::documents;
use super::heard::Ear;
use super::observed::Enforcement;
use super::plan::Plan;
use super::result::Run;
use super::stage::{Programs, Stage};
use super::story;

/// How much of the story's load goes on.
const SHARE: f64 = 0.5;

/// Says what is running on `stage` after `run`, and what to try.
#[must_use]
pub fn hints(stage: &Stage, programs: &Programs, run: &Run) -> String {
    let sloop = programs.sloop.display();
    let api = stage.api;
    let decision = run.ordered.last().map_or(1, |ordered| ordered.decision);
    format!(
        "
  Everything with enforcement is still running, with half of the load. Ctrl-C ends it.

    users go to         http://{entry}/catalog, /wallet, POST /checkout
    control plane       http://{api}/v1/slos, /v1/scopes, /v1/events, /metrics
    documents           {documents} (edit them: one sidecar of a service tries a change, all have it 10 s later)

  Some commands to try: how objectives stand, what was decided, why and what came of it, and who spent a budget.

    export SLOOP_ADMIN=http://{api}
    {sloop} get slo
    {sloop} get decisions
    {sloop} explain {decision}
    {sloop} describe slo payments-availability --window 5m
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

/// Sends users to `stage`, which tells `ear` of alerts again, until the future is dropped.
///
/// # Errors
///
/// When the load cannot be drawn, or the documents cannot be written.
pub async fn keep(stage: &Stage, ear: &Ear) -> anyhow::Result<()> {
    let documents = documents(Enforcement::Enforced, Some(&ear.url()));
    stage.declare(&documents)?;
    let mut plan = Plan::story(0);
    plan.rate *= SHARE;
    loop {
        plan.seed += 1;
        let load = story::load(stage, &plan)?;
        load.run(Instant::now(), |_| {}).await;
    }
}
