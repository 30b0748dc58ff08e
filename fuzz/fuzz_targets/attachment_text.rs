//! Any octets as an attachment of each kind: text within the limits, or why there is none. The first
//! octet says which kind.
#![no_main]

use attachment_text::{Kind, Limits, text_of};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let limits = Limits {
        text_bytes_max: 1 << 16,
        unpacked_bytes_max: 1 << 20,
        operators_max: 20_000,
        ..Limits::default()
    };
    let kind = Kind::ALL[usize::from(*first) % Kind::ALL.len()];
    if let Ok(text) = text_of(kind, rest.to_vec(), &limits) {
        assert!(text.len() <= limits.text_bytes_max);
    }
});
