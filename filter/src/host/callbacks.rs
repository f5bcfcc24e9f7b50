//! What Envoy calls.
//!
//! An ordinary request takes three entries: its context is created, its headers
//! arrive, it is logged; and one for each part of its answer. Not through the SDK's
//! dispatch: that keeps a box and three hash tables per request, and exports every
//! callback there is, each of which Envoy then enters the VM for. The SDK defines
//! symbols with the ABI's names already, so these begin with `sloop_`; `cargo xtask
//! wasm` puts them in the place of the SDK's, and drops what nothing reaches.
//!
//! [`Callback`] is made once per entry, and lends what Envoy returns.

use super::arena::{Callback, allocate};
use crate::root::Answered;
use crate::{http, root};

/// The ABI's `Action`.
const CONTINUE: u32 = 0;
const PAUSE: u32 = 1;

/// A callback's parent that is none: the context is a root.
const NO_PARENT: u32 = 0;

const fn action(flow: http::Flow) -> u32 {
    match flow {
        http::Flow::Continue => CONTINUE,
        http::Flow::Pause => PAUSE,
    }
}

/// Memory for what Envoy returns.
#[unsafe(no_mangle)]
extern "C" fn sloop_on_memory_allocate(size: usize) -> *mut u8 {
    allocate(size)
}

#[unsafe(no_mangle)]
extern "C" fn sloop_on_context_create(context: u32, parent: u32) {
    if parent != NO_PARENT {
        http::create(context, parent);
    }
}

#[unsafe(no_mangle)]
extern "C" fn sloop_on_configure(context: u32, _size: u32) -> u32 {
    u32::from(root::configure(&Callback::enter(), context))
}

#[unsafe(no_mangle)]
extern "C" fn sloop_on_tick(context: u32) {
    root::tick(&Callback::enter(), context);
}

#[unsafe(no_mangle)]
extern "C" fn sloop_on_request_headers(context: u32, _count: u32, _is_end: u32) -> u32 {
    action(http::begin(&Callback::enter(), context))
}

/// Answers are left alone, and only their ends are heard: that costs less than to ask for Envoy's flags.
#[cfg(not(feature = "answers"))]
mod ends {
    use super::{CONTINUE, Callback};
    use crate::http;

    #[unsafe(no_mangle)]
    extern "C" fn sloop_on_response_body(context: u32, size: usize, is_end: u32) -> u32 {
        http::heard(Callback::enter, context, (size, is_end != 0));
        CONTINUE
    }

    #[unsafe(no_mangle)]
    extern "C" fn sloop_on_response_trailers(context: u32, _count: u32) -> u32 {
        http::heard(Callback::enter, context, (0, true));
        CONTINUE
    }
}

/// Only where responses and bodies are touched: an entry for each of them, and for each part of a body.
#[cfg(feature = "answers")]
mod answers {
    use sloop_model::ExchangeSide::{self, Request, Response};

    use super::{Callback, action};
    use crate::answers;
    use crate::http::{self, Flow};

    #[unsafe(no_mangle)]
    extern "C" fn sloop_on_response_headers(context: u32, _count: u32, is_end: u32) -> u32 {
        action(answers::respond(context, is_end != 0))
    }

    #[unsafe(no_mangle)]
    extern "C" fn sloop_on_request_body(context: u32, size: usize, is_end: u32) -> u32 {
        body(context, Request, size, is_end)
    }

    #[unsafe(no_mangle)]
    extern "C" fn sloop_on_response_body(context: u32, size: usize, is_end: u32) -> u32 {
        body(context, Response, size, is_end)
    }

    #[unsafe(no_mangle)]
    extern "C" fn sloop_on_request_trailers(context: u32, _count: u32) -> u32 {
        action(answers::trailers(context, Request))
    }

    #[unsafe(no_mangle)]
    extern "C" fn sloop_on_response_trailers(context: u32, _count: u32) -> u32 {
        action(heard(
            context,
            (0, true),
            answers::trailers(context, Response),
        ))
    }

    fn body(context: u32, half: ExchangeSide, size: usize, is_end: u32) -> u32 {
        let part = (size, is_end != 0);
        let flow = answers::body(&Callback::enter(), context, half, part);
        match half {
            Request => action(flow),
            Response => action(heard(context, part, flow)),
        }
    }

    /// A part of an answer is heard when it goes on.
    fn heard(context: u32, (bytes, is_end): (usize, bool), flow: Flow) -> Flow {
        if flow == Flow::Continue {
            http::heard(Callback::enter, context, (bytes, is_end));
        }
        flow
    }
}

#[unsafe(no_mangle)]
extern "C" fn sloop_on_log(context: u32) {
    http::end(&Callback::enter(), context);
}

/// Readings of all scopes that a filter may have are below this. What is longer is not looked at.
const ANSWER_BYTES_MAX: usize = 1 << 20;

#[unsafe(no_mangle)]
extern "C" fn sloop_on_grpc_receive(context: u32, token: u32, size: usize) {
    let callback = Callback::enter();
    let answer = callback.grpc_answer(size.min(ANSWER_BYTES_MAX));
    root::answered(context, token, Answered::Ok(answer));
}

#[unsafe(no_mangle)]
extern "C" fn sloop_on_grpc_close(context: u32, token: u32, status: u32) {
    root::answered(context, token, Answered::Failed(status));
}
