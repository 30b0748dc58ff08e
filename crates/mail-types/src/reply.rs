use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ReceiptId;

/// The class of a reply or status: its first digit (RFC 5321 §4.2.1, RFC 3463 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// 2yz: done.
    Success,
    /// 3yz: go on.
    Intermediate,
    /// 4yz: try again later.
    Transient,
    /// 5yz: do not try again as it is.
    Permanent,
}

/// Enhanced mail system status code (RFC 3463): class.subject.detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EnhancedStatus {
    /// 2, 4 or 5.
    pub class: u8,
    /// 0 to 999.
    pub subject: u16,
    /// 0 to 999.
    pub detail: u16,
}

impl EnhancedStatus {
    /// `class`.`subject`.`detail`.
    #[must_use]
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// The status code that a text begins with, and the rest behind one space.
    #[must_use]
    pub fn parse_prefix(text: &str) -> Option<(Self, &str)> {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut parts = code.split('.');
        let mut number = |digits_max: usize| -> Option<u16> {
            let part = parts.next()?;
            let plain = !part.is_empty()
                && part.len() <= digits_max
                && part.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| part.parse().ok()).flatten()
        };
        let class = u8::try_from(number(1)?).ok()?;
        let status = Self { class, subject: number(3)?, detail: number(3)? };
        (parts.next().is_none() && matches!(class, 2 | 4 | 5)).then_some((status, rest))
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// An SMTP reply (RFC 5321 §4.2): code, enhanced status where one belongs, and at least one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Left out of greetings, EHLO, and 3yz (RFC 2034 §4).
    pub status: Option<EnhancedStatus>,
    /// Lines without code, status, CR or LF; a lone empty line for an empty text.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of one line.
    #[must_use]
    pub fn new(code: u16, status: Option<EnhancedStatus>, text: impl Into<String>) -> Self {
        Self { code, status, lines: vec![text.into()] }
    }

    /// The class of the code; `None` where the first digit is none of 2 to 5.
    #[must_use]
    pub const fn severity(&self) -> Option<Severity> {
        match self.code / 100 {
            2 => Some(Severity::Success),
            3 => Some(Severity::Intermediate),
            4 => Some(Severity::Transient),
            5 => Some(Severity::Permanent),
            _ => None,
        }
    }

    /// Appends the reply as on the wire, every line with code and status, CRLF at each end.
    pub fn write(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (index, line) in self.lines.iter().enumerate() {
            out.extend_from_slice(self.code.to_string().as_bytes());
            out.push(if index == last { b' ' } else { b'-' });
            if let Some(status) = self.status {
                out.extend_from_slice(status.to_string().as_bytes());
                out.push(b' ');
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// On one line, as quoted in traces and DSNs: `550 5.1.1 no such user`.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        write!(f, " {}", self.lines.join(" / "))
    }
}

/// A reply that refuses: its code is 4yz or 5yz, whatever is done with it. What may end DATA is an
/// [`Acceptance`] or a `Refusal`, so no mistake in a service can turn into a `250`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Reply);

impl Refusal {
    /// Try again later.  `code` outside 400..=499 becomes 451.
    #[must_use]
    pub fn transient(code: u16, subject: u16, detail: u16, text: impl Into<String>) -> Self {
        let code = if matches!(code, 400..=499) { code } else { 451 };
        Self(Reply::new(code, Some(EnhancedStatus::new(4, subject, detail)), text))
    }

    /// Do not try again as it is. `code` outside 500..=599 becomes 554.
    #[must_use]
    pub fn permanent(code: u16, subject: u16, detail: u16, text: impl Into<String>) -> Self {
        let code = if matches!(code, 500..=599) { code } else { 554 };
        Self(Reply::new(code, Some(EnhancedStatus::new(5, subject, detail)), text))
    }

    /// The reply to send.
    #[must_use]
    pub const fn reply(&self) -> &Reply {
        &self.0
    }
}

/// What proves that a message is kept: implemented by `store::Receipt` alone (`xtask tidy` looks),
/// which only the commit can make, after the sync. Machines build their `250` or `OK` from it.
pub trait Acceptance {
    /// The id that the `250` carries.
    fn receipt_id(&self) -> ReceiptId;
}
