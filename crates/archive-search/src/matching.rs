//! A query as SQL: which words are looked up where, and what a message must be besides.

use std::fmt::Write as _;

use mail_types::{AccountId, MailId};
use rusqlite::Connection;

use crate::query::{Direction, Fact, Query, Verdict, Words};
use crate::sight::{Group, Sight};
use crate::words::PART_CHARS_MIN;

/// Words that a part of a word stands for at most; the commonest are found first.
const WORDS_OF_PART_MAX: usize = 64;
/// A query made ready.
#[derive(Clone, Debug, Default)]
pub struct Ready {
    /// What FTS5 is asked, where words are asked for.
    words: Option<String>,
    /// What FTS5 is asked for messages that must not be found, where no words are asked for.
    without: Option<String>,
    /// Conditions on columns of `mail`.
    conditions: Vec<String>,
    /// An account that the messages are of: it leads where no words do.
    account: Option<AccountId>,
    /// Parts of words that stand for more words than were looked up.
    pub cut: Vec<String>,
    /// What is decided of each message, for whoever may not see everything.
    pub groups: Vec<Group>,
}

/// What accounts a query names, looked up by whoever knows them.
pub type Accounts<'a> = &'a dyn Fn(&mail_types::Address) -> Option<AccountId>;

impl Ready {
    /// Makes a query ready. For whoever does not see everything only what everybody sees who has the
    /// message decides here, and that other words are there may be found of more messages than are so.
    ///
    /// # Errors
    /// SQLite's.
    pub fn new(
        sql: &Connection,
        query: &Query,
        sight: Option<&dyn Sight>,
        accounts: Accounts<'_>,
    ) -> Result<Self, rusqlite::Error> {
        let mut ready = Self::default();
        let (mut all, mut none) = (Vec::new(), Vec::new());
        for term in &query.words {
            if sight.is_some()
                && let Some(group) = Group::of(&mut ready, sql, term.not, &term.is)?
            {
                ready.groups.push(group);
                if term.not {
                    continue;
                }
            }
            let mut group = Vec::new();
            for words in &term.is {
                group.push(ready.expression(sql, words)?);
            }
            let group = format!("({})", group.join(" OR "));
            if term.not { none.push(group) } else { all.push(group) }
        }
        let none = (!none.is_empty()).then(|| none.join(" OR "));
        match (all.is_empty(), none) {
            (true, without) => ready.without = without,
            (false, Some(none)) => {
                ready.words = Some(format!("({}) NOT ({none})", all.join(" AND ")));
            }
            (false, None) => ready.words = Some(all.join(" AND ")),
        }
        for term in &query.facts {
            if sight.is_none() || !matches!(term.is, Fact::Direction(_)) {
                ready.fact(&term.is, term.not, accounts);
            }
        }
        if let Some(within) = sight.map(Sight::accounts) {
            if let ([own], None) = (within, ready.account) {
                ready.account = Some(*own);
            }
            let ids: Vec<String> = within.iter().map(|id| id.0.to_string()).collect();
            ready.conditions.push(format!(
                "EXISTS (SELECT 1 FROM party WHERE mail = mail.id AND account IN ({}))",
                ids.join(", ")
            ));
        }
        Ok(ready)
    }

    fn fact(&mut self, fact: &Fact, not: bool, accounts: Accounts<'_>) {
        let condition = match fact {
            Fact::Accepted(span) => {
                format!("mail.accepted >= {} AND mail.accepted < {}", span.from.0, span.to.0)
            }
            Fact::Larger(bytes) => format!("mail.bytes > {}", capped(*bytes)),
            Fact::Smaller(bytes) => format!("mail.bytes < {}", capped(*bytes)),
            Fact::HasAttachment => "mail.attachments > 0".to_owned(),
            Fact::HasUnread => "EXISTS (SELECT 1 FROM attachment WHERE mail = mail.id \
                                AND unread IS NOT NULL)"
                .to_owned(),
            Fact::Direction(direction) => {
                let at = Direction::ALL.iter().position(|one| one == direction);
                format!("mail.direction = {}", at.unwrap_or_default())
            }
            Fact::Verdict(verdict) => {
                let at = Verdict::ALL.iter().position(|one| one == verdict);
                format!("mail.verdict = {}", at.unwrap_or_default())
            }
            Fact::Account(address) => {
                let account = accounts(address);
                if !not && self.account.is_none() {
                    self.account = account;
                }
                // An account that nobody knows has no mail.
                let id = account.map_or(-1, |account| account.0.cast_signed());
                format!("EXISTS (SELECT 1 FROM party WHERE mail = mail.id AND account = {id})")
            }
            Fact::Mail(mail, check) => match check {
                Some(check) => {
                    format!("mail.id = {} AND mail.receipt_check = {check}", mail.0.cast_signed())
                }
                None => format!("mail.id = {}", mail.0.cast_signed()),
            },
            // The store knows.
            Fact::MessageId(_) | Fact::Host(_) | Fact::State(_) | Fact::In(_) | Fact::Deleted => {
                return;
            }
        };
        self.conditions.push(if not { format!("NOT ({condition})") } else { condition });
    }

    /// What FTS5 is asked for some words. They hold letters, digits and nothing that it would read as
    /// anything else, and stand in quotes.
    ///
    /// # Errors
    /// SQLite's.
    pub fn expression(
        &mut self,
        sql: &Connection,
        words: &Words,
    ) -> Result<String, rusqlite::Error> {
        let mut text = String::new();
        if !words.places.is_empty() {
            let columns: Vec<&str> = words.places.iter().map(|place| place.word()).collect();
            write_to(&mut text, format_args!("{{{}}} : ", columns.join(" ")));
        }
        let part = words.wanted.part_of_word();
        if let Some(part) = part.filter(|part| part.chars().count() >= PART_CHARS_MIN) {
            let mut all = vec![part.to_owned()];
            all.extend(self.words_with(sql, part)?);
            all.dedup();
            let all: Vec<String> = all.iter().map(|word| format!("\"{word}\"")).collect();
            write_to(&mut text, format_args!("({})", all.join(" OR ")));
            return Ok(text);
        }
        write_to(&mut text, format_args!("\"{}\"", words.wanted.words.join(" ")));
        // A short word by itself would stand for too many.
        if words.wanted.open && part.is_none() {
            text.push('*');
        }
        Ok(text)
    }

    /// The words that this is a part of.
    fn words_with(&mut self, sql: &Connection, part: &str) -> Result<Vec<String>, rusqlite::Error> {
        let select = "SELECT word FROM parts WHERE word LIKE ?1 AND word <> ?2 LIMIT ?3";
        let mut statement = sql.prepare_cached(select)?;
        let like = format!("%{part}%");
        let limit = WORDS_OF_PART_MAX as i64 + 1;
        let rows = statement.query_map((like, part, limit), |row| row.get(0))?;
        let mut found: Vec<String> = rows.collect::<Result<_, _>>()?;
        if found.len() > WORDS_OF_PART_MAX {
            found.truncate(WORDS_OF_PART_MAX);
            if !self.cut.iter().any(|cut| cut == part) {
                self.cut.push(part.to_owned());
            }
        }
        Ok(found)
    }

    /// The messages before one that match, the newest first, at most so many.
    ///
    /// # Errors
    /// SQLite's; interrupted where time is over.
    pub fn page(
        &self,
        sql: &Connection,
        before: MailId,
        count_max: usize,
    ) -> Result<Vec<MailId>, rusqlite::Error> {
        self.between(sql, 0, before.0.min(i64::MAX as u64).cast_signed(), count_max)
    }

    fn between(
        &self,
        sql: &Connection,
        low: i64,
        before: i64,
        count_max: usize,
    ) -> Result<Vec<MailId>, rusqlite::Error> {
        let mut select = String::from("SELECT mail.id FROM ");
        match (&self.words, self.account) {
            (Some(_), _) => select.push_str(
                "words CROSS JOIN mail ON mail.id = words.rowid \
                     WHERE words MATCH ?1 AND words.rowid >= ?3 AND words.rowid < ?4",
            ),
            (None, Some(account)) => write_to(
                &mut select,
                format_args!(
                    "party CROSS JOIN mail ON mail.id = party.mail \
                     WHERE ?1 IS NULL AND party.account = {} AND party.mail >= ?3 \
                     AND party.mail < ?4",
                    account.0.cast_signed()
                ),
            ),
            (None, None) => {
                select.push_str("mail WHERE ?1 IS NULL AND mail.id >= ?3 AND mail.id < ?4");
            }
        }
        for condition in &self.conditions {
            write_to(&mut select, format_args!(" AND ({condition})"));
        }
        if self.without.is_some() {
            select.push_str(
                " AND NOT EXISTS (SELECT 1 FROM words WHERE words MATCH ?2 AND rowid = mail.id)",
            );
        }
        select.push_str(match (&self.words, self.account) {
            (Some(_), _) => " ORDER BY words.rowid DESC",
            (None, Some(_)) => " ORDER BY party.mail DESC",
            (None, None) => " ORDER BY mail.id DESC",
        });
        select.push_str(" LIMIT ?5");
        let mut statement = sql.prepare_cached(&select)?;
        statement.raw_bind_parameter(1, self.words.as_deref())?;
        if let Some(without) = &self.without {
            statement.raw_bind_parameter(2, without)?;
        }
        statement.raw_bind_parameter(3, low)?;
        statement.raw_bind_parameter(4, before)?;
        statement.raw_bind_parameter(5, i64::try_from(count_max).unwrap_or(i64::MAX))?;
        let mut rows = statement.raw_query();
        let mut mails = Vec::new();
        while let Some(row) = rows.next()? {
            mails.push(MailId(row.get::<_, i64>(0)?.cast_unsigned()));
        }
        Ok(mails)
    }

    /// Which of these messages match.
    ///
    /// # Errors
    /// SQLite's.
    pub fn matching(
        &self,
        sql: &Connection,
        mails: &[MailId],
    ) -> Result<Vec<MailId>, rusqlite::Error> {
        let mut found = Vec::new();
        for mail in mails {
            let id = mail.0.cast_signed();
            found.extend(self.between(sql, id, id.saturating_add(1), 1)?);
        }
        Ok(found)
    }

    /// Whether words are asked for.
    #[must_use]
    pub const fn has_words(&self) -> bool {
        self.words.is_some()
    }
}

fn capped(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn write_to(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    text.write_fmt(what).ok();
}
