//! The few fields of an X.509 certificate (RFC 5280 §4.1) that are needed here, read from its DER.

use mail_types::Timestamp;

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const VERSION: u8 = 0xa0;
const INTEGER: u8 = 0x02;
const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const EXTENSIONS: u8 = 0xa3;
const KEY_IDENTIFIER: u8 = 0x80;
/// 2.5.29.35
const AUTHORITY_KEY_IDENTIFIER: &[u8] = &[0x55, 0x1d, 0x23];
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { algorithm OBJECT
/// IDENTIFIER, … }, … }
pub(crate) fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    Some(element(algorithm, OBJECT_IDENTIFIER)?.0)
}

/// SubjectPublicKeyInfo with its tag and length.
pub(crate) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    // issuer, validity, subject, then the key.
    let rest = behind_algorithm(certificate)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (_, behind) = element(rest, SEQUENCE)?;
    rest.get(..rest.len() - behind.len())
}

/// The content of serialNumber.
pub(crate) fn serial(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (body, _) = element(certificate, SEQUENCE)?;
    let rest = element(body, VERSION).map_or(body, |(_, rest)| rest);
    Some(element(rest, INTEGER)?.0)
}

/// keyIdentifier of AuthorityKeyIdentifier (RFC 5280 §4.2.1.1); none where it is not there.
pub(crate) fn authority_key(certificate: &[u8]) -> Option<&[u8]> {
    let mut rest = behind_algorithm(certificate)?;
    // issuer, validity, subject, key.
    for _ in 0..4 {
        rest = element(rest, SEQUENCE)?.1;
    }
    for unique_id in [0x81, 0x82] {
        rest = element(rest, unique_id).map_or(rest, |(_, behind)| behind);
    }
    let (extensions, _) = element(rest, EXTENSIONS)?;
    let (mut extensions, _) = element(extensions, SEQUENCE)?;
    // Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }
    while let Some((extension, behind)) = element(extensions, SEQUENCE) {
        extensions = behind;
        let (id, rest) = element(extension, OBJECT_IDENTIFIER)?;
        if id == AUTHORITY_KEY_IDENTIFIER {
            let rest = element(rest, BOOLEAN).map_or(rest, |(_, behind)| behind);
            let (value, _) = element(rest, OCTET_STRING)?;
            let (value, _) = element(value, SEQUENCE)?;
            return Some(element(value, KEY_IDENTIFIER)?.0);
        }
    }
    None
}

/// From when to when a certificate (DER) is good; none where it is no certificate.
pub(crate) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let rest = behind_algorithm(certificate)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (validity, _) = element(rest, SEQUENCE)?;
    let (begin, rest) = time(validity)?;
    Some((begin, time(rest)?.0))
}

/// Whether issuer and subject are one.
pub(crate) fn is_self_issued(certificate: &[u8]) -> Option<bool> {
    let (issuer, rest) = element(behind_algorithm(certificate)?, SEQUENCE)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (subject, _) = element(rest, SEQUENCE)?;
    Some(issuer == subject)
}

/// TBSCertificate ::= SEQUENCE { version [0] OPTIONAL, serialNumber, signature, issuer, validity,
/// subject, subjectPublicKeyInfo, … }: from the issuer on.
fn behind_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (body, _) = element(certificate, SEQUENCE)?;
    let rest = element(body, VERSION).map_or(body, |(_, rest)| rest);
    let (_, rest) = element(rest, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    Some(rest)
}

/// RFC 5280 §4.1.2.5: `YYMMDDHHMMSSZ` from 1950 to 2049, else `YYYYMMDDHHMMSSZ`.
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (text, rest, century_is_told) = match der.first() {
        Some(&UTC_TIME) => {
            let (text, rest) = element(der, UTC_TIME)?;
            (text, rest, false)
        }
        Some(&GENERALIZED_TIME) => {
            let (text, rest) = element(der, GENERALIZED_TIME)?;
            (text, rest, true)
        }
        _ => return None,
    };
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, text) = text.split_at_checked(if century_is_told { 4 } else { 2 })?;
    let mut year: i64 = year.parse().ok()?;
    if !century_is_told {
        year += if year < 50 { 2000 } else { 1900 };
    }
    let two = |at: usize| text.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (two(0)?, two(2)?);
    let (hour, minute, second) = (two(4)?, two(6)?, two(8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some((Timestamp(seconds * 1000), rest))
}

/// Days of the Gregorian calendar, years beginning in March so that leap days come last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The content of the DER element at the begin, and what is behind it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        // The long form: so many octets hold the length.
        let (octets, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        if octets.len() > size_of::<u32>() {
            return None;
        }
        (octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet)), rest)
    };
    (first == tag).then_some(())?;
    rest.split_at_checked(length)
}
