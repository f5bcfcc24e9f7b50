//! See [`sloop_fuzz::trace_context`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sloop_fuzz::trace_context::check(data));
