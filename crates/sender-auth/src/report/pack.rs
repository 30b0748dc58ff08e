//! How reports are packed: gzip (RFC 1952), zip, or not at all.

use std::borrow::Cow;

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_with_limit};

use super::{REPORT_XML_BYTES_MAX, ReportError};

/// Of 0 to 10: what zlib takes by default.
const COMPRESSION_LEVEL: u8 = 6;

/// The XML within a file, by its first octets, whatever its name says.
///
/// # Errors
/// [`ReportError::Format`], [`ReportError::Archive`], [`ReportError::TooLarge`].
pub(super) fn unpack(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ReportError> {
    let bare = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    match bytes {
        [0x1f, 0x8b, 8, ..] => gunzip(bytes).map(Cow::Owned),
        [b'P', b'K', 3, 4, ..] => unzip(bytes).map(Cow::Owned),
        _ if bare.first() != Some(&b'<') => Err(ReportError::Format),
        _ if bytes.len() > REPORT_XML_BYTES_MAX => Err(ReportError::TooLarge),
        _ => Ok(Cow::Borrowed(bytes)),
    }
}

/// A gzip file of these octets (RFC 1952 §2.3).
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    // No name, no time: the same report is the same file.
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    file.extend(compress_to_vec(bytes, COMPRESSION_LEVEL));
    file.extend(crc32fast::hash(bytes).to_le_bytes());
    // RFC 1952 §2.3.1: ISIZE is the size modulo 2^32.
    let size = u32::try_from(bytes.len() & 0xffff_ffff).unwrap_or(0);
    file.extend(size.to_le_bytes());
    file
}

/// What a gzip file holds: its first member; what is behind it is ignored.
///
/// # Errors
/// [`ReportError::Archive`], or [`ReportError::TooLarge`] above [`REPORT_XML_BYTES_MAX`].
pub fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, ReportError> {
    let (header, mut rest) = bytes.split_at_checked(10).ok_or(ReportError::Archive)?;
    let flags = header[3];
    // RFC 1952 §2.3.1: FEXTRA, FNAME, FCOMMENT, FHCRC.
    if flags & 4 != 0 {
        let length = rest.first_chunk().map(|two| u16::from_le_bytes(*two));
        rest = behind(rest, 2 + usize::from(length.ok_or(ReportError::Archive)?))?;
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let end = memchr::memchr(0, rest).ok_or(ReportError::Archive)?;
            rest = behind(rest, end + 1)?;
        }
    }
    if flags & 2 != 0 {
        rest = behind(rest, 2)?;
    }
    inflate(rest)
}

fn behind(rest: &[u8], octets: usize) -> Result<&[u8], ReportError> {
    rest.get(octets..).ok_or(ReportError::Archive)
}

/// The first file of a zip archive, from its local header; the directory tells the sizes where the
/// header does not, but DEFLATE knows its own end.
fn unzip(bytes: &[u8]) -> Result<Vec<u8>, ReportError> {
    let (header, rest) = bytes.split_at_checked(30).ok_or(ReportError::Archive)?;
    let two = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let four = |at: usize| u32::from(two(at)) | (u32::from(two(at + 2)) << 16);
    let (flags, method) = (two(6), two(8));
    let names = usize::from(two(26)) + usize::from(two(28));
    let data = rest.get(names..).ok_or(ReportError::Archive)?;
    // Encrypted: nothing to be read.
    if flags & 1 != 0 {
        return Err(ReportError::Archive);
    }
    match method {
        8 => inflate(data),
        0 if flags & 8 == 0 => {
            let size = usize::try_from(four(18)).map_err(|_| ReportError::TooLarge)?;
            if size > REPORT_XML_BYTES_MAX {
                return Err(ReportError::TooLarge);
            }
            data.get(..size).map(<[u8]>::to_vec).ok_or(ReportError::Archive)
        }
        _ => Err(ReportError::Archive),
    }
}

fn inflate(data: &[u8]) -> Result<Vec<u8>, ReportError> {
    decompress_to_vec_with_limit(data, REPORT_XML_BYTES_MAX).map_err(|error| match error.status {
        TINFLStatus::HasMoreOutput => ReportError::TooLarge,
        _ => ReportError::Archive,
    })
}
