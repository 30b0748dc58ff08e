//! Any octets as a DMARC record, or a header: the reader keeps its promises.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = sender_auth::check::check_dmarc_record(bytes) {
        panic!("{broken}");
    }
});
