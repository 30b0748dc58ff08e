//! The reference service's side of APPEND: a command's messages come in, are put into the mailbox
//! together, and what became of it is told when it is asked for. And of URLs: what they name, and
//! tokens that prove little.

use std::collections::VecDeque;

use imap_machine::grammar::{ImapUrl, MailboxName, UidSet, UrlForm};
use imap_machine::{Answer, Appended, Code, NewMessage, Question, Refusal, UrlOctets};
use mail_types::{MailboxId, Timestamp, Uid};
use message::{Limits, SectionRange, Summary, filter_fields, section_range};

use crate::service::{Proof, Service, try_create, validity};

/// What one session appends.
#[derive(Debug, Default)]
pub struct Appending {
    coming: Option<Coming>,
    /// Committed, and not told yet.
    pub settled: VecDeque<Result<Appended<Proof>, Refusal>>,
    /// The session knows that something is settled.
    pub announced: bool,
}

#[derive(Debug)]
struct Coming {
    mailbox: MailboxName,
    replaces: Option<(MailboxId, Uid)>,
    messages: Vec<(NewMessage, Vec<u8>)>,
}

impl Service {
    pub fn append(
        &mut self,
        question: Question,
        appending: &mut Appending,
    ) -> Result<Answer<Proof>, Refusal> {
        match question {
            Question::AppendBegin { mailbox, replaces, message, .. } => {
                self.by_name(&mailbox).map_err(try_create)?;
                let messages = vec![(message, Vec::new())];
                appending.coming = Some(Coming { mailbox, replaces, messages });
            }
            Question::AppendNext(message) => {
                appending.coming.as_mut().unwrap().messages.push((message, Vec::new()));
            }
            Question::AppendBytes(bytes) => {
                let (_, octets) = appending.coming.as_mut().unwrap().messages.last_mut().unwrap();
                octets.extend_from_slice(&bytes);
            }
            Question::AppendUrl { selected, url, .. } => {
                let mailbox = match &url.mailbox {
                    Some(name) => self.by_name(name).ok().map(|mailbox| mailbox.id),
                    None => selected,
                };
                let Some(octets) = mailbox.and_then(|id| self.named(id, &url)) else {
                    return Ok(Answer::Gone);
                };
                let coming = appending.coming.as_mut().unwrap();
                coming.messages.last_mut().unwrap().1.extend_from_slice(&octets);
            }
            Question::UrlToken { url, rump, .. } => {
                self.by_name(&url.mailbox.unwrap())?;
                return Ok(Answer::Token(self.token(&rump)));
            }
            Question::ResetUrlKeys { mailbox, .. } => {
                if let Some(mailbox) = mailbox {
                    self.by_name(&mailbox)?;
                }
                self.url_key += 1;
            }
            Question::UrlFetch { url, rump, wanted, from, .. } => {
                let token = url.auth.as_ref().unwrap().verifier.as_ref().unwrap().token.clone();
                let right = token == self.token(&rump);
                let mailbox = self.by_name(url.mailbox.as_ref().unwrap()).ok();
                let id = mailbox.map(|mailbox| mailbox.id).filter(|_| right);
                let octets = id.and_then(|id| self.named(id, &url)).map(|octets| UrlOctets {
                    total: (wanted.octets != UrlForm::None)
                        .then(|| u32::try_from(octets.len()).unwrap()),
                    octets: octets[from as usize..].iter().copied().take(10).collect(),
                    has_nul: octets.contains(&0),
                    structure: wanted.structure.then(|| b"(\"X\" \"Y\")".to_vec()),
                });
                return Ok(Answer::UrlOctets(octets));
            }
            Question::AppendAbort => appending.coming = None,
            Question::AppendEnd => {
                let settled = self.commit(appending.coming.take().unwrap());
                appending.settled.push_back(settled);
            }
            Question::AppendSettle => {
                appending.announced = false;
                let count = appending.settled.len().min(self.batch_max);
                return Ok(Answer::Appended(appending.settled.drain(..count).collect()));
            }
            question => panic!("{question:?} is none of these"),
        }
        Ok(Answer::Done)
    }

    fn commit(&mut self, coming: Coming) -> Result<Appended<Proof>, Refusal> {
        let Coming { mailbox, replaces, messages } = coming;
        self.by_name(&mailbox).map_err(try_create)?;
        if let Some((from, uid)) = replaces {
            let from = self.by_id(from).unwrap();
            if from.messages.iter().all(|message| message.uid != uid.get()) {
                return Err(Refusal::new(Code::ExpungeIssued, "It is gone"));
            }
        }
        let (mut receipts, mut uids) = (Vec::new(), UidSet::new());
        for (message, octets) in messages {
            assert!(message.octets.is_none_or(|wanted| wanted as usize == octets.len()));
            let date = message.internal_date.unwrap_or(Timestamp::from_secs(1_000_000_000));
            uids.insert(self.deliver(mailbox.as_str(), &octets, message.flags, date));
            receipts.push(Proof(self.mails.len() as u64));
        }
        if let Some((from, uid)) = replaces {
            let from = self.by_id(from).unwrap();
            from.remove(|message| message.uid == uid.get());
            let id = from.id;
            self.changed.push(id);
        }
        let uid_validity = validity(self.mailbox(mailbox.as_str()).uid_validity);
        Ok(Appended { receipts, uid_validity, uids })
    }

    fn token(&self, rump: &[u8]) -> String {
        let sum =
            rump.iter().fold(self.url_key, |sum, &octet| sum * 31 % 0xffff_fff1 + u64::from(octet));
        format!("{sum:032x}")
    }

    fn named(&mut self, mailbox: MailboxId, url: &ImapUrl) -> Option<Vec<u8>> {
        let mailbox = self.by_id(mailbox)?;
        let validity = mailbox.uid_validity;
        let mut messages = mailbox.messages.iter();
        let message = messages.find(|message| message.uid == url.uid.get())?.clone();
        let mail = &self.mails[message.mail];
        let summary = Summary::read(mail, &Limits::default());
        let section = match section_range(&summary.structure, &url.section)? {
            SectionRange::Exact(range) => mail[range].to_vec(),
            SectionRange::Header(range) => filter_fields(&mail[range], &url.section.text),
        };
        let (first, count) = url.partial.unwrap_or((0, None));
        let rest = section.get(first as usize..)?;
        let count = count.map_or(rest.len(), |count| rest.len().min(count as usize));
        url.uid_validity
            .is_none_or(|wanted| wanted.get() == validity)
            .then(|| rest[..count].to_vec())
    }
}
