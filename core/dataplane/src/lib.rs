//! What happens to one request: trace, scope, deny rules, breaker, shedding, fault, SLI.
//!
//! Pure: facts and the time go in, what to do comes out. The filter is a thin
//! shell around [`Plane`], which is the memory of one Wasm VM. A request goes
//! through it in this order:
//!
//! 1. [`Request::read`] finds in the raw header map what the rules ask for;
//! 2. [`TraceContext::continue_or_start`] gives it its place in a trace;
//! 3. [`Plane::claim`] (or [`Plane::named`]) finds its scope;
//! 4. [`Plane::begin`] says whether it passes, waits, or is answered here;
//! 5. [`Plane::describe`] says, where this is configured, who sent it and why;
//! 6. [`Plane::respond`] and [`Plane::body`], in a module that touches answers, inject what waits for them;
//! 7. [`Plane::end`] counts how it ended and lets the breaker learn from it.
//!
//! [`Plane::report`] hands the counts over until [`Plane::acknowledge`];
//! [`Plane::stat_deltas`] shows them as statistics of Envoy.

pub mod breaker;
mod bytes;
pub mod context;
pub mod deny;
pub mod fault;
mod headers;
mod plane;
mod protobuf;
mod random;
mod refusal;
pub mod report;
pub mod retry;
mod scope;
pub mod shed;
mod sli;
mod sorted;
pub mod span;
pub mod stats;
mod table;

pub use context::{Incoming, TraceContext, TraceId};
pub use headers::{HeaderMap, Request, is_grpc, serialised};
pub use plane::{
    Answer, Arrival, Begun, BodyPart, BodyVerdict, Claim, Ending, Exchange, ExchangeState,
    HeaderWrite, Heard, Joins, Kept, Plane, Release, Released, STREAM_WORD_MAX, Struck, Verdict,
};
pub use random::Random;
pub use refusal::RefusalHeaders;
pub use scope::ScopeId;
pub use sli::{Latency, Seen, caller_uri};
pub use table::Table;
