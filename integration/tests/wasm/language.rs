//! Words for these tests, so that a case is a few lines.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use prost::Message;
use serde_json::{Value, json};
use sloop_integration::wasm_host::{GrpcCall, Half, Module, Request, Response, Stream, Vm};
use sloop_integration::{answers_module_path, module_path};
use sloop_xds_protos::report::v1::{ReportRequest, ReportResponse, ScopeDelta};

/// The filters' root ids.
pub(crate) const INBOUND: &str = "sloop-inbound";
pub(crate) const OUTBOUND: &str = "sloop-outbound";

/// The module, compiled once, or why there is none: that fails every test.
static MODULE: LazyLock<Result<Module, String>> = LazyLock::new(|| load(&module_path()));

/// As [`MODULE`], the one that touches answers.
static ANSWERS_MODULE: LazyLock<Result<Module, String>> =
    LazyLock::new(|| load(&answers_module_path()));

fn load(path: &Path) -> Result<Module, String> {
    Module::load(path).map_err(|error| format!("{error:#}"))
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A VM without configuration.
pub(crate) fn bare() -> Vm {
    bare_with(1)
}

/// A VM without configuration, whose randomness comes from `seed`.
pub(crate) fn bare_with(seed: u64) -> Vm {
    start(&MODULE, seed)
}

fn start(module: &Result<Module, String>, seed: u64) -> Vm {
    match module {
        Ok(module) => Vm::start(module, seed).unwrap(),
        Err(error) => panic!("{error}"),
    }
}

/// Another worker's VM in the same Envoy, without configuration.
pub(crate) fn beside(vm: &Vm, seed: u64) -> Vm {
    match &*MODULE {
        Ok(module) => vm.start_beside(module, seed).unwrap(),
        Err(error) => panic!("{error}"),
    }
}

/// A VM with the module that touches answers, whose inbound filter is configured so.
pub(crate) fn answering(configuration: &Value) -> Vm {
    let mut vm = start(&ANSWERS_MODULE, 1);
    push(&mut vm, configuration);
    vm
}

/// A VM whose inbound filter is configured so.
pub(crate) fn started(configuration: &Value) -> Vm {
    let mut vm = bare();
    push(&mut vm, configuration);
    vm
}

/// Pushes a configuration to the side that it names, which must take it.
pub(crate) fn push(vm: &mut Vm, configuration: &Value) {
    let root_id = match configuration["side"].as_str() {
        Some("client") => OUTBOUND,
        _ => INBOUND,
    };
    let taken = vm.configure(root_id, &configuration.to_string());
    assert!(taken, "refused: {:?}", vm.take_log());
}

/// The inbound configuration of the service `shop` with these scopes.
pub(crate) fn inbound(scopes: &Value) -> Value {
    json!({
        "version": 1,
        "service": "shop",
        "side": "server",
        "report": {"cluster": "sloop"},
        "scopes": scopes,
    })
}

/// A scope of that service: the route `pay`, for paths that begin with `/pay`, with `rules`.
pub(crate) fn pay(rules: &Value) -> Value {
    let mut scope = json!({
        "service": "shop",
        "route": "pay",
        "match": [{"path": {"prefix": "/pay"}}],
    });
    let fields = scope.as_object_mut().unwrap();
    fields.extend(rules.as_object().unwrap().clone());
    inbound(&json!([scope]))
}

/// `GET /pay` that the service answers with `status`, at once.
pub(crate) fn paid(vm: &mut Vm, status: u16) -> Stream {
    ask(vm, Request::get("/pay"), Response::status(status))
}

/// A whole inbound exchange, which must not misuse Envoy.
pub(crate) fn ask(vm: &mut Vm, request: Request, response: Response) -> Stream {
    let ended = vm.exchange(INBOUND, request, response);
    assert_eq!(ended.misuse(), [""; 0]);
    ended
}

/// As [`ask`], answered with a body, as services on HTTP/1 send it: what there is, and then its end.
pub(crate) fn ask_for_body(vm: &mut Vm, request: Request, response: Response) -> Stream {
    whole_of(vm, INBOUND, request, response)
}

/// As [`ask_for_body`], at the filter `root_id`.
pub(crate) fn whole_of(vm: &mut Vm, root_id: &str, request: Request, response: Response) -> Stream {
    let exchange = vm.begin(root_id, request);
    vm.respond_with_body(exchange, response);
    vm.part(exchange, Half::Response, b"{}");
    vm.last_part(exchange, Half::Response, b"");
    let ended = vm.end(exchange);
    assert_eq!(ended.misuse(), [""; 0]);
    ended
}

/// As [`ask`], answered with a message and trailers.
pub(crate) fn call(vm: &mut Vm, request: Request, response: Response) -> Stream {
    let exchange = vm.begin(INBOUND, request.header("content-type", "application/grpc"));
    vm.respond_with_body(exchange, response);
    vm.part(exchange, Half::Response, b"\0\0\0\0\0");
    vm.trailers(exchange, Half::Response);
    let ended = vm.end(exchange);
    assert_eq!(ended.misuse(), [""; 0]);
    ended
}

/// The report that is due within two seconds, and the call that it travels in.
pub(crate) fn next_report(vm: &mut Vm) -> (GrpcCall, ReportRequest) {
    for _ in 0..20 {
        if let [call] = vm.calls().as_slice() {
            assert_eq!(call.cluster, "sloop");
            assert_eq!(call.service, "sloop.report.v1.ReportService");
            assert_eq!(call.method, "Report");
            let report = ReportRequest::decode(call.message.as_slice()).unwrap();
            return (call.clone(), report);
        }
        vm.advance(millis(100));
    }
    panic!("no report within two seconds; calls: {:?}", vm.calls());
}

/// The one call to a cluster that waits for an answer, if there is one.
pub(crate) fn call_to(vm: &Vm, cluster: &str) -> Option<GrpcCall> {
    let mut calls = vm.calls();
    calls.retain(|call| call.cluster == cluster);
    assert!(calls.len() <= 1, "{calls:?}");
    calls.pop()
}

/// The next report, acknowledged.
pub(crate) fn reported(vm: &mut Vm) -> ReportRequest {
    let (call, report) = next_report(vm);
    vm.answer(&call, &ReportResponse::default().encode_to_vec());
    report
}

/// What a report says about a route; nothing when it does not mention it.
pub(crate) fn scope<'a>(report: &'a ReportRequest, route: &str) -> Option<&'a ScopeDelta> {
    report.scopes.iter().find(|scope| scope.route == route)
}

/// The requests that a report counts on a route.
pub(crate) fn requests(report: &ReportRequest, route: &str) -> u64 {
    scope(report, route).map_or(0, |scope| scope.requests)
}
