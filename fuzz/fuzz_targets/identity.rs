//! See [`sloop_fuzz::identity`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::identity::check(data));
