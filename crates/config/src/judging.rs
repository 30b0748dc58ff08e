//! Settings of how senders are judged.

use std::fmt;

use mail_types::Domain;

/// What is done with a message that a rule is met by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Delivered; its header says what was found.
    Note,
    /// Delivered into the folder for junk.
    Junk,
    /// Accepted, and held until somebody decides.
    Hold,
    /// Turned away while it is offered.
    Reject,
}

impl Act {
    const ALL: [Self; 4] = [Self::Note, Self::Junk, Self::Hold, Self::Reject];

    /// Its word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Junk => "junk",
            Self::Hold => "hold",
            Self::Reject => "reject",
        }
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == text)
    }
}

/// What a sender may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// DMARC fails, and the author's domain asks to reject.
    DmarcReject,
    /// DMARC fails, and the author's domain asks for quarantine.
    DmarcQuarantine,
    /// DMARC fails, and the author's domain asks for nothing.
    DmarcNone,
    /// SPF fails, and DMARC has nothing to say.
    SpfFail,
    /// The author cannot be told.
    NoAuthor,
}

impl Rule {
    const ALL: [Self; 5] =
        [Self::DmarcReject, Self::DmarcQuarantine, Self::DmarcNone, Self::SpfFail, Self::NoAuthor];

    /// Its word in the file: that of the setting for all domains.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DmarcReject => "dmarc_reject",
            Self::DmarcQuarantine => "dmarc_quarantine",
            Self::DmarcNone => "dmarc_none",
            Self::SpfFail => "spf_fail",
            Self::NoAuthor => "no_author",
        }
    }
}

/// What the recipients of one domain want done otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainRules {
    /// The domain.
    pub domain: Domain,
    /// Each rule at most once.
    pub rules: Vec<(Rule, Act)>,
}

impl DomainRules {
    /// Reads `example.org spf_fail=reject dmarc_reject=hold`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let domain = Domain::new(words.next()?).ok()?;
        let mut rules: Vec<(Rule, Act)> = Vec::new();
        for word in words {
            let (rule, act) = word.split_once('=')?;
            let rule = Rule::ALL.into_iter().find(|known| known.as_str() == rule)?;
            if rules.iter().any(|(known, _)| *known == rule) {
                return None;
            }
            rules.push((rule, Act::read(act)?));
        }
        (!rules.is_empty()).then_some(Self { domain, rules })
    }
}

impl fmt::Display for DomainRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.domain)?;
        self.rules
            .iter()
            .try_for_each(|(rule, act)| write!(f, " {}={}", rule.as_str(), act.as_str()))
    }
}
