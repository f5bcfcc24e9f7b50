//! A shop of three small services, for the demo to break.
//!
//! ```text
//! users -> edge -> checkout (twice) -> payments
//!            \___________________________^
//! ```
//!
//! Every call goes through two sidecars: the caller's, outbound, and the
//! called one's, inbound. The services forward trace headers, and otherwise know
//! of the mesh only one thing: an answer with `x-sloop-verdict: refused` or
//! `shed` was given by a sidecar, so the request was surely not executed.
//!
//! What the services do when things go wrong is what such services do:
//!
//! - `checkout` has a bounded number of workers. While `payments` is slow they
//!   all wait for it, and then the catalogue, which needs no payment, waits too.
//! - An error, a timeout or a broken connection from `payments` is ambiguous:
//!   money may have moved. `checkout` tries once more with the same idempotency
//!   key, and then answers with an error.
//! - A refusal by the sidecar is not: `checkout` accepts the order, answers at
//!   once, and charges it when `payments` takes charges again.

mod caller;
mod checkout;
mod edge;
mod payments;
mod reply;
mod trouble;

use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

pub use checkout::CheckoutStatus;
pub use reply::ANSWER_HEADER;
pub use trouble::{Episode, Trouble};

/// What callers write into `Host` to reach the second instance of `checkout`.
pub const SECOND_CHECKOUT: &str = "checkout-2";

/// The services.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// What users talk to.
    Edge,
    /// Catalogue and orders.
    Checkout,
    /// Charges and wallets.
    Payments,
}

impl Service {
    /// All, callers first.
    pub const ALL: [Self; 3] = [Self::Edge, Self::Checkout, Self::Payments];

    /// Its name: what callers write into `Host`, and what SLOs are about.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Checkout => "checkout",
            Self::Payments => "payments",
        }
    }
}

/// Where one service listens and calls.
#[derive(Clone, Copy, Debug, Args)]
pub struct ShopArgs {
    /// Which service to be.
    pub service: Service,
    /// Where its sidecar sends requests to.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Where its sidecar takes calls to other services.
    #[arg(long)]
    pub outbound: SocketAddr,
    /// Where the demo gives orders and asks for counts.
    #[arg(long)]
    pub control: SocketAddr,
}

/// Runs one service until the process ends.
///
/// # Errors
///
/// When an address cannot be listened on.
pub async fn serve(args: ShopArgs) -> std::io::Result<()> {
    let requests = TcpListener::bind(args.listen).await?;
    let control = TcpListener::bind(args.control).await?;
    match args.service {
        Service::Edge => edge::serve(args.outbound, requests, control).await,
        Service::Checkout => checkout::serve(args.outbound, requests, control).await,
        Service::Payments => payments::serve(requests, control).await,
    }
    Ok(())
}
