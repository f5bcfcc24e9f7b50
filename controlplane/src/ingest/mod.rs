//! Takes reports from the filters: checks them, and keeps each from being counted twice.
//!
//! A report is acknowledged when its counts and its number are durable, in one
//! transaction. Whatever happens in between, the filter sends it again.

mod answer;
mod bounded;
mod credible;
mod details;
mod effects;
mod ledger;
mod report;
mod service;
mod trouble;
mod weight;

pub use answer::Answer;
pub use bounded::{Data, ReportDoor, ReportLimits};
pub use details::{Details, ValueCounts};
pub use effects::{Denied, Effects, Retries, Shed};
pub use ledger::{FORGET_AFTER, INCARNATIONS_MAX, Ledger, Seen, Verdict};
pub use report::{Applied, InvalidReport, Report, SCOPES_MAX, UNNAMED};
pub use service::{Arrival, Reports, WAITING_MAX, response};
pub use trouble::Trouble;
pub use weight::{Malformed, weigh};
