//! See [`sloop_fuzz::sampling`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::sampling::check(data));
