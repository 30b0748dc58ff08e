//! Any octets as a message with signatures and seals: reading comes to an end, in pieces as at once.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = sender_auth::check::check_message(bytes) {
        panic!("{broken}");
    }
});
