//! mbsync: mail goes down, changes come up, a second run changes nothing; a run that is killed loses
//! and doubles nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use drill::imap_wire::Keep;

use crate::harness::{ALICE, House, LIMIT, PASSWORD, message, message_id, tool, until};

/// Messages of the large mailbox.
const MANY: u64 = 5_000;
/// Messages that each kind of change is made to.
const SOME: u64 = 100;

#[test]
fn mail_flags_and_deletions_go_both_ways() {
    let house = House::new();
    for number in 1..=5 {
        house.deliver(&[ALICE], &message(&format!("Sync {number}"), &format!("sync-{number}")));
    }
    let maildir = house.path().join("maildir");
    let configuration = configure(&house, &maildir);
    sync(&configuration);
    let local = files(&maildir.join("INBOX"));
    assert_eq!(local.len(), 5);

    // Seen here, deleted here, written here.
    let seen = local.iter().find(|path| holds(path, "Sync 1")).unwrap();
    let deleted = local.iter().find(|path| holds(path, "Sync 2")).unwrap();
    let name = seen.file_name().unwrap().to_str().unwrap();
    assert!(name.ends_with(":2,"), "{name}");
    fs::rename(seen, maildir.join("INBOX/cur").join(format!("{name}S"))).unwrap();
    fs::remove_file(deleted).unwrap();
    let own = message("Written here", "sync-own");
    fs::write(maildir.join("INBOX/new/1.own.here"), own).unwrap();
    // New there.
    house.deliver(&[ALICE], &message("Sync 6", "sync-6"));
    sync(&configuration);

    let there = house.mailbox(ALICE, "INBOX");
    assert_eq!(there.len(), 6, "five, less one, and two more");
    assert!(there.iter().any(|message| message.contains("Subject: Written here")));
    assert!(!there.iter().any(|message| message.contains("Subject: Sync 2\r\n")));
    assert_eq!(files(&maildir.join("INBOX")).len(), 6);
    sync(&configuration);
    assert_eq!(house.mailbox(ALICE, "INBOX"), there);
}

#[test]
fn five_thousand_messages_and_two_killed_runs() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, MANY);
    let maildir = house.path().join("maildir");
    let configuration = configure(&house, &maildir);
    let inbox = maildir.join("INBOX");

    killed(&configuration, || inbox.join("new").exists() && files(&inbox).len() > 1_500);
    assert!(files(&inbox).len() < MANY as usize, "it was to be interrupted");
    all_gone(&house);
    sync(&configuration);
    assert_eq!(local(&inbox), far(&house));
    assert_eq!(local(&inbox).len(), MANY as usize);

    change_both_sides(&house, &inbox);
    let mut wire = house.wire(ALICE);
    killed(&configuration, || {
        let status = wire.command("STATUS INBOX (MESSAGES)", Keep::Lines).unwrap().text;
        let count = status.split_once("MESSAGES ").unwrap().1.split_once(')').unwrap().0;
        // What mbsync writes goes up before what it deletes is expunged.
        count.parse::<u64>().unwrap() > MANY + SOME / 4
    });
    drop(wire);
    all_gone(&house);
    sync(&configuration);
    let expected = MANY - 2 * SOME + 4 * SOME;
    assert_eq!(local(&inbox).len(), expected as usize);
    assert_eq!(local(&inbox), far(&house));
    let with = |flag: &str| far(&house).values().filter(|flags| flags.contains(flag)).count();
    assert_eq!((with("S"), with("F")), (SOME as usize, SOME as usize));
    sync(&configuration);
    assert_eq!(local(&inbox).len(), expected as usize);
    assert_eq!(local(&inbox), far(&house));
}

/// Here: a hundred deleted, a hundred seen, three hundred written. There: a hundred deleted, a
/// hundred flagged, a hundred come.
fn change_both_sides(house: &House, inbox: &Path) {
    for path in files(inbox) {
        let id = message_id(&fs::read_to_string(&path).unwrap());
        let number: u64 = id.split('.').next().unwrap().parse().unwrap();
        if number < SOME {
            fs::remove_file(&path).unwrap();
        } else if number < 2 * SOME {
            let name = path.file_name().unwrap().to_str().unwrap();
            fs::rename(&path, inbox.join("cur").join(format!("{name}S"))).unwrap();
        }
    }
    let letters = drill::letters::Letters::new(2, 3 * SOME);
    for number in 0..3 * SOME {
        let letter = String::from_utf8(letters.letter(number)).unwrap().replace("\r\n", "\n");
        fs::write(inbox.join("new").join(format!("1.{number}.here")), letter).unwrap();
    }
    let mut wire = house.wire(ALICE);
    wire.command("SELECT INBOX", Keep::Nothing).unwrap();
    let flagged = format!("STORE {}:{} +FLAGS.SILENT (\\Flagged)", 2 * SOME + 1, 3 * SOME);
    wire.command(&flagged, Keep::Nothing).unwrap();
    let deleted = format!("STORE {}:{} +FLAGS.SILENT (\\Deleted)", 3 * SOME + 1, 4 * SOME);
    wire.command(&deleted, Keep::Nothing).unwrap();
    wire.command("EXPUNGE", Keep::Nothing).unwrap();
    house.fill(ALICE, "INBOX", 3, SOME);
}

/// Starts a run and kills it once this is so.
fn killed(configuration: &Path, mut so: impl FnMut() -> bool) {
    let mut run = Command::new("mbsync")
        .arg("-c")
        .arg(configuration)
        .arg("-a")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Thousands of messages take a loaded machine longer than any other state.
    let deadline = Instant::now() + 4 * LIMIT;
    while !so() {
        assert!(Instant::now() < deadline, "mbsync does nothing");
        std::thread::yield_now();
    }
    run.kill().unwrap();
    run.wait().unwrap();
}

/// Waits until the server has done what the dead program had still sent: a message that arrives
/// after the next run has looked would be taken for lost, and sent again.
fn all_gone(house: &House) {
    // proc(5): local address, remote address, state; 01 is ESTABLISHED, 08 CLOSE_WAIT.
    let port = format!(":{:04X}", house.address(143).port());
    until("the end of the sessions", || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let is_open = |line: &str| {
            let mut columns = line.split_whitespace().skip(1);
            let at = columns.next().is_some_and(|local| local.ends_with(&port));
            at && matches!(columns.nth(1), Some("01" | "08"))
        };
        (!table.lines().any(is_open)).then_some(())
    });
}

/// Message-IDs with the letters of their flags; each message once.
fn local(inbox: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for path in files(inbox) {
        let id = message_id(&fs::read_to_string(&path).unwrap());
        let name = path.file_name().unwrap().to_str().unwrap();
        let flags = name.split_once(":2,").map_or("", |(_, flags)| flags);
        assert_eq!(all.insert(id.clone(), flags.to_owned()), None, "doubled: {id}");
    }
    all
}

/// The same of the server.
fn far(house: &House) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (id, flags) in house.ids_and_flags(ALICE, "INBOX") {
        let letters = [("\\Flagged", 'F'), ("\\Seen", 'S')];
        let flags = letters.iter().filter(|(name, _)| flags.iter().any(|flag| flag == name));
        let flags = flags.map(|(_, letter)| letter).collect();
        assert_eq!(all.insert(id.clone(), flags), None, "doubled: {id}");
    }
    all
}

fn configure(house: &House, maildir: &Path) -> PathBuf {
    fs::create_dir_all(maildir).unwrap();
    let path = house.path().join("mbsyncrc");
    let text = format!(
        "FSync no\n\nIMAPAccount a\nHost 127.0.0.1\nPort {}\nUser {ALICE}\nPass \"{PASSWORD}\"\n\
         SSLType None\nAuthMechs LOGIN\n\nIMAPStore far\nAccount a\n\n\
         MaildirStore near\nPath {maildir}/\nInbox {maildir}/INBOX\nSubFolders Verbatim\n\n\
         Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\n\
         SyncState *\n",
        house.address(143).port(),
        maildir = maildir.display(),
    );
    fs::write(&path, text).unwrap();
    path
}

fn sync(configuration: &Path) {
    tool(Command::new("mbsync").arg("-c").arg(configuration).arg("-a"));
}

fn files(mailbox: &Path) -> Vec<PathBuf> {
    ["cur", "new"]
        .iter()
        .flat_map(|part| fs::read_dir(mailbox.join(part)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn holds(path: &Path, subject: &str) -> bool {
    fs::read_to_string(path).unwrap().contains(&format!("Subject: {subject}\n"))
}
