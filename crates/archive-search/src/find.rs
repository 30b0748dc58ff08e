//! Searching: candidates by words and facts from here, a page at a time; what is so of them now from
//! the store; each message that matches is handed out at once.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use mail_types::{AccountId, MailId};
use rusqlite::{Connection, OptionalExtension};
use store::{CustodyState, KnownBy, Left, Lies, MailFacts, Store, Story, Visit};

use crate::document::shown_text;
use crate::excerpt::{Excerpt, excerpt};
use crate::kept::{self, Attachment};
use crate::matching::Ready;
use crate::query::{Direction, Fact, Place, Query, Verdict};
use crate::sight::{self, Seen, Sight};
use crate::words::Wanted;
use crate::{Progress, SEARCHES_MAX, Search, SearchError, VISITORS_MAX};

/// How long one search may look where nothing else is wanted.
pub const TIME_MAX: Duration = Duration::from_secs(30);
/// How much longer for each message that is found: an export finds many.
const TIME_PER_HIT: Duration = Duration::from_millis(100);
/// Between two questions whether it is still wanted.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// Between two interruptions of a search whose time is over: what SQLite begins after one is not
/// ended by it.
const INTERRUPT_EVERY: Duration = Duration::from_millis(100);
/// Candidates looked at in one search.
const LOOKED_AT_MAX: usize = 2_000_000;
/// Candidates looked at together, first and at most.
const PAGE_FIRST: usize = 32;
const PAGE_MAX: usize = 1024;
/// Messages of mailboxes that `in:` may name.
const IN_MAX: u32 = 2_000_000;
/// Octets of a body that is read again for an excerpt; of a larger one the folded text is shown.
const EXCERPT_BODY_MAX: u64 = 1 << 20;

/// What is asked.
#[derive(Clone)]
pub struct Asked<'a> {
    /// For what.
    pub query: &'a Query,
    /// For whom; none: for somebody who may see everything.
    pub sight: Option<&'a dyn Sight>,
    /// At most so many.
    pub count_max: usize,
    /// With the place in the text.
    pub excerpts: bool,
    /// How long it may look, without the time that whoever asked takes; each message that is found
    /// adds a little.
    pub time: Duration,
}

/// What a search tells while it looks; the answer says whether it goes on.
#[derive(Debug)]
pub enum Told {
    /// A message was found.
    Found(Box<Found>),
    /// A message was found, and what is kept of it is damaged.
    Lost(Lost),
    /// Nothing for a while: is it still wanted?
    Looking,
}

/// A message that was found and cannot be told of.
#[derive(Clone, Debug)]
pub struct Lost {
    /// What the index knows of it.
    pub facts: MailFacts,
    /// What is wrong.
    pub why: String,
}

/// Where in a message something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// In its text.
    Body,
    /// In an attachment of this name.
    Attachment(String),
}

/// A message that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Everything known of it, or what may be seen of it.
    pub story: Story,
    /// The mailboxes that it lies in or lay in; those that may be seen.
    pub places: Vec<Lies>,
    /// Whoever looks may see all of it.
    pub whole: bool,
    /// Which way it went.
    pub direction: Direction,
    /// What was found of its sender.
    pub verdict: Verdict,
    /// What is attached, without the texts.
    pub attachments: Vec<Attachment>,
    /// The place in the text.
    pub excerpt: Option<(Where, Excerpt)>,
}

/// How a search ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Messages found.
    pub found: usize,
    /// There may be more: it ended at the limit that was asked for.
    pub more: bool,
    /// It ended because it took too long or looked at too many.
    pub gave_up: bool,
    /// Parts of words that stand for so many words that not all were looked up.
    pub cut: Vec<String>,
    /// Of words that came lately only their beginnings and wholes are found: there are too many.
    pub parts_full: bool,
    /// How many messages can be found.
    pub progress: Progress,
}

struct UnderWay<'a> {
    search: &'a Search,
    visitor: Option<String>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.search.under_way.fetch_sub(1, Ordering::AcqRel);
        if let Some(visitor) = &self.visitor {
            self.search.visitors().remove(visitor);
        }
    }
}

impl Search {
    fn visitors(&self) -> MutexGuard<'_, HashSet<String>> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, visitor: Option<String>) -> Result<UnderWay<'_>, SearchError> {
        if self.under_way.fetch_add(1, Ordering::AcqRel) >= SEARCHES_MAX {
            self.under_way.fetch_sub(1, Ordering::AcqRel);
            return Err(SearchError::Busy);
        }
        // From here on it is given back when it is dropped.
        let mut place = UnderWay { search: self, visitor: None };
        let Some(visitor) = visitor else { return Ok(place) };
        let mut visitors = self.visitors();
        if visitors.contains(&visitor) {
            return Err(SearchError::OneAtATime);
        }
        if visitors.len() >= VISITORS_MAX {
            return Err(SearchError::Busy);
        }
        visitors.insert(visitor.clone());
        place.visitor = Some(visitor);
        drop(visitors);
        Ok(place)
    }

    /// Finds messages, the newest first, and hands each out as it is found.
    ///
    /// # Errors
    /// Where store or file cannot be read, or too many search.
    pub fn find(
        &self,
        store: &Store,
        asked: &Asked<'_>,
        tell: &mut dyn FnMut(Told) -> Visit,
    ) -> Result<Ended, SearchError> {
        let _place = self.place(asked.sight.map(Sight::name))?;
        let sql = self.reader()?;
        let progress = self.progress(store)?;
        let over = Over::start(&sql, asked.time)?;
        let parts_full = kept::is_vocabulary_full(&sql)?;
        let directory = store.directory();
        let accounts = |address: &mail_types::Address| {
            directory.sign_in_name(&address.to_string()).map(|account| account.id)
        };
        if let Some(sight) = asked.sight {
            sight::check(asked.query, sight, &accounts)?;
        }
        let ready = Ready::new(&sql, asked.query, asked.sight, &accounts)?;
        let now = Now::new(store, asked, &accounts)?;
        let told = Instant::now();
        let (sql, ready) = (&sql, &ready);
        let mut looking = Looking { store, sql, asked, ready, now, over, told, found: 0 };
        let looked = looking.look(tell);
        let (more, gave_up) = match looked {
            Ok(ended) => ended,
            Err(SearchError::Sql(error))
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
            {
                (true, true)
            }
            Err(error) => return Err(error),
        };
        let (found, cut) = (looking.found, ready.cut.clone());
        Ok(Ended { found, more, gave_up, cut, parts_full, progress })
    }
}

/// The time of a search. SQLite is interrupted when it is over; all else asks.
struct Over {
    /// None: whoever asked is at it.
    until: Arc<Mutex<Option<Instant>>>,
    _done: mpsc::Sender<()>,
}

fn lock(until: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    until.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Over {
    fn start(sql: &Connection, time: Duration) -> Result<Self, SearchError> {
        let until = Arc::new(Mutex::new(Some(Instant::now() + time)));
        let interrupt = sql.get_interrupt_handle();
        let (done, waited) = mpsc::channel::<()>();
        let watched = Arc::clone(&until);
        std::thread::Builder::new()
            .name("search-time".to_owned())
            .spawn(move || {
                loop {
                    let until = *lock(&watched);
                    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                    if left.is_some_and(|left| left.is_zero()) {
                        interrupt.interrupt();
                    }
                    let wait = left.filter(|left| !left.is_zero()).unwrap_or(INTERRUPT_EVERY);
                    if waited.recv_timeout(wait) != Err(mpsc::RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })
            .map_err(SearchError::Thread)?;
        Ok(Self { until, _done: done })
    }

    fn is_over(&self) -> bool {
        lock(&self.until).is_some_and(|until| Instant::now() >= until)
    }

    /// Time that does not count, and so much more of it.
    fn paused<T>(&self, more: Duration, work: impl FnOnce() -> T) -> T {
        let until = lock(&self.until).take();
        let began = Instant::now();
        let done = work();
        *lock(&self.until) = until.map(|until| until + began.elapsed() + more);
        done
    }
}

/// What must be so now.
struct Now<'a> {
    /// Known by, whether not.
    keys: Vec<(KnownBy<'a>, bool)>,
    states: Vec<(CustodyState, bool)>,
    lies_in: Vec<(HashSet<MailId>, bool)>,
    deleted: Vec<bool>,
}

impl<'a> Now<'a> {
    fn new(
        store: &Store,
        asked: &Asked<'a>,
        accounts: &dyn Fn(&mail_types::Address) -> Option<AccountId>,
    ) -> Result<Self, SearchError> {
        let query = asked.query;
        let mut now =
            Self { keys: Vec::new(), states: Vec::new(), lies_in: Vec::new(), deleted: Vec::new() };
        let account = query.facts.iter().find_map(|term| match &term.is {
            Fact::Account(address) if !term.not => accounts(address),
            _ => None,
        });
        for term in &query.facts {
            match &term.is {
                // They are decided from what may be seen.
                Fact::State(_) | Fact::In(_) | Fact::Deleted if asked.sight.is_some() => {}
                Fact::MessageId(id) => now.keys.push((KnownBy::MessageId(id), term.not)),
                Fact::Host(host) => now.keys.push((KnownBy::Host(host), term.not)),
                Fact::State(state) => now.states.push((*state, term.not)),
                Fact::In(name) => {
                    let mails = store.mails_in(name, account, IN_MAX)?;
                    let mails = mails.ok_or_else(|| SearchError::TooManyIn(name.clone()))?;
                    now.lies_in.push((mails, term.not));
                }
                Fact::Deleted => now.deleted.push(term.not),
                Fact::Accepted(_)
                | Fact::Larger(_)
                | Fact::Smaller(_)
                | Fact::HasAttachment
                | Fact::HasUnread
                | Fact::Direction(_)
                | Fact::Verdict(_)
                | Fact::Account(_)
                | Fact::Mail(..) => {}
            }
        }
        Ok(now)
    }

    /// Which of these are so; what only a story tells comes later.
    fn keep(&self, store: &Store, mut mails: Vec<MailId>) -> Result<Vec<MailId>, SearchError> {
        for (mailboxes, not) in &self.lies_in {
            mails.retain(|mail| mailboxes.contains(mail) != *not);
        }
        for (key, not) in &self.keys {
            let known = store.are_known_by(&mails, &[*key])?;
            mails = kept_of(mails, known.into_iter().map(|known| known != *not));
        }
        if !self.states.is_empty() {
            let states = store.states(&mails)?;
            let so = |of: Vec<CustodyState>| {
                self.states.iter().all(|(state, not)| of.contains(state) != *not)
            };
            mails = kept_of(mails, states.into_iter().map(so));
        }
        Ok(mails)
    }

    fn is_deleted(&self, places: &[Lies]) -> bool {
        self.deleted.iter().all(|not| places.iter().any(was_deleted) != *not)
    }
}

/// Whether somebody took it out of this mailbox.
pub fn was_deleted(lies: &Lies) -> bool {
    let out = |left: Left| matches!(left, Left::Expunged | Left::WithMailbox);
    lies.gone.as_ref().is_some_and(|gone| out(gone.how))
}

fn kept_of(mails: Vec<MailId>, keep: impl Iterator<Item = bool>) -> Vec<MailId> {
    mails.into_iter().zip(keep).filter_map(|(mail, keep)| keep.then_some(mail)).collect()
}

struct Looking<'a> {
    store: &'a Store,
    sql: &'a Connection,
    asked: &'a Asked<'a>,
    ready: &'a Ready,
    now: Now<'a>,
    over: Over,
    /// When whoever asked was last told something.
    told: Instant,
    found: usize,
}

impl Looking<'_> {
    /// Whether there may be more, and whether it gave up.
    fn look(&mut self, tell: &mut dyn FnMut(Told) -> Visit) -> Result<(bool, bool), SearchError> {
        let mut before = MailId(i64::MAX as u64);
        let (mut page, mut looked_at) = (PAGE_FIRST, 0);
        // What is known by a key is few, where no words say which.
        let leads = self.now.keys.iter().find(|(_, not)| !not).map(|(key, _)| *key);
        let leads = leads.filter(|_| !self.ready.has_words());
        while looked_at < LOOKED_AT_MAX {
            if let Some(ended) = self.ended(tell) {
                return Ok(ended);
            }
            let (candidates, last, count) = match leads {
                Some(key) => {
                    let mails = self.store.known_by(key, before, page as u32)?;
                    let (last, count) = (mails.last().copied(), mails.len());
                    (self.ready.matching(self.sql, &mails)?, last, count)
                }
                None => {
                    let mails = self.ready.page(self.sql, before, page)?;
                    let (last, count) = (mails.last().copied(), mails.len());
                    (mails, last, count)
                }
            };
            let Some(last) = last else { return Ok((false, false)) };
            before = last;
            looked_at += count;
            for mail in self.now.keep(self.store, candidates)? {
                if self.found >= self.asked.count_max {
                    return Ok((true, false));
                }
                if let Some(ended) = self.ended(tell) {
                    return Ok(ended);
                }
                let Some(one) = self.found(mail)? else { continue };
                self.found += 1;
                self.told = Instant::now();
                if self.over.paused(TIME_PER_HIT, || tell(one)) == Visit::Stop {
                    return Ok((true, false));
                }
            }
            if count < page {
                return Ok((false, false));
            }
            page = (page * 4).min(PAGE_MAX);
        }
        Ok((true, true))
    }

    /// How it ends where its time is over, or nobody wants it any more.
    fn ended(&mut self, tell: &mut dyn FnMut(Told) -> Visit) -> Option<(bool, bool)> {
        if self.over.is_over() {
            return Some((true, true));
        }
        if self.told.elapsed() < ASK_EVERY {
            return None;
        }
        self.told = Instant::now();
        let wanted = self.over.paused(Duration::ZERO, || tell(Told::Looking));
        (wanted == Visit::Stop).then_some((true, false))
    }

    fn found(&self, mail: MailId) -> Result<Option<Told>, SearchError> {
        let all = store::Query::default();
        let story = match self.store.stories(&[mail], &all) {
            Ok(mut stories) => stories.pop(),
            // One that is damaged does not end the search for others.
            Err(error) if error.is_of_one_message() => {
                if self.asked.sight.is_some() {
                    // Nobody can tell whose it is.
                    return Ok(None);
                }
                let facts = self.store.mail_facts(&[mail])?.pop();
                let lost = |facts| Told::Lost(Lost { facts, why: error.to_string() });
                return Ok(facts.map(lost));
            }
            Err(error) => return Err(error.into()),
        };
        let Some(story) = story else { return Ok(None) };
        let seen = match self.asked.sight {
            Some(sight) => sight.see(story),
            None => Some(Seen { places: story.places(), story, whole: true }),
        };
        let Some(seen) = seen else { return Ok(None) };
        if !self.now.is_deleted(&seen.places) {
            return Ok(None);
        }
        let select = "SELECT direction, verdict FROM mail WHERE id = ?1";
        let row = self.sql.prepare_cached(select)?.query_row([mail.0.cast_signed()], |row| {
            Ok((row.get::<_, u16>(0)?, row.get::<_, u16>(1)?))
        });
        let Some((direction, verdict)) = row.optional()? else { return Ok(None) };
        let mut direction =
            Direction::ALL.get(usize::from(direction)).copied().unwrap_or(Direction::Internal);
        if self.asked.sight.is_some() {
            direction = sight::direction(&seen, direction);
            let wanted = (self.asked.query, self.ready.groups.as_slice());
            if !sight::holds(self.store, self.sql, wanted, &seen, direction)? {
                return Ok(None);
            }
        }
        let Seen { story, places, whole } = seen;
        let mut attachments = kept::attachments(self.sql, mail, self.asked.excerpts)?;
        let excerpt = match self.asked.excerpts {
            true => self.excerpt(&story, &attachments)?,
            false => None,
        };
        attachments.iter_mut().for_each(|attachment| attachment.text.clear());
        Ok(Some(Told::Found(Box::new(Found {
            story,
            places,
            whole,
            direction,
            verdict: Verdict::ALL.get(usize::from(verdict)).copied().unwrap_or(Verdict::None),
            attachments,
            excerpt,
        }))))
    }

    fn excerpt(
        &self,
        story: &Story,
        attachments: &[Attachment],
    ) -> Result<Option<(Where, Excerpt)>, SearchError> {
        let in_ = |place: Place| -> Vec<&Wanted> {
            let words = self.asked.query.wanted();
            let there = words.filter(|w| w.places.is_empty() || w.places.contains(&place));
            there.map(|words| &words.wanted).collect()
        };
        let wanted = in_(Place::Body);
        if !wanted.is_empty() {
            for text in self.texts(story)? {
                if let Some(found) = excerpt(&text, &wanted) {
                    return Ok(Some((Where::Body, found)));
                }
            }
        }
        let wanted = in_(Place::Files);
        let mut with_text = attachments.iter().filter(|attachment| !attachment.text.is_empty());
        Ok(with_text.find_map(|attachment| {
            let found = excerpt(&attachment.text, &wanted)?;
            Some((Where::Attachment(attachment.name.clone()), found))
        }))
    }

    fn texts(&self, story: &Story) -> Result<Vec<String>, SearchError> {
        if story.facts.body_bytes <= EXCERPT_BODY_MAX {
            // A body that is purged or damaged has no excerpt; that is said elsewhere.
            return Ok(self
                .store
                .body(&story.facts)
                .map_or_else(|_| Vec::new(), |b| shown_text(&b)));
        }
        let mut texts = Vec::new();
        self.store.texts(&[story.facts.receipt.mail], |_, text| {
            texts.extend(text.map(str::to_owned));
            Visit::GoOn
        })?;
        Ok(texts)
    }
}
