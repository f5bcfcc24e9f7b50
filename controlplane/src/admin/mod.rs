//! What people and tools ask the control plane, over HTTP.

mod alerts;
pub mod api;
mod documents;
mod experiments;
mod guard;
mod nodes;
mod openapi;
mod problem;
mod pushes;
mod routes;
mod tokens;

pub use documents::TEXTS_TYPE;
pub use experiments::AskedFor;
pub use guard::Guard;
pub use openapi::openapi;
pub use routes::{Admin, router};
pub use tokens::{InvalidTokens, TokenFileError, TokenWatch, Tokens};
