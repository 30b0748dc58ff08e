//! Any octets as a mailbox: each message is in one thread, once.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = message::check::check_threads(bytes) {
        panic!("{broken}");
    }
});
