//! What a span says.

use super::*;
use opentelemetry_proto::tonic::trace::v1::{Status, span::SpanKind, status::StatusCode};
use proptest::prelude::*;

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let all = all.iter();
    all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Status and `error.type`.
fn error(span: &Span) -> Option<String> {
    let kind = get(span, "error.type");
    let code = span.status.as_ref().map(Status::code);
    assert_eq!(code.is_some(), kind.is_some());
    assert!(matches!(code, None | Some(StatusCode::Error)));
    kind
}

#[test]
fn a_server_tells_of_the_exchange() {
    let span = told(Side::Server, &ended(), GET);
    assert_eq!(span.name, "GET items");
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(
        attributes(&span.attributes),
        pairs(&[
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("http.route", "items"),
            ("network.protocol.version", "2"),
            ("server.address", "shop.example"),
            ("server.port", "8443"),
            ("sloop.kept", "sampled"),
            ("sloop.outcome", "success"),
            ("sloop.route", "items"),
            ("sloop.service", "payments"),
            ("sloop.verdict", "passed"),
            ("url.path", "/items/17"),
            ("url.scheme", "https"),
            ("user_agent.original", "curl/8"),
        ])
    );
    assert_eq!(error(&span), None);
}

#[test]
fn a_client_tells_the_whole_url_but_not_its_query() {
    let span = told(Side::Client, &ended(), GET);
    assert_eq!(span.name, "GET items");
    assert_eq!(span.kind(), SpanKind::Client);
    assert_eq!(
        attributes(&span.attributes),
        pairs(&[
            ("http.request.method", "GET"),
            ("http.response.status_code", "200"),
            ("network.protocol.version", "2"),
            ("server.address", "shop.example"),
            ("server.port", "8443"),
            ("sloop.kept", "sampled"),
            ("sloop.outcome", "success"),
            ("sloop.route", "items"),
            ("sloop.service", "payments"),
            ("sloop.verdict", "passed"),
            ("url.full", "https://shop.example:8443/items/17"),
        ])
    );
}

#[test]
fn a_call_is_told_in_the_words_of_rpc() {
    let call = EndedSpan {
        is_grpc: true,
        grpc: Some(0),
        ..ended()
    };
    let headers: Headers<'_> = &[
        (":method", b"POST"),
        (":scheme", b"http"),
        (":authority", b"[2001:db8::1]:50051"),
        (":path", b"/shop.v1.Cart/Add"),
    ];
    let span = told(Side::Client, &call, headers);
    assert_eq!(span.name, "shop.v1.Cart/Add");
    assert_eq!(
        attributes(&span.attributes),
        pairs(&[
            ("rpc.method", "shop.v1.Cart/Add"),
            ("rpc.response.status_code", "OK"),
            ("rpc.system.name", "grpc"),
            ("server.address", "2001:db8::1"),
            ("server.port", "50051"),
            ("sloop.kept", "sampled"),
            ("sloop.outcome", "success"),
            ("sloop.route", "items"),
            ("sloop.service", "payments"),
            ("sloop.verdict", "passed"),
        ])
    );
    let unknown = EndedSpan {
        grpc: Some(12),
        outcome: Outcome::ServerError,
        ..call
    };
    let span = told(Side::Server, &unknown, headers);
    assert_eq!(span.name, "grpc");
    assert_eq!(get(&span, "rpc.method").as_deref(), Some("_OTHER"));
    let original = get(&span, "rpc.method_original");
    assert_eq!(original.as_deref(), Some("shop.v1.Cart/Add"));
    assert_eq!(error(&span).as_deref(), Some("UNIMPLEMENTED"));
}

#[test]
fn ids_and_times_are_those_of_the_request() {
    let span = told(Side::Server, &ended(), GET);
    let trace = 0x0af7_6519_16cd_43dd_00ff_0000_0000_0022_u128;
    assert_eq!(span.trace_id, trace.to_be_bytes());
    assert_eq!(span.span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(span.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert_eq!(span.flags, 0x303);
    assert_eq!(span.start_time_unix_nano, 1_700_000_000_000_000_001);
    assert_eq!(span.end_time_unix_nano, 1_700_000_000_250_000_001);
}

#[test]
fn the_first_span_of_a_trace_has_no_parent() {
    let mut root = ended();
    root.draft.parent = 0;
    let span = told(Side::Server, &root, GET);
    assert!(span.parent_span_id.is_empty());
    assert_eq!(span.flags, 0x103);
}

#[test]
fn a_clock_that_went_backwards_gives_a_span_without_length() {
    let span = EndedSpan {
        began: at(2_000),
        ..ended()
    };
    let span = told(Side::Server, &span, GET);
    assert_eq!(span.start_time_unix_nano, span.end_time_unix_nano);
}

#[test]
fn a_batch_says_who_sends_it() {
    let mut spans = spans(Side::Client, "");
    keep(&mut spans, &ended(), "items", GET);
    let request = decoded(&spans.batch(1, "sidecar~10.0.0.1", at(100_000)).unwrap());
    let resource_spans = request.resource_spans.first().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        attributes(&resource_spans.resource.as_ref().unwrap().attributes),
        pairs(&[
            ("service.instance.id", "sidecar~10.0.0.1"),
            ("service.name", "shop"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.name", "sloop"),
            ("telemetry.sdk.version", version),
        ])
    );
    let scope_spans = resource_spans.scope_spans.first().unwrap();
    let scope = scope_spans.scope.as_ref().unwrap();
    assert_eq!((&*scope.name, &*scope.version), ("sloop", version));
    for url in [&resource_spans.schema_url, &scope_spans.schema_url] {
        assert_eq!(url, "https://opentelemetry.io/schemas/1.44.0");
    }
}

/// (side, outcome, HTTP status, gRPC status, error)
#[test]
fn errors_are_what_the_conventions_call_errors() {
    use Outcome::{
        ClientCancel, ClientError, ServerError, Success, Timeout, Truncated, UpstreamReset,
    };
    use Side::{Client, Server};
    for (side, outcome, status, grpc, expected) in [
        (Server, Success, Some(302), None, None),
        (Client, Success, Some(302), None, None),
        (Server, ClientError, Some(404), None, None),
        (Client, ClientError, Some(404), None, Some("404")),
        (Server, ServerError, Some(500), None, Some("500")),
        (Client, ServerError, Some(503), None, Some("503")),
        (Server, Timeout, Some(504), None, Some("timeout")),
        (Server, Truncated, Some(200), None, Some("truncated")),
        (Client, UpstreamReset, None, None, Some("upstream_reset")),
        (Server, ClientCancel, None, None, None),
        (Client, ClientCancel, Some(200), None, None),
        (Server, Success, Some(200), Some(0), None),
        (Server, ClientError, Some(200), Some(5), None),
        (Client, ClientError, Some(200), Some(5), Some("NOT_FOUND")),
        (
            Server,
            Timeout,
            Some(200),
            Some(4),
            Some("DEADLINE_EXCEEDED"),
        ),
        (Server, ClientCancel, Some(200), Some(1), None),
        (Client, ClientCancel, Some(200), Some(1), Some("CANCELLED")),
        (Server, ServerError, Some(200), Some(77), Some("UNKNOWN")),
    ] {
        let span = EndedSpan {
            status,
            is_grpc: grpc.is_some(),
            grpc,
            outcome,
            ..ended()
        };
        let told = told(side, &span, GET);
        assert_eq!(error(&told).as_deref(), expected, "{side} {span:?}");
    }
}

#[test]
fn our_own_answers_are_errors_of_their_own_kind() {
    for (verdict, outcome, word) in [
        (OwnVerdict::Refused, Outcome::Refused, "refused"),
        (OwnVerdict::Faulted, Outcome::Faulted, "faulted"),
    ] {
        for grpc in [None, Some(14)] {
            let span = EndedSpan {
                verdict,
                outcome,
                is_grpc: grpc.is_some(),
                grpc,
                status: Some(503),
                ..ended()
            };
            let span = told(Side::Server, &span, GET);
            assert_eq!(error(&span).as_deref(), Some(word));
            assert_eq!(get(&span, "sloop.verdict").as_deref(), Some(word));
        }
    }
}

#[test]
fn a_method_that_nobody_knows_is_told_apart() {
    for (method, name, told_as, original) in [
        (&b"QUERY"[..], "QUERY items", "QUERY", None),
        (b"get", "HTTP items", "_OTHER", Some("get")),
        (b"PROPFIND", "HTTP items", "_OTHER", Some("PROPFIND")),
        (b"", "HTTP items", "_OTHER", None),
        (
            b"A-METHOD-WITHOUT-END",
            "HTTP items",
            "_OTHER",
            Some("A-METHOD-WITHOUT"),
        ),
    ] {
        let span = told(Side::Server, &ended(), &[(":method", method)]);
        assert_eq!(span.name, name);
        assert_eq!(get(&span, "http.request.method").as_deref(), Some(told_as));
        assert_eq!(
            get(&span, "http.request.method_original").as_deref(),
            original
        );
    }
}

#[test]
fn the_route_of_everything_else_is_no_route() {
    let mut spans = spans(Side::Server, "");
    keep(&mut spans, &ended(), "other", GET);
    let span = only_spans(decoded(&spans.batch(1, "", at(100_000)).unwrap())).remove(0);
    assert_eq!(span.name, "GET");
    assert_eq!(get(&span, "http.route"), None);
    assert_eq!(get(&span, "sloop.route").as_deref(), Some("other"));
}

#[test]
fn what_the_client_sent_is_told_and_not_what_envoy_made_of_it() {
    let headers: Headers<'_> = &[
        (":path", b"/internal/17"),
        ("x-envoy-original-path", b"/items/17?a=b"),
        ("x-envoy-original-host", b"shop.example"),
        (":authority", b"10.0.0.1:80"),
        (":scheme", b"https"),
    ];
    let span = told(Side::Server, &ended(), headers);
    assert_eq!(get(&span, "url.path").as_deref(), Some("/items/17"));
    assert_eq!(
        get(&span, "server.address").as_deref(),
        Some("shop.example")
    );
    assert_eq!(get(&span, "server.port").as_deref(), Some("443"));
}

/// (authority, scheme, host, port)
#[test]
fn an_authority_is_a_host_and_a_port() {
    for (authority, scheme, host, port) in [
        ("a", "http", "a", Some("80")),
        ("a", "https", "a", Some("443")),
        ("a", "", "a", None),
        ("a:1", "http", "a", Some("1")),
        ("a:", "http", "a:", Some("80")),
        ("a:b", "http", "a:b", Some("80")),
        ("a:123456", "http", "a:123456", Some("80")),
        ("[::1]", "http", "::1", Some("80")),
        ("[::1]:8", "http", "::1", Some("8")),
        ("::1", "http", "::1", Some("80")),
    ] {
        let headers: Headers<'_> = &[
            (":authority", authority.as_bytes()),
            (":scheme", scheme.as_bytes()),
        ];
        let span = told(Side::Client, &ended(), headers);
        let told = get(&span, "server.address");
        assert_eq!(told.as_deref(), Some(host), "{authority}");
        assert_eq!(get(&span, "server.port").as_deref(), port, "{authority}");
    }
}

#[test]
fn without_headers_there_is_still_a_span() {
    let span = told(Side::Client, &ended(), &[]);
    assert_eq!(span.name, "HTTP items");
    assert_eq!(get(&span, "server.address"), None);
    assert_eq!(get(&span, "sloop.outcome").as_deref(), Some("success"));
}

#[test]
fn texts_end_at_their_bounds_and_between_characters() {
    let path = format!("/{}\u{20ac}", "x".repeat(253));
    let agent = "a".repeat(200);
    let host = "h".repeat(260);
    let headers: Headers<'_> = &[
        (":path", path.as_bytes()),
        ("user-agent", agent.as_bytes()),
        (":authority", host.as_bytes()),
    ];
    let span = told(Side::Server, &ended(), headers);
    let expected = format!("/{}", "x".repeat(253));
    assert_eq!(get(&span, "url.path"), Some(expected));
    assert_eq!(get(&span, "user_agent.original"), Some("a".repeat(128)));
    assert_eq!(get(&span, "server.address"), None);
}

#[test]
fn what_is_no_text_is_told_with_question_marks() {
    let span = told(Side::Server, &ended(), &[(":path", b"/a\xff\xfeb\xe2\x82")]);
    assert_eq!(get(&span, "url.path").as_deref(), Some("/a??b?"));
}

proptest! {
    /// A decoder refuses the whole batch when one text in it is no UTF-8.
    #[test]
    fn whatever_a_client_sends_a_collector_can_always_read_it(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 6),
        status in prop::option::of(any::<u16>()),
        grpc in prop::option::of(any::<u8>()),
        outcome in prop::sample::select(&Outcome::ALL[..]),
        side in prop::sample::select(&[Side::Server, Side::Client][..]),
    ) {
        let names = [":method", ":scheme", ":authority", ":path", "user-agent", "tracestate"];
        let headers: Vec<_> = names.into_iter().zip(values.iter().map(|value| &**value)).collect();
        let span = EndedSpan { status, is_grpc: grpc.is_some(), grpc, outcome, ..ended() };
        let span = told(side, &span, &headers);
        prop_assert!(!span.name.is_empty());
        prop_assert!(span.name.len() <= 16 + 1 + 253);
        prop_assert!(span.trace_state.len() <= 512);
        let _ = attributes(&span.attributes);
    }
}
