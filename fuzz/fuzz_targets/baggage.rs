//! See [`sloop_fuzz::baggage`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::baggage::check(data));
