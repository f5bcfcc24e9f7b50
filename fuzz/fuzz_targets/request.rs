//! See [`sloop_fuzz::request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::request::check(data));
