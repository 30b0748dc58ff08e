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
    /// RFC 7628: a token of an OAuth 2.0 server, which the user has signed in at.
    OAuthBearer,
    /// The same, as programs wrote it before there was an RFC.
    XOAuth2,
}

/// What decides which mechanisms a connection is offered.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// What a sign-in over this connection can be bound to.
    pub bindings: &'a ChannelBindings,
    /// Whether there is somebody who knows tokens.
    pub tokens: bool,
}

impl Mechanism {
    /// Every mechanism, in the order to offer them: the strongest first.
    pub const ALL: [Self; 6] = [
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
        }
    }

    /// What is offered to such a connection.
    pub fn offered(offer: Offer<'_>) -> impl Iterator<Item = Self> + use<> {
        let (plus, tokens) = (!offer.bindings.is_empty(), offer.tokens);
        Self::ALL.into_iter().filter(move |mechanism| match mechanism {
            Self::ScramSha256Plus => plus,
            Self::OAuthBearer | Self::XOAuth2 => tokens,
            Self::ScramSha256 | Self::Plain | Self::Login => true,
        })
    }

    /// The mechanism of this name, case ignored, if it is offered to such a connection.
    #[must_use]
    pub fn from_name(name: &str, offer: Offer<'_>) -> Option<Self> {
        Self::offered(offer).find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// The challenge to send where the client named the mechanism without an initial response
    /// (RFC 4422 §3: an empty one where the client speaks first). Not yet base64.
    #[must_use]
    pub const fn first_challenge(self) -> &'static [u8] {
        match self {
            Self::Plain
            | Self::ScramSha256
            | Self::ScramSha256Plus
            | Self::OAuthBearer
            | Self::XOAuth2 => b"",
            Self::Login => b"Username:",
        }
    }
}
