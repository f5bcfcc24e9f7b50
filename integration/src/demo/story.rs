//! Tells the story on one stage, and writes down what is seen.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use sloop_bench::{Arrivals, Call, Ending, Exchange, Lateness, Load};
use sloop_model::Side;

use super::decided;
use super::documents::documents;
use super::heard::{Ear, Heard};
use super::live::Live;
use super::observed::{Counted, Enforcement, Observed, Seen};
use super::plan::{OBJECTIVE, Plan, USERS_DO};
use super::stage::Stage;
use super::watch::{Watcher, callers};
use crate::eventually::eventually;
use crate::shop::ANSWER_HEADER;

/// Longer than `edge` waits for anybody.
const USER_WAITS: Duration = Duration::from_secs(7);
/// Between two looks at the control plane.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Sidecars report every second.
const SETTLED_WITHIN: Duration = Duration::from_secs(6);
/// Requests of each kind before the story: connections are opened, and whatever is broken shows.
const WARM_UP: usize = 20;

type AllSeen = Arc<Mutex<Vec<Seen>>>;

/// Tells the story of `plan`.
///
/// # Errors
///
/// When a part of the stage stops answering.
pub(super) async fn tell(
    (stage, ear): (&Stage, &Ear),
    enforcement: Enforcement,
    plan: &Plan,
    live: &Live,
) -> anyhow::Result<Observed> {
    warm_up(stage).await?;
    let before = settled(stage, WARM_UP * USERS_DO.len()).await?;
    let counted_before = counted(stage).await?;
    let mut watcher = Watcher::begin(stage, live.clone()).await?;
    let seen: AllSeen = Arc::default();
    let load = load(stage, plan)?;
    let (start, began_ms) = (Instant::now(), now_ms()?);

    let playing = play(stage, plan, live, start);
    let loading = run_load(&load, start, Arc::clone(&seen));
    let watching = watcher.watch(stage, LOOK_EVERY, || show(live, &seen, start.elapsed()));
    let lateness = tokio::select! {
        done = both(playing, loading) => done?,
        stopped = watching => match stopped? {},
    };
    let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let sent = seen
        .iter()
        .filter(|one| one.ending != Ending::NotConnected)
        .count();
    let after = settled(stage, WARM_UP * USERS_DO.len() + sent).await?;
    watcher.look(stage).await?;
    let phases = plan.phases.clone();
    let (ordered, spent) = (
        decided::ordered(&stage.admin, began_ms).await?,
        decided::spent(&stage.admin).await?,
    );
    let counted = difference(&counted_before, counted(stage).await?);
    Ok(Observed {
        heard: heard(stage, ear, enforcement, began_ms).await?,
        enforcement,
        began_ms,
        phases,
        seen,
        counted_requests: after - before,
        sent_requests: u64::try_from(sent)?,
        episodes: stage.episodes().await?,
        counted,
        ordered,
        spent,
        orders: stage.orders().await?,
        lateness,
        changes: watcher.changes,
        callers: callers(),
        effects: watcher.effects,
        burns: watcher.burns,
    })
}

/// What people heard, to the end: an alert ends by itself a minute after its condition does, and that is longer than the story
/// goes on. So nobody wants to know any more when it is over, and who was told is told so.
async fn heard(
    stage: &Stage,
    ear: &Ear,
    enforcement: Enforcement,
    began_ms: u64,
) -> anyhow::Result<Vec<Heard>> {
    stage.declare(&documents(enforcement, None))?;
    let waited = eventually(SETTLED_WITHIN, "people hear of the end", async || {
        let heard = ear.heard(began_ms);
        let is_over = heard.iter().all(|one| one.over_ms.is_some());
        is_over.then_some(heard)
    });
    // Who was not told is a result, not a failure to measure.
    Ok(waited.await.unwrap_or_else(|_| ear.heard(began_ms)))
}

fn now_ms() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_millis())?)
}

async fn both(
    playing: impl Future<Output = anyhow::Result<()>>,
    loading: impl Future<Output = Lateness>,
) -> anyhow::Result<Lateness> {
    let (played, lateness) = tokio::join!(playing, loading);
    played?;
    Ok(lateness)
}

/// Orders each trouble at its time.
async fn play(stage: &Stage, plan: &Plan, live: &Live, start: Instant) -> anyhow::Result<()> {
    for phase in &plan.phases {
        let at = start + Duration::from_millis(phase.from_ms);
        tokio::time::sleep_until(at.into()).await;
        stage.order(phase.trouble).await?;
        live.phase(&phase.name);
    }
    Ok(())
}

pub(super) fn load(stage: &Stage, plan: &Plan) -> anyhow::Result<Load> {
    let weights = USERS_DO.map(|(_, _, _, weight)| weight);
    let drawn = Arrivals::poisson(plan.rate, plan.lasting(), &weights, plan.seed)?;
    let mut calls = Vec::new();
    for (index, arrival) in drawn.as_slice().iter().enumerate() {
        calls.push(call(arrival.call, index)?);
    }
    Ok(Load {
        to: stage.entry,
        calls: calls.into(),
        arrivals: Arrivals::at(drawn.as_slice().iter().map(|arrival| arrival.at)),
        timeout: USER_WAITS,
        note: Some(ANSWER_HEADER),
    })
}

/// The request with this number, of the kind `kind`.
fn call(kind: usize, number: usize) -> anyhow::Result<Call> {
    let (route, method, path, _) = USERS_DO.get(kind).context("users do not do that")?;
    let mut headers = HeaderMap::new();
    headers.insert(http::header::HOST, HeaderValue::from_static("edge"));
    headers.insert(
        "idempotency-key",
        HeaderValue::try_from(format!("request-{number}"))?,
    );
    Ok(Call {
        route: Arc::from(*route),
        method: method.parse()?,
        path: (*path).to_owned(),
        headers,
        body: Bytes::new(),
    })
}

async fn run_load(load: &Load, start: Instant, seen: AllSeen) -> Lateness {
    let calls = Arc::clone(&load.calls);
    load.run(start, move |exchange: Exchange| {
        let Some(call) = calls.get(exchange.call) else {
            return;
        };
        let one = Seen {
            route: call.route.to_string(),
            at_ms: millis(exchange.at),
            latency_us: u64::try_from(exchange.latency.as_micros()).unwrap_or(u64::MAX),
            ending: exchange.ending,
            answer: exchange.note,
        };
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(one);
    })
    .await
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Shows how many requests of the second that ended `OBJECTIVE` ago were good: later ones may still come out well.
fn show(live: &Live, seen: &AllSeen, elapsed: Duration) {
    let to = millis(elapsed.saturating_sub(OBJECTIVE));
    let second = to.saturating_sub(1_000)..to;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let of_second = seen.iter().filter(|one| second.contains(&one.at_ms));
    let (mut good, mut total) = (0, 0);
    for one in of_second {
        total += 1;
        let in_time = u128::from(one.latency_us) <= OBJECTIVE.as_micros();
        good += u64::from(in_time && one.ending == Ending::Status(200));
    }
    live.rates(millis(elapsed) / 1_000, good, total);
}

/// A few requests of each kind, all of which must be served.
async fn warm_up(stage: &Stage) -> anyhow::Result<()> {
    let mut calls = Vec::new();
    for number in 0..WARM_UP * USERS_DO.len() {
        calls.push(call(number % USERS_DO.len(), number)?);
    }
    let moments = (0..).map(|index| Duration::from_millis(10) * index);
    let load = Load {
        to: stage.entry,
        arrivals: Arrivals::at(moments.take(calls.len())),
        calls: calls.into(),
        timeout: USER_WAITS,
        note: None,
    };
    let failed = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&failed);
    load.run(Instant::now(), move |exchange| {
        if exchange.ending != Ending::Status(200) {
            seen.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(exchange.ending);
        }
    })
    .await;
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
    anyhow::ensure!(failed.is_empty(), "the shop is not well: {failed:?}");
    Ok(())
}

/// Requests that the sidecar of `edge` has counted, as soon as they are `expected`; else what they are when the time is over.
async fn settled(stage: &Stage, expected: usize) -> anyhow::Result<u64> {
    let expected = u64::try_from(expected)?;
    let waited = eventually(SETTLED_WITHIN, "all reports came", async || {
        let counted = counted_requests(stage).await.ok()?;
        (counted == expected).then_some(counted)
    });
    match waited.await {
        Ok(counted) => Ok(counted),
        // A wrong count is a result, not a failure to measure.
        Err(_) => counted_requests(stage).await,
    }
}

async fn counted_requests(stage: &Stage) -> anyhow::Result<u64> {
    let scopes = stage.admin.scopes().await?;
    let of_edge = scopes
        .iter()
        .filter(|scope| scope.service.as_str() == "edge" && scope.side == Side::Server);
    Ok(of_edge.map(|scope| scope.requests).sum())
}

/// What every objective has counted so far, by SLO.
async fn counted(stage: &Stage) -> anyhow::Result<BTreeMap<String, Counted>> {
    let asked_ms = now_ms()?;
    // Statuses are made at each step of the control plane, at least once a second.
    let slos = eventually(SETTLED_WITHIN, "fresh statuses", async || {
        let slos = stage.admin.slos().await.ok()?;
        let is_fresh = slos.iter().all(|slo| asked_ms < slo.at.as_millis());
        (is_fresh && !slos.is_empty()).then_some(slos)
    })
    .await?;
    let counted = slos.iter().filter_map(|slo| {
        let objective = slo.objectives.first()?;
        let counts = objective.counts.unwrap_or_default();
        let counted = Counted {
            slo: slo.name.to_string(),
            target: objective.target,
            total: counts.total,
            bad: counts.bad(),
        };
        Some((slo.name.to_string(), counted))
    });
    Ok(counted.collect())
}

fn difference(
    before: &BTreeMap<String, Counted>,
    after: BTreeMap<String, Counted>,
) -> Vec<Counted> {
    after
        .into_values()
        .map(|counted| {
            let (total, bad) = before
                .get(&counted.slo)
                .map_or((0, 0), |before| (before.total, before.bad));
            Counted {
                total: counted.total.saturating_sub(total),
                bad: counted.bad.saturating_sub(bad),
                ..counted
            }
        })
        .collect()
}
