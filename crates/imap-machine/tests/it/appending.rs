//! The reference service's side of APPEND: a command's messages come in, are put into the mailbox
//! together, and what became of it is told when it is asked for.

use std::collections::VecDeque;

use imap_machine::grammar::{MailboxName, UidSet};
use imap_machine::{Answer, Appended, Code, NewMessage, Question, Refusal};
use mail_types::{MailboxId, Timestamp, Uid};

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
}
