use mail_types::ChannelBindings;

/// A way to sign in, by its name in the IANA registry of SASL mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 4616: name and password in one message.
    Plain,
    /// draft-murchison-sasl-login: name and password in two messages. Kept for old programs.
    Login,
    /// RFC 7677: the password never crosses the wire, and the server proves itself too.
    ScramSha256,
    /// The same, bound to the TLS session it runs in (RFC 5802 §6): nobody between can pass it on.
    ScramSha256Plus,
}

impl Mechanism {
    /// Every mechanism, in the order to offer them: the strongest first.
    pub const ALL: [Self; 4] = [Self::ScramSha256Plus, Self::ScramSha256, Self::Plain, Self::Login];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
        }
    }

    /// What is offered to a connection with these channel bindings.
    pub fn offered(bindings: &ChannelBindings) -> impl Iterator<Item = Self> {
        let plus = !bindings.is_empty();
        Self::ALL.into_iter().filter(move |mechanism| match mechanism {
            Self::ScramSha256Plus => plus,
            Self::ScramSha256 | Self::Plain | Self::Login => true,
        })
    }

    /// The mechanism of this name, case ignored, if it is offered to such a connection.
    #[must_use]
    pub fn from_name(name: &str, bindings: &ChannelBindings) -> Option<Self> {
        Self::offered(bindings).find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// The challenge to send where the client named the mechanism without an initial response
    /// (RFC 4422 §3: an empty one where the client speaks first). Not yet base64.
    #[must_use]
    pub const fn first_challenge(self) -> &'static [u8] {
        match self {
            Self::Plain | Self::ScramSha256 | Self::ScramSha256Plus => b"",
            Self::Login => b"Username:",
        }
    }
}
