//! See [`sloop_fuzz::latencies`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::latencies::check(data));
