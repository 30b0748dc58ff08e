//! Any octets as text in a charset, a subject, a header to sort by: the readers keep their promises.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = message::check::check_text(bytes) {
        panic!("{broken}");
    }
});
