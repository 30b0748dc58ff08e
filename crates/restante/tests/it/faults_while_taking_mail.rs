//! Something that a message needs breaks while it is offered: at the final dot, or already at RCPT.
//! The answer is 4xx, somebody is told, and what got its 250 is there once it works again.

use peers::{Dns, Fault};

use crate::broken::Broken;
use crate::harness::{ALICE, BOB, House, Smtp, message, until, words};

/// A session on port 25 or 24 that is ready for the content of a message to these recipients.
fn at_the_content(house: &House, port: u16, recipients: &[&str]) -> Smtp {
    let mut smtp = Smtp::connect(house.address(port));
    smtp.say(if port == 24 { "LHLO outside.test" } else { "EHLO outside.test" });
    smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
    for recipient in recipients {
        smtp.expect(&format!("RCPT TO:<{recipient}>"), "250");
    }
    smtp.expect("DATA", "354");
    smtp
}

fn content(id: &str) -> String {
    let text = message("Under trouble", id).replace('\n', "\r\n");
    format!("{}\r\n.", text.replace("\r\n.", "\r\n.."))
}

fn is_temporary(reply: &str) {
    assert!(reply.starts_with('4'), "our own trouble is 4xx: {reply}");
}

/// What `restante status` has to tell, which answers whatever is broken.
fn status(house: &House) -> serde_json::Value {
    let output = house.installation.command(&["status", "--json"]).unwrap();
    assert!(output.status.success(), "{}", words(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// In the log, and in the answer to whoever asks.
fn is_told(house: &House, what: &str) {
    until(&format!("an alarm: {what}"), || {
        let alarms = status(house)["alarms"].to_string();
        (alarms.contains(what) && house.log().contains(what)).then_some(())
    });
}

fn copies(house: &House, account: &str, id: &str) -> usize {
    let all = house.mailbox(account, "INBOX");
    all.iter().filter(|mail| mail.contains(&format!("<{id}@outside.test>"))).count()
}

/// A disk on which these calls fail at the dot, and which then works again: nothing had to be
/// restarted, and the session that was told 4xx delivers it at its next try.
fn passes(calls: &str, error: &str, large: bool) {
    let house = House::new();
    house.deliver(&[ALICE], &message("Before", "before"));
    let body = |id: &str| {
        let lines =
            if large { "some text of a large message\r\n".repeat(100_000) } else { String::new() };
        content(id).replacen("\r\n\r\n", &format!("\r\n\r\n{lines}"), 1)
    };
    let mut smtp = at_the_content(&house, 25, &[ALICE, BOB]);
    let broken = Broken::calls(&house, calls, error, &[]);
    is_temporary(&smtp.say(&body("under")));
    is_told(
        &house,
        if large { "a message could not be written" } else { "the store is in trouble" },
    );
    drop(broken);
    assert_eq!(status(&house)["accepting"], true);
    until("the same session delivers it", || {
        smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
        for recipient in [ALICE, BOB] {
            smtp.expect(&format!("RCPT TO:<{recipient}>"), "250");
        }
        smtp.expect("DATA", "354");
        let reply = smtp.say(&body("under"));
        assert!(reply.starts_with("250") || reply.starts_with('4'), "{reply}");
        reply.starts_with("250").then_some(())
    });
    for account in [ALICE, BOB] {
        assert_eq!(copies(&house, account, "under"), 1, "{account}");
    }
    assert_eq!(copies(&house, ALICE, "before"), 1);
}

#[test]
fn a_full_disk_at_the_dot() {
    passes("pwrite64,pwritev,ftruncate,fallocate", "ENOSPC", false);
}

#[test]
fn a_full_disk_while_a_large_message_comes_in() {
    passes("pwrite64,pwritev,ftruncate,fallocate", "ENOSPC", true);
}

#[test]
fn a_disk_that_is_read_only_of_a_sudden() {
    passes("openat,pwrite64,pwritev,ftruncate,fallocate,mkdir,unlink", "EROFS", true);
}

/// After a failed sync nobody knows what is on the disk: nothing is taken any more, at any stage, by
/// any protocol, until a start has looked.
#[test]
fn a_failed_sync_at_the_dot_stops_the_taking_of_mail_at_each_stage() {
    let mut house = House::made("127.0.0.1:1");
    house.set("listen", "lmtp = 24");
    house.start();
    house.deliver(&[ALICE], &message("Before", "before"));
    let mut smtp = at_the_content(&house, 25, &[ALICE, BOB]);
    let mut lmtp = at_the_content(&house, 24, &[ALICE, BOB]);
    let mut at_rcpt = Smtp::connect(house.address(25));
    at_rcpt.say("EHLO outside.test");
    at_rcpt.expect("MAIL FROM:<stranger@outside.test>", "250");
    let broken = Broken::calls(&house, "fsync,fdatasync,sync_file_range", "EIO", &[]);
    is_temporary(&smtp.say(&content("lost-sync")));
    is_told(&house, "the store is in trouble");
    drop(broken);
    // The disk may work again; what was told of it stays.
    let told = status(&house);
    assert_eq!(told["accepting"], false, "{told}");
    assert!(told["stopped_because"].is_string(), "{told}");
    is_temporary(&lmtp.say(&content("lmtp")));
    let rcpt = at_rcpt.say(&format!("RCPT TO:<{ALICE}>"));
    assert!(rcpt.starts_with("250") || rcpt.starts_with('4'), "{rcpt}");
    assert!(at_rcpt.say("DATA").starts_with("354"));
    is_temporary(&at_rcpt.say(&content("at-rcpt")));
    is_temporary(&smtp.say("MAIL FROM:<stranger@outside.test>"));
    house.kill();
    house.start();
    for account in [ALICE, BOB] {
        assert!(copies(&house, account, "lost-sync") <= 1, "once, as after a lost reply");
        assert_eq!(copies(&house, account, "lmtp") + copies(&house, account, "at-rcpt"), 0);
    }
    assert_eq!(copies(&house, ALICE, "before"), 1);
    house.deliver(&[ALICE], &message("Afterwards", "afterwards"));
    assert_eq!(status(&house)["accepting"], true);
}

/// The index, in which accounts, mailboxes and the queue are, can be neither read nor written.
#[test]
fn an_index_that_fails_is_no_reason_to_refuse_for_good() {
    let mut house = House::new();
    let mut acknowledged = Vec::new();
    let mut offer = |house: &House, id: &str| {
        let mut smtp = Smtp::connect(house.address(25));
        smtp.say("EHLO outside.test");
        for line in ["MAIL FROM:<stranger@outside.test>", &format!("RCPT TO:<{ALICE}>"), "DATA"] {
            let reply = smtp.say(line);
            if !reply.starts_with(['2', '3']) {
                is_temporary(&reply);
                return false;
            }
        }
        let reply = smtp.say(&content(id));
        if reply.starts_with("250") {
            acknowledged.push(id.to_owned());
            return true;
        }
        is_temporary(&reply);
        false
    };
    assert!(offer(&house, "before"));
    let mut at_the_dot = at_the_content(&house, 25, &[BOB]);
    let files = ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"];
    let calls = "read,pread64,write,pwrite64,fsync,fdatasync,ftruncate,openat";
    let broken = Broken::calls(&house, calls, "EIO", &files);
    let reply = at_the_dot.say(&content("at-the-dot"));
    assert!(reply.starts_with("250") || reply.starts_with('4'), "{reply}");
    let taken_at_the_dot = reply.starts_with("250");
    // Whoever reads has it committed first: then, at the latest, it shows.
    for number in 0..3 {
        drop(house.installation.command(&["queue", "list"]).unwrap());
        offer(&house, &format!("during-{number}"));
    }
    is_told(&house, "the store is in trouble");
    drop(broken);
    until("mail is taken again", || offer(&house, "after").then_some(()));
    house.kill();
    house.start();
    for id in &acknowledged {
        assert_eq!(copies(&house, ALICE, id), 1, "{id} was acknowledged");
    }
    let there = copies(&house, BOB, "at-the-dot");
    assert!(there == 1 || (there == 0 && !taken_at_the_dot), "{there} of at-the-dot");
}

/// DMARC of the author cannot be looked up, and the settings say that mail waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dns_that_is_dead_puts_mail_off_and_says_so() {
    let dns = Dns::start().await;
    dns.fault("_dmarc.outside.test", Fault::ServFail).fault("outside.test", Fault::ServFail);
    let mut house = House::made(&dns.addr().to_string());
    house.set("judge", "trusted_networks = []\ndefer_on_dns_trouble = true");
    house.start();
    // RCPT needs no DNS: who is here is known.
    let mut smtp = at_the_content(&house, 25, &[ALICE]);
    is_temporary(&smtp.say(&content("dns")));
    is_told(&house, "the DNS does not answer");
    assert_eq!(status(&house)["accepting"], true);
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO outside.test");
    smtp.expect("MAIL FROM:<stranger@outside.test>", "250");
    smtp.expect("RCPT TO:<nobody@example.test>", "550");
    dns.heal("_dmarc.outside.test").heal("outside.test");
    let mut smtp = at_the_content(&house, 25, &[ALICE]);
    let reply = smtp.say(&content("dns"));
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(copies(&house, ALICE, "dns"), 1);
    tokio::task::block_in_place(|| drop(house));
}

/// By default mail does not wait for the DNS: it is taken, marked as unchecked, and somebody is told.
#[test]
fn a_dns_server_that_is_not_there_is_told_of_and_mail_flows() {
    let mut house = House::made("127.0.0.1:1");
    house.set("judge", "trusted_networks = []\npatience = \"1s\"");
    house.start();
    for number in 0..3 {
        let mut smtp = Smtp::connect(house.address(25));
        smtp.say(&format!("EHLO mx{number}.outside.test"));
        smtp.expect(&format!("MAIL FROM:<stranger@domain{number}.test>"), "250");
        smtp.send(&[ALICE], &message("Unchecked", &format!("unchecked-{number}")));
        assert_eq!(copies(&house, ALICE, &format!("unchecked-{number}")), 1);
    }
    is_told(&house, "no DNS server answers");
    let people = house.restante(&["status"]);
    assert!(people.contains("ALARM no DNS server answers"), "{people}");
}
