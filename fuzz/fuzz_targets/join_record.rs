//! See [`sloop_fuzz::join_record`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::join_record::check(data));
