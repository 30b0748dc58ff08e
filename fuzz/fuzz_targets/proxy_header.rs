#![no_main]

#[path = "../../crates/net/tests/it/fuzz_proxy.rs"]
mod fuzz_proxy;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| fuzz_proxy::proxy_header(octets));
