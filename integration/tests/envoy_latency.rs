//! The benchmark of latency on a real Envoy: that it runs and adds up, not what comes out.
#![cfg(feature = "envoy")]
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;

use sloop_bench::closed::Protocol;
use sloop_integration::envoy::{self, Envoy};
use sloop_integration::latency::{
    self, Live, OpenSettings, Plan, Priority, Report, Resident, Running, Service, Settings, Trace,
    Tracer, Variant,
};
use sloop_integration::ports;

/// A variant without filters, or with those of `filters`.
fn variant(name: &str, filters: &str) -> Variant {
    Variant {
        name: name.into(),
        about: String::new(),
        filters: filters.into(),
        status: 200,
        trace: Trace::Kept,
        tracer: None,
        reports: false,
        vm: None,
    }
}

/// Tests run beside each other, so this one neither runs first nor trusts its numbers.
fn settings() -> Settings {
    Settings::new(18, 7, Priority::Ordinary)
}

async fn measure(variants: Vec<Variant>) -> anyhow::Result<Report> {
    measure_with(variants, settings()).await
}

async fn measure_with(variants: Vec<Variant>, settings: Settings) -> anyhow::Result<Report> {
    let plan = Plan {
        variants,
        open: vec![],
        modules: None,
        settings,
    };
    latency::measure(plan, Live::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn lua_costs_more_than_nothing_and_every_request_is_accounted_for() {
    let lua = Variant {
        trace: Trace::CarriedOn,
        ..variant("lua", sloop_bench::variants::LUA)
    };
    let variants = vec![variant("none", ""), variant("none2", ""), lua];
    let report = measure(variants).await.unwrap();
    let names: Vec<_> = report
        .variants
        .iter()
        .map(|row| row.name.as_str())
        .collect();
    assert_eq!(names, ["none2", "lua"]);
    assert!(0.0 < report.baseline_ns);
    let lua = report.variants.last().unwrap();
    assert!(0.0 < lua.added_ns.median, "{:?}", lua.added_ns);
    assert_eq!(lua.pairs.len(), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_a_request_costs_what_it_costs_there() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let settings = Settings {
            tls: true,
            protocol,
            ..settings()
        };
        let variants = vec![variant("none", ""), variant("none2", "")];
        let report = measure_with(variants, settings).await.unwrap();
        assert!(0.0 < report.baseline_ns, "{}", report.settings.spoken());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn envoys_tracer_carries_traces_on_and_is_a_variant_like_any_other() {
    let tracing = |name: &str, tracer| Variant {
        trace: Trace::CarriedOn,
        tracer: Some(tracer),
        ..variant(name, "")
    };
    let variants = vec![
        variant("none", ""),
        variant("none2", ""),
        tracing("otel", Tracer::Unsampled),
        tracing("otel_1", Tracer::OneIn100),
    ];
    let report = measure(variants).await.unwrap();
    assert_eq!(report.variants.len(), 3);
}

/// A filter that works for `micros` of its own processor time. `os.clock` is that of the process, whose other threads
/// have nothing to do.
fn working(micros: u32) -> String {
    format!(
        "- name: envoy.filters.http.lua
  typed_config:
    \"@type\": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
    default_source_code:
      inline_string: |
        function envoy_on_request(handle)
          local over = os.clock() + {micros} * 1e-6
          while os.clock() < over do end
        end
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_that_is_known_is_found() {
    let variants = [("none", ""), ("none2", "")]
        .map(|(name, filters)| variant(name, filters))
        .into_iter()
        .chain([0, 200].map(|micros| variant(&format!("work{micros}"), &working(micros))));
    let report = measure(variants.collect()).await.unwrap();
    let added = |name: &str| {
        let row = report.variants.iter().find(|row| row.name == name);
        row.unwrap().added_ns
    };
    let (idle, working) = (added("work0"), added("work200"));
    let found = working.median - idle.median;
    // Half a reading of the clock more, and what the machine leaves open.
    let error = 10_000.0 + (idle.high - idle.low) + (working.high - working.low);
    assert!(
        (found - 200_000.0).abs() < error,
        "{found} of 200,000 ns, within {error}"
    );
}

/// As somebody else's filter: a file of which nothing is known but its name.
fn spinning(folder: &std::path::Path, micros: u32) -> Variant {
    let name = format!("spin{micros}");
    let file = folder.join(&name).with_extension("wasm");
    std::fs::write(&file, latency::spinning(micros * 1_000)).unwrap();
    Variant::parse(&format!("{name}={}", file.display())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_of_somebody_elses_module_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut variants = vec![variant("none", ""), variant("none2", "")];
    variants.extend([0, 100].map(|micros| spinning(folder.path(), micros)));
    let report = measure(variants).await.unwrap();
    let added = |name: &str| {
        let row = report.variants.iter().find(|row| row.name == name);
        row.unwrap().added_ns
    };
    let (idle, working) = (added("spin0"), added("spin100"));
    let found = working.median - idle.median;
    // What the harness says of itself, and the share of its time in which others had its processor: it goes by the clock.
    let error = (idle.high - idle.low) + (working.high - working.low) + 10_000.0;
    assert!(
        (found - 100_000.0).abs() < error,
        "{found} of 100,000 ns, within {error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_and_answers_of_envoy_itself_are_measured_too() {
    let of = |protocol, service| Settings {
        protocol,
        service,
        ..settings()
    };
    for settings in [
        of(Protocol::Http2, Service::Proxied),
        of(Protocol::Http1, Service::Direct),
    ] {
        let variants = [("none", ""), ("none2", "")].map(|(name, filters)| variant(name, filters));
        let works = variant("work200", &working(200));
        let variants = variants.into_iter().chain([works]).collect();
        let report = measure_with(variants, settings).await.unwrap();
        let added = report.variants.last().unwrap().added_ns;
        assert!(100_000.0 < added.median, "{settings:?}: {added:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_runs_already_is_measured_as_it_is() {
    let [without, with] = [(); 2].map(|()| ports::free_address().unwrap());
    let listener = |name: &str, at: SocketAddr, filters: &str| {
        let filters = filters.replace('\n', "\n          ");
        format!(
            r#"
  - name: {name}
    address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          route_config: {{virtual_hosts: [{{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, direct_response: {{status: 404, body: {{inline_string: nothing}}}}}}]}}]}}
          http_filters:
          {filters}
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}"#,
            port = at.port(),
        )
    };
    let config = format!(
        "admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}\nstatic_resources:\n  listeners:{}{}\n",
        listener("without", without, ""),
        listener("with", with, &working(200)),
    );
    let envoy = Envoy::start(&config).await.unwrap();
    let running = Running {
        admin: envoy.admin(),
        without,
        with,
        host: "shop".into(),
        path: "/anything".into(),
    };
    let report = latency::running(running, settings(), Live::default());
    let report = report.await.unwrap();
    let with = report.variants.last().unwrap();
    assert_eq!((with.name.as_str(), with.status), ("with", 404));
    assert!(100_000.0 < with.added_ns.median, "{:?}", with.added_ns);
    let nobody = Running {
        admin: ports::free_address().unwrap(),
        without: envoy.admin(),
        with: envoy.admin(),
        host: String::new(),
        path: "/".into(),
    };
    let error = latency::running(nobody, settings(), Live::default()).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.starts_with("no Envoy answers at 127.0.0.1:"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_is_measured_over_the_same_listeners_and_accounted_for() {
    let plan = Plan {
        variants: vec![
            variant("none", ""),
            variant("none2", ""),
            variant("work2000", &working(2_000)),
        ],
        open: ["none", "none2", "work2000"].map(str::to_owned).to_vec(),
        modules: None,
        settings: Settings {
            open: Some(OpenSettings {
                rate: 100.0,
                ..OpenSettings::new(18, 100)
            }),
            ..settings()
        },
    };
    // Where others are busy the first part may be refused; then there is no second one.
    let report = latency::measure(plan, Live::default()).await.unwrap();
    let Some(open) = report.latency else {
        assert!(!report.is_usable());
        return;
    };
    let names: Vec<_> = open.variants.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["none", "none2", "work2000"]);
    // Nobody waits less than the filter works, whatever else the machine does.
    let worked = open.variants.last().unwrap();
    assert!(2_000_000.0 <= worked.all.p50, "{:?}", worked.all);
    assert_eq!(worked.pairs.len(), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_that_does_not_do_its_work_is_an_error() {
    let idle = Variant {
        trace: Trace::CarriedOn,
        ..variant("idle", "")
    };
    let variants = vec![variant("none", ""), variant("none2", ""), idle];
    let error = measure(variants).await.unwrap_err().to_string();
    assert!(error.starts_with("idle sends on traceparent"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_is_seen_in_start_and_memory() {
    let module = envoy::module().unwrap();
    let residents = [Resident::none(), Resident::sloop(&module).unwrap()];
    let mut live = Live::default();
    let standing = latency::standing(&residents, 1, &mut live).await.unwrap();
    let [none, sloop] = &*standing.variants else {
        unreachable!("{standing:?}");
    };
    assert!(0.0 < none.start_main_ms && 0.0 < none.memory_kb, "{none:?}");
    // V8 alone takes more than a megabyte, and compiling a module more than a millisecond.
    assert!(1_000.0 < sloop.memory_kb, "{sloop:?}");
    assert!(1.0 < sloop.start_main_ms, "{sloop:?}");
    assert!(sloop.route_kb.is_some() && none.route_kb.is_none());
}
