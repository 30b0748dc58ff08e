//! Any octets as an SPF record: the reader keeps its promises.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = sender_auth::check::check_spf_record(bytes) {
        panic!("{broken}");
    }
});
