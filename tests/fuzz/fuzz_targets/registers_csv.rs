//! Drives [`fuzz::registers_csv`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::registers_csv(bytes));
