//! COMPRESS=DEFLATE (RFC 4978), spoken by Python's zlib.

use crate::harness::House;

#[test]
fn a_compressed_session_does_all_that_another_does() {
    House::new().python("imap_compress.py");
}
