//! Any octets as a body in a transfer encoding: pieces of it and its size are those of the whole.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = message::check::check_transfer(bytes) {
        panic!("{broken}");
    }
});
