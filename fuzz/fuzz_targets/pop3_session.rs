#![no_main]
//! A POP3 session fed with anything.

#[path = "pop3_session/run.rs"]
mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run(data));
