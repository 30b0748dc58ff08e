//! The channel binding `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate.

use aws_lc_rs::digest;

use crate::x509::signature_algorithm;

// DER of AlgorithmIdentifier's OBJECT IDENTIFIERs, without tag and length (RFC 3279 §2.2, RFC 4055
// §5, RFC 5758 §3.2).
const RSA_MD5: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4];
const RSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
const RSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
const RSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
const RSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];

/// RFC 5929 §4.1: the hash is that of the certificate's signature, SHA-256 in place of MD5 and
/// SHA-1. `None` where the signature has no single hash (EdDSA, RSASSA-PSS): the binding is
/// undefined then.
pub(crate) fn server_end_point(certificate: &[u8]) -> Option<Box<[u8]>> {
    let algorithm = match signature_algorithm(certificate)? {
        RSA_MD5 | RSA_SHA1 | RSA_SHA256 | ECDSA_SHA1 | ECDSA_SHA256 => &digest::SHA256,
        RSA_SHA384 | ECDSA_SHA384 => &digest::SHA384,
        RSA_SHA512 | ECDSA_SHA512 => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, certificate).as_ref().into())
}
