//! Drives [`fuzz::supplier_protobuf`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::supplier_protobuf(bytes));
