//! Harnesses that the tests and the demo share.

pub mod envoy;
pub mod eventually;
pub mod ports;
pub mod process;
