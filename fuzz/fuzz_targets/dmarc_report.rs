//! Any octets as an aggregate report: the reader keeps its promises.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = sender_auth::check::check_dmarc_report(bytes) {
        panic!("{broken}");
    }
});
