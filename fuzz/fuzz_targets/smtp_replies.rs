#![no_main]

#[path = "../../crates/smtp-machine/tests/it/properties.rs"]
#[allow(dead_code, clippy::unwrap_used)]
mod properties;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| properties::smtp_replies(octets));
