//! Line ends.

/// Every line end as CRLF, which is what mail has on its way (RFC 5322 §2.1). A CR alone stays.
#[must_use]
pub fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    let mut rest = bytes;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = &rest[..end];
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
        rest = &rest[end + 1..];
    }
    out.extend_from_slice(rest);
    out
}

/// Every CRLF as LF, which is what files on this system have.
#[must_use]
pub fn lf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = &rest[..end];
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.push(b'\n');
        rest = &rest[end + 1..];
    }
    out.extend_from_slice(rest);
    out
}

/// Whether there is an LF without its CR: such a message comes back from a file with CRLF there.
#[must_use]
pub fn has_bare_line_ends(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| at == 0 || bytes[at - 1] != b'\r')
}
