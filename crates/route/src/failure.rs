use std::fmt;

use mail_types::EnhancedStatus;

/// Whose fault a failure is, and so what becomes of the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Trying again may help.
    Temporary,
    /// The other side said no for good, or there is no other side: the sender is told.
    Permanent,
    /// Our own trouble: tried again, never a reason to give the mail back early.
    Ours,
}

/// Why mail did not go out, before or beside any reply of a remote server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Whose fault it is.
    pub class: Class,
    /// The status for DSN and trace (RFC 3463).
    pub status: EnhancedStatus,
    /// One sentence for people, without a full stop.
    pub text: String,
}

impl Failure {
    /// A failure that trying again may mend: 4.`subject`.`detail`.
    #[must_use]
    pub fn temporary(subject: u16, detail: u16, text: impl Into<String>) -> Self {
        let status = EnhancedStatus::new(4, subject, detail);
        Self { class: Class::Temporary, status, text: text.into() }
    }

    /// A failure for good: 5.`subject`.`detail`.
    #[must_use]
    pub fn permanent(subject: u16, detail: u16, text: impl Into<String>) -> Self {
        let status = EnhancedStatus::new(5, subject, detail);
        Self { class: Class::Permanent, status, text: text.into() }
    }

    /// Our own trouble: 4.`subject`.`detail`.
    #[must_use]
    pub fn ours(subject: u16, detail: u16, text: impl Into<String>) -> Self {
        let status = EnhancedStatus::new(4, subject, detail);
        Self { class: Class::Ours, status, text: text.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

impl std::error::Error for Failure {}
