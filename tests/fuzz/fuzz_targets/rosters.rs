//! Drives [`fuzz::rosters`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::rosters(bytes));
