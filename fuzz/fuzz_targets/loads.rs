//! See [`sloop_fuzz::loads`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::loads::check(data));
