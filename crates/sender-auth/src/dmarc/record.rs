//! A DMARC Policy Record (RFC 9989 §4.7, §4.8).

use mail_types::Address;

/// Addresses of one record that reports go to; those behind are ignored.
const REPORT_URIS_MAX: usize = 10;

/// What a domain wants done with mail that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DmarcPolicy {
    /// Nothing.
    None,
    /// Let it be looked at with suspicion.
    Quarantine,
    /// Turn it away.
    Reject,
}

/// How near an authenticated domain must be to the author's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Alignment {
    /// Of the same organization.
    #[default]
    Relaxed,
    /// The same.
    Strict,
}

/// What a domain says of its place (`psd`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Psd {
    /// It is a public suffix: those below it are different organizations.
    Yes,
    /// It is an organization's top.
    No,
    /// It says nothing.
    #[default]
    Unsaid,
}

/// Where aggregate reports are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportAddress {
    /// A mailbox.
    pub address: Address,
    /// No report above this size, in octets, is wanted (`!10m`, of RFC 7489 §6.2).
    pub bytes_max: Option<u64>,
}

/// A record, read as RFC 9989 §4.8 wants: what is wrong in it counts as absent.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DmarcRecord {
    /// `p`.
    pub p: Option<DmarcPolicy>,
    /// `sp`: for names below the domain.
    pub sp: Option<DmarcPolicy>,
    /// `np`: for names below the domain that do not exist.
    pub np: Option<DmarcPolicy>,
    /// `adkim`.
    pub adkim: Alignment,
    /// `aspf`.
    pub aspf: Alignment,
    /// `t=y`: policies are to be applied one step milder.
    pub testing: bool,
    /// `psd`.
    pub psd: Psd,
    /// `fo`, as written, where it is right.
    pub fo: Option<String>,
    /// The mailboxes of `rua`.
    pub rua: Vec<ReportAddress>,
    /// `rua` holds at least one URI, of whatever kind.
    has_report_uri: bool,
    /// `sp` or `np` is there and wrong.
    bad_policy: bool,
}

impl DmarcPolicy {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject]
            .into_iter()
            .find(|policy| text.eq_ignore_ascii_case(policy.as_str()))
    }

    /// RFC 9989 §4.7 `t`: "one level below the specified policy".
    #[must_use]
    pub const fn one_below(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

impl Alignment {
    /// `r` or `s`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relaxed => "r",
            Self::Strict => "s",
        }
    }
}

impl DmarcRecord {
    /// Reads a TXT record. `None`: it is no DMARC record.
    ///
    /// RFC 9989 §4.8:
    /// ```text
    /// dmarc-record  = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep]
    /// dmarc-version = "v" equals %s"DMARC1"
    /// dmarc-tag     = 1*ALPHA equals 1*dmarc-value
    /// ```
    #[must_use]
    pub fn parse(txt: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(txt).ok()?;
        let mut tags = text.split(';').map(tag);
        // RFC 9989 §4.7: "v" MUST be the first and its value match precisely.
        let (name, version) = tags.next()??;
        if !name.eq_ignore_ascii_case("v") || version != "DMARC1" {
            return None;
        }
        let mut record = Self::default();
        let mut seen: Vec<String> = Vec::new();
        // RFC 9989 §4.7: "Syntax errors in the remainder of the record MUST be discarded".
        for (name, value) in tags.flatten() {
            let name = name.to_ascii_lowercase();
            if !seen.contains(&name) && KNOWN.contains(&name.as_str()) {
                record.set(&name, value);
                seen.push(name);
            }
        }
        Some(record)
    }

    fn set(&mut self, name: &str, value: &str) {
        let policy = DmarcPolicy::parse(value);
        let alignment = || match value {
            "s" | "S" => Alignment::Strict,
            _ => Alignment::Relaxed,
        };
        match name {
            "p" => self.p = policy,
            "sp" => {
                self.sp = policy;
                self.bad_policy |= policy.is_none();
            }
            "np" => {
                self.np = policy;
                self.bad_policy |= policy.is_none();
            }
            "adkim" => self.adkim = alignment(),
            "aspf" => self.aspf = alignment(),
            "t" => self.testing = value.eq_ignore_ascii_case("y"),
            "psd" => {
                self.psd = match value {
                    "y" | "Y" => Psd::Yes,
                    "n" | "N" => Psd::No,
                    _ => Psd::Unsaid,
                }
            }
            "fo" => {
                let fits = value.split(':').all(|one| matches!(one, "0" | "1" | "d" | "s"));
                self.fo = fits.then(|| value.to_owned());
            }
            "rua" => self.set_rua(value),
            _ => {}
        }
    }

    fn set_rua(&mut self, value: &str) {
        for uri in value.split(',').map(str::trim).filter(|uri| !uri.is_empty()) {
            let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            if scheme.is_empty() || !scheme.bytes().all(fits) {
                continue;
            }
            if !scheme.eq_ignore_ascii_case("mailto") {
                self.has_report_uri = true;
            } else if let Some(address) = ReportAddress::parse(&uri[scheme.len() + 1..]) {
                self.has_report_uri = true;
                if self.rua.len() < REPORT_URIS_MAX {
                    self.rua.push(address);
                }
            }
        }
    }

    /// RFC 9989 §4.10.1: a record without a good `p`, or with a wrong `sp` or `np`, asks for
    /// nothing if it wants reports, and is none otherwise.
    #[must_use]
    pub(super) fn applicable(mut self) -> Option<Self> {
        if self.p.is_some() && !self.bad_policy {
            return Some(self);
        }
        if !self.has_report_uri {
            return None;
        }
        (self.p, self.sp, self.np) = (Some(DmarcPolicy::None), None, None);
        Some(self)
    }
}

/// The tags that mean something here. `ruf` is not among them: no failure report is ever sent.
const KNOWN: [&str; 9] = ["p", "sp", "np", "adkim", "aspf", "t", "psd", "fo", "rua"];

/// Name and value without the white space around them.
fn tag(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let wsp = |c: char| c == ' ' || c == '\t';
    let (name, value) = (name.trim_matches(wsp), value.trim_matches(wsp));
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_value = !value.is_empty() && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    (is_name && is_value).then_some((name, value))
}

impl ReportAddress {
    /// RFC 6068 §2: an address, `%XX` for what a URI may not hold; header fields behind `?` are
    /// ignored.
    fn parse(text: &str) -> Option<Self> {
        let (text, size) = match text.rsplit_once('!') {
            Some((text, size)) => (text, Some(bytes(size)?)),
            None => (text, None),
        };
        let address = text.split('?').next()?;
        let address = Address::parse(&percent_decoded(address)?).ok()?;
        Some(Self { address, bytes_max: size })
    }
}

/// RFC 7489 §6.4: `1*DIGIT [ "k" / "m" / "g" / "t" ]`, powers of two.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// The text of a part of a URI (RFC 3986 §2.1); `None` where an escape or the UTF-8 is broken.
#[must_use]
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut octets = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let hex = part.get(..2).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        octets.push(u8::from_str_radix(hex, 16).ok()?);
        octets.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(octets).ok()
}
