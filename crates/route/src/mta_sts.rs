//! MTA-STS (RFC 8461): what its TXT record and its policy say. Fetching and remembering are others'.

use mail_types::Domain;

/// RFC 8461 §3.2: about a year.
const MAX_AGE_SECS_MAX: u64 = 31_557_600;
/// Patterns of one policy.
const PATTERNS_MAX: usize = 256;
/// RFC 8461 §3.1: 1 to 32 letters and digits.
const ID_LEN_MAX: usize = 32;

/// Why something is no TXT record or policy of MTA-STS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StsError {
    /// RFC 8461 §3.1: more than one record counts as none.
    #[error("there are {0} TXT records of MTA-STS; one must be")]
    SeveralRecords(usize),
    /// The record has no usable id.
    #[error("the TXT record of MTA-STS has no id of 1 to 32 letters and digits")]
    NoId,
    /// The policy is not text.
    #[error("the policy is no UTF-8 text")]
    NotText,
    /// A line without a colon.
    #[error("line {0} of the policy is no \"key: value\"")]
    Line(usize),
    /// A field that must be there is missing or wrong.
    #[error("the policy's {0} is missing or wrong")]
    Field(&'static str),
}

/// What a domain wants of those who send to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsPolicy {
    /// How earnest it is.
    pub mode: StsMode,
    /// Its mail hosts; empty only in mode none.
    pub mx: Vec<MxPattern>,
    /// For so long it may be remembered, in seconds.
    pub max_age_secs: u64,
}

/// RFC 8461 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StsMode {
    /// No mail where it is not met.
    Enforce,
    /// Mail goes all the same; failures are reported.
    Testing,
    /// As if there were none.
    None,
}

impl StsMode {
    /// Its word in the policy.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

impl StsPolicy {
    /// Its lines, as reports repeat them (RFC 8460 §4.4).
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec!["version: STSv1".to_owned(), format!("mode: {}", self.mode.as_str())];
        lines.extend(self.mx.iter().map(|mx| format!("mx: {mx}")));
        lines.push(format!("max_age: {}", self.max_age_secs));
        lines
    }
}

/// A mail host, or all with one label more: `*.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MxPattern {
    /// What stands behind `*.`, or the whole name.
    name: Domain,
    is_wildcard: bool,
}

impl MxPattern {
    fn parse(text: &str) -> Option<Self> {
        let (name, is_wildcard) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        Domain::new(name).ok().map(|name| Self { name, is_wildcard })
    }

    /// RFC 8461 §4.1: a wildcard stands for exactly one label, the leftmost.
    fn matches(&self, host: &Domain) -> bool {
        match self.is_wildcard {
            false => self.name == *host,
            true => host.as_str().split_once('.').is_some_and(|(label, rest)| {
                !label.is_empty() && rest.eq_ignore_ascii_case(self.name.as_str())
            }),
        }
    }
}

impl std::fmt::Display for MxPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.is_wildcard { "*." } else { "" }, self.name)
    }
}

/// The id in the TXT records of `_mta-sts.` and the domain; `None` where none of them is about
/// MTA-STS.
///
/// # Errors
/// Where several are, or the one has no id.
pub fn sts_id(records: &[Vec<u8>]) -> Result<Option<String>, StsError> {
    // RFC 8461 §3.1: records that do not begin with "v=STSv1;" are discarded.
    let fields = |record: &Vec<u8>| -> Option<Vec<String>> {
        let text = std::str::from_utf8(record).ok()?;
        let mut fields = text.split(';').map(|field| field.trim().to_owned());
        let version = fields.next()?;
        let is_sts = version
            .split_once('=')
            .is_some_and(|(key, value)| key.trim_end() == "v" && value.trim_start() == "STSv1");
        is_sts.then(|| fields.collect())
    };
    let about: Vec<Vec<String>> = records.iter().filter_map(fields).collect();
    let record = match about.as_slice() {
        [] => return Ok(None),
        [record] => record,
        several => return Err(StsError::SeveralRecords(several.len())),
    };
    let id = record.iter().find_map(|field| {
        let (key, value) = field.split_once('=')?;
        (key.trim_end() == "id").then(|| value.trim_start().to_owned())
    });
    let is_id = |id: &String| {
        (1..=ID_LEN_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    id.filter(is_id).map(Some).ok_or(StsError::NoId)
}

impl StsPolicy {
    /// RFC 8461 §3.2: `key: value` lines. Unknown keys are passed over; of a key that comes twice
    /// (`mx` aside) the first counts.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, StsError> {
        let text = std::str::from_utf8(bytes).map_err(|_| StsError::NotText)?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let (key, value) = line.split_once(':').ok_or(StsError::Line(index + 1))?;
            let value = value.trim();
            match key.trim() {
                "version" => version = version.or(Some(value)),
                "mode" => mode = mode.or(Some(value)),
                "max_age" => max_age = max_age.or(Some(value)),
                "mx" if mx.len() < PATTERNS_MAX => {
                    mx.push(MxPattern::parse(value).ok_or(StsError::Field("mx"))?);
                }
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(StsError::Field("version"));
        }
        let mode = match mode {
            Some("enforce") => StsMode::Enforce,
            Some("testing") => StsMode::Testing,
            Some("none") => StsMode::None,
            Some(_) | None => return Err(StsError::Field("mode")),
        };
        let max_age_secs = max_age
            .filter(|digits| (1..=10).contains(&digits.len()))
            .and_then(|digits| digits.parse::<u64>().ok())
            .ok_or(StsError::Field("max_age"))?
            .min(MAX_AGE_SECS_MAX);
        if mx.is_empty() && mode != StsMode::None {
            return Err(StsError::Field("mx"));
        }
        Ok(Self { mode, mx, max_age_secs })
    }

    /// Whether this host is one of the domain's.
    #[must_use]
    pub fn names(&self, host: &Domain) -> bool {
        self.mx.iter().any(|pattern| pattern.matches(host))
    }

    /// As it is published: for our own domains.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("version: STSv1\r\nmode: {}\r\n", self.mode.as_str());
        for pattern in &self.mx {
            text.push_str(&format!("mx: {pattern}\r\n"));
        }
        text.push_str(&format!("max_age: {}\r\n", self.max_age_secs));
        text
    }
}
