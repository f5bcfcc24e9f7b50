//! The control plane: documents, budgets, policies, xDS.
//!
//! Begin with [`serve`], which starts everything and ends it, and
//! [`engine::Engine`], the value that knows what the process knows. The rest
//! feeds that value or carries out what it says.

pub mod admin;
pub mod ads;
pub mod alerts;
pub mod bootstrap;
mod causes;
pub mod cli;
pub mod clock;
pub mod documents;
pub mod door;
pub mod engine;
pub mod grpc;
pub mod ingest;
mod labels;
pub mod limits;
pub mod metrics;
pub mod publish;
pub mod record;
pub mod serve;
pub mod store;
