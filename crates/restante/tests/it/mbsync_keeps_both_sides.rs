//! mbsync: mail goes down, changes come up, a second run changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{ALICE, House, PASSWORD, message, tool};

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

fn configure(house: &House, maildir: &Path) -> PathBuf {
    fs::create_dir_all(maildir).unwrap();
    let path = house.path().join("mbsyncrc");
    let text = format!(
        "IMAPAccount a\nHost 127.0.0.1\nPort {}\nUser {ALICE}\nPass \"{PASSWORD}\"\n\
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
