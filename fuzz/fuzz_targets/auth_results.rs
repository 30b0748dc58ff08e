//! Any octets as an Authentication-Results field: the reader keeps its promises.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = sender_auth::check::check_auth_results(bytes) {
        panic!("{broken}");
    }
});
