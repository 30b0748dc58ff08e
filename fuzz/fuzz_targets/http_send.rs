//! Any octets as the JSON of `POST /api/v1/send`: what is made of them is a message, and that one.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(broken) = web::check::check_send(bytes) {
        panic!("{broken}");
    }
});
