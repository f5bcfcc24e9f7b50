//! See [`sloop_fuzz::spans`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::spans::check(data));
