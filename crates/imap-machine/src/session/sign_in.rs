use mail_types::{Acceptance, ChannelBindings, Timestamp};
use sasl::{
    Exchange, Failure, Mechanism, Next, Offer, Secret, SignedIn, base64_decode, base64_encode,
};

use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Code, Question};
use crate::write::push_text;

/// Signing in.
#[derive(Debug)]
pub(super) enum SignIn {
    /// LOGIN: the service looks at the password.
    Login,
    /// AUTHENTICATE: the client's next response is due.
    Response(Box<Exchange>),
    /// AUTHENTICATE: the service is asked.
    Asked(Box<Exchange>),
}

impl<R: Acceptance> Session<R> {
    // RFC 3501 §6.2.3
    pub(super) fn login(&mut self, user: String, password: Secret) -> Flow {
        if !self.may_sign_in() {
            return self.no(Code::PrivacyRequired, "Sign-in needs TLS: STARTTLS first");
        }
        let question = sasl::Question::Password { authcid: user, authzid: None, password };
        self.ask(Work::SignIn(SignIn::Login), Question::SignIn(question))
    }

    // RFC 3501 §6.2.2, RFC 4959
    pub(super) fn authenticate(&mut self, mechanism: &str, initial: Option<&Secret>) -> Flow {
        if !self.may_sign_in() {
            return self.no(Code::PrivacyRequired, "Sign-in needs TLS: STARTTLS first");
        }
        let Some(mechanism) = Mechanism::from_name(mechanism, self.offer()) else {
            return self.no(Code::Cannot, "There is no such mechanism here");
        };
        // No two exchanges share a nonce.
        self.sign_in_attempts += 1;
        let nonce = format!("{}{}", self.config.nonce, self.sign_in_attempts);
        let mut exchange = Box::new(Exchange::start(mechanism, &nonce, self.bindings()));
        match initial.map(Secret::expose) {
            None => {
                self.challenge(mechanism.first_challenge());
                self.again(Work::SignIn(SignIn::Response(exchange)))
            }
            // RFC 4959 §3: "=" is an initial response of no octets.
            Some("=") => {
                let next = exchange.client(b"");
                self.exchanged(exchange, next, None)
            }
            Some(base64) => match base64_decode(base64.as_bytes()) {
                Ok(response) => {
                    let next = exchange.client(&response);
                    self.exchanged(exchange, next, None)
                }
                Err(_) => self.sign_in_failed(Failure::Malformed),
            },
        }
    }

    pub(super) fn sign_in_goes_on(
        &mut self,
        work: SignIn,
        answer: Option<Answer<R>>,
        now: Timestamp,
    ) -> Flow {
        let answer = match answer {
            Some(Answer::SignIn(answer)) => answer,
            Some(_) | None => sasl::Answer::Unavailable,
        };
        match work {
            SignIn::Login => match answer {
                sasl::Answer::Accepted { account, name } => {
                    // LOGIN is PLAIN by another name.
                    let mechanism = Mechanism::Plain;
                    self.has_signed_in(SignedIn { account, name, mechanism }, now)
                }
                sasl::Answer::Refused => self.sign_in_failed(Failure::Refused),
                sasl::Answer::Keys { .. }
                | sasl::Answer::TokenRefused { .. }
                | sasl::Answer::Unavailable => self.sign_in_failed(Failure::Unavailable),
            },
            SignIn::Asked(mut exchange) => {
                let next = exchange.answer(answer);
                self.exchanged(exchange, next, Some(now))
            }
            SignIn::Response(exchange) => self.response(exchange, now),
        }
    }

    /// The client's response to a challenge, if it is there.
    fn response(&mut self, mut exchange: Box<Exchange>, now: Timestamp) -> Flow {
        let line = match self.reader.bare_line() {
            Ok(Some(line)) => Secret::new(String::from_utf8_lossy(&line).into_owned()),
            Ok(None) => {
                self.work = Work::SignIn(SignIn::Response(exchange));
                return Flow::NeedInput;
            }
            Err(_) => return self.bye("Too much input for a sign-in"),
        };
        if line.expose() == "*" {
            // RFC 3501 §6.2.2: the client cancels.
            return self.finish_silently(Status::Bad, "", "Sign-in was cancelled");
        }
        match base64_decode(line.expose().as_bytes()) {
            Ok(response) => {
                let next = exchange.client(&response);
                self.exchanged(exchange, next, Some(now))
            }
            Err(_) => self.sign_in_failed(Failure::Malformed),
        }
    }

    /// Does what the exchange wants next. (`now` is there wherever an exchange can be done.)
    fn exchanged(&mut self, exchange: Box<Exchange>, next: Next, now: Option<Timestamp>) -> Flow {
        match (next, now) {
            (Next::Challenge(challenge), _) => {
                self.challenge(&challenge);
                self.again(Work::SignIn(SignIn::Response(exchange)))
            }
            (Next::Ask(question), _) => {
                self.ask(Work::SignIn(SignIn::Asked(exchange)), Question::SignIn(question))
            }
            (Next::Done(signed_in), Some(now)) => self.has_signed_in(signed_in, now),
            (Next::Done(_), None) => self.sign_in_failed(Failure::Malformed),
            (Next::Failed(failure), _) => self.sign_in_failed(failure),
        }
    }

    /// What a sign-in over this connection can be bound to.
    pub(super) fn bindings(&self) -> &ChannelBindings {
        static NONE: ChannelBindings = ChannelBindings { exporter: None, server_end_point: None };
        self.tls.as_ref().map_or(&NONE, |tls| &tls.bindings)
    }

    /// What decides which mechanisms are offered.
    pub(super) fn offer(&self) -> Offer<'_> {
        Offer { bindings: self.bindings(), tokens: self.config.tokens }
    }

    fn challenge(&mut self, challenge: &[u8]) {
        push_text(&mut self.output, "+ ");
        push_text(&mut self.output, &base64_encode(challenge));
        push_text(&mut self.output, "\r\n");
    }

    fn has_signed_in(&mut self, signed_in: SignedIn, now: Timestamp) -> Flow {
        let text = format!("Signed in as {}", signed_in.name);
        self.signed_in = Some(signed_in);
        self.reader.signed_in(&self.config.limits);
        self.touch(now);
        let code = format!("[CAPABILITY {}]", self.capabilities());
        self.finish_silently(Status::Ok, &code, &text)
    }

    // RFC 5530 §3: AUTHENTICATIONFAILED says no more than that, whether the account exists or not.
    fn sign_in_failed(&mut self, failure: Failure) -> Flow {
        match failure {
            Failure::Unavailable => {
                let text = "Sign-in cannot be checked now, try again later";
                return self.finish_silently(Status::No, "[UNAVAILABLE]", text);
            }
            Failure::Malformed => {
                return self.bad("", "The response does not fit the mechanism");
            }
            Failure::Refused => {}
        }
        self.sign_in_failures += 1;
        let text = "Wrong name or password";
        self.write_tagged(Status::No, "[AUTHENTICATIONFAILED]", text);
        if self.sign_in_failures >= self.config.limits.sign_in_failures_max {
            return self.bye("Too many failed sign-ins");
        }
        self.tag = None;
        Flow::Again
    }
}
