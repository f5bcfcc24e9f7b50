//! Harnesses that the tests and the demo share.
