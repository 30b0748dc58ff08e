//! A stop while mail comes in: everybody gets an answer that is true, and nothing is lost or double.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use drill::imap::Imap;
use drill::judge::{Evidence, judge};
use drill::load::{self, Load};

use crate::harness::{ALICE, BOB, CAROL, House, LIMIT, PASSWORD, until};

#[test]
fn five_restarts_lose_and_double_nothing() {
    let mut house = House::new();
    let names = [ALICE, BOB, CAROL];
    let mut plan = Load::new(house.address(25), names.map(str::to_owned).to_vec());
    plan.messages = 1_000_000;
    plan.connections = 8;
    plan.keep_trying = true;
    plan.messages_per_connection = 30;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let loading = std::thread::spawn(move || load::run(&plan, &stopped, None).unwrap());
    let mut seen = 0;
    for _ in 0..5 {
        // Each time some hundred messages more have arrived.
        seen = until("messages coming in", || {
            let mut imap = Imap::sign_in(house.address(143), ALICE, PASSWORD, LIMIT).unwrap();
            let now = imap.examine("INBOX").unwrap();
            (now >= seen + 100).then_some(now)
        });
        house.stop();
        house.start();
    }
    stop.store(true, Ordering::Relaxed);
    let outcome = loading.join().unwrap();
    let mut evidence = Evidence::default();
    let copy = |sent: &load::Sent| (names[sent.recipient as usize].to_owned(), sent.token);
    for sent in &outcome.acknowledged {
        evidence.acknowledged.insert(copy(sent), sent.answer.to_string());
    }
    // A graceful stop answers what it has taken; a lost reply would be no lost mail.
    evidence.uncertain.extend(outcome.uncertain.iter().map(copy));
    for name in names {
        let mut imap = Imap::sign_in(house.address(143), name, PASSWORD, LIMIT).unwrap();
        for (token, count) in imap.tokens("INBOX").unwrap().tokens {
            evidence.found.insert((name.to_owned(), token), count);
        }
    }
    let verdict = judge(&evidence);
    assert!(verdict.is_clean() && verdict.acknowledged >= 500, "{verdict:#?}");
    assert_eq!(verdict.uncertain, 0, "a graceful stop leaves nobody without a reply: {verdict:#?}");
}
