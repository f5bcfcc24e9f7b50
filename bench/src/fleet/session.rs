//! One node's connection as a value: bytes that came go in, what happened and bytes to be sent come out.
//!
//! On stream 1 the node is subscribed and acknowledges all that it is sent; each
//! report is a call on a stream of its own. Headers of answers are not read: a report was
//! taken if a message came before the end of its stream, and a refused one has none.

use std::rc::Rc;
use std::time::Instant;

use super::Variant;
use super::frame::{self, Kind};
use super::message::{self, Has, Response, Wants};

/// The stream of discovery: the first that a client may open.
const DISCOVERY: u32 = 1;

/// A setting that the peer must keep to (RFC 9113, 6.5.2).
const INITIAL_WINDOW: u16 = 0x4;

/// What is the same for all nodes of a fleet.
#[derive(Debug)]
pub(super) struct Speech {
    pub(super) wants: Wants,
    /// Header blocks of the calls.
    sotw: Vec<u8>,
    delta: Vec<u8>,
    report: Vec<u8>,
}

/// Something happened on a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Happened<'a> {
    /// The server opened its side of the stream of discovery.
    Accepted,
    /// A response came; it is acknowledged.
    Response(Response<'a>),
    /// A report of this incarnation ended that was sent at `sent_at`.
    Reported {
        incarnation: u64,
        sent_at: Instant,
        is_taken: bool,
    },
    /// The stream of discovery or the connection was ended by the server.
    Over,
}

/// A call that was not answered yet.
#[derive(Debug)]
struct Call {
    stream: u32,
    incarnation: u64,
    sent_at: Instant,
    is_answered: bool,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    variant: Variant,
    speech: Rc<Speech>,
    /// The beginning of a frame that is not whole.
    partial: Vec<u8>,
    /// The beginning of a message of discovery that is not whole.
    message: Vec<u8>,
    /// To be sent.
    pub(super) output: Vec<u8>,
    is_accepted: bool,
    next_stream: u32,
    /// What the connection may still be sent.
    window: i64,
    calls: Vec<Call>,
}

impl Speech {
    pub(super) fn new(wants: Wants, authority: &str) -> Self {
        let service = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
        let call = |path: &str| frame::call(path, authority);
        Self {
            wants,
            sotw: call(&format!("{service}/StreamAggregatedResources")),
            delta: call(&format!("{service}/DeltaAggregatedResources")),
            report: call("/sloop.report.v1.ReportService/Report"),
        }
    }
}

impl Session {
    /// Begins: the encoded `node` subscribes, and `has` something from before.
    pub(super) fn begin(variant: Variant, speech: Rc<Speech>, node: &[u8], has: &Has) -> Self {
        let mut output = Vec::with_capacity(512);
        output.extend_from_slice(frame::PREFACE);
        let mut settings = INITIAL_WINDOW.to_be_bytes().to_vec();
        settings.extend_from_slice(&frame::WINDOW_MAX.to_be_bytes());
        frame::put(Kind::Settings, 0, 0, &settings, &mut output);
        let more = frame::WINDOW_MAX - 65_535;
        frame::put(Kind::WindowUpdate, 0, 0, &more.to_be_bytes(), &mut output);
        let head = match variant {
            Variant::Sotw => &speech.sotw,
            Variant::Delta => &speech.delta,
        };
        frame::put(
            Kind::Headers,
            frame::END_HEADERS,
            DISCOVERY,
            head,
            &mut output,
        );
        let mut session = Self {
            variant,
            speech: Rc::clone(&speech),
            partial: Vec::new(),
            message: Vec::new(),
            output,
            is_accepted: false,
            next_stream: DISCOVERY + 2,
            window: frame::WINDOW,
            calls: Vec::new(),
        };
        session.say(&speech.wants.first(variant, node, has));
        session
    }

    /// Says something on the stream of discovery. Little is, so its window is never looked at.
    fn say(&mut self, message: &[u8]) {
        frame::put_data(0, DISCOVERY, message, &mut self.output);
        self.spend(message.len());
    }

    fn spend(&mut self, bytes: usize) {
        self.window -= i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    /// Whether a report of so many bytes may be sent.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.is_accepted && i64::try_from(bytes).is_ok_and(|bytes| bytes <= self.window)
    }

    /// How many reports were not answered yet.
    pub(super) fn awaited(&self) -> usize {
        self.calls.len()
    }

    /// Sends a report, which is an encoded message.
    pub(super) fn report(&mut self, incarnation: u64, report: &[u8], sent_at: Instant) {
        let stream = self.next_stream;
        self.next_stream += 2;
        let head = &self.speech.report;
        frame::put(
            Kind::Headers,
            frame::END_HEADERS,
            stream,
            head,
            &mut self.output,
        );
        let message = message::framed(report);
        frame::put_data(frame::END_STREAM, stream, &message, &mut self.output);
        self.spend(message.len());
        self.calls.push(Call {
            stream,
            incarnation,
            sent_at,
            is_answered: false,
        });
    }

    /// Takes what came and tells what happened.
    pub(super) fn take(&mut self, bytes: &[u8], tell: &mut impl FnMut(Happened<'_>)) {
        if self.partial.is_empty() {
            let rest = self.take_frames(bytes, tell);
            self.partial.extend_from_slice(rest);
        } else {
            let mut all = std::mem::take(&mut self.partial);
            all.extend_from_slice(bytes);
            let rest = self.take_frames(&all, tell).len();
            all.drain(..all.len() - rest);
            self.partial = all;
        }
    }

    fn take_frames<'a>(
        &mut self,
        mut bytes: &'a [u8],
        tell: &mut impl FnMut(Happened<'_>),
    ) -> &'a [u8] {
        while let Some(frame) = frame::next(&mut bytes) {
            self.take_frame(frame, tell);
        }
        bytes
    }

    fn take_frame(&mut self, frame: frame::Frame<'_>, tell: &mut impl FnMut(Happened<'_>)) {
        match frame.kind {
            Kind::Settings if frame.flags & frame::ACK == 0 => {
                frame::put(Kind::Settings, frame::ACK, 0, &[], &mut self.output);
            }
            Kind::Ping if frame.flags & frame::ACK == 0 => {
                frame::put(Kind::Ping, frame::ACK, 0, frame.payload, &mut self.output);
            }
            Kind::WindowUpdate if frame.stream == 0 => self.window += frame.increment(),
            Kind::GoAway => tell(Happened::Over),
            Kind::Headers | Kind::Data | Kind::Reset if frame.stream == DISCOVERY => {
                self.discovery(frame, tell);
            }
            Kind::Headers | Kind::Data | Kind::Reset => self.answer(frame, tell),
            Kind::Settings | Kind::Ping | Kind::WindowUpdate | Kind::Other => {}
        }
    }

    fn discovery(&mut self, frame: frame::Frame<'_>, tell: &mut impl FnMut(Happened<'_>)) {
        if frame.ends() || frame.kind == Kind::Reset {
            return tell(Happened::Over);
        }
        if !self.is_accepted {
            self.is_accepted = true;
            tell(Happened::Accepted);
        }
        if frame.kind != Kind::Data {
            return;
        }
        // Nearly always a frame is one whole message.
        let mut earlier = std::mem::take(&mut self.message);
        let mut rest = if earlier.is_empty() {
            frame.payload
        } else {
            earlier.extend_from_slice(frame.payload);
            earlier.as_slice()
        };
        while let Some(message) = message::next(&mut rest) {
            let response = message::response(message);
            let acknowledges = self.speech.wants.acknowledge(self.variant, response);
            self.say(&acknowledges);
            tell(Happened::Response(response));
        }
        self.message = rest.to_vec();
    }

    fn answer(&mut self, frame: frame::Frame<'_>, tell: &mut impl FnMut(Happened<'_>)) {
        let mut calls = self.calls.iter();
        let Some(index) = calls.position(|call| call.stream == frame.stream) else {
            return;
        };
        if frame.kind == Kind::Data
            && let Some(call) = self.calls.get_mut(index)
        {
            call.is_answered = true;
        }
        if frame.ends() || frame.kind == Kind::Reset {
            let call = self.calls.swap_remove(index);
            tell(Happened::Reported {
                incarnation: call.incarnation,
                sent_at: call.sent_at,
                is_taken: call.is_answered && frame.kind != Kind::Reset,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use sloop_xds::{Kind as Type, Resource, Snapshot, SotwStream, Stream, StreamLimits};

    use super::*;

    fn session() -> Session {
        let wants = Wants {
            type_url: Type::EXTENSION.to_owned(),
            names: vec!["a".to_owned()],
        };
        let speech = Rc::new(Speech::new(wants, "sloop"));
        let node = message::node("n-1", "bench", 0);
        Session::begin(Variant::Sotw, speech, &node, &Has::default())
    }

    fn frames(kinds: &[(Kind, u8, u32, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, flags, stream, payload) in kinds {
            frame::put(*kind, *flags, *stream, payload, &mut bytes);
        }
        bytes
    }

    /// What happens when `bytes` come, in words.
    fn heard(session: &mut Session, bytes: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
        session.take(bytes, &mut |happened| {
            all.push(match happened {
                Happened::Accepted => "accepted".to_owned(),
                Happened::Response(response) => response.version.to_owned(),
                Happened::Reported {
                    incarnation,
                    is_taken,
                    ..
                } => format!("{incarnation} {is_taken}"),
                Happened::Over => "over".to_owned(),
            });
        });
        all
    }

    fn pushed() -> (String, Vec<u8>) {
        let mut stream = SotwStream::new(StreamLimits::default(), Default::default());
        let asks = sloop_xds::DiscoveryRequest {
            type_url: Type::EXTENSION.to_owned(),
            resource_names: vec!["a".to_owned()],
            ..Default::default()
        };
        stream.take(asks).unwrap();
        let resource = Resource::new(Type::EXTENSION, "a", &[7; 20_000]);
        let snapshot = Snapshot::builder().with(resource).build();
        let response = stream.next(&snapshot).unwrap();
        let version = response.sent.version.to_string();
        (version, message::framed(&response.pieces.concat()))
    }

    #[test]
    fn a_response_is_heard_and_acknowledged_however_it_is_cut() {
        let (version, message) = pushed();
        let mut bytes = frames(&[(Kind::Headers, frame::END_HEADERS, DISCOVERY, b"")]);
        frame::put_data(0, DISCOVERY, &message, &mut bytes);
        for size in [1, 7, 1_000, bytes.len()] {
            let mut session = session();
            session.output.clear();
            let mut all = Vec::new();
            for part in bytes.chunks(size) {
                all.extend(heard(&mut session, part));
            }
            assert_eq!(all, ["accepted".to_owned(), version.clone()], "{size}");
            let mut said = session.output.as_slice();
            let said = frame::next(&mut said).unwrap();
            assert_eq!((said.kind, said.stream), (Kind::Data, DISCOVERY));
            assert!(session.partial.is_empty() && session.message.is_empty());
        }
    }

    #[test]
    fn a_report_is_taken_when_a_message_answers_it() {
        let mut session = session();
        let now = Instant::now();
        let headers = |stream| (Kind::Headers, frame::END_HEADERS, stream, &b""[..]);
        let ends = |stream| {
            let flags = frame::END_HEADERS | frame::END_STREAM;
            (Kind::Headers, flags, stream, &b""[..])
        };
        assert!(!session.has_room_for(1), "before it is accepted");
        heard(&mut session, &frames(&[headers(DISCOVERY)]));
        for incarnation in 0..3 {
            session.report(incarnation, b"report", now);
        }
        assert_eq!(session.awaited(), 3);
        let answers = frames(&[
            headers(3),
            (Kind::Data, 0, 3, b"\0\0\0\0\0"),
            ends(3),
            ends(5),
            (Kind::Reset, 0, 7, b"\0\0\0\x07"),
            ends(9),
        ]);
        assert_eq!(
            heard(&mut session, &answers),
            ["0 true", "1 false", "2 false"]
        );
        assert_eq!(session.awaited(), 0);
    }

    #[test]
    fn what_may_be_sent_is_what_the_server_has_room_for() {
        let mut session = session();
        heard(&mut session, &frames(&[(Kind::Headers, 4, DISCOVERY, b"")]));
        assert!(session.has_room_for(60_000));
        session.report(0, &[0; 60_000], Instant::now());
        assert!(!session.has_room_for(60_000));
        let more = frames(&[(Kind::WindowUpdate, 0, 0, &60_000_u32.to_be_bytes())]);
        heard(&mut session, &more);
        assert!(session.has_room_for(60_000));
    }

    #[test]
    fn pings_and_settings_are_answered_and_an_end_is_told() {
        let mut session = session();
        session.output.clear();
        let asks = frames(&[(Kind::Settings, 0, 0, b""), (Kind::Ping, 0, 0, &[3; 8])]);
        assert!(heard(&mut session, &asks).is_empty());
        let answers = frames(&[
            (Kind::Settings, frame::ACK, 0, b""),
            (Kind::Ping, frame::ACK, 0, &[3; 8]),
        ]);
        assert_eq!(session.output, answers);
        session.output.clear();
        heard(&mut session, &answers);
        assert!(session.output.is_empty(), "an answer is not answered");
        let ends = frames(&[(Kind::Headers, 5, DISCOVERY, b"")]);
        assert_eq!(heard(&mut session, &ends), ["over"]);
        assert_eq!(
            heard(&mut session, &frames(&[(Kind::GoAway, 0, 0, &[0; 8])])),
            ["over"]
        );
    }
}
