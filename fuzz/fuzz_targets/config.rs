//! See [`sloop_fuzz::config`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::config::check(data));
