//! `traceparent` and `tracestate`, from the header map to what goes on.
//!
//! An input is seven letters and then headers. The letters say: side, trust,
//! deadlines, whether the request was joined, what this hop says besides, what becomes
//! of `ot`, and nothing yet.

use sloop_dataplane::context::{
    Context, Deadline, Joined, Parent, Reading, Rewrite, Said, StateMember, TraceId,
};
use sloop_dataplane::span::{Ot, Threshold};
use sloop_dataplane::{HeaderMap, Random, Request};
use sloop_model::{
    Arm, ContextSettings, Criticality, DeadlineMode, ExperimentKey, MemberTrust, Share, Side,
    WallTime,
};

use crate::input::{Headers, Input};
use crate::tracestate::{Member, list, without_blanks};

const NOW: WallTime = WallTime::from_millis(1_800_000_000_000);

/// Reads the headers, lets the hop say something, and reads again what goes on.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let side = if input.flag() {
        Side::Client
    } else {
        Side::Server
    };
    let settings = ContextSettings {
        member: [MemberTrust::Trust, MemberTrust::Discard][usize::from(input.choice(2))],
        deadlines: [
            DeadlineMode::Ignore,
            DeadlineMode::Carry,
            DeadlineMode::Enforce,
        ][usize::from(input.choice(3))],
        ..ContextSettings::default()
    };
    let joined = input.flag().then(joined);
    let says = input.choice(16);
    let (ot, spare) = (input.choice(4), input.line());
    let headers = Headers::parse(input.rest());
    let bytes = headers.serialised();
    let request = Request::read(HeaderMap::new(&bytes));
    let reading = Reading {
        settings: &settings,
        side,
        wall: NOW,
    };
    let mut context = Context::read(&request, reading, joined.as_ref(), &mut random());
    let parent = parent(&headers);
    check_trace(&context, parent, &headers, joined);
    let given = given(&headers, parent);
    let members = context
        .state()
        .members()
        .map(|member| (member.key, member.value));
    assert_eq!(
        members.collect::<Vec<_>>(),
        given,
        "the list is read otherwise"
    );
    say(&mut context.said, says);
    let ot = new_ot(ot, &given, spare);
    Hop {
        headers: &headers,
        given: &given,
        settings: &settings,
        context: &context,
        ot: ot.as_deref(),
    }
    .check();
}

fn random() -> Random {
    Random::seeded([1, 2, 3, 4])
}

fn joined() -> Joined {
    let said = Said {
        keep: true,
        ..Said::default()
    };
    Joined {
        parent: Parent {
            trace: TraceId { high: 7, low: 8 },
            span: 9,
            flags: 0,
        },
        said,
    }
}

/// The one valid `traceparent`, read in the plainest way.
fn parent(headers: &Headers<'_>) -> Option<Parent> {
    let lines = headers.lines("traceparent");
    let [line] = lines.as_slice() else {
        return None;
    };
    let number = |text: Option<&[u8]>, digits: usize| {
        let text = core::str::from_utf8(text?).ok()?;
        let is_lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_number = text.len() == digits && text.bytes().all(is_lower);
        is_number.then(|| u128::from_str_radix(text, 16).ok())?
    };
    let mut parts = without_blanks(line).splitn(5, |byte| *byte == b'-');
    let version = number(parts.next(), 2)?;
    let trace = number(parts.next(), 32)?;
    let span = number(parts.next(), 16)?;
    let flags = number(parts.next(), 2)?;
    let has_more = parts.next().is_some();
    if version == 0xff || (version == 0 && has_more) || trace == 0 || span == 0 {
        return None;
    }
    Some(Parent {
        trace: TraceId {
            high: u64::try_from(trace >> 64).unwrap(),
            low: u64::try_from(trace & u128::from(u64::MAX)).unwrap(),
        },
        span: u64::try_from(span).unwrap(),
        flags: u8::try_from(flags & 3).unwrap(),
    })
}

fn check_trace(
    context: &Context<'_>,
    parent: Option<Parent>,
    headers: &Headers<'_>,
    joined: Option<Joined>,
) {
    let trace = &context.trace;
    assert_eq!(Parent::parse(&trace.header()), Some(trace.as_parent()));
    let is_absent = headers.lines("traceparent").is_empty();
    let b3 = [
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-sampled",
        "x-b3-flags",
    ];
    let has_b3 = b3.iter().any(|name| !headers.lines(name).is_empty());
    let expected = match (is_absent, joined) {
        // The target `b3` looks at these.
        (true, _) if has_b3 => return,
        (true, Some(joined)) => Some(joined.parent),
        (true, None) | (false, _) => parent,
    };
    assert_eq!(trace.parent(), expected.map(|parent| parent.span));
    assert_eq!(trace.is_origin(), expected.is_none());
    if let Some(parent) = expected {
        assert_eq!(trace.id(), parent.trace);
        assert_eq!(trace.as_parent().flags, parent.flags);
        assert_ne!(trace.span(), parent.span);
    }
}

/// The list that came and is carried on.
fn given<'a>(headers: &Headers<'a>, parent: Option<Parent>) -> Vec<Member<'a>> {
    let lines = headers.lines("tracestate");
    parent.and_then(|_| list(&lines)).unwrap_or_default()
}

fn say(said: &mut Said, says: u8) {
    if says & 1 != 0 {
        said.criticality = Some(Criticality::Sheddable);
    }
    if says & 2 != 0 {
        said.keep = true;
    }
    if says & 4 != 0 {
        said.deadline = Some(Deadline::new(25, NOW));
    }
    if says & 8 != 0 {
        said.arms.remember(ExperimentKey::of("a"), Arm::Control);
    }
}

/// What `ot` is to become: left alone, left out, with another threshold, or what the input says.
fn new_ot(choice: u8, given: &[Member<'_>], spare: &[u8]) -> Option<Vec<u8>> {
    let is_value = |byte: &u8| matches!(byte, b'!'..=b'~') && !b",=".contains(byte);
    let threshold = match choice {
        0 => return None,
        1 => return Some(Vec::new()),
        2 => Threshold::of(Share::try_from(2_500).unwrap()),
        _ => {
            let is_valid = (1..=256).contains(&spare.len()) && spare.iter().all(is_value);
            return is_valid.then(|| spare.to_vec());
        }
    };
    let value = find(given, b"ot").unwrap_or_default();
    let mut written = Vec::new();
    Ot::parse(value).write(threshold, &mut written);
    written.drain(..3);
    Some(written)
}

fn find<'a>(members: &[Member<'a>], key: &[u8]) -> Option<&'a [u8]> {
    members
        .iter()
        .find(|(known, _)| *known == key)
        .map(|(_, value)| *value)
}

/// One hop: what came, and what it makes of it.
struct Hop<'a> {
    headers: &'a Headers<'a>,
    given: &'a [Member<'a>],
    settings: &'a ContextSettings,
    context: &'a Context<'a>,
    ot: Option<&'a [u8]>,
}

impl Hop<'_> {
    fn check(&self) {
        let more = self.ot.map(|value| StateMember { key: b"ot", value });
        let more = more.as_slice();
        let mut written = b"from before".to_vec();
        let came = self.headers.lines("tracestate");
        let lines = match self.context.tracestate(more, &mut written) {
            Rewrite::Keep => came,
            Rewrite::Remove => Vec::new(),
            Rewrite::Replace => {
                assert!(!written.is_empty());
                assert!(written.iter().all(|byte| matches!(byte, b' '..=b'~')));
                vec![written.as_slice()]
            }
        };
        let sent = list(&lines).expect("what goes on is a valid list");
        self.check_others(&sent);
        self.check_ot(&sent);
        self.check_ours(&sent);
        self.read_again(&lines);
    }

    /// Others keep their order, and only the last of them give way, only when the list is full.
    fn check_others(&self, sent: &[Member<'_>]) {
        let is_other =
            |(key, _): &&Member<'_>| !(*key == b"sloop" || (*key == b"ot" && self.ot.is_some()));
        let before: Vec<_> = self.given.iter().filter(is_other).collect();
        let after: Vec<_> = sent.iter().filter(is_other).collect();
        assert!(before.starts_with(&after), "{before:?} became {after:?}");
        assert!(after.len() == before.len() || sent.len() == 32);
    }

    fn check_ot(&self, sent: &[Member<'_>]) {
        let Some(ot) = self.ot else {
            return;
        };
        let before = find(self.given, b"ot");
        match find(sent, b"ot") {
            Some(value) => assert_eq!(value, without_blanks(ot)),
            // An unchanged one is one of the others.
            None => assert!(ot.is_empty() || (before == Some(ot) && sent.len() == 32)),
        }
    }

    fn check_ours(&self, sent: &[Member<'_>]) {
        let (before, after) = (find(self.given, b"sloop"), find(sent, b"sloop"));
        let said = self.context.said;
        let is_trusted = self.settings.member == MemberTrust::Trust;
        let is_full = sent.len() == 32;
        match (before, after) {
            (Some(value), _) if is_trusted && Said::parse(value).is_none() => {
                assert!(
                    after == before || (after.is_none() && is_full),
                    "not ours to touch"
                );
            }
            (_, Some(value)) => {
                assert_eq!(Said::parse(value), Some(said));
                assert!(after == before || sent.first() == Some(&(b"sloop", value)));
            }
            (Some(value), None) if is_trusted && Said::parse(value) == Some(said) => {
                assert!(said.is_empty() || is_full);
            }
            (_, None) => assert!(said.is_empty(), "{said:?} is not said"),
        }
    }

    /// The next hop reads the same, and has nothing to change.
    fn read_again(&self, lines: &[&[u8]]) {
        let parent = self.context.trace.header();
        let mut headers = Headers::default().with("traceparent", &parent);
        for line in lines {
            headers = headers.with("tracestate", line);
        }
        let bytes = headers.serialised();
        let settings = ContextSettings::default();
        let reading = Reading {
            settings: &settings,
            side: Side::Server,
            wall: NOW,
        };
        let request = Request::read(HeaderMap::new(&bytes));
        let next = Context::read(&request, reading, None, &mut random());
        assert_eq!(next.trace.id(), self.context.trace.id());
        assert_eq!(next.trace.parent(), Some(self.context.trace.span()));
        let members = list(lines).unwrap_or_default();
        let ours = find(&members, b"sloop").and_then(Said::parse);
        assert_eq!(next.said, ours.unwrap_or_default());
        let mut written = Vec::new();
        assert_eq!(
            next.tracestate(&[], &mut written),
            Rewrite::Keep,
            "{lines:?}"
        );
    }
}
