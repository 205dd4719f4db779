//! Drives [`fuzz::pupils_json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::pupils_json(bytes));
