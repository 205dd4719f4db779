//! Drives [`fuzz::pupils_csv`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::pupils_csv(bytes));
