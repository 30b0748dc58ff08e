use mail_types::{Acceptance, ByMode, Priority, Refusal};

use super::body::Body;
use super::{Answer, Asked, Question, Role, Server, State, Transaction, our_trouble};
use crate::command::{Mail, Rcpt};
use crate::envelope::{Envelope, HoldFor, MailParams, Recipient, Sender, with_lmtp, with_protocol};
use crate::path::ForwardPath;

impl<R: Acceptance> Server<R> {
    /// RFC 5321 §4.1.1.2.
    pub(super) fn mail(&mut self, mail: Mail) {
        let priority = mail.params.priority;
        match self.judge_mail(mail) {
            Ok(sender) => {
                let question = Question::Sender(Box::new(sender.clone()));
                self.ask(Asked::Sender(Box::new(sender), priority), question);
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn judge_mail(&self, mail: Mail) -> Result<Sender, Refusal> {
        self.may_mail()?;
        let hello = self.hello.as_ref().filter(|hello| hello.extended || !mail.extended);
        let Some(hello) = hello else {
            return Err(Refusal::permanent(555, 5, 4, "Parameters need EHLO, not HELO"));
        };
        // RFC 1870 §6.1.
        let octets_max = self.config.limits.message_octets_max;
        if mail.params.size.is_some_and(|size| size > octets_max) {
            return Err(too_large(octets_max));
        }
        // RFC 6531 §3.5: an address beyond ASCII needs SMTPUTF8.
        if mail.utf8 && !mail.params.smtputf8 {
            return Err(needs_smtputf8());
        }
        // RFC 8689 §2: it is offered, and means something, under TLS alone.
        if mail.params.requiretls && self.tls.is_none() {
            return Err(Refusal::permanent(530, 7, 10, "REQUIRETLS needs TLS: say STARTTLS first"));
        }
        let mut params = mail.params;
        self.judge_hold(&params)?;
        self.judge_by(&params)?;
        if let Some(asked) = params.priority {
            let max = self.priority_offered().ok_or_else(|| not_offered("MT-PRIORITY"))?;
            params.priority = Some(asked.min(max));
        }
        Ok(Sender {
            reverse_path: mail.reverse_path,
            params,
            helo: hello.name.clone(),
            peer: self.config.peer,
            signed_in: self.signed_in.clone(),
            tls: self.tls.clone(),
        })
    }

    /// RFC 4865 §4: for submission alone, and not for longer than is offered.
    fn judge_hold(&self, params: &MailParams) -> Result<(), Refusal> {
        let Some(hold) = params.hold else { return Ok(()) };
        let Some(max) = self.hold_offered() else {
            return Err(not_offered(match hold {
                HoldFor::Secs(_) => "HOLDFOR",
                HoldFor::Until(_) => "HOLDUNTIL",
            }));
        };
        hold.judge(max, self.now)
    }

    /// RFC 2852 §4: BY where it is offered, and none to go back sooner than EHLO says. What may not
    /// leave before its time is over could never be delivered (RFC 4865 §4).
    fn judge_by(&self, params: &MailParams) -> Result<(), Refusal> {
        let Some(by) = params.by else { return Ok(()) };
        let Some(min) = self.config.deliver_by_min else { return Err(not_offered("BY")) };
        if by.mode == ByMode::Return && by.secs < min {
            let text = format!("A message goes back after at least {min} seconds, not {}", by.secs);
            return Err(Refusal::permanent(555, 5, 4, text));
        }
        match params.hold {
            Some(hold) if hold.end(self.now) >= by.deadline(self.now).at => {
                Err(Refusal::permanent(501, 5, 4, "It may not leave before the end of its BY time"))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn sender_answered(
        &mut self,
        sender: Sender,
        asked: Option<Priority>,
        answer: Answer<R>,
    ) {
        match answer {
            Answer::Ok => {
                let given = sender.params.priority;
                self.transaction = Some(Transaction { sender, recipients: Vec::new() });
                match given.filter(|_| given != asked) {
                    None => self.say("250 2.1.0 Sender OK"),
                    // RFC 6710 §5: the client is told of a priority that it has not asked for.
                    Some(given) => {
                        self.say(&format!(
                            "250 2.3.6 {given} is the new priority assigned to the message"
                        ));
                    }
                }
            }
            Answer::Refused(refusal) => self.refuse(&refusal),
            Answer::Accepted(_) | Answer::SignIn(_) => self.refuse(&our_trouble()),
        }
    }

    /// RFC 5321 §4.1.1.3.
    pub(super) fn rcpt(&mut self, rcpt: Rcpt) {
        match self.judge_rcpt(rcpt) {
            Ok(recipient) => {
                let question = Question::Recipient(Box::new(recipient.clone()));
                self.ask(Asked::Recipient(Box::new(recipient)), question);
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    fn judge_rcpt(&self, rcpt: Rcpt) -> Result<Recipient, Refusal> {
        let Some(transaction) = &self.transaction else {
            return Err(Refusal::permanent(503, 5, 1, "MAIL comes before RCPT"));
        };
        if self.body.is_some() {
            return Err(Refusal::permanent(503, 5, 1, "RCPT comes before BDAT"));
        }
        if rcpt.extended && !self.hello.as_ref().is_some_and(|hello| hello.extended) {
            return Err(Refusal::permanent(555, 5, 4, "Parameters need EHLO, not HELO"));
        }
        // RFC 6531 §3.5.
        if rcpt.utf8 && !transaction.sender.params.smtputf8 {
            return Err(needs_smtputf8());
        }
        // RFC 5321 §4.5.3.1.10: 452, and the client sends the rest in another transaction.
        if transaction.recipients.len() >= self.config.limits.recipients_max {
            let text = format!(
                "At most {} recipients; send the others in another message",
                self.config.limits.recipients_max
            );
            return Err(Refusal::transient(452, 5, 3, text));
        }
        let address = match rcpt.forward_path {
            ForwardPath::Address(address) => address,
            ForwardPath::Postmaster => self.config.postmaster.clone(),
        };
        Ok(Recipient { address, notify: rcpt.notify, orcpt: rcpt.orcpt })
    }

    pub(super) fn recipient_answered(&mut self, recipient: Recipient, answer: Answer<R>) {
        let refusal = match (answer, &mut self.transaction) {
            (Answer::Ok, Some(transaction)) => {
                transaction.recipients.push(recipient);
                return self.say("250 2.1.5 Recipient OK");
            }
            (Answer::Refused(refusal), _) => refusal,
            (Answer::Ok | Answer::Accepted(_) | Answer::SignIn(_), _) => our_trouble(),
        };
        self.say_reply(refusal.reply());
        self.counts.refused_recipients += 1;
        if self.counts.refused_recipients >= self.config.limits.refused_recipients_max {
            self.close("421 4.7.0 Too many refused recipients; closing the connection");
        }
    }

    /// RFC 5321 §4.1.1.4.
    pub(super) fn data(&mut self) {
        if self.body.is_some() {
            // RFC 3030 §3: DATA and BDAT cannot be mixed in one transaction.
            return self.refuse_with(503, 5, 1, "BDAT has begun; it ends with BDAT LAST");
        }
        match self.begin_body() {
            Ok(envelope) => {
                let replies = match self.config.role {
                    Role::Lmtp => envelope.recipients.len(),
                    Role::Mx | Role::Submission => 1,
                };
                self.body = Some(Body::dots(replies));
                self.state = State::Data;
                self.ask(Asked::BodyBegin, Question::BodyBegin(Box::new(envelope)));
            }
            Err(refusal) => self.refuse(&refusal),
        }
    }

    /// RFC 3030 §2. The octets follow whatever the reply will be, so a refusal waits for their end.
    pub(super) fn bdat(&mut self, octets: u64, last: bool) {
        let so_far = match &self.body {
            Some(body) => Ok((body.octets(), None)),
            // Not offered: its replies for each recipient (RFC 2033 §4.3) are no use to anybody.
            None if self.config.role == Role::Lmtp => {
                Err(Refusal::permanent(502, 5, 1, "CHUNKING is not offered; use DATA"))
            }
            None => self.begin_body().map(|envelope| (0, Some(envelope))),
        };
        let octets_max = self.config.limits.message_octets_max;
        let judged = so_far.and_then(|(so_far, envelope)| {
            if octets > octets_max.saturating_sub(so_far) {
                return Err(too_large(octets_max));
            }
            Ok(envelope)
        });
        match judged {
            Ok(envelope) => {
                self.state = State::Chunk { left: octets, last };
                if let Some(envelope) = envelope {
                    self.body = Some(Body::chunks());
                    self.ask(Asked::BodyBegin, Question::BodyBegin(Box::new(envelope)));
                }
            }
            Err(refusal) => {
                self.reset();
                self.state = State::DropChunk { left: octets, refusal };
            }
        }
    }

    /// RFC 5321 §3.3, §4.1.4: content needs MAIL and a recipient that was not refused.
    fn begin_body(&mut self) -> Result<Envelope, Refusal> {
        let Some(transaction) = &mut self.transaction else {
            return Err(Refusal::permanent(503, 5, 1, "MAIL and RCPT come first"));
        };
        if transaction.recipients.is_empty() {
            return Err(Refusal::permanent(503, 5, 1, "No valid recipients: RCPT comes first"));
        }
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        Ok(Envelope {
            sender: transaction.sender.clone(),
            recipients: std::mem::take(&mut transaction.recipients),
            protocol: match self.config.role {
                Role::Lmtp => with_lmtp(&transaction.sender),
                Role::Mx | Role::Submission => with_protocol(&transaction.sender, extended),
            },
        })
    }
}

/// RFC 5321 §4.1.1.11: a parameter of an extension that EHLO did not name.
fn not_offered(keyword: &str) -> Refusal {
    Refusal::permanent(555, 5, 4, format!("{keyword} is not offered here"))
}

/// RFC 1870 §6.1: 552 with 5.3.4.
pub(super) fn too_large(octets_max: u64) -> Refusal {
    Refusal::permanent(552, 3, 4, format!("The message is larger than {octets_max} octets"))
}

/// RFC 6531 §3.5.
fn needs_smtputf8() -> Refusal {
    Refusal::permanent(553, 6, 7, "An address beyond ASCII needs the SMTPUTF8 parameter on MAIL")
}
