//! The story of a message in plain sentences, from the journal's records alone.

use std::collections::HashMap;

use mail_types::{
    AccountId, CustodyId, MailId, MailboxId, Peer, Priority, ReceiptId, ReversePath, Timestamp,
};
use store::{
    Actor, CustodyState, CustodyStory, Directory, Fate, Notice, Outcome, Record, Source, Story, Via,
};

use crate::tongue::{self, Language, say};
use crate::{phrase_book, story_changes, story_judged, story_tries};

/// The part of a receipt that is known by the message's number alone.
pub fn short_receipt(mail: MailId) -> String {
    let text = ReceiptId { mail, check: 0 }.to_string();
    text.split('-').next().unwrap_or_default().to_owned()
}

/// Everything that happened, oldest first.
pub fn sentences(
    story: &Story,
    directory: &Directory,
    language: Language,
) -> Vec<(Timestamp, String)> {
    let teller = Teller::new(story, directory, language);
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
        let sentence = say!(
            language,
            "record {seq} of this story cannot be read any more: {why}",
            "此经过的第 {seq} 号记录已无法读取：{why}"
        );
        told.push((told.last().map_or(story.facts.accepted, |(at, _)| *at), sentence));
    }
    told
}

/// Where the message is now, a sentence for each recipient.
pub fn now_sentences(story: &Story, language: Language) -> Vec<String> {
    let reader = reader(story, language);
    let by = story.facts.deliver_by;
    let deadline = by.map_or_else(String::new, |by| story_changes::still_by(by, language));
    let sentence = |custody| now_sentence(custody, (&reader, &deadline), language);
    story.custodies.iter().map(sentence).collect()
}

/// Who reads reports about the message: where it came from `<>`, the postmaster alone.
fn reader(story: &Story, language: Language) -> String {
    match story.accepted.reverse_path {
        ReversePath::Address(_) => say!(language, "the sender", "发件人"),
        ReversePath::Null => say!(language, "the postmaster", "邮件管理员"),
    }
}

fn now_sentence(
    custody: &CustodyStory,
    (reader, deadline): (&str, &str),
    language: Language,
) -> String {
    let to = &custody.recipient;
    match custody.state {
        CustodyState::Queued => {
            let (due, attempts) = custody.next_try.unwrap_or_default();
            let tried = match attempts {
                0 => say!(language, "not tried yet", "尚未尝试"),
                1 => say!(language, "tried once", "已尝试 1 次"),
                times => say!(language, "tried {times} times", "已尝试 {times} 次"),
            };
            let doubt = match custody.uncertain {
                true => say!(
                    language,
                    "; an earlier try may have got through (uncertain), so it may arrive twice",
                    "；先前一次尝试可能已送达（不确定），因此可能送达两次"
                ),
                false => String::new(),
            };
            say!(
                language,
                "{to}: queued, {tried}, next try {due}{deadline}{doubt}",
                "{to}：排队中，{tried}，下次尝试 {due}{deadline}{doubt}"
            )
        }
        CustodyState::Delivered => match &custody.delivered {
            Some((_, mailbox, uid)) => say!(
                language,
                "{to}: delivered to {mailbox} as UID {uid}",
                "{to}：已投递到 {mailbox}，UID {uid}"
            ),
            None => say!(language, "{to}: delivered", "{to}：已投递"),
        },
        CustodyState::Relayed => {
            say!(
                language,
                "{to}: relayed, the next server has it",
                "{to}：已转发，下一台服务器已接收"
            )
        }
        CustodyState::Returned => match custody.report {
            Some(report) => {
                let report = short_receipt(report);
                say!(
                    language,
                    "{to}: returned, {reader} was told in {report}",
                    "{to}：已退回，已在 {report} 中告知{reader}"
                )
            }
            None => say!(
                language,
                "{to}: returned, and nobody was to be told",
                "{to}：已退回，无需告知任何人"
            ),
        },
        CustodyState::Held => match &custody.hold {
            Some(hold) => story_changes::held(&to.to_string(), hold, language),
            None => say!(language, "{to}: held", "{to}：已暂扣"),
        },
        CustodyState::Expanded => say!(
            language,
            "{to}: goes on as other recipients, see there",
            "{to}：已转给其他收件人，见相应条目"
        ),
        CustodyState::Purged => say!(language, "{to}: purged", "{to}：已清除"),
    }
}

struct Teller<'a> {
    story: &'a Story,
    directory: &'a Directory,
    language: Language,
    recipients: HashMap<CustodyId, String>,
}

impl<'a> Teller<'a> {
    fn new(story: &'a Story, directory: &'a Directory, language: Language) -> Self {
        let recipients = story
            .accepted
            .custodies
            .iter()
            .map(|custody| (custody.custody, custody.recipient.to_string()))
            .collect();
        Self { story, directory, language, recipients }
    }

    fn account(&self, id: AccountId) -> String {
        account_name(id, self.directory, self.language)
    }

    fn mailbox(&self, id: MailboxId) -> String {
        match self.story.mailbox_names.get(&id) {
            Some(name) => name.clone(),
            None => say!(self.language, "mailbox {id}", "邮箱 {id}"),
        }
    }

    fn recipient(&self, custody: CustodyId) -> Option<&str> {
        self.recipients.get(&custody).map(String::as_str)
    }

    fn taken(&self) -> String {
        let mail = &self.story.accepted;
        let (from, language) = (&mail.reverse_path, self.language);
        let over = |tls: &Option<String>| match tls {
            Some(tls) => say!(language, "over {tls}", "通过 {tls}"),
            None => say!(language, "in clear (no TLS)", "明文（无 TLS）"),
        };
        let whence = match &mail.source {
            Source::Smtp { ip, helo, tls } => say!(
                language,
                "taken from {ip} (“{helo}”) {over}, sender {from}",
                "收自 {ip}（“{helo}”），{over}，发件人 {from}",
                over = over(tls)
            ),
            Source::Submission { account, ip, tls } => say!(
                language,
                "submitted by {account} from {ip} {over}, sender {from}",
                "由 {account} 从 {ip} 提交，{over}，发件人 {from}",
                account = self.account(*account),
                over = over(tls)
            ),
            Source::Lmtp { ip, lhlo, tls } => say!(
                language,
                "taken over LMTP from {ip} (“{lhlo}”) {over}, sender {from}",
                "通过 LMTP 收自 {ip}（“{lhlo}”），{over}，发件人 {from}",
                over = over(tls)
            ),
            Source::Append { account } => say!(
                language,
                "stored by {account} over IMAP",
                "由 {account} 通过 IMAP 存入",
                account = self.account(*account)
            ),
            Source::Import { account } => say!(
                language,
                "imported for {account} by the operator",
                "由管理员为 {account} 导入",
                account = self.account(*account)
            ),
            Source::Report { about } => say!(
                language,
                "made here as a report about {about}",
                "本服务器生成的关于 {about} 的报告",
                about = short_receipt(*about)
            ),
            Source::PeriodReport => say!(
                language,
                "made here as a report to others, sender {from}",
                "本服务器生成的对外报告，发件人 {from}"
            ),
        };
        let (bytes, receipt) = (mail.body_bytes, self.story.facts.receipt);
        say!(
            language,
            "{whence}; {bytes} bytes, synced to disk, answered {receipt}",
            "{whence}；{bytes} 字节，已同步到磁盘，回执 {receipt}"
        )
    }

    fn began(&self, custody: CustodyId, fate: &Fate) -> Option<String> {
        let (to, language) = (self.recipient(custody)?, self.language);
        Some(match fate {
            Fate::Delivered { uid, .. } => {
                let known = self.story.custodies.iter().find(|known| known.custody == custody);
                let place = known.and_then(|known| known.delivered.as_ref());
                let mailbox = place
                    .map_or_else(|| say!(language, "a mailbox", "邮箱"), |place| place.1.clone());
                say!(
                    language,
                    "delivered for {to} to {mailbox} as UID {uid}, in the same commit",
                    "已为 {to} 投递到 {mailbox}，UID {uid}，与接收同一次提交"
                )
            }
            Fate::Queued { due } if *due > self.story.facts.accepted => say!(
                language,
                "queued for {to}, to be sent at {due}",
                "已为 {to} 排队，将于 {due} 发送"
            ),
            Fate::Queued { .. } => say!(language, "queued for {to}", "已为 {to} 排队"),
            Fate::Held(hold) => {
                let by = tongue::held_by(hold.by, language);
                let reason = phrase_book::in_language(&hold.reason, language);
                say!(language, "held for {to} ({by}): {reason}", "已为 {to} 暂扣（{by}）：{reason}")
            }
            Fate::Expanded { into } => {
                let targets: Vec<&str> =
                    into.iter().filter_map(|target| self.recipient(*target)).collect();
                if *targets == [to] {
                    return Some(say!(
                        language,
                        "{to} was named before: one copy goes there",
                        "{to} 已列出：只投递一份"
                    ));
                }
                let targets = targets.join(", ");
                say!(
                    language,
                    "{to} is an alias: goes on to {targets}",
                    "{to} 是别名：转至 {targets}"
                )
            }
        })
    }

    fn event(&self, actor: &Actor, record: &Record) -> Vec<String> {
        let (who, language) = (self.who(actor), self.language);
        match record {
            Record::AttemptBegun { custodies, peer } => {
                let to: Vec<&str> =
                    custodies.iter().filter_map(|one| self.recipient(*one)).collect();
                let (host, to) = (host(peer, language), to.join(", "));
                vec![say!(language, "offered to {host} for {to}", "为 {to} 交给 {host}")]
            }
            Record::Judged(judged) => story_judged::sentences(judged, language),
            Record::Looked(looked) => {
                let what = tongue::looked_at(looked.at, language);
                vec![say!(language, "{who} looked at {what} of it", "{who}查看了它的{what}")]
            }
            Record::Healed(healed) => vec![story_changes::healed(healed, language)],
            Record::Reported(report) => vec![story_changes::report(report, language)],
            Record::FutureRelease { until, asked_secs, .. } => vec![match asked_secs {
                Some(secs) => say!(
                    language,
                    "the sender wants it to leave at {until}, {secs} seconds after it came \
                     (FUTURERELEASE)",
                    "发件人要求于 {until} 发出，即到达 {secs} 秒后（FUTURERELEASE）"
                ),
                None => say!(
                    language,
                    "the sender wants it to leave at {until} (FUTURERELEASE)",
                    "发件人要求于 {until} 发出（FUTURERELEASE）"
                ),
            }],
            Record::DeliverBy { by, .. } => vec![story_changes::deliver_by(*by, language)],
            Record::PrioritySet { priority, .. } => {
                let what = match *priority > Priority::NORMAL {
                    true => say!(language, "more urgent than other mail", "比其他邮件更紧急"),
                    false => say!(language, "less urgent than other mail", "不如其他邮件紧急"),
                };
                vec![say!(
                    language,
                    "it has priority {priority}: {what} (MT-PRIORITY)",
                    "优先级 {priority}：{what}（MT-PRIORITY）"
                )]
            }
            Record::AttemptDropped { custodies } => self.each(custodies, &|to: &str| {
                say!(
                    language,
                    "the attempt for {to} ended before anything was sent",
                    "为 {to} 的尝试在发送任何内容之前结束"
                )
            }),
            Record::Attempted { custody, peer, outcome } => {
                let told = self.recipient(*custody);
                told.map(|to| self.attempt(to, peer.as_ref(), outcome)).into_iter().collect()
            }
            Record::Tried(tried) => self.tried(tried),
            Record::CustodiesChanged(change) => {
                let told = change.items.iter();
                told.filter_map(|item| {
                    let to = self.recipient(item.custody)?;
                    Some(story_changes::sentence(change, item, (to, &who), language))
                })
                .collect()
            }
            Record::Rescheduled { custodies, .. } => self.each(custodies, &|to: &str| {
                say!(language, "{who} asked to try {to} again at once", "{who}要求立即重试 {to}")
            }),
            _ => self.moved(&who, record).into_iter().collect(),
        }
    }

    /// A sentence for each recipient.
    fn each(&self, custodies: &[CustodyId], tell: &dyn Fn(&str) -> String) -> Vec<String> {
        custodies.iter().filter_map(|one| self.recipient(*one)).map(tell).collect()
    }

    fn tried(&self, tried: &store::Tried) -> Vec<String> {
        let mut told = story_tries::sentences(tried, self.language);
        let outcomes = tried.outcomes.iter();
        told.extend(outcomes.filter_map(|(custody, outcome)| {
            let to = self.recipient(*custody)?;
            let next = match same_address(tried, outcome) {
                Some(source) => {
                    say!(self.language, ", from {source} again", "，仍使用本机地址 {source}")
                }
                None => String::new(),
            };
            Some(self.attempt(to, tried.peer.as_ref(), outcome) + &next)
        }));
        told
    }

    /// What somebody did with it in mailboxes.
    fn moved(&self, who: &str, record: &Record) -> Option<String> {
        let language = self.language;
        Some(match record {
            Record::Copied { from, to, .. } => say!(
                language,
                "{who} copied it from {from} to {to}",
                "{who}将它从 {from} 复制到 {to}",
                from = self.mailbox(*from),
                to = self.mailbox(*to)
            ),
            Record::Moved { from, to, .. } => say!(
                language,
                "{who} moved it from {from} to {to}",
                "{who}将它从 {from} 移动到 {to}",
                from = self.mailbox(*from),
                to = self.mailbox(*to)
            ),
            Record::MailboxDeleted { mailbox } => say!(
                language,
                "{who} deleted the mailbox {mailbox} with it; it is still in the archive",
                "{who}删除了它所在的邮箱 {mailbox}；它仍在归档中",
                mailbox = self.mailbox(*mailbox)
            ),
            Record::Expunged { mailbox, .. } => say!(
                language,
                "{who} took it out of {mailbox}; it is still in the archive",
                "{who}将它移出 {mailbox}；它仍在归档中",
                mailbox = self.mailbox(*mailbox)
            ),
            Record::Restored { to, .. } => say!(
                language,
                "{who} brought it back into {to}",
                "{who}将它恢复到 {to}",
                to = self.mailbox(*to)
            ),
            Record::Purged(purged) => say!(
                language,
                "{who} purged its body, by {by}; this record stays",
                "{who}清除了它的正文，依据：{by}；此记录保留",
                by = crate::archive_command::rule_words(&purged.rule, self.directory, language)
            ),
            Record::MailboxRestored { name, .. } => say!(
                language,
                "{who} brought the mailbox {name} back with it",
                "{who}恢复了它所在的邮箱 {name}"
            ),
            _ => return None,
        })
    }

    fn who(&self, actor: &Actor) -> String {
        who(actor, self.directory, self.language)
    }
}

/// Who did something.
pub fn who(actor: &Actor, directory: &Directory, language: Language) -> String {
    match actor {
        Actor::Peer { ip } => ip.to_string(),
        Actor::Account { account, ip, via } | Actor::Session { account, ip, via, .. } => {
            let via = match via {
                Via::Submission => say!(language, "submission", "邮件提交"),
                Via::Imap => "IMAP".to_owned(),
                Via::Pop3 => "POP3".to_owned(),
                Via::Control => say!(language, "the control socket", "控制套接字"),
                Via::Http => say!(language, "the HTTP API", "HTTP API"),
            };
            let place = match ip {
                Some(ip) => say!(language, " from {ip}", "，来自 {ip}"),
                None => String::new(),
            };
            let name = account_name(*account, directory, language);
            say!(language, "{name} (over {via}{place})", "{name}（通过 {via}{place}）")
        }
        Actor::Operator { name } => say!(language, "the operator ({name})", "管理员（{name}）"),
        Actor::Console { operator, ip } => say!(
            language,
            "the operator {operator} (over the console from {ip})",
            "管理员 {operator}（通过控制台，来自 {ip}）"
        ),
        Actor::Server => say!(language, "the server", "服务器"),
    }
}

fn account_name(id: AccountId, directory: &Directory, language: Language) -> String {
    match directory.account(id) {
        Some(account) => account.address.to_string(),
        None => say!(language, "removed account {id}", "已移除的账户 {id}"),
    }
}

/// Our address of the last try, where it is tried again: the same one is used.
fn same_address(tried: &store::Tried, outcome: &Outcome) -> Option<std::net::IpAddr> {
    match outcome {
        Outcome::Deferred { .. } | Outcome::Uncertain { .. } => tried.tries.last()?.source,
        Outcome::Relayed { .. } | Outcome::Returned { .. } | Outcome::Waits { .. } => None,
    }
}

fn host(peer: &Peer, language: Language) -> String {
    let security = match (&peer.tls, language) {
        (Some(_), Language::English) => format!("over {}", story_tries::security(peer, language)),
        _ => story_tries::security(peer, language),
    };
    let Peer { host, ip, port, .. } = peer;
    say!(language, "{host} [{ip}]:{port} {security}", "{host} [{ip}]:{port}（{security}）")
}

/// That the sender was told of a delay.
fn told_of_delay(report: Option<MailId>, language: Language) -> String {
    match report.map(short_receipt) {
        Some(report) => say!(
            language,
            "; the sender was told of the delay in {report}",
            "；已在 {report} 中告知发件人延迟"
        ),
        None => String::new(),
    }
}

impl Teller<'_> {
    /// What one attempt came to for one recipient.
    fn attempt(&self, to: &str, peer: Option<&Peer>, outcome: &Outcome) -> String {
        let language = self.language;
        let by = match peer {
            Some(Peer { host, ip, .. }) => {
                say!(language, " by {host} [{ip}]", "（{host} [{ip}]）")
            }
            None => String::new(),
        };
        let said = |reply: &Option<mail_types::Reply>| match reply {
            Some(reply) => say!(language, ", which said “{reply}”", "，对方答复“{reply}”"),
            None => String::new(),
        };
        match outcome {
            Outcome::Relayed { reply, report, may_be_duplicate } => {
                let doubt = match may_be_duplicate {
                    true => say!(
                        language,
                        "; an earlier try was uncertain, so it may be there twice",
                        "；先前一次尝试结果不明，因此可能送达两次"
                    ),
                    false => String::new(),
                };
                let told = match report.map(short_receipt) {
                    Some(report) => say!(
                        language,
                        "; the sender was told in {report}",
                        "；已在 {report} 中告知发件人"
                    ),
                    None => String::new(),
                };
                say!(
                    language,
                    "{to}: taken{by}, which said “{reply}”{doubt}{told}",
                    "{to}：已被接收{by}，对方答复“{reply}”{doubt}{told}"
                )
            }
            Outcome::Deferred { reason, status, reply, due, report } => {
                let (said, reason) = (said(reply), phrase_book::in_language(reason, language));
                let told = told_of_delay(*report, language);
                say!(
                    language,
                    "{to}: not taken{by} ({status}): {reason}{said}; next try {due}{told}",
                    "{to}：未被接收{by}（{status}）：{reason}{said}；下次尝试 {due}{told}"
                )
            }
            Outcome::Waits { reason, due, report } => {
                let reason = phrase_book::in_language(reason, language);
                let told = told_of_delay(*report, language);
                say!(
                    language,
                    "{to}: {reason}; looked at again {due}{told}",
                    "{to}：{reason}；将于 {due} 再次处理{told}"
                )
            }
            Outcome::Uncertain { reason, due } => {
                let reason = phrase_book::in_language(reason, language);
                say!(
                    language,
                    "{to}: uncertain whether taken{by}: {reason}; next try {due}",
                    "{to}：不确定是否已被接收{by}：{reason}；下次尝试 {due}"
                )
            }
            Outcome::Returned { reason, status, reply, notice } => {
                let told = self.notice(notice);
                let (said, reason) = (said(reply), phrase_book::in_language(reason, language));
                say!(
                    language,
                    "{to}: given up{by} ({status}): {reason}{said}; {told}",
                    "{to}：已放弃{by}（{status}）：{reason}{said}；{told}"
                )
            }
        }
    }

    /// Who was told that it was given up.
    fn notice(&self, notice: &Notice) -> String {
        let language = self.language;
        match notice {
            Notice::Sent { report } => {
                let (report, reader) = (short_receipt(*report), reader(self.story, language));
                say!(language, "{reader} was told in {report}", "已在 {report} 中告知{reader}")
            }
            Notice::NullReversePath => say!(
                language,
                "nobody is told, since it came from <> (RFC 5321 §4.5.5)",
                "未告知任何人，因为它来自 <>（RFC 5321 §4.5.5）"
            ),
            Notice::NotWanted => {
                say!(language, "the sender did not want to be told", "发件人不要求告知")
            }
        }
    }
}
