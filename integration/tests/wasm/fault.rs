//! Faults: a share of requests meets them, and they end by themselves.

use serde_json::{Value, json};
use sloop_integration::wasm_host::{Request, Response, Vm};
use sloop_model::Outcome;

use crate::language::{INBOUND, ask, millis, paid, pay, push, reported, scope, started};

fn faulty(vm: &mut Vm, fault: &Value) {
    let mut whole = json!({
        "id": "trial", "share": 10_000, "expires_at_ms": vm.wall_ms() + 60_000,
    });
    let fields = whole.as_object_mut().unwrap();
    fields.extend(fault.as_object().unwrap().clone());
    let mut configuration = pay(&json!({"faults": [whole]}));
    configuration["dimensions"] = json!({"caller": {"header": "x-caller"}});
    push(vm, &configuration);
}

fn with(fault: &Value) -> Vm {
    let mut vm = started(&pay(&json!({})));
    faulty(&mut vm, fault);
    vm
}

#[test]
fn an_abort_answers_in_place_of_the_service() {
    let mut vm = with(&json!({"abort_status": 418}));
    let aborted = paid(&mut vm, 200);
    assert_eq!(aborted.times_sent(), 0);
    let reply = aborted.reply().unwrap();
    assert_eq!(
        (reply.status, reply.details.as_str()),
        (418, "sloop_fault_abort")
    );
    let report = reported(&mut vm);
    let counted = scope(&report, "pay").unwrap();
    assert_eq!(counted.aborted, 1);
    assert_eq!(counted.outcomes.get(Outcome::Faulted.index()), Some(&1));
}

#[test]
fn a_delay_holds_the_request_and_sends_it_once() {
    let mut vm = with(&json!({"delay_ms": 200}));
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    assert!(vm.stream(exchange).is_paused());
    vm.advance(millis(195));
    assert!(vm.stream(exchange).is_paused());
    vm.advance(millis(10));
    assert!(!vm.stream(exchange).is_paused());
    // Whatever ticks come later: a request that is resumed twice is sent twice.
    vm.tick();
    vm.advance(millis(3_000));
    vm.respond(exchange, Response::status(200));
    let ended = vm.end(exchange);
    assert_eq!(
        (ended.times_sent(), ended.misuse()),
        (1, [""; 0].as_slice())
    );
}

#[test]
fn a_delayed_abort_is_answered_after_the_delay() {
    let mut vm = with(&json!({"delay_ms": 100, "abort_status": 503}));
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    assert!(vm.stream(exchange).reply().is_none());
    vm.advance(millis(110));
    assert_eq!(vm.stream(exchange).reply().unwrap().status, 503);
    vm.tick();
    let ended = vm.end(exchange);
    assert_eq!(
        (ended.times_sent(), ended.misuse()),
        (0, [""; 0].as_slice())
    );
}

#[test]
fn a_client_that_leaves_during_a_delay_is_forgotten() {
    let mut vm = with(&json!({"delay_ms": 200}));
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    vm.advance(millis(50));
    let ended = vm.end(exchange);
    assert_eq!(ended.times_sent(), 0);
    vm.advance(millis(1_000));
    assert_eq!(
        paid(&mut vm, 200).times_sent(),
        0,
        "the next one waits for its own"
    );
}

#[test]
fn a_push_during_a_delay_does_not_strand_the_request() {
    let mut vm = with(&json!({"delay_ms": 200}));
    let exchange = vm.begin(INBOUND, Request::get("/pay"));
    push(&mut vm, &pay(&json!({})));
    vm.advance(millis(300));
    assert!(!vm.stream(exchange).is_paused());
    vm.respond(exchange, Response::status(200));
    let ended = vm.end(exchange);
    assert_eq!(
        (ended.times_sent(), ended.misuse()),
        (1, [""; 0].as_slice())
    );
}

#[test]
fn a_fault_ends_with_its_lease() {
    let mut vm = started(&pay(&json!({})));
    let expires_at = vm.wall_ms() + 2_000;
    faulty(
        &mut vm,
        &json!({"abort_status": 503, "expires_at_ms": expires_at}),
    );
    assert_eq!(paid(&mut vm, 200).times_sent(), 0);
    vm.advance(millis(3_100));
    assert_eq!(paid(&mut vm, 200).times_sent(), 1, "nobody pushed anything");
}

#[test]
fn a_fault_that_is_over_when_it_arrives_does_nothing() {
    let mut vm = started(&pay(&json!({})));
    let past = vm.wall_ms() - 1;
    faulty(
        &mut vm,
        &json!({"abort_status": 503, "expires_at_ms": past}),
    );
    assert_eq!(paid(&mut vm, 200).times_sent(), 1);
}

#[test]
fn a_share_meets_about_that_share_and_the_same_trace_the_same_fate() {
    let mut vm = with(&json!({"abort_status": 503, "share": 2_500}));
    let mut fates = Vec::new();
    for index in 0..400 {
        let trace = traceparent(index);
        let fate = || Request::get("/pay").header("traceparent", &trace);
        let first = ask(&mut vm, fate(), Response::status(200)).times_sent();
        let again = ask(&mut vm, fate(), Response::status(200)).times_sent();
        assert_eq!(first, again, "{trace}");
        fates.push(first);
    }
    let met = fates.iter().filter(|sent| **sent == 0).count();
    // 400 draws at a quarter have a standard deviation of 8.7; these are five of them.
    assert!((57..=143).contains(&met), "{met} of 400");
}

/// Headers of a request.
type Lines<'a> = &'a [(&'a str, &'a str)];

/// Whom a fault is for, what a request says of itself, and whether it meets that fault.
#[test]
fn it_meets_those_whom_it_is_for() {
    let by_caller = json!({"caller": ["web", "batch"]});
    let by_class = json!({"criticality": ["sheddable", "sheddable_plus"]});
    let by_both = json!({"caller": ["web"], "criticality": ["critical"]});
    let cases: [(&Value, Lines<'_>, bool); 12] = [
        (&by_caller, &[("x-caller", "web")], true),
        (&by_caller, &[("x-caller", "batch")], true),
        (&by_caller, &[("x-caller", "webs")], false),
        (&by_caller, &[], false),
        (&by_class, &[("tracestate", "sloop=1.c0")], true),
        (&by_class, &[("tracestate", "sloop=1.c1")], true),
        (&by_class, &[("tracestate", "sloop=1.c2")], false),
        (&by_class, &[("tracestate", "sloop=1.c3")], false),
        // Who says nothing is critical.
        (&by_class, &[], false),
        (&by_both, &[("x-caller", "web")], true),
        (
            &by_both,
            &[("x-caller", "web"), ("tracestate", "sloop=1.c1")],
            false,
        ),
        (&by_both, &[("x-caller", "shop")], false),
    ];
    for (whom, headers, meets) in cases {
        let mut fault = whom.clone();
        fault["abort_status"] = json!(503);
        let mut vm = with(&fault);
        let request = Request::get("/pay").header("traceparent", traceparent(0));
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        let met = ask(&mut vm, request, Response::status(200));
        assert_eq!(met.reply().is_some(), meets, "{whom} {headers:?}");
    }
}

/// Of sidecars there is one here, and each seed chooses anew.
#[test]
fn it_is_for_a_share_of_sidecars() {
    const SEEDS: u64 = 200;
    for (share, expected) in [(0, 0..=0), (5_000, 65..=135), (10_000, 200..=200)] {
        let mut vm = started(&pay(&json!({})));
        let mut taking_part = 0;
        for seed in 0..SEEDS {
            faulty(
                &mut vm,
                &json!({"abort_status": 503, "sidecars": share, "seed": seed}),
            );
            let met = [0, 1, 2].map(|_| paid(&mut vm, 200).reply().is_some());
            assert!(
                met == [true; 3] || met == [false; 3],
                "all or none: {met:?}"
            );
            taking_part += u64::from(met[0]);
        }
        // Half of 200 has a standard deviation of 7; these are five of them.
        assert!(expected.contains(&taking_part), "{share}: {taking_part}");
    }
}

/// Which of several requests that are under way at a time are touched; `+` are.
#[test]
fn caps_bound_how_many_it_touches_at_a_time() {
    for (cap, expected) in [
        (json!({}), "++++++++"),
        (json!({"active_max": 1}), "+-------"),
        (json!({"active_max": 3}), "+++-----"),
        // One may always be touched, and then one of each two.
        (json!({"active_share_max": 5_000}), "+--+-+-+"),
        (json!({"active_share_max": 1}), "+-------"),
        (
            json!({"active_max": 2, "active_share_max": 5_000}),
            "+--+----",
        ),
    ] {
        let mut fault = cap.clone();
        fault["delay_ms"] = json!(500);
        let mut vm = with(&fault);
        let all: Vec<_> = (0..8)
            .map(|_| vm.begin(INBOUND, Request::get("/pay")))
            .collect();
        let touched = |vm: &Vm| -> String {
            let is_held = all.iter().map(|exchange| vm.stream(*exchange).is_paused());
            is_held
                .map(|is_held| if is_held { '+' } else { '-' })
                .collect()
        };
        assert_eq!(touched(&vm), expected, "{cap}");
        vm.advance(millis(600));
        assert_eq!(touched(&vm), "--------", "{cap}");
        // It touches them until they end, and not only while they wait.
        let next = paid(&mut vm, 200);
        assert_eq!(next.times_sent(), u32::from(cap != json!({})), "{cap}");
        for exchange in all {
            vm.respond(exchange, Response::status(200));
            vm.end(exchange);
        }
        assert_eq!(paid(&mut vm, 200).times_sent(), 0, "{cap}: there is room");
        let kept_out = expected.matches('-').count() + usize::from(cap != json!({}));
        let over = reported(&mut vm).trouble.unwrap().faults_over_cap;
        assert_eq!(usize::try_from(over).unwrap(), kept_out, "{cap}");
    }
}

/// A kind of delay: as it is written, the least and the most milliseconds, and the share that is at most so long.
type Drawn = (Value, (u64, u64), &'static [(u64, f64)]);

#[test]
fn drawn_delays_are_as_long_as_their_kind_says() {
    const COUNT: u32 = 400;
    let kinds: [Drawn; 5] = [
        (
            json!({"uniform": {"min_ms": 50, "max_ms": 250}}),
            (50, 250),
            &[(100, 0.25), (150, 0.5), (200, 0.75)],
        ),
        // 1 - exp(-t / 100 ms).
        (
            json!({"exponential": {"mean_ms": 100}}),
            (0, 10_000),
            &[(69, 0.5), (139, 0.75), (300, 0.95)],
        ),
        // 1 - (20 ms / t)^1.5.
        (
            json!({"pareto": {"scale_ms": 20, "shape": 1.5}}),
            (20, 10_000),
            &[(32, 0.5), (50, 0.747), (100, 0.911)],
        ),
        (
            // None is shorter than the first.
            json!({"quantiles": [[5_000, 100], [9_000, 200], [10_000, 1_000]]}),
            (100, 1_000),
            &[(100, 0.5), (150, 0.7), (200, 0.9)],
        ),
        (
            json!({"histogram": [[50, 50], [100, 40], [1_000, 10]]}),
            (0, 1_000),
            &[(50, 0.5), (100, 0.9)],
        ),
    ];
    for (delay, (least, most), quantiles) in kinds {
        let mut vm = with(&json!({"delay": delay}));
        let all: Vec<_> = (0..COUNT)
            .map(|index| {
                let request = Request::get("/pay").header("traceparent", traceparent(index.into()));
                vm.begin(INBOUND, request)
            })
            .collect();
        let mut passed = 0;
        let mut released_by = |vm: &mut Vm, at: u64| {
            vm.advance(millis(at - passed));
            passed = at;
            let gone = all.iter().filter(|it| !vm.stream(**it).is_paused());
            u32::try_from(gone.count()).unwrap()
        };
        if 1 < least {
            assert_eq!(released_by(&mut vm, least - 1), 0, "{delay}: too early");
        }
        for (at, share) in quantiles {
            // Five standard deviations of a half.
            const OFF_MAX: f64 = 0.125;
            let [early, late] = [*at, at + LATE_MS]
                .map(|at| f64::from(released_by(&mut vm, at)) / f64::from(COUNT));
            assert!(early < share + OFF_MAX, "{delay} at {at} ms: {early}");
            assert!(share - OFF_MAX < late, "{delay} at {at} ms: {late}");
        }
        let all_of_them = released_by(&mut vm, most + LATE_MS);
        assert_eq!(all_of_them, COUNT, "{delay}: too late");
        for exchange in all {
            vm.respond(exchange, Response::status(200));
            assert_eq!(vm.end(exchange).times_sent(), 1, "{delay}");
        }
    }
}

/// The most that what is held back is late, by the tick that lets it go.
const LATE_MS: u64 = 10;

/// A request of the trace with this number.
fn traceparent(index: u128) -> String {
    format!("00-{:032x}-b7ad6b7169203331-01", trace_id(index))
}

/// Ids as a good generator makes them: multiples of a large odd number.
fn trace_id(index: u128) -> u128 {
    (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}
