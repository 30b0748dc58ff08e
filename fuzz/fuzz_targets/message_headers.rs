//! Any octets as a header, an address list, a date, encoded words: the readers keep their promises.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = message::check::check_headers(bytes) {
        panic!("{broken}");
    }
});
