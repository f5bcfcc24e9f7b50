//! See [`sloop_fuzz::board`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::board::check(data));
