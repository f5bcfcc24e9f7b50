//! See [`sloop_fuzz::b3`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::b3::check(data));
