use mail_types::{AccountId, ChannelBindings};

use crate::bearer::Bearer;
use crate::mechanism::Mechanism;
use crate::scram::{Binding, Challenge, ClientFirst, ScramError, ScramKeys};
use crate::secret::Secret;

/// Octets of one client response, of a name or a password within it. RFC 4616 §2 wants 255 octets
/// for each field to work.
const RESPONSE_OCTETS_MAX: usize = 4096;
/// The same of a response with a token, which may be a whole signed document: as many as RFC 4954 §4
/// lets through.
const TOKEN_RESPONSE_OCTETS_MAX: usize = 9216;

/// What an exchange wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this (base64 in SMTP, IMAP and POP3), then feed the client's response.
    Challenge(Vec<u8>),
    /// The service must answer this through [`Exchange::answer`].
    Ask(Question),
    /// Signed in.
    Done(SignedIn),
    /// Not signed in; the exchange is over.
    Failed(Failure),
}

/// What an exchange must know of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is this the password of this account? Answer `Accepted`, `Refused` or `Unavailable`.
    Password {
        /// The name given (RFC 4616 authentication identity).
        authcid: String,
        /// Whom the client wants to act as, where it says so.
        authzid: Option<String>,
        /// The password given.
        password: Secret,
    },
    /// The keys of this account. Answer `Keys` (made-up, but for each name steady, where there is
    /// no such account, so that nobody learns which exist), `Refused` or `Unavailable`.
    ScramKeys {
        /// The name given.
        authcid: String,
    },
    /// The client's proof was looked at: who guesses has to be slowed down here, too. Answer
    /// `Accepted` where it is right, `Refused` or `Unavailable`.
    ScramProof {
        /// The name given.
        authcid: String,
        /// Whether it proves the password of the keys.
        right: bool,
        /// What was proved: for one account the same for the same password, right or wrong.
        guess: [u8; 32],
    },
    /// Is this token good, and for whom? Answer `Accepted`, `TokenRefused` or `Unavailable`.
    Token {
        /// Whom the client wants to act as, where it says so: the token must be that account's.
        authzid: Option<String>,
        /// RFC 6750 §2.1. Empty where the client only wants to be told what it needs, which
        /// `TokenRefused` does.
        token: Secret,
    },
}

impl Question {
    /// The name that the client has given; empty where it gave none.
    #[must_use]
    pub fn authcid(&self) -> &str {
        match self {
            Self::Token { authzid, .. } => authzid.as_deref().unwrap_or_default(),
            Self::Password { authcid, .. }
            | Self::ScramKeys { authcid }
            | Self::ScramProof { authcid, .. } => authcid,
        }
    }
}

/// The service's answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The password, the proof of it, or the token is right.
    Accepted {
        /// Whose it is.
        account: AccountId,
        /// The account's address, for example `ann@example.org`.
        name: String,
    },
    /// What the proof is checked with.
    Keys {
        /// Whose they are.
        account: AccountId,
        /// The account's address.
        name: String,
        /// The keys.
        keys: ScramKeys,
    },
    /// Wrong password, no such account, locked, or not allowed to act as the other.
    Refused,
    /// The token is not good for this.
    TokenRefused {
        /// RFC 7628 §3.2.2: a JSON object for the client with the member `status`.
        error: String,
    },
    /// The service cannot tell now; the client may try again later.
    Unavailable,
}

/// Who has signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// The account.
    pub account: AccountId,
    /// The account's address, for example `ann@example.org`.
    pub name: String,
    /// How it was proved.
    pub mechanism: Mechanism,
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The client's message breaks the mechanism's grammar.
    Malformed,
    /// Wrong password, bad token or no such account: which one is not told.
    Refused,
    /// Our own trouble: temporary.
    Unavailable,
}

#[derive(Clone, Debug)]
enum State {
    /// Waits for the first response.
    Start,
    /// LOGIN: has the name.
    LoginPassword { authcid: String },
    /// A password question is open.
    PasswordAsked,
    /// A key question is open.
    KeysAsked(ClientFirst),
    /// The server's first message is out.
    ScramProof { challenge: Challenge },
    /// The proof was looked at, and the service hears of it; with the server's final message if it
    /// was right.
    ProofAsked { server_final: Option<String> },
    /// The server's final message is out; the client's empty response is due (RFC 4422 §3.6).
    ScramLast { account: AccountId, name: String },
    /// A token question is open.
    TokenAsked,
    /// What is wrong with the token is out; whatever the client says to it, it has failed.
    TokenRefused,
    /// Done or failed.
    Over,
}

/// One server-side exchange: from naming the mechanism to success or failure.
#[derive(Clone, Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    nonce: String,
    bindings: ChannelBindings,
    state: State,
}

impl Exchange {
    /// Begins. `nonce` is printable randomness without commas that no other exchange uses; only
    /// SCRAM needs it (RFC 5802 §5.1; 18 random bytes in base64 are enough). `bindings` are those
    /// of the connection.
    ///
    /// Where the client gave no initial response, send [`Mechanism::first_challenge`] and feed the
    /// response to it.
    #[must_use]
    pub fn start(mechanism: Mechanism, nonce: &str, bindings: &ChannelBindings) -> Self {
        let bindings = bindings.clone();
        Self { mechanism, nonce: nonce.to_owned(), bindings, state: State::Start }
    }

    /// Takes a decoded response of the client: the initial one, or one to a challenge.
    pub fn client(&mut self, response: &[u8]) -> Next {
        let octets_max = match self.mechanism {
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => TOKEN_RESPONSE_OCTETS_MAX,
            Mechanism::Plain
            | Mechanism::Login
            | Mechanism::ScramSha256
            | Mechanism::ScramSha256Plus => RESPONSE_OCTETS_MAX,
        };
        if response.len() > octets_max {
            return self.fail(Failure::Malformed);
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => self.first(response),
            State::LoginPassword { authcid } => match field(response) {
                Some(password) => self.ask_password(authcid, None, password),
                None => self.fail(Failure::Malformed),
            },
            State::ScramProof { challenge } => match challenge.finish(response) {
                Ok(proof) => {
                    let right = proof.server_final.is_some();
                    self.state = State::ProofAsked { server_final: proof.server_final };
                    let authcid = challenge.into_authcid();
                    Next::Ask(Question::ScramProof { authcid, right, guess: proof.guess })
                }
                Err(error) => self.fail(error.into()),
            },
            State::ScramLast { account, name } if response.is_empty() => {
                Next::Done(SignedIn { account, name, mechanism: self.mechanism })
            }
            // RFC 7628 §3.2.3: kvsep, or anything else.
            State::TokenRefused => self.fail(Failure::Refused),
            State::ScramLast { .. }
            | State::PasswordAsked
            | State::TokenAsked
            | State::KeysAsked(_)
            | State::ProofAsked { .. }
            | State::Over => self.fail(Failure::Malformed),
        }
    }

    /// Takes the service's answer to the open question. An answer that does not fit the question
    /// counts as `Unavailable`: nobody is signed in by mistake.
    pub fn answer(&mut self, answer: Answer) -> Next {
        match (std::mem::replace(&mut self.state, State::Over), answer) {
            (State::PasswordAsked | State::TokenAsked, Answer::Accepted { account, name }) => {
                Next::Done(SignedIn { account, name, mechanism: self.mechanism })
            }
            (
                State::ProofAsked { server_final: Some(text) },
                Answer::Accepted { account, name },
            ) => {
                self.state = State::ScramLast { account, name };
                Next::Challenge(text.into_bytes())
            }
            (State::KeysAsked(first), Answer::Keys { keys, .. }) => {
                let challenge = Challenge::new(first, &self.nonce, keys);
                let server_first = challenge.server_first.clone().into_bytes();
                self.state = State::ScramProof { challenge };
                Next::Challenge(server_first)
            }
            (State::TokenAsked, Answer::TokenRefused { error }) => {
                // RFC 7628 §3.2.2: the error goes as a challenge; the exchange fails behind it.
                self.state = State::TokenRefused;
                Next::Challenge(error.into_bytes())
            }
            (
                State::PasswordAsked
                | State::KeysAsked(_)
                | State::ProofAsked { .. }
                | State::TokenAsked,
                Answer::Refused,
            ) => self.fail(Failure::Refused),
            (_, Answer::Accepted { .. } | Answer::Keys { .. } | Answer::TokenRefused { .. })
            | (_, Answer::Refused | Answer::Unavailable) => self.fail(Failure::Unavailable),
        }
    }

    fn first(&mut self, response: &[u8]) -> Next {
        match self.mechanism {
            Mechanism::Plain => self.plain(response),
            Mechanism::OAuthBearer => self.bearer(Bearer::oauthbearer(response)),
            Mechanism::XOAuth2 => self.bearer(Bearer::xoauth2(response)),
            Mechanism::Login => match field(response) {
                Some(authcid) => {
                    self.state = State::LoginPassword { authcid };
                    Next::Challenge(b"Password:".to_vec())
                }
                None => self.fail(Failure::Malformed),
            },
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                match self.client_first(response) {
                    Ok(first) => {
                        let authcid = first.authcid.clone();
                        self.state = State::KeysAsked(first);
                        Next::Ask(Question::ScramKeys { authcid })
                    }
                    Err(error) => self.fail(error.into()),
                }
            }
        }
    }

    fn client_first(&self, response: &[u8]) -> Result<ClientFirst, ScramError> {
        let binding = match self.mechanism {
            Mechanism::ScramSha256Plus => Binding::Wanted(&self.bindings),
            Mechanism::ScramSha256
            | Mechanism::Plain
            | Mechanism::Login
            | Mechanism::OAuthBearer
            | Mechanism::XOAuth2 => {
                if self.bindings.is_empty() {
                    Binding::Impossible
                } else {
                    Binding::Declined
                }
            }
        };
        ClientFirst::parse(response, binding)
    }

    /// RFC 4616 §2: `message = [authzid] UTF8NUL authcid UTF8NUL passwd`.
    fn plain(&mut self, response: &[u8]) -> Next {
        let mut parts = response.split(|&byte| byte == 0);
        let fields = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(authzid), Some(authcid), Some(password), None) = fields else {
            return self.fail(Failure::Malformed);
        };
        let authzid = if authzid.is_empty() { Some(None) } else { field(authzid).map(Some) };
        match (authzid, field(authcid), field(password)) {
            (Some(authzid), Some(authcid), Some(password)) => {
                self.ask_password(authcid, authzid, password)
            }
            _ => self.fail(Failure::Malformed),
        }
    }

    fn bearer(&mut self, message: Option<Bearer>) -> Next {
        match message {
            Some(Bearer { authzid, token }) => {
                self.state = State::TokenAsked;
                Next::Ask(Question::Token { authzid, token })
            }
            None => self.fail(Failure::Malformed),
        }
    }

    fn ask_password(&mut self, authcid: String, authzid: Option<String>, password: String) -> Next {
        self.state = State::PasswordAsked;
        Next::Ask(Question::Password { authcid, authzid, password: Secret::new(password) })
    }

    fn fail(&mut self, failure: Failure) -> Next {
        self.state = State::Over;
        Next::Failed(failure)
    }
}

impl From<ScramError> for Failure {
    fn from(error: ScramError) -> Self {
        match error {
            ScramError::Malformed => Self::Malformed,
            ScramError::Refused => Self::Refused,
        }
    }
}

/// A name or password: at least one character of UTF-8, no NUL.
fn field(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
}
