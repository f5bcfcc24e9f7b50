//! Overload and outage stories on real Envoys: the most telling of [`sloop_sim::goodput`], with what is native to Envoy
//! as rivals.
//!
//! One after another, each in an Envoy of its own with one worker: what one does to the service must not
//! reach the next. Arrivals are the same for all and wait for nobody. Capacities are a quarter of those in virtual time,
//! so that a small machine is no part of the story.

mod config;
mod control;
mod hosts;
mod live;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use sloop_bench::{Arrivals, Call, Ending, Exchange, Load};
use sloop_model::Criticality;
use sloop_sim::goodput::{Bins, Played, Report, Rival, Story, arrivals, class, told};

use crate::envoy::{Envoy, Options};
use crate::ports::free_address;
use control::Control;
use hosts::Hosts;
pub use live::stories;

/// Whom a real Envoy can be set up as.
pub const RIVALS: [Rival; 7] = [
    Rival::Nothing,
    Rival::Outliers,
    Rival::AdmissionControl,
    Rival::AdaptiveConcurrency,
    Rival::Sloop,
    Rival::SloopOutliers,
    Rival::SloopControlled,
];

/// What only the service says in its answers.
const SERVED: &str = "x-served";

/// Plays each story with each rival, once per seed, and says which is next.
///
/// # Errors
///
/// When an Envoy does not start, or the module is missing.
pub async fn play(
    stories: &[Story],
    rivals: &[Rival],
    seeds: &[u64],
    say: impl Fn(&str),
) -> anyhow::Result<Report> {
    let mut told_all = Vec::new();
    for story in stories {
        let mut rows = Vec::new();
        for rival in rivals {
            let mut runs = Vec::new();
            for seed in seeds {
                say(&format!("{}, {}, seed {seed}", story.name, rival.name()));
                let run = run(story, *rival, *seed).await;
                runs.push(run.with_context(|| format!("{} with {}", story.name, rival.name()))?);
            }
            rows.push(runs);
        }
        let rows: Vec<&[Bins]> = rows.iter().map(Vec::as_slice).collect();
        told_all.push(told(story, rivals, &rows));
    }
    Ok(Report::new(Played::OnRealEnvoys, seeds, told_all))
}

async fn run(story: &Story, rival: Rival, seed: u64) -> anyhow::Result<Bins> {
    let hosts = Hosts::start(story, seed).await?;
    let listener = free_address()?;
    let control = match rival {
        Rival::SloopControlled => Some(Control::start().await?),
        Rival::Nothing
        | Rival::Outliers
        | Rival::AdmissionControl
        | Rival::AdaptiveConcurrency
        | Rival::Throttle
        | Rival::Resilience4j
        | Rival::Sloop
        | Rival::SloopOutliers
        | Rival::SloopCallers
        | Rival::BudgetCallers => None,
    };
    let discovery = control.as_ref().map(Control::discovery);
    let place = (listener, hosts.addresses(), discovery);
    let config = config::config(rival, story.timeout, place)?;
    let options = Options {
        name: format!("the Envoy of {}", rival.name()),
        concurrency: 1,
        log_level: "error".to_owned(),
        ..Options::default()
    };
    let _envoy = Envoy::start_with(&config, options).await?;
    if let Some(control) = &control {
        control.is_obeyed().await?;
    }
    let moments = arrivals(story, seed);
    let (calls, classes) = calls(moments.len(), seed);
    let load = Load {
        to: listener,
        calls,
        arrivals: Arrivals::at(moments),
        // The proxy gives up first.
        timeout: story.timeout * 2,
        note: Some(HeaderName::from_static(SERVED)),
    };
    let bins = Arc::new(Mutex::new(Bins::new(story.length)));
    let counted = Arc::clone(&bins);
    let start = Instant::now() + Duration::from_millis(200);
    hosts.begin(start);
    load.run(start, move |exchange| {
        let class = classes.get(exchange.call).copied().unwrap_or_default();
        let mut bins = counted.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut bins, class, &exchange);
    })
    .await;
    let bins = bins.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(bins.clone())
}

fn count(bins: &mut Bins, class: Criticality, exchange: &Exchange) {
    bins.offered(exchange.at, class);
    match exchange.ending {
        Ending::Status(200) => bins.answered(exchange.at, class, exchange.latency),
        Ending::Status(503) if exchange.note.is_none() => bins.refused(exchange.at),
        Ending::Status(_) | Ending::NotConnected | Ending::Broken | Ending::TimedOut => {}
    }
}

/// One call per arrival, each with a trace of its own, and how much each matters.
fn calls(count: usize, seed: u64) -> (Arc<[Call]>, Vec<Criticality>) {
    let mut random = SmallRng::seed_from_u64(seed);
    let classes: Vec<_> = (0..count).map(|_| class(&mut random)).collect();
    let mut call = |class: &Criticality| {
        let (trace, span): (u128, u64) = (random.random(), random.random());
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "payments".to_owned()),
            ("traceparent", format!("00-{trace:032x}-{span:016x}-03")),
            ("tracestate", format!("sloop=1.c{}", class.index())),
        ] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        Call {
            route: Arc::from("pay"),
            method: Method::GET,
            path: "/pay".to_owned(),
            headers,
            body: Bytes::new(),
        }
    };
    let calls = classes.iter().map(&mut call).collect();
    (calls, classes)
}
