use std::fmt;

use aws_lc_rs::digest;

/// A TLSA record (RFC 6698 §2), any numbers in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Tlsa {
    /// §2.1.1: 2 is DANE-TA, 3 is DANE-EE (RFC 7218).
    pub usage: u8,
    /// §2.1.2: 0 is the whole certificate, 1 its public key.
    pub selector: u8,
    /// §2.1.3: 0 is the thing itself, 1 its SHA-256, 2 its SHA-512.
    pub matching: u8,
    /// What is matched.
    pub association: Vec<u8>,
}

impl Tlsa {
    /// Whether it can be used for SMTP. Others are left aside, as if they were not there, but they
    /// keep TLS mandatory.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        // RFC 7672 §3.1.3: PKIX-TA(0) and PKIX-EE(1) are unusable for SMTP.
        let usage = matches!(self.usage, 2 | 3);
        let length = match self.matching {
            0 => !self.association.is_empty(),
            1 => self.association.len() == digest::SHA256_OUTPUT_LEN,
            2 => self.association.len() == digest::SHA512_OUTPUT_LEN,
            _ => false,
        };
        usage && matches!(self.selector, 0 | 1) && length
    }

    /// Whether it is about this certificate, whose public key (SubjectPublicKeyInfo, DER) is
    /// `public_key`.
    pub(crate) fn matches(&self, certificate: &[u8], public_key: Option<&[u8]>) -> bool {
        let selected = match (self.selector, public_key) {
            (0, _) => certificate,
            (1, Some(public_key)) => public_key,
            _ => return false,
        };
        match self.matching {
            0 => self.association == selected,
            1 => self.association == digest::digest(&digest::SHA256, selected).as_ref(),
            2 => self.association == digest::digest(&digest::SHA512, selected).as_ref(),
            _ => false,
        }
    }
}

/// As in a zone file: `3 1 1 0123…`.
impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.association.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tlsa({self})")
    }
}
