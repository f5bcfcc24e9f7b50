//! Open-loop load and latency measurement.
//!
//! *Open loop*: requests start when a schedule says so, whether or not earlier
//! ones have ended, as the users of a public service do. Latency counts from
//! the moment at which a request was *meant* to start, so a stall of the
//! service or of the generator is in every request that it delayed ("coordinated
//! omission" is what leaving that out is called). How late the generator itself
//! was is measured too, because a late generator measures itself.
//!
//! [`Arrivals`] says when, [`Call`] says what, [`Load`] does it over a
//! [`Pool`] of kept-alive HTTP/1.1 connections, and a [`Recorder`] counts per
//! route and per slice of time.
//!
//! [`open`] does the same for GET requests over HTTP/1.1 with as little as possible between the schedule and the kernel.
//!
//! What a filter costs is measured in another way: [`closed`] loads one thread evenly, [`schedstat`]
//! says how long it was on its processor, [`paired`] what that means.
//!
//! What many sidecars cost a control plane is measured by [`fleet`].

mod arrivals;
pub mod callgrind;
pub mod closed;
pub mod cpus;
pub mod fleet;
pub mod listener;
mod load;
pub mod memory;
pub mod open;
pub mod paired;
mod pool;
pub mod priority;
mod quantile;
mod recorder;
pub mod schedstat;
pub mod variants;

pub use arrivals::{Arrival, Arrivals, InvalidRate};
pub use load::{Call, Exchange, Lateness, Load};
pub use pool::{Answer, Ending, Failure, Pool};
pub use quantile::{Quantile, quantile};
pub use recorder::{Cell, Recorder};
