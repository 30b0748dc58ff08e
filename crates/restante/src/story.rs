//! The story of a message in plain sentences, from the journal's records alone.

use std::collections::HashMap;

use mail_types::{
    AccountId, CustodyId, MailId, MailboxId, Peer, Priority, ReceiptId, ReversePath, Timestamp,
};
use store::{
    Actor, CustodyState, CustodyStory, Directory, Fate, Notice, Outcome, Record, Source, Story, Via,
};

use crate::{story_changes, story_judged, story_tries};

/// The part of a receipt that is known by the message's number alone.
pub fn short_receipt(mail: MailId) -> String {
    let text = ReceiptId { mail, check: 0 }.to_string();
    text.split('-').next().unwrap_or_default().to_owned()
}

/// Everything that happened, oldest first.
pub fn sentences(story: &Story, directory: &Directory) -> Vec<(Timestamp, String)> {
    let teller = Teller::new(story, directory);
    let mut told = vec![(story.facts.accepted, teller.taken())];
    // The verdict is in the same commit, and comes before what was made of it.
    let (judged, events): (Vec<_>, Vec<_>) =
        story.events.iter().partition(|event| matches!(event.entry.record, Record::Judged(_)));
    for event in judged {
        for sentence in teller.event(&event.entry.actor, &event.entry.record) {
            told.push((event.entry.at, sentence));
        }
    }
    for custody in &story.accepted.custodies {
        if let Some(sentence) = teller.began(custody.custody, &custody.fate) {
            told.push((story.facts.accepted, sentence));
        }
    }
    for event in events {
        for sentence in teller.event(&event.entry.actor, &event.entry.record) {
            told.push((event.entry.at, sentence));
        }
    }
    for (seq, why) in &story.damaged {
        let seq = seq.0;
        let sentence = format!("record {seq} of this story cannot be read any more: {why}");
        told.push((told.last().map_or(story.facts.accepted, |(at, _)| *at), sentence));
    }
    told
}

/// Where the message is now, a sentence for each recipient.
pub fn now_sentences(story: &Story) -> Vec<String> {
    let reader = reader(story);
    let deadline = story.facts.deliver_by.map_or_else(String::new, story_changes::still_by);
    let sentence = |custody| now_sentence(custody, reader, &deadline);
    story.custodies.iter().map(sentence).collect()
}

/// Who reads reports about the message: where it came from `<>`, the postmaster alone.
const fn reader(story: &Story) -> &'static str {
    match story.accepted.reverse_path {
        ReversePath::Address(_) => "the sender",
        ReversePath::Null => "the postmaster",
    }
}

fn now_sentence(custody: &CustodyStory, reader: &str, deadline: &str) -> String {
    let to = &custody.recipient;
    match custody.state {
        CustodyState::Queued => {
            let (due, attempts) = custody.next_try.unwrap_or_default();
            let tried = match attempts {
                0 => "not tried yet".to_owned(),
                1 => "tried once".to_owned(),
                times => format!("tried {times} times"),
            };
            let doubt = if custody.uncertain {
                "; an earlier try may have got through (uncertain), so it may arrive twice"
            } else {
                ""
            };
            format!("{to}: queued, {tried}, next try {due}{deadline}{doubt}")
        }
        CustodyState::Delivered => match &custody.delivered {
            Some((_, mailbox, uid)) => format!("{to}: delivered to {mailbox} as UID {uid}"),
            None => format!("{to}: delivered"),
        },
        CustodyState::Relayed => format!("{to}: relayed, the next server has it"),
        CustodyState::Returned => match custody.report {
            Some(report) => {
                format!("{to}: returned, {reader} was told in {}", short_receipt(report))
            }
            None => format!("{to}: returned, and nobody was to be told"),
        },
        CustodyState::Held => match &custody.hold {
            Some(hold) => story_changes::held(to, hold),
            None => format!("{to}: held"),
        },
        CustodyState::Expanded => format!("{to}: goes on as other recipients, see there"),
        CustodyState::Purged => format!("{to}: purged"),
    }
}

struct Teller<'a> {
    story: &'a Story,
    directory: &'a Directory,
    recipients: HashMap<CustodyId, String>,
}

impl<'a> Teller<'a> {
    fn new(story: &'a Story, directory: &'a Directory) -> Self {
        let recipients = story
            .accepted
            .custodies
            .iter()
            .map(|custody| (custody.custody, custody.recipient.to_string()))
            .collect();
        Self { story, directory, recipients }
    }

    fn account(&self, id: AccountId) -> String {
        account_name(id, self.directory)
    }

    fn mailbox(&self, id: MailboxId) -> String {
        match self.story.mailbox_names.get(&id) {
            Some(name) => name.clone(),
            None => format!("mailbox {id}"),
        }
    }

    fn recipient(&self, custody: CustodyId) -> Option<&str> {
        self.recipients.get(&custody).map(String::as_str)
    }

    fn taken(&self) -> String {
        let mail = &self.story.accepted;
        let from = &mail.reverse_path;
        let over = |tls: &Option<String>| match tls {
            Some(tls) => format!("over {tls}"),
            None => "in clear (no TLS)".to_owned(),
        };
        let whence = match &mail.source {
            Source::Smtp { ip, helo, tls } => {
                format!("taken from {ip} (“{helo}”) {}, sender {from}", over(tls))
            }
            Source::Submission { account, ip, tls } => format!(
                "submitted by {} from {ip} {}, sender {from}",
                self.account(*account),
                over(tls)
            ),
            Source::Lmtp { ip, lhlo, tls } => {
                format!("taken over LMTP from {ip} (“{lhlo}”) {}, sender {from}", over(tls))
            }
            Source::Append { account } => {
                format!("stored by {} over IMAP", self.account(*account))
            }
            Source::Import { account } => {
                format!("imported for {} by the operator", self.account(*account))
            }
            Source::Report { about } => {
                format!("made here as a report about {}", short_receipt(*about))
            }
            Source::PeriodReport => format!("made here as a report to others, sender {from}"),
        };
        format!(
            "{whence}; {} bytes, synced to disk, answered {}",
            mail.body_bytes, self.story.facts.receipt
        )
    }

    fn began(&self, custody: CustodyId, fate: &Fate) -> Option<String> {
        let to = self.recipient(custody)?;
        match fate {
            Fate::Delivered { uid, .. } => {
                let mailbox = self
                    .story
                    .custodies
                    .iter()
                    .find(|known| known.custody == custody)
                    .and_then(|known| known.delivered.as_ref())
                    .map_or("a mailbox", |place| place.1.as_str());
                Some(format!("delivered for {to} to {mailbox} as UID {uid}, in the same commit"))
            }
            Fate::Queued { due } if *due > self.story.facts.accepted => {
                Some(format!("queued for {to}, to be sent at {due}"))
            }
            Fate::Queued { .. } => Some(format!("queued for {to}")),
            Fate::Held(hold) => {
                Some(format!("held for {to} ({}): {}", hold.by.word(), hold.reason))
            }
            Fate::Expanded { into } => {
                let targets: Vec<&str> =
                    into.iter().filter_map(|target| self.recipient(*target)).collect();
                if *targets == [to] {
                    return Some(format!("{to} was named before: one copy goes there"));
                }
                Some(format!("{to} is an alias: goes on to {}", targets.join(", ")))
            }
        }
    }

    fn event(&self, actor: &Actor, record: &Record) -> Vec<String> {
        let who = self.who(actor);
        match record {
            Record::AttemptBegun { custodies, peer } => {
                let to: Vec<&str> =
                    custodies.iter().filter_map(|one| self.recipient(*one)).collect();
                vec![format!("offered to {} for {}", host(peer), to.join(", "))]
            }
            Record::Judged(judged) => story_judged::sentences(judged),
            Record::Looked(looked) => vec![format!("{who} looked at {} of it", looked.at.word())],
            Record::Healed(healed) => vec![story_changes::healed(healed)],
            Record::Reported(report) => vec![story_changes::report(report)],
            Record::FutureRelease { until, asked_secs, .. } => vec![match asked_secs {
                Some(secs) => format!(
                    "the sender wants it to leave at {until}, {secs} seconds after it came \
                     (FUTURERELEASE)"
                ),
                None => format!("the sender wants it to leave at {until} (FUTURERELEASE)"),
            }],
            Record::DeliverBy { by, .. } => vec![story_changes::deliver_by(*by)],
            Record::PrioritySet { priority, .. } => {
                let what = match *priority > Priority::NORMAL {
                    true => "more urgent than other mail",
                    false => "less urgent than other mail",
                };
                vec![format!("it has priority {priority}: {what} (MT-PRIORITY)")]
            }
            Record::AttemptDropped { custodies } => custodies
                .iter()
                .filter_map(|one| self.recipient(*one))
                .map(|to| format!("the attempt for {to} ended before anything was sent"))
                .collect(),
            Record::Attempted { custody, peer, outcome } => {
                let told = self
                    .recipient(*custody)
                    .map(|to| attempt(to, peer.as_ref(), outcome, reader(self.story)));
                told.into_iter().collect()
            }
            Record::Tried(tried) => {
                let mut told = story_tries::sentences(tried);
                let outcomes = tried.outcomes.iter();
                told.extend(outcomes.filter_map(|(custody, outcome)| {
                    let to = self.recipient(*custody)?;
                    let next = match same_address(tried, outcome) {
                        Some(source) => format!(", from {source} again"),
                        None => String::new(),
                    };
                    Some(attempt(to, tried.peer.as_ref(), outcome, reader(self.story)) + &next)
                }));
                told
            }
            Record::CustodiesChanged(change) => {
                let told = change.items.iter();
                told.filter_map(|item| {
                    let to = self.recipient(item.custody)?;
                    Some(story_changes::sentence(change, item, to, &who))
                })
                .collect()
            }
            Record::Rescheduled { custodies, .. } => custodies
                .iter()
                .filter_map(|one| self.recipient(*one))
                .map(|to| format!("{who} asked to try {to} again at once"))
                .collect(),
            Record::Copied { from, to, .. } => {
                vec![format!(
                    "{who} copied it from {} to {}",
                    self.mailbox(*from),
                    self.mailbox(*to)
                )]
            }
            Record::Moved { from, to, .. } => {
                vec![format!(
                    "{who} moved it from {} to {}",
                    self.mailbox(*from),
                    self.mailbox(*to)
                )]
            }
            Record::MailboxDeleted { mailbox } => vec![format!(
                "{who} deleted the mailbox {} with it; it is still in the archive",
                self.mailbox(*mailbox)
            )],
            Record::Expunged { mailbox, .. } => vec![format!(
                "{who} took it out of {}; it is still in the archive",
                self.mailbox(*mailbox)
            )],
            Record::Restored { to, .. } => {
                vec![format!("{who} brought it back into {}", self.mailbox(*to))]
            }
            Record::Purged(purged) => {
                let by = crate::archive_command::rule_words(&purged.rule, self.directory);
                vec![format!("{who} purged its body, by {by}; this record stays")]
            }
            Record::MailboxRestored { name, .. } => {
                vec![format!("{who} brought the mailbox {name} back with it")]
            }
            _ => Vec::new(),
        }
    }

    fn who(&self, actor: &Actor) -> String {
        who(actor, self.directory)
    }
}

/// Who did something.
pub fn who(actor: &Actor, directory: &Directory) -> String {
    match actor {
        Actor::Peer { ip } => ip.to_string(),
        Actor::Account { account, ip, via } | Actor::Session { account, ip, via, .. } => {
            let via = match via {
                Via::Submission => "submission",
                Via::Imap => "IMAP",
                Via::Pop3 => "POP3",
                Via::Control => "the control socket",
                Via::Http => "the HTTP API",
            };
            let place = ip.map(|ip| format!(" from {ip}")).unwrap_or_default();
            format!("{} (over {via}{place})", account_name(*account, directory))
        }
        Actor::Operator { name } => format!("the operator ({name})"),
        Actor::Console { operator, ip } => {
            format!("the operator {operator} (over the console from {ip})")
        }
        Actor::Server => "the server".to_owned(),
    }
}

fn account_name(id: AccountId, directory: &Directory) -> String {
    match directory.account(id) {
        Some(account) => account.address.to_string(),
        None => format!("removed account {id}"),
    }
}

/// Our address of the last try, where it is tried again: the same one is used.
fn same_address(tried: &store::Tried, outcome: &Outcome) -> Option<std::net::IpAddr> {
    match outcome {
        Outcome::Deferred { .. } | Outcome::Uncertain { .. } => tried.tries.last()?.source,
        Outcome::Relayed { .. } | Outcome::Returned { .. } | Outcome::Waits { .. } => None,
    }
}

fn host(peer: &Peer) -> String {
    let security = match (&peer.tls, peer.tls_verified) {
        (Some(tls), true) => format!("over {tls}, certificate verified"),
        (Some(tls), false) => format!("over {tls}, certificate not verified"),
        (None, _) => match &peer.tls_failure {
            Some(failure) => format!("in clear, since TLS failed ({failure})"),
            None => "in clear".to_owned(),
        },
    };
    format!("{} [{}]:{} {security}", peer.host, peer.ip, peer.port)
}

fn told_of_delay(report: Option<MailId>) -> String {
    let told = |report| format!("; the sender was told of the delay in {}", short_receipt(report));
    report.map(told).unwrap_or_default()
}

fn attempt(to: &str, peer: Option<&Peer>, outcome: &Outcome, reader: &str) -> String {
    let by = peer.map(|peer| format!(" by {} [{}]", peer.host, peer.ip)).unwrap_or_default();
    let said = |reply: &Option<mail_types::Reply>| match reply {
        Some(reply) => format!(", which said “{reply}”"),
        None => String::new(),
    };
    match outcome {
        Outcome::Relayed { reply, report, may_be_duplicate } => {
            let doubt = if *may_be_duplicate {
                "; an earlier try was uncertain, so it may be there twice"
            } else {
                ""
            };
            let told = report
                .map(|report| format!("; the sender was told in {}", short_receipt(report)))
                .unwrap_or_default();
            format!("{to}: taken{by}, which said “{reply}”{doubt}{told}")
        }
        Outcome::Deferred { reason, status, reply, due, report } => {
            let told = told_of_delay(*report);
            format!("{to}: not taken{by} ({status}): {reason}{}; next try {due}{told}", said(reply))
        }
        Outcome::Waits { reason, due, report } => {
            format!("{to}: {reason}; looked at again {due}{}", told_of_delay(*report))
        }
        Outcome::Uncertain { reason, due } => {
            format!("{to}: uncertain whether taken{by}: {reason}; next try {due}")
        }
        Outcome::Returned { reason, status, reply, notice } => {
            let told = match notice {
                Notice::Sent { report } => {
                    format!("{reader} was told in {}", short_receipt(*report))
                }
                Notice::NullReversePath => {
                    "nobody is told, since it came from <> (RFC 5321 §4.5.5)".to_owned()
                }
                Notice::NotWanted => "the sender did not want to be told".to_owned(),
            };
            format!("{to}: given up{by} ({status}): {reason}{}; {told}", said(reply))
        }
    }
}
