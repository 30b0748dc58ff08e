/// Octets of an annotation's value; [`Code::MetadataMaxSize`] says so.
pub const METADATA_OCTETS_MAX: usize = 16_384;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs.
    pub code: Option<Code>,
    /// For people: what to do.
    pub text: String,
}

impl Refusal {
    /// With a code.
    #[must_use]
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code: Some(code), text: text.into() }
    }
}

/// Response codes of refusals (RFC 3501 §7.1, RFC 5530, RFC 7889).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The mailbox exists already.
    AlreadyExists,
    /// Name or password is wrong.
    AuthenticationFailed,
    /// This can never work (a name that may not be).
    Cannot,
    /// The client does what it should not.
    ClientBug,
    /// Ask the operator.
    ContactAdmin,
    /// The stored data is damaged.
    Corruption,
    /// Some messages are gone.
    ExpungeIssued,
    /// It has mailboxes below it.
    HasChildren,
    /// Somebody else is using it.
    InUse,
    /// A limit of ours.
    Limit,
    /// There is no such mailbox.
    NonExistent,
    /// Not allowed.
    NoPerm,
    /// The quota is used up.
    OverQuota,
    /// TLS first.
    PrivacyRequired,
    /// The selected mailbox is read-only.
    ReadOnly,
    /// Our own trouble: permanent until mended.
    ServerBug,
    /// The message is too big.
    TooBig,
    /// There is no such mailbox, but it can be created.
    TryCreate,
    /// An annotation's value is above [`METADATA_OCTETS_MAX`] (RFC 5464 §4.3).
    MetadataMaxSize,
    /// There are as many annotations as there may be (RFC 5464 §4.3).
    MetadataTooMany,
    /// Our own trouble: temporary.
    Unavailable,
    /// A part is in a transfer encoding that nobody knows (RFC 3516 §4.3).
    UnknownCte,
    /// A mailbox cannot have this use (RFC 6154).
    UseAttr,
}

impl Code {
    /// As on the wire, without brackets.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::Cannot => "CANNOT",
            Self::ClientBug => "CLIENTBUG",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::Corruption => "CORRUPTION",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::OverQuota => "OVERQUOTA",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::MetadataMaxSize => "METADATA MAXSIZE 16384",
            Self::MetadataTooMany => "METADATA TOOMANY",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::UseAttr => "USEATTR",
        }
    }
}
