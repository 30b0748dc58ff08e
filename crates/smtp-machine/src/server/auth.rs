use mail_types::{Acceptance, ChannelBindings};
use sasl::{Exchange, Failure, Mechanism, Next, Offer, base64_decode, base64_encode};

use super::{Answer, Asked, Question, Role, Server, State, Tls};

impl<R: Acceptance> Server<R> {
    /// RFC 4954 §4.
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        if matches!(self.config.role, Role::Mx | Role::Lmtp) {
            return self.refuse_with(502, 5, 1, "Nobody signs in here; use port 465 or 587");
        }
        if self.hello.is_none() {
            return self.refuse_with(503, 5, 1, "Say EHLO first");
        }
        if self.signed_in.is_some() {
            return self.refuse_with(503, 5, 1, "You have signed in already");
        }
        // RFC 4954 §4: not during a mail transaction.
        if self.transaction.is_some() {
            return self.refuse_with(503, 5, 1, "AUTH comes before MAIL");
        }
        if !self.auth_offered() {
            let how = match self.config.tls {
                Tls::Offered => "Sign-in needs encryption: say STARTTLS first",
                Tls::Unavailable | Tls::Implicit => "Sign-in needs encryption: use port 465",
            };
            return self.refuse_with(538, 7, 11, how);
        }
        let Some(mechanism) = Mechanism::from_name(mechanism, self.offer()) else {
            return self.refuse_with(504, 5, 4, "No such mechanism; EHLO lists those there are");
        };
        // RFC 5802 §5.1: each exchange has a nonce of its own.
        let nonce = format!("{}{}", self.config.nonce, self.counts.sign_ins);
        self.counts.sign_ins += 1;
        self.exchange = Some(Exchange::start(mechanism, &nonce, self.bindings()));
        match initial {
            None => self.challenge(mechanism.first_challenge()),
            // RFC 4954 §4: "=" is the empty initial response.
            Some("=") => self.sasl_response(b""),
            Some(text) => self.encoded_response(text.as_bytes()),
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

    /// A line in answer to a challenge; `None` for one that ended with a bare LF.
    pub(super) fn auth_response(&mut self, line: Option<Vec<u8>>) {
        self.state = State::Command;
        match line.as_deref() {
            // RFC 4954 §4: "*" cancels, and is answered with 501.
            Some(b"*") => {
                self.exchange = None;
                self.refuse_with(501, 7, 0, "Sign-in cancelled");
            }
            Some(line) => self.encoded_response(line),
            None => self.sign_in_failed(Failure::Malformed),
        }
    }

    fn encoded_response(&mut self, text: &[u8]) {
        match base64_decode(text) {
            Ok(response) => self.sasl_response(&response),
            Err(_) => self.sign_in_failed(Failure::Malformed),
        }
    }

    fn sasl_response(&mut self, response: &[u8]) {
        match self.exchange.as_mut().map(|exchange| exchange.client(response)) {
            Some(next) => self.sign_in_next(next),
            None => self.sign_in_failed(Failure::Unavailable),
        }
    }

    pub(super) fn sign_in_answered(&mut self, answer: Answer<R>) {
        let answer = match answer {
            Answer::SignIn(answer) => answer,
            Answer::Ok | Answer::Refused(_) | Answer::Accepted(_) => sasl::Answer::Unavailable,
        };
        match self.exchange.as_mut().map(|exchange| exchange.answer(answer)) {
            Some(next) => self.sign_in_next(next),
            None => self.sign_in_failed(Failure::Unavailable),
        }
    }

    fn sign_in_next(&mut self, next: Next) {
        match next {
            Next::Challenge(challenge) => self.challenge(&challenge),
            Next::Ask(question) => self.ask(Asked::SignIn, Question::SignIn(question)),
            Next::Done(signed_in) => {
                self.exchange = None;
                self.signed_in = Some(signed_in);
                self.say("235 2.7.0 Signed in");
            }
            Next::Failed(failure) => self.sign_in_failed(failure),
        }
    }

    fn challenge(&mut self, challenge: &[u8]) {
        let reply = format!("334 {}", base64_encode(challenge));
        self.say(&reply);
        self.state = State::Auth;
    }

    /// RFC 4954 §4, §6.
    fn sign_in_failed(&mut self, failure: Failure) {
        self.exchange = None;
        match failure {
            Failure::Malformed => {
                self.refuse_with(
                    501,
                    5,
                    2,
                    "The sign-in message is not base64 or not as it must be",
                );
            }
            Failure::Refused => self.say("535 5.7.8 Name or password is wrong"),
            Failure::Unavailable => {
                self.say("454 4.7.0 Cannot check sign-ins now; try again later")
            }
        }
        self.counts.failed_sign_ins += 1;
        if self.counts.failed_sign_ins >= self.config.limits.failed_sign_ins_max
            && !matches!(self.state, State::Closing)
        {
            self.close("421 4.7.0 Too many failed sign-ins; closing the connection");
        }
    }
}
