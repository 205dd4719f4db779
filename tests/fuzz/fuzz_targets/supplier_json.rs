//! Drives [`fuzz::supplier_json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::supplier_json(bytes));
