//! Drives [`fuzz::registers_json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::registers_json(bytes));
