//! B3: `b3` and `x-b3-*` where there is no `traceparent`, and what is written.
//!
//! An input is headers.

use sloop_dataplane::context::{Context, Parent, Reading, TraceId};
use sloop_dataplane::{HeaderMap, Random, Request, TraceContext};
use sloop_model::{B3Output, ContextSettings, Side, WallTime};

use crate::input::Headers;
use crate::tracestate::without_blanks;

const NAMES: [&str; 5] = [
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
];

/// Reads B3 headers, writes them in both forms, and reads these again.
pub fn check(data: &[u8]) {
    let headers = Headers::parse(data);
    let is_b3 = |name: &&str| !headers.lines(name).is_empty();
    let has_b3 = NAMES.iter().any(is_b3) && headers.lines("traceparent").is_empty();
    let bytes = headers.serialised();
    let context = read(&bytes);
    let trace = context.trace;
    assert_eq!(Parent::parse(&trace.header()), Some(trace.as_parent()));
    if has_b3 {
        let said = said(&headers);
        let ids = trace.parent().map(|span| (trace.id(), span));
        assert_eq!(ids, said.ids);
        assert_eq!(trace.is_sampled(), said.sampling != Some(b'0'));
        assert_eq!(context.said.keep, said.sampling == Some(b'd'));
        let request = Request::read(HeaderMap::new(&bytes));
        assert_eq!(TraceContext::of(&request, &mut random()), trace);
    }
    for format in [B3Output::Single, B3Output::Multi] {
        check_written(&headers, &context, format);
    }
    context.write_b3(B3Output::None, |name, _| panic!("{name} was not asked for"));
}

fn random() -> Random {
    Random::seeded([1, 2, 3, 4])
}

fn read(bytes: &[u8]) -> Context<'_> {
    let settings = ContextSettings::default();
    let reading = Reading {
        settings: &settings,
        side: Side::Client,
        wall: WallTime::from_millis(1),
    };
    let request = Request::read(HeaderMap::new(bytes));
    Context::read(&request, reading, None, &mut random())
}

/// What goes on is what was understood, whatever was there before.
fn check_written(headers: &Headers<'_>, context: &Context<'_>, format: B3Output) {
    let mut written = Vec::new();
    context.write_b3(format, |name, value| {
        written.push((name, value.map(<[u8]>::to_vec)));
    });
    let mut sent = headers.clone().without("traceparent");
    for (name, value) in &written {
        sent = sent.without(name);
        if let Some(value) = value {
            sent = sent.with(name, value);
        }
    }
    let bytes = sent.serialised();
    let next = read(&bytes);
    assert_eq!(next.trace.id(), context.trace.id());
    assert_eq!(next.trace.parent(), Some(context.trace.span()));
    assert_eq!(next.said.keep, context.said.keep);
    assert!(next.trace.is_sampled() == context.trace.is_sampled() || context.said.keep);
}

/// What B3 headers say, read in the plainest way.
struct Said {
    ids: Option<(TraceId, u64)>,
    /// `0`, `1` or `d`.
    sampling: Option<u8>,
}

fn said(headers: &Headers<'_>) -> Said {
    let first = |name: &str| {
        let lines = headers.lines(name);
        lines.first().map(|value| without_blanks(value))
    };
    let text = |name: &str| core::str::from_utf8(first(name).unwrap_or_default()).unwrap_or("?");
    if let Some(single) = single(text("b3")) {
        return single;
    }
    let accepted = match text("x-b3-sampled") {
        "1" | "true" => Some(b'1'),
        "0" | "false" => Some(b'0'),
        _ => None,
    };
    Said {
        ids: ids(text("x-b3-traceid"), text("x-b3-spanid")),
        sampling: if text("x-b3-flags") == "1" {
            Some(b'd')
        } else {
            accepted
        },
    }
}

fn single(text: &str) -> Option<Said> {
    let sampling = |text: &str| match text {
        "0" | "1" | "d" => text.bytes().next(),
        _ => None,
    };
    let parts: Vec<&str> = text.split('-').collect();
    let (ids, state) = match *parts.as_slice() {
        [state] => (None, Some(sampling(state)?)),
        [trace, span] => (Some(ids(trace, span)?), None),
        [trace, span, state] => (Some(ids(trace, span)?), Some(sampling(state)?)),
        [trace, span, state, parent] => {
            number(parent, 16)?;
            (Some(ids(trace, span)?), Some(sampling(state)?))
        }
        _ => return None,
    };
    Some(Said {
        ids,
        sampling: state,
    })
}

fn ids(trace: &str, span: &str) -> Option<(TraceId, u64)> {
    let trace = number(trace, 32).or_else(|| number(trace, 16))?;
    let span = u64::try_from(number(span, 16)?).unwrap();
    let trace = TraceId {
        high: u64::try_from(trace >> 64).unwrap(),
        low: u64::try_from(trace & u128::from(u64::MAX)).unwrap(),
    };
    (span != 0 && (trace.high | trace.low) != 0).then_some((trace, span))
}

fn number(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_number = text.len() == digits && text.bytes().all(is_digit);
    is_number.then(|| u128::from_str_radix(text, 16).ok())?
}
