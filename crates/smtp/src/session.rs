use std::net::IpAddr;
use std::sync::Arc;

use judge::Verdict;
use mail_types::{AccountId, Address, Deadline, Refusal, ReversePath, Timestamp, TlsFacts};
use net::{Service, now};
use sign_in::Standing;
use smtp_machine::server::{Answer, Question, Role, Server};
use smtp_machine::{BodyType, Envelope, HoldFor, Notify, Orcpt, Recipient, Ret, Sender};
use store::{
    Actor, Arrived, Beside, FutureRelease, Judged, JudgedAct, Receipt, Refused, Resolution,
    SendKey, Source, Via,
};

use crate::arriving::{Arriving, Rules, Whole};
use crate::checks::{Inquiry, mail_from};
use crate::judged::judged;
use crate::{Shared, delivered};

/// One connection's side of the service.
pub struct Session {
    shared: Arc<Shared>,
    peer: IpAddr,
    /// Who has signed in, as of the last MAIL.
    account: Option<AccountId>,
    /// By which credentials it has signed in.
    standing: Option<Standing>,
    arriving: Option<Box<Arriving>>,
    /// What is found out about the client and the message, where it is.
    inquiry: Option<Box<Inquiry>>,
    /// What keeps a message of the HTTP API from being taken twice.
    key: Option<SendKey>,
    via: Via,
    /// Until when the message under way is to be delivered.
    deliver_by: Option<Deadline>,
}

/// A message that may be kept.
struct Taken {
    /// Its Authentication-Results field; empty where it was not checked.
    results: String,
    judged: Option<Judged>,
}

impl Service for Session {
    type Machine = Server<Receipt>;

    async fn answer(&mut self, question: Question) -> Answer<Receipt> {
        match question {
            Question::SignIn(question) => self.sign_in(question).await,
            Question::Sender(sender) => said(self.sender(&sender)),
            Question::Recipient(recipient) => said(self.recipient(&recipient.address)),
            Question::BodyBegin(envelope) => {
                self.begin(*envelope);
                Answer::Ok
            }
            Question::BodyBytes(bytes) => said(self.bytes(&bytes)),
            Question::BodyEnd => match self.end().await {
                Ok(receipt) => Answer::Accepted(receipt),
                Err(refusal) => Answer::Refused(refusal),
            },
            Question::BodyAborted => {
                self.forget();
                Answer::Ok
            }
            Question::Reset => {
                if let Some(inquiry) = &mut self.inquiry {
                    inquiry.forget_message();
                }
                Answer::Ok
            }
        }
    }
}

fn said(result: Result<(), Refusal>) -> Answer<Receipt> {
    result.map_or_else(Answer::Refused, |()| Answer::Ok)
}

impl Session {
    /// Must run within tokio.
    pub fn new(shared: Arc<Shared>, peer: IpAddr) -> Self {
        let inquiry =
            shared.checks.as_ref().filter(|checks| !(checks.trusted)(peer)).map(|checks| {
                Box::new(Inquiry::new(Arc::clone(checks), peer, shared.hostname.clone()))
            });
        Self {
            shared,
            peer,
            account: None,
            standing: None,
            arriving: None,
            inquiry,
            key: None,
            via: Via::Submission,
            deliver_by: None,
        }
    }

    /// Somebody has signed in to the HTTP API, and submits there.
    pub fn signed_in_elsewhere(&mut self, standing: Standing, key: Option<SendKey>) {
        self.standing = Some(standing);
        self.key = key;
        self.via = Via::Http;
    }

    async fn sign_in(&mut self, question: sasl::Question) -> Answer<Receipt> {
        let sign_in = &self.shared.sign_in;
        let answer = sign_in.answer(question, self.peer, now, tokio::time::sleep).await;
        self.standing = sign_in.standing(&answer);
        Answer::SignIn(answer)
    }

    pub fn sender(&mut self, sender: &Sender) -> Result<(), Refusal> {
        self.arriving = None;
        // RFC 2852 §4: the time runs from MAIL on.
        self.deliver_by = sender.params.by.map(|by| by.deadline(now()));
        self.account = sender.signed_in.as_ref().map(|signed_in| signed_in.account);
        if let Some(reason) = self.shared.store.stopped() {
            tracing::error!(reason, "mail is turned away, the store has stopped");
            return Err(Refusal::transient(451, 3, 0, "This server cannot store mail now"));
        }
        let stands = |standing| self.shared.sign_in.stands(standing);
        if self.account.is_some() && !self.standing.as_ref().is_some_and(stands) {
            let text = "The password of this account has changed; sign in anew";
            return Err(Refusal::permanent(530, 7, 0, text));
        }
        match (self.shared.role, self.account, &sender.reverse_path) {
            (Role::Submission, Some(account), ReversePath::Address(address))
                if !self.shared.store.directory().may_send_as(account, address) =>
            {
                Err(Refusal::permanent(
                    553,
                    7,
                    1,
                    format!("The sender address {address} does not belong to your account"),
                ))
            }
            (Role::Submission, None, _) => {
                Err(Refusal::permanent(530, 7, 0, "Sign in first (AUTH)"))
            }
            (Role::Submission, Some(_), _) | (Role::Mx | Role::Lmtp, _, _) => {
                if let Some(inquiry) = &mut self.inquiry {
                    inquiry.sender(sender, now());
                }
                Ok(())
            }
        }
    }

    pub fn recipient(&self, address: &Address) -> Result<(), Refusal> {
        let directory = self.shared.store.directory();
        if directory.is_stale_forward(address, now()) {
            return Err(Refusal::permanent(550, 1, 1, "This address was good for some weeks only"));
        }
        match directory.resolve(address) {
            Resolution::Account(_) => self.room_for(address),
            Resolution::Alias(targets) if !directory.expand(&targets).is_empty() => {
                self.room_for(address)
            }
            Resolution::SenderOf(mail) => match self.shared.store.sender_of(mail) {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err(refusal(&Refused::UnknownUser(address.clone()))),
                Err(error) => Err(refusal(&Refused::Unavailable(error.to_string()))),
            },
            Resolution::Alias(_) | Resolution::UnknownUser => {
                Err(refusal(&Refused::UnknownUser(address.clone())))
            }
            Resolution::Remote if self.account.is_some() => Ok(()),
            // RFC 5321 §3.6.2: nobody relays through us who has not signed in, loopback or not.
            Resolution::Remote => Err(refusal(&Refused::RelayDenied(address.clone()))),
        }
    }

    /// A full mailbox is told of here, before anything is taken: behind that nobody is turned away.
    fn room_for(&self, address: &Address) -> Result<(), Refusal> {
        let checked = self.shared.store.check_room_for(address, 0);
        checked.map_err(|refused| refusal(&refused))
    }

    pub fn begin(&mut self, envelope: Envelope) {
        let directory = self.shared.store.directory();
        let leads_out = |address: &Address| match directory.resolve(address) {
            Resolution::Alias(targets) => {
                directory.expand(&targets).iter().any(|(_, leaf)| *leaf == Resolution::Remote)
            }
            Resolution::SenderOf(_) => true,
            Resolution::Account(_) | Resolution::UnknownUser | Resolution::Remote => false,
        };
        let forwarders = envelope
            .recipients
            .iter()
            .map(|recipient| &recipient.address)
            .filter(|address| leads_out(address))
            .cloned()
            .collect();
        let account = self.account;
        let domains = Arc::clone(&directory);
        let own = account.and_then(|account| directory.account(account));
        let any_from = own.is_some_and(|own| (self.shared.any_from)(&own.address));
        let rules = Rules {
            role: self.shared.role,
            hostname: self.shared.hostname.clone(),
            received_fields_max: self.shared.received_fields_max,
            forwarders,
            is_checked: self.inquiry.is_some(),
            keeps_results: self.is_one_of_ours(),
            may_send_as: Box::new(move |address| {
                any_from || account.is_some_and(|account| directory.may_send_as(account, address))
            }),
            is_of_ours: Box::new(move |address| {
                address.domain().is_some_and(|domain| domains.is_local(domain))
            }),
        };
        let (mail, arrival) = (self.shared.store.next_mail(), self.shared.store.arrival());
        self.arriving = Some(Box::new(Arriving::new(mail, envelope, arrival, rules)));
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let arriving = self.arriving.as_mut().ok_or_else(lost_track)?;
        let written = arriving.write(bytes, now());
        match (&written, &mut self.inquiry) {
            (Err(_), _) => self.forget(),
            (Ok(()), Some(inquiry)) => {
                if let Some(clues) = arriving.take_clues() {
                    inquiry.header(clues);
                }
            }
            (Ok(()), None) => {}
        }
        written
    }

    /// The message under way will not be taken.
    fn forget(&mut self) {
        self.arriving = None;
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.forget_header();
        }
    }

    /// Whether the client is a mail server of our own, whose word on senders counts.
    pub fn is_one_of_ours(&self) -> bool {
        let trusted = |checks: &Arc<crate::Checks>| (checks.trusted)(self.peer);
        self.shared.role == Role::Lmtp
            || (!self.peer.is_loopback() && self.shared.checks.as_ref().is_some_and(trusted))
    }

    /// Finds out who the message is from, and whether it may be kept.
    async fn judge(&mut self, arriving: &mut Arriving) -> Result<Taken, Refusal> {
        let examined = arriving.examined(now())?;
        let (Some(examined), Some(inquiry)) = (examined, &mut self.inquiry) else {
            return Ok(Taken { results: String::new(), judged: None });
        };
        if let Some(clues) = arriving.take_clues() {
            inquiry.header(clues);
        }
        let sender = &arriving.envelope.sender;
        let facts = inquiry.facts(&examined, arriving.authors(), now()).await?;
        let checks = Arc::clone(&inquiry.checks);
        let domains = arriving.envelope.recipients.iter().map(|one| one.address.domain());
        let mut policies: Vec<judge::Policy> =
            domains.flatten().map(|domain| (checks.policy_of)(domain)).collect();
        policies.dedup();
        let (verdict, overridden) = judge::judge(&facts, &policies, &checks.trusted_sealers);
        let record = judged(&facts, (&verdict, overridden), sender, arriving.mail);
        match verdict {
            Verdict::Reject { refusal, reasons } => {
                let (peer, reason) = (self.peer, reasons.join("; "));
                if refusal.reply().code < 500 {
                    tracing::warn!(%peer, reason, "ALARM: the DNS does not answer; mail is put off");
                } else {
                    tracing::info!(%peer, reason, "a message was turned away");
                    // Nobody waits: what a report lacks if this fails is one message.
                    drop(self.shared.store.turned_away(Actor::Peer { ip: peer }, record));
                }
                Err(refusal)
            }
            Verdict::Accept { .. } | Verdict::Junk { .. } | Verdict::Hold { .. } => {
                let us = self.shared.hostname.as_str();
                let from = mail_from(&sender.reverse_path);
                let results = judge::auth_results(&facts, self.peer, &sender.helo, &from, us);
                Ok(Taken { results: results.to_field(), judged: Some(record) })
            }
        }
    }

    async fn end(&mut self) -> Result<Receipt, Refusal> {
        self.end_keyed().await?.map_err(refused)
    }

    /// The outer error is of taking it in, the inner one of its commit.
    pub async fn end_keyed(&mut self) -> Result<Result<Receipt, Refused>, Refusal> {
        let mut arriving = self.arriving.take().ok_or_else(lost_track)?;
        let Taken { results, judged } = self.judge(&mut arriving).await?;
        let (mail, name) = (arriving.mail, arriving.name());
        let (envelope, whole) = if arriving.is_large() {
            tokio::task::spawn_blocking(move || arriving.finish(&results, now()))
                .await
                .map_err(|_| lost_track())??
        } else {
            arriving.finish(&results, now())?
        };
        let (store, deliver_by) = (&self.shared.store, self.deliver_by);
        // What is held is not delivered yet, and nobody is told that it was.
        let params = &envelope.sender.params;
        let priority = params.priority.unwrap_or_default();
        let future = future_release(params.hold, now());
        let is_held =
            future.is_some() || judged.as_ref().is_some_and(|judged| judged.act == JudgedAct::Hold);
        let header = whole.header.as_deref().filter(|_| !is_held);
        let report = header.and_then(|header| {
            let (directory, hostname) = (store.directory(), &self.shared.hostname);
            delivered::report(
                &envelope,
                &directory,
                hostname,
                header,
                (mail, &name),
                now(),
                deliver_by,
            )
        });
        // RFC 8689 §5: REQUIRETLS goes before the field that says otherwise.
        let tls_optional = whole.is_tls_optional && !envelope.sender.params.requiretls;
        let arrived = self.arrived(mail, envelope, whole);
        let beside =
            Beside { report, key: self.key, judged, tls_optional, future, priority, deliver_by };
        Ok(store.accept_with(arrived, beside).await)
    }

    fn arrived(&self, mail: mail_types::MailId, envelope: Envelope, whole: Whole) -> Arrived {
        let Sender { reverse_path, params, helo, peer, signed_in, tls } = envelope.sender;
        let tls = tls.map(|tls| tls_text(&tls));
        let (actor, source) = match signed_in {
            Some(signed_in) => {
                let account = signed_in.account;
                let actor = Actor::Account { account, ip: Some(peer), via: self.via };
                (actor, Source::Submission { account, ip: peer, tls })
            }
            None => {
                let source = match self.shared.role {
                    Role::Lmtp => Source::Lmtp { ip: peer, lhlo: helo, tls },
                    Role::Mx | Role::Submission => Source::Smtp { ip: peer, helo, tls },
                };
                (Actor::Peer { ip: peer }, source)
            }
        };
        Arrived {
            mail,
            actor,
            source,
            reverse_path,
            envelope_id: params.envid,
            return_headers_only: params.ret.map(|ret| ret == Ret::Headers),
            eight_bit: params.body == BodyType::EightBitMime,
            smtp_utf8: params.smtputf8,
            requires_tls: params.requiretls,
            body: whole.body,
            message_id: whole.message_id,
            subject: whole.subject,
            recipients: envelope.recipients.into_iter().map(recipient).collect(),
        }
    }
}

/// What the peer may know of why the commit did not take a message that was taken in.
pub fn refused(refused: Refused) -> Refusal {
    match refused {
        // Known at RCPT and gone since. The others must not lose the message by that: it comes
        // again, and RCPT then says who is not there.
        Refused::UnknownUser(address) | Refused::RelayDenied(address) => Refusal::transient(
            451,
            2,
            1,
            format!("{address} is no recipient any more; try again for the others"),
        ),
        refused => refusal(&refused),
    }
}

/// Until when it is held; one whose time has come already is not.
fn future_release(hold: Option<HoldFor>, now: Timestamp) -> Option<FutureRelease> {
    let hold = hold?;
    let asked_secs = match hold {
        HoldFor::Secs(secs) => Some(secs),
        HoldFor::Until(_) => None,
    };
    let until = hold.end(now);
    (until > now).then_some(FutureRelease { until, asked_secs })
}

fn recipient(recipient: Recipient) -> store::Recipient {
    let notify = recipient.notify.map(|notify| match notify {
        Notify::Never => {
            store::Notify { never: true, success: false, failure: false, delay: false }
        }
        Notify::On { success, failure, delay } => {
            store::Notify { never: false, success, failure, delay }
        }
    });
    let original = |Orcpt { addr_type, address }| format!("{addr_type};{address}");
    store::Recipient {
        address: recipient.address,
        notify,
        original_recipient: recipient.orcpt.map(original),
    }
}

fn tls_text(tls: &TlsFacts) -> String {
    format!("{} {}", tls.version, tls.cipher)
}

/// A content without its begin: only a bug asks that.
fn lost_track() -> Refusal {
    Refusal::transient(451, 3, 0, "The server lost track of this message, try again later")
}

/// What the peer may know of why a message is not taken. Our own trouble is never 5yz.
fn refusal(refused: &Refused) -> Refusal {
    match refused {
        Refused::UnknownUser(address) => {
            Refusal::permanent(550, 1, 1, format!("No such user here: {address}"))
        }
        Refused::RelayDenied(address) => Refusal::permanent(
            550,
            7,
            1,
            format!("Relaying denied: {address} is not local; sign in on port 587 or 465 to send"),
        ),
        Refused::UidsUsedUp => {
            Refusal::transient(452, 2, 2, "The mailbox takes no more messages for now")
        }
        // RFC 5321 §4.2.2: 452; RFC 3463 §3.3: X.2.2. There may be room when it comes again.
        Refused::OverQuota => Refusal::transient(452, 2, 2, "The mailbox is full, try again later"),
        Refused::MetadataTooLarge
        | Refused::MetadataTooMany
        | Refused::TooManyKeywords
        | Refused::NotAllowed => {
            tracing::error!("a message was not accepted: not allowed");
            Refusal::transient(451, 3, 0, "The message cannot be stored now, try again later")
        }
        Refused::HasChildren(reason)
        | Refused::Unavailable(reason)
        | Refused::Missing(reason)
        | Refused::Exists(reason)
        | Refused::Invalid(reason) => {
            tracing::error!(reason, "a message was not accepted");
            Refusal::transient(451, 3, 0, "The message cannot be stored now, try again later")
        }
    }
}
