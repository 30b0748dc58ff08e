//! Any octets as a message: structure, sections, summary and wire forms keep their promises.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = message::check::check_structure(bytes) {
        panic!("{broken}");
    }
});
