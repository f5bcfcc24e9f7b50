//! What must hold for whatever bytes come from outside: one module per fuzz target.
//!
//! Each `check` takes any bytes and panics when a promise is broken, which is
//! how a fuzzer sees it. Where a parser has a grammar, the module reads the
//! same bytes a second time, in the plainest way, and both must agree; an error
//! that is only slow or silent would else never be found. `README.md` says how
//! to run them.

pub mod answers;
pub mod b3;
pub mod baggage;
pub mod board;
pub mod client_cert;
pub mod config;
pub mod discovery;
pub mod exchange;
pub mod frames;
pub mod identity;
mod input;
pub mod join_record;
pub mod latencies;
pub mod loads;
pub mod reports;
pub mod request;
pub mod sampling;
pub mod spans;
pub mod trace_context;
mod tracestate;
