/// A way to sign in, by its name in the IANA registry of SASL mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616: name and password in one message.
    Plain,
    /// draft-murchison-sasl-login: name and password in two messages. Kept for old programs.
    Login,
    /// RFC 7677: the password never crosses the wire, and the server proves itself too.
    ScramSha256,
}

impl Mechanism {
    /// Every mechanism, in the order to offer them: the strongest first.
    pub const ALL: [Self; 3] = [Self::ScramSha256, Self::Plain, Self::Login];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    /// The mechanism of this name, case ignored.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// The challenge to send where the client named the mechanism without an initial response
    /// (RFC 4422 §3: an empty one where the client speaks first). Not yet base64.
    #[must_use]
    pub const fn first_challenge(self) -> &'static [u8] {
        match self {
            Self::Plain | Self::ScramSha256 => b"",
            Self::Login => b"Username:",
        }
    }
}
