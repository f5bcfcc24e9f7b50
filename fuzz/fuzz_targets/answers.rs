//! See [`sloop_fuzz::answers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::answers::check(data));
