use std::time::Duration;

use mail_types::{Acceptance, Priority, Refusal, Reply, Timestamp};

use super::{Hello, Progress, Role, Server, State, Tls};
use crate::command::{Command, CommandError, parse};
use crate::input::Front;

/// The first words of requests of other protocols that web pages and worms send to mail ports.
const FOREIGN_VERBS: [&[u8]; 8] =
    [b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"PATCH ", b"DELETE "];

impl<R: Acceptance> Server<R> {
    /// RFC 5321 §3.1, §4.3.1: the client waits for the greeting.
    pub(super) fn greet(&mut self) -> Progress {
        self.state = State::Command;
        if self.shutting_down {
            return self.goodbye_shutting_down();
        }
        // RFC 5321 §3.1: 554 in place of 220.
        if let Some(why) = self.config.turned_away {
            let reply = format!("554 5.7.1 {why}");
            self.close(&reply);
            return Progress::On;
        }
        if !self.input.is_empty() {
            self.close("554 5.5.0 You spoke before the greeting (RFC 5321 section 4.3.1)");
            return Progress::On;
        }
        let protocol = match self.config.role {
            Role::Mx | Role::Submission => "ESMTP",
            Role::Lmtp => "LMTP",
        };
        let greeting = format!("220 {} {protocol} Restante", self.config.hostname);
        self.say(&greeting);
        Progress::On
    }

    /// Reads one line: a command, or a response to an AUTH challenge.
    pub(super) fn next_line(&mut self) -> Progress {
        let in_auth = matches!(self.state, State::Auth);
        match self.input.front(self.config.limits.auth_line_octets_max) {
            Front::Partial => return Progress::Starved,
            Front::TooLong => {
                self.exchange = None;
                self.state = State::Overlong;
            }
            Front::Line(range) => {
                self.wait_until = None;
                let line = self.input.take_line(range);
                self.counts.commands += 1;
                if self.counts.commands > self.config.limits.commands_max {
                    self.close("421 4.7.0 Too many commands; closing the connection");
                } else if in_auth {
                    self.auth_response(line);
                } else {
                    self.command_line(line);
                }
            }
        }
        Progress::On
    }

    /// Drops what is left of a line that is too long, then refuses it.
    pub(super) fn drop_line(&mut self) -> Progress {
        let Some(end) = memchr::memchr(b'\n', self.input.rest()) else {
            self.input.clear();
            return Progress::Starved;
        };
        self.input.skip(end + 1);
        self.wait_until = None;
        self.state = State::Command;
        let too_long = CommandError::TooLong(self.config.limits.auth_line_octets_max);
        self.refuse(&too_long.refusal());
        Progress::On
    }

    fn command_line(&mut self, line: Option<Vec<u8>>) {
        let Some(line) = line else {
            return self.refuse(&CommandError::Control.refusal());
        };
        if FOREIGN_VERBS.iter().any(|verb| starts_with(&line, verb)) {
            return self.close("554 5.5.1 This is a mail server; closing the connection");
        }
        let octets_max = self.line_octets_max(&line);
        if line.len() + 2 > octets_max {
            return self.refuse(&CommandError::TooLong(octets_max).refusal());
        }
        match parse(&line) {
            Ok(command) => self.command(command),
            Err(error @ CommandError::ChunkSize) => {
                // RFC 3030 §2: the content follows at once, and nobody knows how much: what comes
                // next would be read as commands.
                self.refuse(&error.refusal());
                self.close("421 4.5.0 Cannot tell content from commands; closing the connection");
            }
            Err(error) => self.refuse(&error.refusal()),
        }
    }

    /// RFC 5321 §4.5.3.1.4 and what the extensions add for their verbs.
    fn line_octets_max(&self, line: &[u8]) -> usize {
        let limits = &self.config.limits;
        if starts_with(line, b"MAIL ") || starts_with(line, b"RCPT ") {
            limits.path_line_octets_max
        } else if starts_with(line, b"AUTH ") {
            limits.auth_line_octets_max
        } else {
            limits.line_octets_max
        }
    }

    /// RFC 2920 §3.1: EHLO, DATA, STARTTLS, AUTH (and more) end a group of commands. Bytes behind
    /// them were sent without waiting for a reply that decides what they mean.
    pub(super) fn must_be_last(&mut self, verb: &str) -> Result<(), ()> {
        if self.input.is_empty() {
            return Ok(());
        }
        let reply = format!("554 5.5.0 Wait for the reply to {verb} (RFC 2920 section 3.1)");
        self.close(&reply);
        Err(())
    }

    fn command(&mut self, command: Command<'_>) {
        let last_of_group = match command {
            Command::Helo(_) => self.must_be_last("HELO"),
            Command::Ehlo(_) => self.must_be_last("EHLO"),
            Command::Lhlo(_) => self.must_be_last("LHLO"),
            Command::Data => self.must_be_last("DATA"),
            Command::StartTls => self.must_be_last("STARTTLS"),
            Command::Auth { .. } => self.must_be_last("AUTH"),
            Command::Mail(_)
            | Command::Rcpt(_)
            | Command::Bdat { .. }
            | Command::Rset
            | Command::Vrfy
            | Command::Expn
            | Command::Help
            | Command::Noop
            | Command::Quit => Ok(()),
        };
        if last_of_group.is_err() {
            return;
        }
        // RFC 2033 §4.1: LHLO in place of HELO and EHLO, which MUST NOT be answered with 2yz.
        match (self.config.role, &command) {
            (Role::Lmtp, Command::Helo(_) | Command::Ehlo(_)) => {
                return self.refuse_with(500, 5, 1, "This is LMTP: say LHLO");
            }
            (Role::Mx | Role::Submission, Command::Lhlo(_)) => {
                return self.refuse_with(500, 5, 1, "This is SMTP: say EHLO");
            }
            (Role::Mx | Role::Submission | Role::Lmtp, _) => {}
        }
        match command {
            Command::Helo(name) => self.hello(name, false),
            Command::Lhlo(name) => self.hello(name, true),
            Command::Ehlo(name) => self.hello(name, true),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data(),
            Command::Bdat { octets, last } => self.bdat(octets, last),
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Rset => {
                self.begin_anew();
                self.say("250 2.0.0 Reset");
            }
            Command::Noop => self.say("250 2.0.0 OK"),
            // RFC 5321 §3.5.3, §7.3: no look-ups for strangers.
            Command::Vrfy => self.say("252 2.5.0 Cannot verify; send mail to it and see"),
            Command::Expn => self.refuse_with(502, 5, 1, "EXPN is not implemented here"),
            Command::Help => self.say(
                "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT STARTTLS AUTH; \
                 see RFC 5321",
            ),
            Command::Quit => self.close("221 2.0.0 Goodbye"),
        }
    }

    /// RFC 5321 §4.1.1.1, §4.1.4: HELO and EHLO reset like RSET.
    fn hello(&mut self, name: &str, extended: bool) {
        self.begin_anew();
        self.hello = Some(Hello { name: name.to_owned(), extended });
        let hostname = &self.config.hostname;
        // RFC 2034 §4: no enhanced status codes here.
        if !extended {
            let reply = format!("250 {hostname}");
            return self.say(&reply);
        }
        let mut lines = vec![
            format!("{hostname} greets {name}"),
            "PIPELINING".to_owned(),
            format!("SIZE {}", self.config.limits.message_octets_max),
            "8BITMIME".to_owned(),
            "SMTPUTF8".to_owned(),
            "ENHANCEDSTATUSCODES".to_owned(),
        ];
        if self.config.role != Role::Lmtp {
            lines.push("CHUNKING".to_owned());
        }
        lines.push("DSN".to_owned());
        // RFC 8689 §2.
        if self.tls.is_some() {
            lines.push("REQUIRETLS".to_owned());
        }
        // RFC 4865 §4: the longest hold in seconds, and when it would end.
        if let Some(max) = self.hold_offered() {
            let end = Timestamp::from_secs(self.now.after(max).secs()).to_string();
            let end = end.replace(".000Z", "Z");
            lines.push(format!("FUTURERELEASE {} {end}", max.as_secs()));
        }
        // RFC 6710 §4.1.
        if self.priority_offered().is_some() {
            lines.push("MT-PRIORITY".to_owned());
        }
        // RFC 2852 §2: with the least by-time that a message may go back after.
        if let Some(min) = self.config.deliver_by_min {
            lines.push(format!("DELIVERBY {min}"));
        }
        // RFC 3207 §4.2: not offered again once TLS stands.
        if self.config.tls == Tls::Offered && self.tls.is_none() {
            lines.push("STARTTLS".to_owned());
        }
        if self.auth_offered() && self.signed_in.is_none() {
            let offered = sasl::Mechanism::offered(self.offer());
            let names: Vec<_> = offered.map(sasl::Mechanism::name).collect();
            lines.push(format!("AUTH {}", names.join(" ")));
        }
        self.say_reply(&Reply { code: 250, status: None, lines });
    }

    /// Whether signing in would be heard now.
    pub(super) fn auth_offered(&self) -> bool {
        self.config.role == Role::Submission && (self.tls.is_some() || self.config.auth_without_tls)
    }

    /// For how long a message may be held: said where somebody submits, or would be heard to.
    pub(super) fn hold_offered(&self) -> Option<Duration> {
        self.config.hold_max.filter(|_| self.config.role == Role::Submission && self.submits())
    }

    /// The highest priority that this client gets, where it may ask for one.
    pub(super) fn priority_offered(&self) -> Option<Priority> {
        self.config.priority_max.filter(|_| match self.config.role {
            Role::Submission => self.submits(),
            Role::Mx | Role::Lmtp => true,
        })
    }

    fn submits(&self) -> bool {
        self.signed_in.is_some() || self.auth_offered()
    }

    /// RFC 3207 §4.
    fn start_tls(&mut self) {
        if self.tls.is_some() {
            return self.refuse_with(503, 5, 1, "TLS stands already");
        }
        if self.config.tls != Tls::Offered {
            return self.refuse_with(502, 5, 1, "STARTTLS is not offered");
        }
        if self.hello.is_none() {
            return self.refuse_with(503, 5, 1, "Say EHLO first");
        }
        self.begin_anew();
        self.say("220 2.0.0 Ready for the TLS handshake");
        self.state = State::TlsDue;
    }

    /// RFC 5321 §4.1.4, RFC 3207 §4, RFC 6409 §4.3, RFC 4954 §6: what must have happened before
    /// MAIL.
    pub(super) fn may_mail(&self) -> Result<(), Refusal> {
        if self.hello.is_none() {
            let hello = match self.config.role {
                Role::Mx | Role::Submission => "Say EHLO or HELO first",
                Role::Lmtp => "Say LHLO first",
            };
            return Err(Refusal::permanent(503, 5, 1, hello));
        }
        if self.transaction.is_some() {
            return Err(Refusal::permanent(503, 5, 1, "MAIL was given already; RSET forgets it"));
        }
        match self.config.role {
            Role::Submission if self.signed_in.is_none() && !self.auth_offered() => {
                Err(Refusal::permanent(530, 7, 0, "Say STARTTLS first, then sign in with AUTH"))
            }
            Role::Submission if self.signed_in.is_none() => {
                Err(Refusal::permanent(530, 7, 0, "Sign in with AUTH first"))
            }
            Role::Submission | Role::Mx | Role::Lmtp => Ok(()),
        }
    }
}

/// Whether a line begins with this ASCII text, case ignored.
fn starts_with(line: &[u8], front: &[u8]) -> bool {
    line.get(..front.len()).is_some_and(|start| start.eq_ignore_ascii_case(front))
}
