//! See [`sloop_fuzz::client_cert`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::client_cert::check(data));
