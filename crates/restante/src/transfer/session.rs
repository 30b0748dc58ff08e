//! The store's side of a session.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mail_types::{AccountId, MailId, Timestamp};
use serde_json::{Value, json};
use store::{
    Actor, Import, ImportKey, Looked, LookedAt, NewMessage, Refused, SessionActor, Store, Via,
};

use crate::request::Failure;
use crate::transfer::words::{
    Ask, Checked, FlagWords, FolderHere, KEYS_MAX, LINE_BYTES_MAX, Listed, Message,
};

/// A session in which nobody says anything for so long is over.
const SILENCE_MAX: Duration = Duration::from_secs(3600);
/// Messages of one answer to `List`.
const LISTED_MAX: usize = 1000;
/// Bytes of bodies in memory that one batch may have, and its messages; the writer takes more.
const BATCH_BYTES_MAX: usize = 12 << 20;
const BATCH_MESSAGES_MAX: usize = 2000;
const PIECE_BYTES: usize = 64 << 10;
/// Bytes of a header that are read for Message-ID and Subject.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// What cannot go on: the other side is gone, or says what makes no sense.
type Broken = anyhow::Error;

struct Session {
    store: Store,
    account: AccountId,
    /// Whose session it is.
    operator: Actor,
    /// What was listed last, and so may be read.
    listed: HashSet<MailId>,
    reader: BufReader<UnixStream>,
    writer: BufWriter<UnixStream>,
    batch: Vec<(ImportKey, NewMessage)>,
    batch_bytes: usize,
    /// Why the batch cannot be kept.
    batch_failure: Option<Failure>,
}

/// Serves a session of this account until the other side hangs up.
pub fn serve(
    store: Store,
    account: AccountId,
    operator: Actor,
    stream: UnixStream,
) -> anyhow::Result<()> {
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    let reader = BufReader::new(stream.try_clone()?);
    let (writer, batch) = (BufWriter::new(stream), Vec::new());
    let (batch_bytes, batch_failure, listed) = (0, None, HashSet::new());
    let session = Session {
        store,
        account,
        operator,
        listed,
        reader,
        writer,
        batch,
        batch_bytes,
        batch_failure,
    };
    session.run()
}

impl Session {
    fn run(mut self) -> Result<(), Broken> {
        self.say(&Ok(json!("ready")))?;
        loop {
            let mut line = String::new();
            if (&mut self.reader).take(LINE_BYTES_MAX).read_line(&mut line)? == 0 {
                return Ok(());
            }
            match serde_json::from_str(&line)? {
                Ask::Message(message) => self.message(message)?,
                Ask::Body { mail } => self.body(MailId(mail))?,
                ask => {
                    let answer = self.answer(ask);
                    self.say(&answer)?;
                }
            }
        }
    }

    fn say(&mut self, answer: &Result<Value, Failure>) -> Result<(), Broken> {
        let line = match answer {
            Ok(value) => json!({ "ok": value }),
            Err(failure) => json!({ "error": failure }),
        };
        writeln!(self.writer, "{line}")?;
        Ok(self.writer.flush()?)
    }

    fn answer(&mut self, ask: Ask) -> Result<Value, Failure> {
        match ask {
            Ask::Folders => self.folders(),
            Ask::Folder { name, subscribed } => self.folder(&name, subscribed),
            Ask::Known { keys } => {
                let (texts, keys) = self.keys(keys);
                let found = self.store.imported(&keys)?;
                let known = texts.into_iter().zip(keys).filter_map(|(text, key)| {
                    found.iter().any(|one| one.key == key).then_some(text)
                });
                Ok(known.collect())
            }
            Ask::Commit { folder, from } => self.commit(folder, from),
            Ask::Check { keys } => self.check(keys),
            Ask::List { folder, behind } => self.list(&folder, behind),
            // Answered in their own ways.
            Ask::Message(_) | Ask::Body { .. } => Ok(Value::Null),
        }
    }

    fn actor(&self) -> SessionActor {
        SessionActor { account: self.account, ip: None, via: Via::Control, session: None }
    }

    /// One account's keys are no other's: the same file may be imported for several.
    fn key(&self, text: &str) -> ImportKey {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.account.0.to_le_bytes()).update(text.as_bytes());
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        ImportKey(key)
    }

    fn keys(&self, mut texts: Vec<String>) -> (Vec<String>, Vec<ImportKey>) {
        texts.truncate(KEYS_MAX);
        let keys = texts.iter().map(|text| self.key(text)).collect();
        (texts, keys)
    }

    fn folders(&self) -> Result<Value, Failure> {
        let own = self.store.mailboxes(self.account)?.into_iter().filter_map(|listed| {
            let mailbox = listed.mailbox.filter(|mailbox| mailbox.account == self.account)?;
            Some(json!(FolderHere {
                name: listed.name,
                special_use: mailbox.special_use.map(|known| known.attribute().to_owned()),
                subscribed: listed.subscribed,
                messages: mailbox.messages,
            }))
        });
        Ok(own.collect())
    }

    fn folder(&self, name: &str, subscribed: bool) -> Result<Value, Failure> {
        let mut made = false;
        if self.store.mailbox(self.account, name)?.is_none() {
            match self.store.create_mailbox(self.actor(), name, None).wait() {
                Ok(_) => made = true,
                Err(Refused::Exists(_)) => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        if subscribed {
            self.store.set_subscribed(self.actor(), name, true).wait()?;
        }
        Ok(json!({ "made": made }))
    }

    /// Takes a message's bytes in any case: what comes behind them must be found.
    fn message(&mut self, message: Message) -> Result<(), Broken> {
        let mut arrival = self.store.arrival();
        let mut header = Vec::new();
        let mut failed = None;
        let mut left = message.bytes;
        let mut piece = vec![0; PIECE_BYTES];
        while left > 0 {
            let size = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            self.reader.read_exact(&mut piece[..size])?;
            left -= size as u64;
            let room = HEADER_BYTES_MAX - header.len();
            header.extend_from_slice(&piece[..size.min(room)]);
            if failed.is_none() {
                failed = arrival.write(&piece[..size]).err();
            }
        }
        let body = match failed {
            Some(error) => Err(error),
            None if self.batch_bytes > BATCH_BYTES_MAX && !arrival.is_file() => {
                arrival.into_file().and_then(journal::Arrival::finish)
            }
            None => arrival.finish(),
        };
        match body {
            Ok(body) if self.batch.len() < BATCH_MESSAGES_MAX => {
                self.batch_bytes += body.stored_bytes();
                let facts = message::HeaderFacts::read(&header, &message::Limits::default());
                let text = |id: &[u8]| {
                    String::from_utf8_lossy(id).trim_matches(['<', '>', ' ']).to_owned()
                };
                let key = self.key(&message.key);
                let new = NewMessage {
                    mail: self.store.next_mail(),
                    body,
                    flags: message.flags.flags(),
                    internal_date: message.date.map(Timestamp),
                    message_id: facts.message_id.as_deref().map(text),
                    subject: facts.subject,
                };
                self.batch.push((key, new));
            }
            Ok(_) => self.fail("a batch has at most 2000 messages".to_owned()),
            Err(error) => self.fail(format!("a message could not be written: {error}")),
        }
        Ok(())
    }

    fn fail(&mut self, what: String) {
        self.batch_failure.get_or_insert(Failure { what, mend: None });
    }

    fn commit(&mut self, mailbox: String, from: String) -> Result<Value, Failure> {
        let messages = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if let Some(failure) = self.batch_failure.take() {
            return Err(failure);
        }
        if messages.is_empty() {
            return Ok(json!({ "kept": 0 }));
        }
        let import = Import { account: self.account, mailbox, from, messages };
        let kept = self.store.import(import).wait()?;
        Ok(json!({ "kept": kept.receipts.len() }))
    }

    fn check(&self, keys: Vec<String>) -> Result<Value, Failure> {
        let (texts, keys) = self.keys(keys);
        let found = self.store.imported(&keys)?;
        let mut checked = Vec::new();
        for (text, key) in texts.into_iter().zip(keys) {
            let Some(known) = found.iter().find(|one| one.key == key) else { continue };
            let read = self.store.body(&known.facts);
            checked.push(Checked {
                key: text,
                hash: read.ok().map(|bytes| blake3::hash(&bytes).to_hex().to_string()),
                bytes: known.facts.body_bytes,
            });
        }
        Ok(json!(checked))
    }

    /// The next messages, each of which may be read then: that somebody looks at them is on disk
    /// before they are shown.
    fn list(&mut self, folder: &str, behind: u32) -> Result<Value, Failure> {
        let found = self.store.mailbox(self.account, folder)?;
        let found = found.ok_or_else(|| Refused::Missing(format!("mailbox {folder}")))?;
        let rows = self.store.messages_behind(found.id, behind, LISTED_MAX)?;
        let mut listed = Vec::with_capacity(rows.len());
        for row in rows {
            let facts = self.store.mail_facts(&[row.mail])?;
            let Some(facts) = facts.first() else { continue };
            let (_, accepted) = self.store.accepted(facts)?;
            listed.push(Listed {
                uid: row.uid.get(),
                mail: row.mail.0,
                flags: FlagWords::from(&row.flags),
                date: row.internal_date.millis(),
                bytes: row.bytes,
                sender: accepted
                    .reverse_path
                    .address()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                hash: accepted.body_hash.to_string(),
            });
        }
        let mails: Vec<MailId> = listed.iter().map(|one| MailId(one.mail)).collect();
        self.listed = mails.iter().copied().collect();
        if !mails.is_empty() {
            let directory = self.store.directory();
            let owner = directory.account(self.account);
            let owner = owner.map_or_else(String::new, |account| account.address.to_string());
            let asked = format!("the export of {folder} of {owner}");
            let looked = Looked { at: LookedAt::Whole, asked, mails };
            self.store.looked(self.operator.clone(), looked).wait()?;
        }
        Ok(json!(listed))
    }

    fn body(&mut self, mail: MailId) -> Result<(), Broken> {
        let read = self.store.mail_facts(&[mail]).and_then(|facts| match facts.first() {
            Some(_) if !self.listed.contains(&mail) => Ok(None),
            Some(facts) => self.store.body(facts).map(Some),
            None => Ok(None),
        });
        match read {
            Ok(Some(bytes)) => {
                self.say(&Ok(json!({ "bytes": bytes.len() })))?;
                self.writer.write_all(&bytes)?;
                Ok(self.writer.flush()?)
            }
            Ok(None) => self.say(&Err(Refused::Missing("the message".to_owned()).into())),
            Err(error) => self.say(&Err(error.into())),
        }
    }
}
