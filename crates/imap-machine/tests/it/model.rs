//! Random sessions on one mailbox against a client that believes what it is told: sequence numbers
//! never lie, EXPUNGE comes only when it may, and after NOOP everybody knows the truth.

use imap_machine::grammar::{SequenceSet, StoreMode};
use mail_types::{Flags, SystemFlag, Timestamp};

use crate::client::{Client, config};
use crate::service::{Service, flags};

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) as usize % limit
    }
}

/// What a client knows of a message.
#[derive(Clone, Debug, Default)]
struct Known {
    uid: Option<u32>,
    flags: Option<Flags>,
}

struct Believer {
    client: Client,
    known: Vec<Known>,
}

impl Believer {
    fn new(service: &mut Service, qresync: bool) -> Self {
        let mut believer = Self { client: Client::signed_in(config(), service), known: Vec::new() };
        if qresync {
            believer.say(service, "ENABLE QRESYNC");
        }
        believer.say(service, "SELECT INBOX");
        believer.say(service, "FETCH 1:* (UID FLAGS)");
        believer
    }

    fn say(&mut self, service: &mut Service, command: &str) {
        let answer = self.client.say(service, &format!("t {command}"));
        let expunge_allowed =
            !["FETCH", "STORE", "SEARCH"].iter().any(|name| command.starts_with(name));
        for line in answer.lines() {
            self.hear(line, expunge_allowed, command);
        }
        assert!(answer.contains("\nt ") || answer.starts_with("t "), "{command}: {answer}");
    }

    fn hear(&mut self, line: &str, expunge_allowed: bool, command: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match &*words {
            ["*", number, "EXISTS"] => {
                let number: usize = number.parse().unwrap();
                assert!(number >= self.known.len(), "{command}: EXISTS shrinks");
                self.known.resize(number, Known::default());
            }
            ["*", number, "EXPUNGE"] => {
                assert!(expunge_allowed, "{command}: EXPUNGE where it must not be");
                self.known.remove(number.parse::<usize>().unwrap() - 1);
            }
            ["*", "VANISHED", uids] => {
                assert!(expunge_allowed, "{command}: VANISHED where it must not be");
                let set = SequenceSet::from_wire(uids.as_bytes()).unwrap().resolve(u32::MAX);
                for uid in set.iter() {
                    let place = self.known.iter().position(|known| known.uid == Some(uid));
                    // One whose UID was never asked for lies behind all that have a lower one.
                    let below = |known: &Known| known.uid.is_some_and(|known| known < uid);
                    let behind = self.known.iter().rposition(below).map_or(0, |place| place + 1);
                    let unknown = || {
                        let mut rest = self.known[behind..].iter();
                        rest.position(|known| known.uid.is_none()).map(|place| behind + place)
                    };
                    self.known.remove(place.or_else(unknown).unwrap());
                }
            }
            ["*", number, "FETCH", ..] => {
                let known = &mut self.known[number.parse::<usize>().unwrap() - 1];
                if let Some((_, rest)) = line.split_once("UID ") {
                    let uid = rest.split([' ', ')']).next().unwrap().parse().unwrap();
                    assert!(known.uid.is_none_or(|before| before == uid), "{command}: UID changes");
                    known.uid = Some(uid);
                }
                if let Some((_, rest)) = line.split_once("FLAGS (") {
                    let list = rest.split(')').next().unwrap().replace("\\Recent", "");
                    known.flags = Some(flags(&list));
                }
            }
            _ => {}
        }
        let uids: Vec<u32> = self.known.iter().filter_map(|known| known.uid).collect();
        assert!(uids.windows(2).all(|pair| pair[0] < pair[1]), "UIDs out of order");
    }

    fn act(&mut self, service: &mut Service, random: &mut Random) {
        let count = self.known.len();
        let any = 1 + random.below(count.max(1));
        let flag = ["\\Seen", "\\Deleted", "$Work", "\\Flagged"][random.below(4)];
        match random.below(14) {
            0 => self.say(service, "NOOP"),
            1 if count > 0 => self.say(service, &format!("FETCH {any}:* (UID FLAGS)")),
            2 => self.say(service, "UID FETCH 1:* FLAGS"),
            3 if count > 0 => self.say(service, &format!("STORE {any} +FLAGS {flag}")),
            4 if count > 0 => self.say(service, &format!("STORE {any} -FLAGS ({flag})")),
            5 if count > 0 => {
                // What the client works out itself.
                let known = &mut self.known[any - 1];
                if let Some(before) = &known.flags {
                    known.flags = Some(StoreMode::Add.apply(before, &flags(flag)));
                }
                self.say(service, &format!("STORE {any} +FLAGS.SILENT {flag}"));
            }
            6 => self.say(service, "EXPUNGE"),
            7 if count > 0 => self.say(service, &format!("COPY {any} INBOX")),
            8 if count > 0 => self.say(service, &format!("MOVE {any} INBOX")),
            9 => self.say(service, "SEARCH UNSEEN"),
            10 => self.say(service, &format!("APPEND INBOX ({flag}) {{3+}}\r\nabc {{3+}}\r\ndef")),
            // Two at once, and a command behind them.
            11 => {
                let append = "APPEND INBOX {3+}\r\nabc\r\n";
                self.say(service, &format!("{append}t {append}t NOOP"));
            }
            12 if count > 0 => {
                self.say(service, &format!("REPLACE {any} INBOX ({flag}) {{3+}}\r\nnew"));
            }
            13 if count > 0 => {
                let uid = self.known[any - 1].uid.unwrap_or(1);
                let url = format!("URL \"/INBOX/;UID={uid}\"");
                self.say(service, &format!("APPEND INBOX CATENATE ({url} TEXT {{1+}}\r\nx)"));
            }
            _ => self.say(service, "CHECK"),
        }
    }

    fn knows_the_truth(&self, service: &mut Service) {
        let truth = &service.mailbox("INBOX").messages;
        assert_eq!(self.known.len(), truth.len());
        for (known, message) in self.known.iter().zip(truth) {
            assert!(known.uid.is_none_or(|uid| uid == message.uid));
            assert!(
                known.flags.as_ref().is_none_or(|flags| *flags == message.flags),
                "{known:?} is not {message:?}"
            );
        }
    }
}

#[test]
fn sessions_believe_the_truth() {
    for seed in 0..150 {
        let mut random = Random(seed);
        let mut service = Service::new();
        for _ in 0..random.below(6) {
            service.deliver("INBOX", b"Subject: x\r\n\r\n", Flags::default(), Timestamp::default());
        }
        let mut all = [false, true].map(|qresync| Believer::new(&mut service, qresync));
        for _ in 0..120 {
            let who = random.below(3);
            match all.get_mut(who) {
                Some(believer) => believer.act(&mut service, &mut random),
                None => elsewhere(&mut service, &mut random),
            }
            for believer in &mut all {
                for mailbox in service.changed.clone() {
                    let event = imap_machine::Event::Changed(mailbox);
                    mail_types::Machine::event(
                        &mut believer.client.session,
                        event,
                        believer.client.now,
                    );
                }
            }
            service.changed.clear();
        }
        for believer in &mut all {
            believer.say(&mut service, "NOOP");
            believer.knows_the_truth(&mut service);
        }
    }
}

/// What delivery and sessions elsewhere do.
fn elsewhere(service: &mut Service, random: &mut Random) {
    let uids: Vec<u32> =
        service.mailbox("INBOX").messages.iter().map(|message| message.uid).collect();
    let uid = uids.get(random.below(uids.len().max(1))).copied();
    match (random.below(4), uid) {
        (0, Some(uid)) => service.expunge("INBOX", uid),
        (1, Some(uid)) => {
            let seen = Flags::from_iter([SystemFlag::Seen]);
            service.store("INBOX", uid, StoreMode::Remove, &seen);
        }
        (2, Some(uid)) => {
            let answered = Flags::from_iter([SystemFlag::Answered]);
            service.store("INBOX", uid, StoreMode::Add, &answered);
        }
        _ => {
            service.deliver("INBOX", b"Subject: y\r\n\r\n", Flags::default(), Timestamp::default());
        }
    }
}
