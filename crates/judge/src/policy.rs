use std::fmt;
use std::str::FromStr;

/// What is done with a message that a rule is met by, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Act {
    /// Delivered; the header says what was found.
    #[default]
    Note,
    /// Delivered into the folder for junk.
    Junk,
    /// Accepted and held until somebody decides.
    Hold,
    /// Turned away while it is offered.
    Reject,
}

impl Act {
    /// All, the mildest first.
    pub const ALL: [Self; 4] = [Self::Note, Self::Junk, Self::Hold, Self::Reject];

    /// Its word in the settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Junk => "junk",
            Self::Hold => "hold",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Act {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::ALL
            .into_iter()
            .find(|act| act.as_str() == text)
            .ok_or_else(|| PolicyError(text.to_owned()))
    }
}

/// A word that is no [`Act`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError(String);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of note, junk, hold, reject", self.0)
    }
}

impl std::error::Error for PolicyError {}

/// What is done where the DNS did not answer and the answer would have counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DnsTrouble {
    /// The message is taken; the header says what is not known.
    #[default]
    Accept,
    /// It is refused for now (451), and comes again.
    Defer,
}

/// What the recipients of a domain want done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// DMARC fails, and the author's domain asks to reject (`p=reject`).
    pub dmarc_reject: Act,
    /// DMARC fails, and the author's domain asks for quarantine.
    pub dmarc_quarantine: Act,
    /// DMARC fails, and the author's domain asks for nothing.
    pub dmarc_none: Act,
    /// SPF fails for the reverse-path, and DMARC has nothing to say.
    pub spf_fail: Act,
    /// The author cannot be told: no From field, or one without an address.
    pub no_author: Act,
    /// The DNS did not answer.
    pub dns_trouble: DnsTrouble,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            dmarc_reject: Act::Reject,
            dmarc_quarantine: Act::Junk,
            dmarc_none: Act::Note,
            // RFC 7208 §8.4 and RFC 9989 §7: to reject for SPF alone breaks forwarding.
            spf_fail: Act::Note,
            no_author: Act::Note,
            dns_trouble: DnsTrouble::Accept,
        }
    }
}
