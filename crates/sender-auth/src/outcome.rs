use std::fmt;

/// The result of a check, as RFC 8601 §2.7 and the RFCs of the methods word it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// There is nothing to check: no record, no signature.
    None,
    /// The domain says nothing either way, or nothing could be made of what it says.
    Neutral,
    /// Shown to be right.
    Pass,
    /// Shown to be wrong.
    Fail,
    /// SPF alone: probably wrong.
    SoftFail,
    /// Right, but against a rule of ours.
    Policy,
    /// Not known for now, mostly for trouble of the DNS; may be known later.
    TempError,
    /// What was published or signed cannot be used; nothing changes that but its owner.
    PermError,
}

/// A result and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The word.
    pub verdict: Verdict,
    /// Why, in plain words for people; ASCII, without line ends, shortened where it would be long.
    /// May quote what the sender wrote.
    reason: String,
}

/// Characters of a reason: it stands in a header field and in a reply.
const REASON_CHARS_MAX: usize = 300;

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::Neutral,
        Self::Pass,
        Self::Fail,
        Self::SoftFail,
        Self::Policy,
        Self::TempError,
        Self::PermError,
    ];

    /// As it stands in an Authentication-Results field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Neutral => "neutral",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }

    /// Reads the word in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // RFC 8601 §2.7.2: "hardfail" was once SPF's word for fail.
        if text.eq_ignore_ascii_case("hardfail") {
            return Some(Self::Fail);
        }
        Self::ALL.into_iter().find(|verdict| text.eq_ignore_ascii_case(verdict.as_str()))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Outcome {
    /// A result with its reason; what is not printable ASCII in it becomes `?`.
    #[must_use]
    pub fn new(verdict: Verdict, reason: impl AsRef<str>) -> Self {
        let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
        let mut reason: String =
            reason.as_ref().chars().take(REASON_CHARS_MAX + 1).map(plain).collect();
        if reason.len() > REASON_CHARS_MAX {
            reason.truncate(REASON_CHARS_MAX);
            reason.push_str("...");
        }
        Self { verdict, reason }
    }

    /// Why, in plain words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// `pass (the reason)`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.verdict, self.reason)
    }
}
