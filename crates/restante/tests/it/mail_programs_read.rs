//! Programs that fetch mail, and one that keeps two sides alike: each message once, none lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use drill::imap_wire::Keep;

use crate::harness::{ALICE, House, PASSWORD, message, message_id, tool, tool_output, words};

const LETTERS: u64 = 100;

#[test]
fn offlineimap_keeps_both_sides() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, LETTERS);
    let configuration = house.path().join("offlineimaprc");
    let text = format!(
        "[general]\naccounts = a\nmetadata = {0}/metadata\nui = basic\n\n[Account a]\n\
         localrepository = near\nremoterepository = far\n\n[Repository near]\ntype = Maildir\n\
         localfolders = {0}/near\n\n[Repository far]\ntype = IMAP\nremotehost = 127.0.0.1\n\
         remoteport = {1}\nremoteuser = {ALICE}\nremotepass = {PASSWORD}\nssl = no\n\
         starttls = no\nauth_mechanisms = LOGIN\n",
        house.path().display(),
        house.address(143).port(),
    );
    fs::write(&configuration, text).unwrap();
    let sync = || tool(Command::new("offlineimap").arg("-o").arg("-c").arg(&configuration));
    sync();
    let inbox = house.path().join("near/INBOX");
    assert_eq!(ids(&inbox), far_ids(&house, "INBOX"));
    assert_eq!(ids(&inbox).len(), LETTERS as usize);

    // Here one goes, one is seen and one is written; there one goes and one comes.
    let all = files(&inbox);
    fs::remove_file(&all[0]).unwrap();
    let name = all[1].file_name().unwrap().to_str().unwrap();
    let (stem, _) = name.split_once(":2,").unwrap_or((name, ""));
    fs::rename(&all[1], inbox.join("cur").join(format!("{stem}:2,S"))).unwrap();
    let seen =
        message_id(&fs::read_to_string(inbox.join("cur").join(format!("{stem}:2,S"))).unwrap());
    fs::write(inbox.join("new/1.own.here"), message("Written here", "offline-own")).unwrap();
    let mut wire = house.wire(ALICE);
    wire.command("SELECT INBOX", Keep::Nothing).unwrap();
    let gone = house.ids_and_flags(ALICE, "INBOX")[9].0.clone();
    let place = if gone == seen { 11 } else { 10 };
    wire.command(&format!("STORE {place} +FLAGS (\\Deleted)"), Keep::Nothing).unwrap();
    wire.command("EXPUNGE", Keep::Nothing).unwrap();
    house.fill(ALICE, "INBOX", 2, 1);
    sync();
    let there = house.ids_and_flags(ALICE, "INBOX");
    assert_eq!(ids(&inbox), far_ids(&house, "INBOX"));
    let deleted_twice = usize::from(all.len() as u64 != LETTERS);
    assert_eq!(there.len() + deleted_twice, LETTERS as usize, "two go and two come");
    let (_, flags) = there.iter().find(|(id, _)| *id == seen).unwrap();
    assert_eq!(flags, &["\\Seen"]);
    sync();
    assert_eq!(house.ids_and_flags(ALICE, "INBOX"), there);
}

#[test]
fn getmail_fetches_each_message_once_and_deletes() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, LETTERS);
    let maildir = house.path().join("getmail");
    for part in ["cur", "new", "tmp", "state"] {
        fs::create_dir_all(maildir.join(part)).unwrap();
    }
    let fetch = |delete: bool| {
        let text = format!(
            "[retriever]\ntype = SimpleIMAPRetriever\nserver = 127.0.0.1\nport = {}\n\
             username = {ALICE}\npassword = {PASSWORD}\nmailboxes = (\"INBOX\",)\n\n\
             [destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n\
             arguments = (\"-c\", \"cat > $(mktemp {}/new/XXXXXXXX)\")\n\n\
             [options]\nread_all = false\n\
             delete = {delete}\nverbose = 1\n",
            house.address(143).port(),
            maildir.display(),
        );
        fs::write(maildir.join("state/getmailrc"), text).unwrap();
        tool(Command::new("getmail").arg("--getmaildir").arg(maildir.join("state")))
    };
    fetch(false);
    assert_eq!(ids(&maildir), far_ids(&house, "INBOX"));
    fetch(false);
    assert_eq!(files(&maildir).len(), LETTERS as usize, "nothing is fetched twice");
    house.fill(ALICE, "INBOX", 2, 1);
    fetch(true);
    assert_eq!(ids(&maildir).len(), LETTERS as usize + 1);
    assert!(house.ids_and_flags(ALICE, "INBOX").is_empty());
}

#[test]
fn fetchmail_takes_everything_away() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, LETTERS);
    let taken = house.path().join("taken");
    for part in ["cur", "new"] {
        fs::create_dir_all(taken.join(part)).unwrap();
    }
    let configuration = house.path().join("fetchmailrc");
    let text = format!(
        "poll 127.0.0.1 service {} protocol imap\n  user \"{ALICE}\" password \"{PASSWORD}\" \
         sslproto '' nokeep fetchall\n  mda \"cat > $(mktemp {}/new/XXXXXXXX)\"\n",
        house.address(143).port(),
        taken.display(),
    );
    fs::write(&configuration, text).unwrap();
    let fetch = || {
        tool_output(
            Command::new("sh")
                .args(["-c", "chmod 600 \"$1\" && exec fetchmail -f \"$1\" --nodetach", "sh"])
                .arg(&configuration)
                .env("FETCHMAILHOME", house.path()),
        )
    };
    let wanted = far_ids(&house, "INBOX");
    let output = fetch();
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(ids(&taken), wanted);
    assert!(house.ids_and_flags(ALICE, "INBOX").is_empty());
    // fetchmail(1): 1, there was no mail.
    assert_eq!(fetch().status.code(), Some(1));
}

#[test]
fn curl_appends_searches_fetches_and_moves() {
    let house = House::new();
    let sign_in = format!("{ALICE}:{PASSWORD}");
    let server = format!("imap://{}", house.address(143));
    let curl = |path: &str, more: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--user", &sign_in]).args(more).arg(format!("{server}/{path}"));
        tool(&mut command)
    };
    for number in 1..=3 {
        let file = house.path().join(format!("mail-{number}"));
        let text = message(&format!("By curl {number}"), &format!("curl-{number}"));
        fs::write(&file, text.replace('\n', "\r\n")).unwrap();
        curl("INBOX", &["--upload-file", file.to_str().unwrap()]);
    }
    assert_eq!(curl("INBOX?SUBJECT%20%22curl%202%22", &[]).trim_end(), "* SEARCH 2");
    assert_eq!(curl("INBOX?BODY%20nowhere", &[]).trim_end(), "* SEARCH");
    let text = curl("INBOX;UID=3", &[]);
    assert!(text.contains("Subject: By curl 3\r\n"), "{text}");
    assert!(text.ends_with("\r\n.a line that begins with a dot\r\n"), "{text}");
    let text = curl("INBOX;UID=3;SECTION=TEXT", &[]);
    assert!(text.starts_with("The body of curl-3.\r\n"), "{text}");
    let text = curl("INBOX;MAILINDEX=1;SECTION=HEADER.FIELDS%20(SUBJECT)", &[]);
    assert_eq!(text, "Subject: By curl 1\r\n\r\n");
    curl("INBOX", &["--request", "STORE 1 +FLAGS.SILENT (\\Flagged)"]);
    curl("INBOX", &["--request", "MOVE 2 Archive"]);
    assert_eq!(curl("INBOX", &["--request", "SEARCH FLAGGED"]).trim_end(), "* SEARCH 1");
    let archive = curl("Archive", &["--request", "FETCH 1 (ENVELOPE)"]);
    assert!(archive.contains("\"By curl 2\""), "{archive}");
    let list = curl("", &[]);
    assert!(list.contains("INBOX") && list.contains("\\Trash"), "{list}");
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 2);
}

fn files(maildir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = ["cur", "new"]
        .iter()
        .flat_map(|part| fs::read_dir(maildir.join(part)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    all.sort();
    all
}

/// The Message-IDs of a maildir; each message once.
fn ids(maildir: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for path in files(maildir) {
        let id = message_id(&String::from_utf8_lossy(&fs::read(&path).unwrap()));
        assert!(all.insert(id.clone()), "doubled: {id}");
    }
    all
}

fn far_ids(house: &House, mailbox: &str) -> BTreeSet<String> {
    house.ids_and_flags(ALICE, mailbox).into_iter().map(|(id, _)| id).collect()
}
