//! Delivers alerts: who is told what, as webhooks.
//!
//! Controllers say at each step which alerts there are
//! (`sloop_controllers::Alert`), with what is done about each. [`Outbox`] finds out what of it is news to whom,
//! and when to try again; [`run`] carries that out. A delivery is a `POST` with
//! the payload of Prometheus's Alertmanager (version 4 of its webhook), so what
//! understands that understands this. It is sent until it is answered with
//! success, and carries an `Idempotency-Key` that is the same each time.

mod address;
mod deliver;
mod outbox;
mod payload;
mod turns;

pub(crate) use address::public_part;
pub use deliver::{DeliverError, Deliverer, run};
pub use outbox::{Delivery, Ended, Outbox, Told};
pub use payload::payload;
