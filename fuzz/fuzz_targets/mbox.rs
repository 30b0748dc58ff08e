//! Any octets as an mbox: read in any pieces they are the same, and what is written is read again.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = interchange::check::check_mbox(bytes) {
        panic!("{broken}");
    }
});
