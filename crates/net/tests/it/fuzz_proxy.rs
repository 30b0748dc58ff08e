//! What holds for every input of the PROXY header's reader; the fuzz target calls it, too.

use net::{PROXY_OCTETS_MAX, ProxyRead, read_proxy};

pub fn proxy_header(octets: &[u8]) {
    let whole = read_proxy(octets);
    let Ok(ProxyRead::Whole { octets: taken, .. }) = whole else {
        // What is no header does not become one by what follows; what is part of one is short.
        if whole == Ok(ProxyRead::Partial) {
            assert!(octets.len() < PROXY_OCTETS_MAX);
        }
        return;
    };
    assert!(taken <= octets.len().min(PROXY_OCTETS_MAX));
    // What is behind it is the client's, and every shorter piece waits for more.
    assert_eq!(read_proxy(&octets[..taken]), whole);
    for end in 0..taken {
        assert_eq!(read_proxy(&octets[..end]), Ok(ProxyRead::Partial), "at {end}");
    }
}
