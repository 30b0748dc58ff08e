//! A small service that keeps mailboxes in memory, as plainly as can be: the reference that the
//! machine is tried against.

use std::num::NonZeroU32;

use imap_machine::grammar::{MailboxName, StoreMode, UidSet};
use imap_machine::view::{Newest, Row, Rows};
use imap_machine::{Answer, Code, Contents, Copied, Listed, Question, Refusal, Selected, Status};
use mail_types::{
    Acceptance, AccountId, Flags, MailId, MailboxId, ModSeq, ReceiptId, Rights, SpecialUse,
    SystemFlag, Timestamp, Uid, UidValidity,
};

use crate::appending::Appending;

pub const ACCOUNT: AccountId = AccountId(1);
/// RFC 7628 §4.3.
const TOKEN_ERROR: &str = r#"{"status":"invalid_token","scope":"example_scope","openid-configuration":"https://example.com/.well-known/openid-configuration"}"#;

/// The service's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof(pub u64);

impl Acceptance for Proof {
    fn receipt_id(&self) -> ReceiptId {
        ReceiptId { mail: MailId(self.0), check: 0xabcd_1234 }
    }
}

#[derive(Clone, Debug)]
pub struct Message {
    pub uid: u32,
    pub modseq: u64,
    pub flags: Flags,
    pub date: Timestamp,
    pub mail: usize,
}

#[derive(Clone, Debug)]
pub struct Mailbox {
    pub id: MailboxId,
    pub name: MailboxName,
    pub exists: bool,
    pub special_use: Option<SpecialUse>,
    pub subscribed: bool,
    pub rights: Rights,
    pub acl: Vec<(String, Rights)>,
    pub uid_validity: u32,
    pub uid_next: u32,
    pub modseq: u64,
    pub messages: Vec<Message>,
    /// UID and modification sequence of what was expunged.
    pub expunged: Vec<(u32, u64)>,
    /// UIDs from here on are nobody's yet.
    pub recent_from: u32,
}

#[derive(Debug, Default)]
pub struct Service {
    pub mailboxes: Vec<Mailbox>,
    pub mails: Vec<Vec<u8>>,
    pub metadata: std::collections::BTreeMap<(Option<MailboxId>, String), Vec<u8>>,
    pub changed: Vec<MailboxId>,
    /// Refuse the next question so.
    pub refuse_next: Option<Refusal>,
    pub unavailable: bool,
    /// What tokens of URLs are made with.
    pub url_key: u64,
    /// At most this many messages in an answer.
    pub batch_max: usize,
    /// What a watching session was told last.
    pub watched: Option<Vec<Mailbox>>,
    pub overflow: bool,
    pub metadata_news: Vec<(Option<MailboxName>, String)>,
    next_id: u64,
}

pub fn flags(text: &str) -> Flags {
    let mut flags = Flags::default();
    for name in text.split_whitespace() {
        match SystemFlag::from_name(name) {
            Some(flag) => flags.insert(flag),
            None => flags.insert_keyword(mail_types::Keyword::new(name).unwrap()),
        }
    }
    flags
}

impl Service {
    /// INBOX and a mailbox for each special use but Archive.
    pub fn new() -> Self {
        let mut service = Self { batch_max: 3, ..Self::default() };
        service.create("INBOX", None);
        for special_use in SpecialUse::ALL.into_iter().skip(1) {
            service.create(special_use.mailbox_name(), Some(special_use));
        }
        service
    }

    pub fn create(&mut self, name: &str, special_use: Option<SpecialUse>) -> &mut Mailbox {
        self.next_id += 1;
        self.mailboxes.push(Mailbox {
            id: MailboxId(self.next_id),
            name: MailboxName::new(name).unwrap(),
            exists: true,
            special_use,
            subscribed: true,
            rights: Rights::ALL,
            acl: vec![("ann@example.org".to_owned(), Rights::ALL)],
            uid_validity: 1000 + u32::try_from(self.next_id).unwrap(),
            uid_next: 1,
            modseq: 1,
            messages: Vec::new(),
            expunged: Vec::new(),
            recent_from: 1,
        });
        self.mailboxes.last_mut().unwrap()
    }

    pub fn mailbox(&mut self, name: &str) -> &mut Mailbox {
        self.mailboxes.iter_mut().find(|mailbox| mailbox.name.as_str() == name).unwrap()
    }

    pub fn deliver(&mut self, name: &str, mail: &[u8], flags: Flags, date: Timestamp) -> u32 {
        self.mails.push(mail.to_vec());
        let mail = self.mails.len() - 1;
        let mailbox = self.mailbox(name);
        let id = mailbox.id;
        let uid = mailbox.add(flags, date, mail);
        self.changed.push(id);
        uid
    }

    pub fn store(&mut self, name: &str, uid: u32, mode: StoreMode, flags: &Flags) {
        let mailbox = self.mailbox(name);
        let id = mailbox.id;
        mailbox.store(&UidSet::range(uid, uid), mode, flags, None);
        self.changed.push(id);
    }

    pub fn expunge(&mut self, name: &str, uid: u32) {
        let mailbox = self.mailbox(name);
        let id = mailbox.id;
        mailbox.remove(|message| message.uid == uid);
        self.changed.push(id);
    }

    pub fn by_id(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        self.mailboxes.iter_mut().find(|mailbox| mailbox.id == id && mailbox.exists)
    }

    pub fn by_name(&mut self, name: &MailboxName) -> Result<&mut Mailbox, Refusal> {
        let found =
            self.mailboxes.iter_mut().find(|mailbox| mailbox.name == *name && mailbox.exists);
        found.ok_or_else(|| Refusal::new(Code::NonExistent, "No such mailbox"))
    }

    pub fn answer(&mut self, question: Question, appending: &mut Appending) -> Answer<Proof> {
        if let (Some(refusal), true) = (&self.refuse_next, question != Question::Flush) {
            let refusal = refusal.clone();
            self.refuse_next = None;
            return Answer::No(refusal);
        }
        self.try_answer(question, appending).unwrap_or_else(Answer::No)
    }

    fn try_answer(
        &mut self,
        question: Question,
        appending: &mut Appending,
    ) -> Result<Answer<Proof>, Refusal> {
        Ok(match question {
            Question::Flush | Question::Deselect { .. } => Answer::Done,
            Question::Forget => {
                self.watched = None;
                Answer::Done
            }
            Question::SignIn(question) => Answer::SignIn(self.sign_in(question)),
            Question::List { counts, .. } => Answer::Mailboxes(self.list(counts.is_some())),
            Question::Status { mailbox, .. } => Answer::Status(self.by_name(&mailbox)?.status()),
            Question::Select { mailbox, read_only, .. } => {
                let rows = self.rows_of(&mailbox)?;
                let mailbox = self.by_name(&mailbox)?;
                Answer::Selected(Box::new(mailbox.select(rows, read_only)))
            }
            Question::Poll { mailbox } => match self.newest(mailbox) {
                Some(newest) => Answer::Newest(newest),
                None => Answer::Gone,
            },
            Question::Vanished { mailbox, since } => {
                let Some(found) = self.by_id(mailbox) else { return Ok(Answer::Gone) };
                // Of what is long ago nothing is known.
                let gone = found.expunged.iter().filter(|(_, modseq)| *modseq > since.0);
                Answer::Vanished((since.0 > 1).then(|| gone.map(|&(uid, _)| uid).collect()))
            }
            Question::Fetch { messages, need, .. } => {
                let mut contents = Contents::default();
                for wanted in messages.iter().take(self.batch_max) {
                    self.content(wanted, &need, &mut contents);
                }
                Answer::Contents(contents)
            }
            Question::Store { mailbox, uids, mode, flags, unchanged_since } => {
                let Some(found) = self.by_id(mailbox) else { return Ok(Answer::Gone) };
                let modified = found.store(&uids, mode, &flags, unchanged_since);
                self.changed.push(mailbox);
                Answer::Stored { newest: self.newest(mailbox).unwrap(), modified }
            }
            Question::Copy { mailbox, uids, to, .. } => {
                Answer::Copied(self.copy(mailbox, &uids, &to)?)
            }
            Question::Move { mailbox, uids, to, .. } => {
                let copied = self.copy(mailbox, &uids, &to)?;
                self.by_id(mailbox).unwrap().remove(|message| uids.contains(message.uid));
                self.changed.push(mailbox);
                Answer::Moved(copied, self.newest(mailbox).unwrap())
            }
            Question::Expunge { mailbox, uids } => {
                let Some(found) = self.by_id(mailbox) else { return Ok(Answer::Gone) };
                found.remove(|message| {
                    message.flags.has(SystemFlag::Deleted)
                        && uids.as_ref().is_none_or(|uids| uids.contains(message.uid))
                });
                self.changed.push(mailbox);
                Answer::Newest(self.newest(mailbox).unwrap())
            }
            Question::AppendBegin { .. }
            | Question::AppendNext(_)
            | Question::AppendBytes(_)
            | Question::AppendEnd
            | Question::AppendSettle
            | Question::AppendUrl { .. }
            | Question::UrlToken { .. }
            | Question::ResetUrlKeys { .. }
            | Question::UrlFetch { .. }
            | Question::AppendAbort => self.append(question, appending)?,
            question @ (Question::Metadata { .. }
            | Question::Quota { .. }
            | Question::Acl { .. }) => self.manage(question)?,
            question @ (Question::Create { .. }
            | Question::Delete { .. }
            | Question::Rename { .. }
            | Question::Subscribe { .. }) => self.rename_and_so_on(question)?,
            Question::Match { messages, keys, .. } => {
                let messages = messages.iter().take(self.batch_max);
                Answer::Matches(messages.flat_map(|wanted| self.matches(wanted, &keys)).collect())
            }
            Question::SortFacts { messages, .. } => {
                let messages = messages.iter().take(self.batch_max);
                Answer::SortFacts(messages.map(|wanted| self.sort_facts(wanted)).collect())
            }
            Question::Watch { on, .. } => {
                self.watched = on.then(|| self.mailboxes.clone());
                Answer::Done
            }
            Question::News { .. } => Answer::News(self.news()),
            Question::Glance { mailbox, .. } => {
                let rows = self.rows_of(&mailbox)?;
                Answer::Selected(Box::new(self.by_name(&mailbox)?.select(rows, true)))
            }
        })
    }

    fn sign_in(&self, question: sasl::Question) -> sasl::Answer {
        let (account, name) = (ACCOUNT, "ann@example.org".to_owned());
        if self.unavailable {
            return sasl::Answer::Unavailable;
        }
        match question {
            sasl::Question::Password { authcid, password, .. } => {
                if authcid == "ann@example.org" && password.expose() == "open sesame" {
                    sasl::Answer::Accepted { account, name }
                } else {
                    sasl::Answer::Refused
                }
            }
            sasl::Question::Token { token, .. } => match token.expose() {
                "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" => {
                    sasl::Answer::Accepted { account, name }
                }
                _ => sasl::Answer::TokenRefused { error: TOKEN_ERROR.to_owned() },
            },
            sasl::Question::ScramProof { right: true, .. } => {
                sasl::Answer::Accepted { account, name }
            }
            sasl::Question::ScramProof { .. } => sasl::Answer::Refused,
            sasl::Question::ScramKeys { authcid } => {
                let password = if authcid == name { "open sesame" } else { "made up" };
                let keys = sasl::ScramKeys::derive(password, b"0123456789abcdef", 4096);
                sasl::Answer::Keys { account, name, keys }
            }
        }
    }

    fn list(&self, counts: bool) -> Vec<Listed> {
        let listed = self.mailboxes.iter().filter(|mailbox| mailbox.exists || mailbox.subscribed);
        let listed = listed.map(|mailbox| Listed {
            name: mailbox.name.clone(),
            exists: mailbox.exists,
            special_use: mailbox.special_use,
            subscribed: mailbox.subscribed,
            rights: mailbox.rights,
            status: counts.then(|| Box::new(mailbox.status())),
        });
        listed.collect()
    }

    fn row(&self, message: &Message) -> Row {
        Row {
            uid: Uid::new(message.uid).unwrap(),
            modseq: ModSeq(message.modseq),
            flags: message.flags.clone(),
            internal_date: message.date,
            saved: message.date,
            size: u32::try_from(self.mails[message.mail].len()).unwrap(),
            mail: message.mail as u64,
        }
    }

    fn rows_of(&mut self, name: &MailboxName) -> Result<Rows, Refusal> {
        let mailbox = self.by_name(name)?.clone();
        let mut rows = Rows::new(mailbox.uid_validity, mailbox.uid_next, ModSeq(mailbox.modseq));
        mailbox.messages.iter().for_each(|message| rows.put(&self.row(message)));
        Ok(rows)
    }

    fn newest(&mut self, id: MailboxId) -> Option<Newest> {
        let mailbox = self.by_id(id)?;
        let recent = UidSet::range(mailbox.recent_from, mailbox.uid_next - 1);
        mailbox.recent_from = mailbox.uid_next;
        let name = mailbox.name.clone();
        Some(Newest { rows: self.rows_of(&name).ok()?, recent })
    }

    fn copy(
        &mut self,
        from: MailboxId,
        uids: &UidSet,
        to: &MailboxName,
    ) -> Result<Copied, Refusal> {
        self.by_name(to).map_err(try_create)?;
        let source = self.by_id(from).unwrap().messages.clone();
        let target = self.by_name(to)?;
        let mut copied = Vec::new();
        for message in source.iter().filter(|message| uids.contains(message.uid)) {
            let uid = target.add(message.flags.clone(), message.date, message.mail);
            copied.push((Uid::new(message.uid).unwrap(), Uid::new(uid).unwrap()));
        }
        let id = target.id;
        let uid_validity = validity(target.uid_validity);
        self.changed.push(id);
        Ok(Copied { uid_validity, uids: copied })
    }
}

impl Mailbox {
    fn add(&mut self, flags: Flags, date: Timestamp, mail: usize) -> u32 {
        let uid = self.uid_next;
        self.uid_next += 1;
        self.modseq += 1;
        self.messages.push(Message { uid, modseq: self.modseq, flags, date, mail });
        uid
    }

    fn store(
        &mut self,
        uids: &UidSet,
        mode: StoreMode,
        flags: &Flags,
        unchanged_since: Option<ModSeq>,
    ) -> UidSet {
        let mut modified = UidSet::new();
        self.modseq += 1;
        for message in self.messages.iter_mut().filter(|message| uids.contains(message.uid)) {
            if unchanged_since.is_some_and(|since| message.modseq > since.0) {
                modified.insert(message.uid);
                continue;
            }
            let after = mode.apply(&message.flags, flags);
            if after != message.flags {
                message.flags = after;
                message.modseq = self.modseq;
            }
        }
        modified
    }

    pub fn remove(&mut self, is_gone: impl Fn(&Message) -> bool) {
        self.modseq += 1;
        let gone = self.messages.iter().filter(|message| is_gone(message));
        self.expunged.extend(gone.map(|message| (message.uid, self.modseq)));
        self.messages.retain(|message| !is_gone(message));
    }

    pub fn status(&self) -> Status {
        let count = |count: usize| u32::try_from(count).unwrap();
        let recent = self.messages.iter().filter(|message| message.uid >= self.recent_from);
        let unseen = self.messages.iter().filter(|message| !message.flags.has(SystemFlag::Seen));
        let deleted: Vec<&Message> =
            self.messages.iter().filter(|message| message.flags.has(SystemFlag::Deleted)).collect();
        // As many octets as the UID says.
        let octets = |message: &&Message| u64::from(message.uid);
        Status {
            mailbox: self.id,
            octets: self.messages.iter().map(|message| u64::from(message.uid)).sum(),
            deleted: count(deleted.len()),
            deleted_octets: deleted.iter().map(octets).sum(),
            messages: count(self.messages.len()),
            recent: count(recent.count()),
            uid_next: self.uid_next,
            uid_validity: validity(self.uid_validity),
            unseen: count(unseen.count()),
            highest_modseq: ModSeq(self.modseq),
        }
    }

    fn select(&mut self, rows: Rows, read_only: bool) -> Selected {
        let recent = UidSet::range(self.recent_from, self.uid_next - 1);
        if !read_only {
            self.recent_from = self.uid_next;
        }
        Selected {
            mailbox: self.id,
            read_only: false,
            uid_validity: validity(self.uid_validity),
            uid_next: self.uid_next,
            rows,
            recent,
            rights: self.rights,
        }
    }
}

pub fn validity(number: u32) -> UidValidity {
    UidValidity(NonZeroU32::new(number).unwrap())
}

pub fn try_create(refusal: Refusal) -> Refusal {
    Refusal { code: Some(Code::TryCreate), ..refusal }
}
