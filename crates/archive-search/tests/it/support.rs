use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use archive_search::{
    Asked, Ended, NotRead, Pace, Patience, Query, Reader, Search, SearchError, TIME_MAX, Told,
};
use attachment_text::Kind;
use mail_types::{MailId, Timestamp};
use store::{Actor, Arrived, Credentials, Options, Recipient, Source, Store, Visit};

const PEER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

pub struct Archive {
    dir: tempfile::TempDir,
    clock: Arc<AtomicI64>,
    pub store: Store,
}

impl Archive {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(1_800_000_000_000));
        let store = open(dir.path(), &clock);
        let operator = || Actor::Operator { name: "root".to_owned() };
        store.add_domain(operator(), "example.org".parse().unwrap()).wait().unwrap();
        let credentials = Credentials {
            argon2id: "$argon2id$".to_owned(),
            scram_salt: vec![1; 16],
            scram_iterations: 4096,
            scram_stored_key: [2; 32],
            scram_server_key: [3; 32],
        };
        let eve = "eve@example.org".parse().unwrap();
        store.add_account(operator(), eve, credentials).wait().unwrap();
        Self { dir, clock, store }
    }

    pub fn minutes_later(&self, minutes: i64) {
        self.clock.fetch_add(minutes * 60_000, Ordering::Relaxed);
    }

    /// As after a restart, with this done in between.
    pub fn restarted(self, meanwhile: impl FnOnce(&Path)) -> Self {
        let Self { dir, clock, store } = self;
        store.close();
        drop(store);
        meanwhile(dir.path());
        let store = open(dir.path(), &clock);
        Self { dir, clock, store }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("search.sqlite")
    }

    pub fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    pub fn count(&self, select: &str) -> i64 {
        self.sql().query_row(select, [], |row| row.get(0)).unwrap()
    }

    /// Accepts a message with so many attachments.
    pub fn accept(&self, subject: &str, attachments: usize) -> MailId {
        let mut text = format!(
            "Subject: {subject}\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        );
        for number in 0..attachments {
            text.push_str(&format!(
                "--b\r\nContent-Type: application/octet-stream\r\n\
                 Content-Disposition: attachment; filename=\"{number}.pdf\"\r\n\r\nfile\r\n"
            ));
        }
        text.push_str("--b--\r\n");
        let mut arrival = self.store.arrival();
        arrival.write(text.as_bytes()).unwrap();
        let mail = self.store.next_mail();
        let source = Source::Smtp { ip: PEER, helo: "mx.example.net".to_owned(), tls: None };
        let from = (Actor::Peer { ip: PEER }, source);
        let to = vec![Recipient::plain("eve@example.org".parse().unwrap())];
        let plain = Arrived::plain(mail, from, arrival.finish().unwrap(), to);
        let arrived = Arrived { subject: Some(subject.to_owned()), ..plain };
        self.store.accept(arrived).wait().unwrap();
        mail
    }

    pub fn search(&self, reader: &mut dyn Reader) -> Result<Search, SearchError> {
        let go_on = &mut |_| Pace::After(std::time::Duration::ZERO);
        Search::caught_up(&self.store, self.path(), reader, go_on)
    }

    /// The messages found, those lost, and how it ended.
    pub fn find(
        &self,
        search: &Search,
        query: &str,
        time: std::time::Duration,
    ) -> (Vec<MailId>, Vec<MailId>, Ended) {
        let query = Query::parse(query, Timestamp(0)).unwrap();
        let asked = Asked { query: &query, sight: None, count_max: 99, excerpts: true, time };
        let (mut found, mut lost) = (Vec::new(), Vec::new());
        let ended = search.find(&self.store, &asked, &mut |told| {
            match told {
                Told::Found(one) => found.push(one.story.facts.receipt.mail),
                Told::Lost(one) => lost.push(one.facts.receipt.mail),
                Told::Looking => {}
            }
            Visit::GoOn
        });
        (found, lost, ended.unwrap())
    }

    pub fn finds(&self, search: &Search, query: &str, mails: &[MailId]) {
        assert_eq!(self.find(search, query, TIME_MAX).0, mails, "{query}");
    }
}

fn open(path: &Path, clock: &Arc<AtomicI64>) -> Store {
    let now = Arc::clone(clock);
    let clock = move || Timestamp(now.fetch_add(1, Ordering::Relaxed));
    Store::open(path, Options::new(Arc::new(clock))).unwrap().0
}

/// Reads what it is told to.
pub struct Says<F>(pub F);

impl<F: FnMut(&Patience<'_>) -> Result<String, NotRead> + Send> Reader for Says<F> {
    fn read(&mut self, _: Kind, _: &[u8], patience: &Patience<'_>) -> Result<String, NotRead> {
        (self.0)(patience)
    }
}
