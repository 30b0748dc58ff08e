use mail_types::AccountId;
use sasl::{Exchange, Failure, Mechanism, Next, Offer, base64_decode, base64_encode};

use crate::command::{AuthCommand, Command};
use crate::question::{Question, Trouble, TroubleCode};
use crate::session::{SIGN_IN_FAILURES_MAX, Session, State, TlsOffer};

const TLS_FIRST: &str = "sign-in needs TLS here: use STLS, or port 995";

/// The AUTHORIZATION state (RFC 1939 §4).
impl Session {
    pub(crate) fn authorization(&mut self, command: Command, user: Option<String>) {
        self.state = State::Authorization { user: None };
        match command {
            Command::Capa => {
                self.capabilities();
                self.state = State::Authorization { user };
            }
            Command::Quit => {
                self.ok("bye");
                self.close();
            }
            Command::Stls => self.stls(),
            Command::Utf8 => self.utf8(),
            Command::Lang(tag) => {
                self.lang(tag.as_deref());
                self.state = State::Authorization { user };
            }
            Command::User(_) | Command::Pass(_) | Command::Auth(_) if !self.may_sign_in() => {
                self.bad_command(TLS_FIRST);
            }
            Command::User(name) => {
                // The same for every name: who has an account is nobody's business.
                self.ok("send PASS");
                self.state = State::Authorization { user: Some(name) };
            }
            Command::Pass(password) => match user {
                Some(authcid) => {
                    let question = sasl::Question::Password { authcid, authzid: None, password };
                    self.ask_who(None, question);
                }
                None => self.bad_command("USER comes before PASS"),
            },
            Command::Auth(Some(auth)) => self.auth(&auth),
            Command::Auth(None) => self.list_mechanisms(),
            Command::Stat
            | Command::List(_)
            | Command::Uidl(_)
            | Command::Retr(_)
            | Command::Top { .. }
            | Command::Dele(_)
            | Command::Noop
            | Command::Rset => self.bad_command("sign in first"),
        }
    }

    const fn offer(&self) -> Offer<'_> {
        Offer { bindings: &self.bindings, tokens: self.config.tokens }
    }

    const fn may_sign_in(&self) -> bool {
        self.secure || self.config.sign_in_without_tls
    }

    /// RFC 2449 §5, §6. Before and after sign-in alike, except for what has become of no use.
    pub(crate) fn capabilities(&mut self) {
        self.ok("capability list follows");
        let signed_in = matches!(self.state, State::Transaction(_));
        self.write_line("TOP", "");
        self.write_line("UIDL", "");
        self.write_line("RESP-CODES", "");
        self.write_line("AUTH-RESP-CODE", "");
        self.write_line("PIPELINING", "");
        // RFC 2449 §6.7: mail stays until it is removed.
        self.write_line("EXPIRE NEVER", "");
        // RFC 6856 §2.2: names and passwords may be UTF-8, too.
        self.write_line("UTF8 USER", "");
        self.write_line("LANG", "");
        if self.may_sign_in() {
            self.write_line("USER", "");
            let names: Vec<_> = Mechanism::offered(self.offer()).map(Mechanism::name).collect();
            self.write_line("SASL ", &names.join(" "));
        }
        // RFC 2595 §4: STLS only in AUTHORIZATION, and not under TLS.
        if self.config.tls == TlsOffer::Stls && !self.secure && !signed_in {
            self.write_line("STLS", "");
        }
        self.write_line("IMPLEMENTATION Restante", "");
        self.write_line(".", "");
    }

    fn stls(&mut self) {
        if self.secure {
            self.bad_command("TLS stands already");
        } else if self.config.tls == TlsOffer::Stls {
            self.ok("begin TLS");
            self.want_tls();
        } else {
            self.bad_command("no TLS on this port");
        }
    }

    /// quirk: AUTH without a mechanism lists them, as some mail programs (Outlook Express, and
    /// what learned from it) expect, though no RFC says so.
    fn list_mechanisms(&mut self) {
        self.ok("mechanisms follow");
        let names: Vec<_> = Mechanism::offered(self.offer()).map(Mechanism::name).collect();
        for name in names {
            self.write_line(name, "");
        }
        self.write_line(".", "");
    }

    /// RFC 5034 §4.
    fn auth(&mut self, auth: &AuthCommand) {
        let Some(mechanism) = Mechanism::from_name(&auth.mechanism, self.offer()) else {
            return self.bad_command("unknown mechanism");
        };
        // RFC 5802 §5.1: each exchange has a nonce of its own.
        self.sign_in_attempts += 1;
        let nonce = format!("{}{}", self.config.nonce, self.sign_in_attempts);
        let mut exchange = Box::new(Exchange::start(mechanism, &nonce, &self.bindings));
        let Some(initial) = &auth.initial else {
            self.challenge(mechanism.first_challenge());
            self.state = State::Exchange(exchange);
            return;
        };
        let initial = match initial.as_str() {
            "=" => Ok(Vec::new()),
            text => base64_decode(text.as_bytes()),
        };
        match initial {
            Ok(initial) => {
                let next = exchange.client(&initial);
                self.go_on(exchange, next);
            }
            Err(_) => self.bad_command("the initial response is not base64"),
        }
    }

    fn challenge(&mut self, challenge: &[u8]) {
        let text = base64_encode(challenge);
        self.write_line("+ ", &text);
    }

    /// A line of the client within an exchange; `None` where it was too long.
    pub(crate) fn exchange_line(&mut self, line: Option<Vec<u8>>) {
        let State::Exchange(mut exchange) =
            std::mem::replace(&mut self.state, State::Authorization { user: None })
        else {
            return self.close();
        };
        match line {
            // RFC 5034 §4: the client cancels.
            Some(line) if line == b"*" => self.err("cancelled"),
            Some(line) => match base64_decode(&line) {
                Ok(response) => {
                    let next = exchange.client(&response);
                    self.go_on(exchange, next);
                }
                Err(_) => self.bad_command("the response is not base64"),
            },
            None => self.bad_command("the response is too long"),
        }
    }

    fn go_on(&mut self, exchange: Box<Exchange>, next: Next) {
        match next {
            Next::Challenge(challenge) => {
                self.challenge(&challenge);
                self.state = State::Exchange(exchange);
            }
            Next::Ask(question) => self.ask_who(Some(exchange), question),
            Next::Done(signed_in) => self.open(signed_in.account, signed_in.name),
            Next::Failed(failure) => self.sign_in_failed(failure),
        }
    }

    fn ask_who(&mut self, exchange: Option<Box<Exchange>>, question: sasl::Question) {
        self.state = State::SigningIn(exchange);
        self.ask(Question::SignIn(question));
    }

    pub(crate) fn sign_in_answer(&mut self, exchange: Option<Box<Exchange>>, answer: sasl::Answer) {
        if let Some(mut exchange) = exchange {
            let next = exchange.answer(answer);
            return self.go_on(exchange, next);
        }
        match answer {
            sasl::Answer::Accepted { account, name } => self.open(account, name),
            sasl::Answer::Refused => self.sign_in_failed(Failure::Refused),
            // Keys answer no password, and no token was asked about.
            sasl::Answer::Unavailable
            | sasl::Answer::Keys { .. }
            | sasl::Answer::TokenRefused { .. } => {
                self.sign_in_failed(Failure::Unavailable);
            }
        }
    }

    fn sign_in_failed(&mut self, failure: Failure) {
        self.state = State::Authorization { user: None };
        match failure {
            Failure::Malformed => return self.bad_command("malformed response"),
            // RFC 3206 §4: our trouble, so that no program asks its user for a new password.
            Failure::Unavailable => {
                self.err("[SYS/TEMP] sign-in is not possible at the moment, try again later");
            }
            Failure::Refused => {
                self.err("[AUTH] wrong name or password");
            }
        }
        self.sign_in_failures += 1;
        if self.sign_in_failures >= SIGN_IN_FAILURES_MAX {
            self.close();
        }
    }

    fn open(&mut self, account: AccountId, name: String) {
        self.state = State::Opening;
        self.ask(Question::Open { account, name });
    }

    pub(crate) fn not_opened(&mut self, trouble: &Trouble) {
        self.trouble(trouble);
        match trouble.code {
            // RFC 2449 §8.1: the client may come back; the session is of no use to it until then.
            TroubleCode::InUse | TroubleCode::LoginDelay => self.close(),
            TroubleCode::Temporary | TroubleCode::Permanent => {
                self.state = State::Authorization { user: None };
            }
        }
    }
}
