//! Any octets as what an IMAP client sends: the same answers however they are cut.
#![no_main]
#![allow(dead_code)]

#[path = "../../crates/imap-machine/tests/it/appending.rs"]
mod appending;
#[path = "../../crates/imap-machine/tests/it/client.rs"]
mod client;
#[path = "../../crates/imap-machine/tests/it/looking.rs"]
mod looking;
#[path = "../../crates/imap-machine/tests/it/properties.rs"]
mod properties;
#[path = "../../crates/imap-machine/tests/it/service.rs"]
mod service;
#[path = "../../crates/imap-machine/tests/it/service_names.rs"]
mod service_names;
#[path = "../../crates/imap-machine/tests/it/service_news.rs"]
mod service_news;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| properties::imap_session(octets));
