//! See [`sloop_fuzz::reports`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::reports::check(data));
