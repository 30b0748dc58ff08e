//! Records as zone files write them, for people.

use hickory_resolver::proto::rr::{RData, RecordType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::x509::public_key;
use crate::{Lookup, Resolver};

/// A type of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    /// Addresses, version 4.
    A,
    /// Addresses, version 6.
    Aaaa,
    /// Another name.
    Cname,
    /// Mail exchangers.
    Mx,
    /// Names of an address.
    Ptr,
    /// Services.
    Srv,
    /// Certificates (RFC 6698).
    Tlsa,
    /// Texts, without quotes, the strings of each joined.
    Txt,
}

impl RecordKind {
    /// As in a zone file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Tlsa => "TLSA",
            Self::Txt => "TXT",
        }
    }

    const fn record_type(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Cname => RecordType::CNAME,
            Self::Mx => RecordType::MX,
            Self::Ptr => RecordType::PTR,
            Self::Srv => RecordType::SRV,
            Self::Tlsa => RecordType::TLSA,
            Self::Txt => RecordType::TXT,
        }
    }
}

impl Resolver {
    /// The records of a name, each as a zone file writes its data; host names in lower case.
    pub async fn shown(&self, name: &str, kind: RecordKind) -> Lookup<String> {
        self.records(name, kind.record_type(), |rdata| {
            Some(match rdata {
                RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
                RData::TLSA(tlsa) => {
                    let hex = tlsa.cert_data.iter().map(|octet| format!("{octet:02x}"));
                    let (usage, selector, matching) = (
                        u8::from(tlsa.cert_usage),
                        u8::from(tlsa.selector),
                        u8::from(tlsa.matching),
                    );
                    format!("{usage} {selector} {matching} {}", hex.collect::<String>())
                }
                other if other.record_type() == kind.record_type() => {
                    other.to_string().to_ascii_lowercase()
                }
                _ => return None,
            })
        })
        .await
    }
}

/// The data of the TLSA record for the first certificate of a PEM file: `3 1 1` (RFC 7672 §3.1), its
/// public key by SHA-256, which stays the same when a certificate is renewed with the same key.
#[must_use]
pub fn tlsa_data(pem: &[u8]) -> Option<String> {
    let certificate = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    let key = public_key(&certificate)?;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key);
    let hex: String = hash.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    Some(format!("3 1 1 {hex}"))
}
