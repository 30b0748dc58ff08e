//! What rots on the disk comes back from the backup, byte for byte, and is told of; what has no copy
//! is named, and hurts nobody else.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use drill::imap_wire::Keep;

use crate::harness::{ALICE, BOB, House, message, receipt_id, until, words};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn segment(house: &House) -> PathBuf {
    house.installation.data.join("journal/00000001.seg")
}

/// Writes over so many bytes before and behind the words.
fn rot(path: &Path, wanted: &str, before: usize) {
    let bytes = std::fs::read(path).unwrap();
    let found = bytes.windows(wanted.len()).position(|part| part == wanted.as_bytes()).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let from = found - before;
    file.write_all_at(&vec![b'#'; before + wanted.len()], from as u64).unwrap();
}

fn large(id: &str) -> String {
    format!("{}{}", message("Large", id), "words of a line\n".repeat(40_000))
}

#[test]
fn what_rots_is_healed_from_a_backup_and_the_trace_says_so() {
    let house = House::new();
    let backup = house.path().join("backup");
    let small = receipt_id(&house.deliver(&[ALICE], &message("Small", "heal-1"))).to_owned();
    let big = receipt_id(&house.deliver(&[BOB], &large("heal-2"))).to_owned();
    let headless = receipt_id(&house.deliver(&[ALICE], &message("Headless", "heal-3"))).to_owned();
    house.restante(&["backup", "--to", text(&backup)]);
    let after = receipt_id(&house.deliver(&[ALICE], &message("After", "heal-4"))).to_owned();
    let alice = house.mailbox(ALICE, "INBOX");
    let bob = house.mailbox(BOB, "INBOX");

    // A body, a frame with its header, a file of a large body, and one that no backup has.
    rot(&segment(&house), "The body of heal-1.", 0);
    rot(&segment(&house), "The body of heal-3.", 900);
    let bodies = std::fs::read_dir(house.installation.data.join("bodies")).unwrap();
    let file = bodies.map(|entry| entry.unwrap().path()).find(|path| path.is_file()).unwrap();
    rot(&file, "words of a line", 0);
    rot(&segment(&house), "The body of heal-4.", 0);

    // The file's frame is among what lost its header: that it rots shows in the second round.
    let dry = house.installation.command(&["heal", "--dry-run", "--json"]).unwrap();
    let said: serde_json::Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert!(!dry.status.success() && said["left"].as_array().unwrap().len() >= 3, "{said}");
    let healed = house.installation.command(&["heal", "--from", text(&backup), "--json"]).unwrap();
    let said: serde_json::Value = serde_json::from_slice(&healed.stdout).unwrap();
    let told = said["healed"].to_string();
    for receipt in [&small, &big, &headless] {
        assert!(told.contains(receipt.as_str()), "{said}");
    }
    assert!(!healed.status.success() && said["left"].as_array().unwrap().len() == 1, "{said}");
    assert!(said["left"][0]["why"].is_string(), "{said}");

    // Byte for byte; the one without a copy is refused, and hurts nobody.
    assert!(house.mailbox(BOB, "INBOX") == bob);
    let mut imap = house.wire(ALICE);
    imap.command("EXAMINE INBOX", Keep::Nothing).unwrap();
    let mut fetch = |uid: usize| {
        let tag = imap.send(&format!("UID FETCH {uid} BODY.PEEK[]"), b"").unwrap();
        imap.answer(&tag).unwrap()
    };
    let answers: Vec<_> = (1..=alice.len()).map(&mut fetch).collect();
    let whole = |at: usize| answers[at].status.starts_with("OK") && answers[at].bytes > 300;
    assert!(whole(0) && whole(1), "{answers:?}");
    assert!(answers[2].status.starts_with("NO"), "a clear error: {:?}", answers[2]);
    let story = house.restante(&["trace", &small]);
    assert!(story.contains("damaged on the disk") && story.contains(text(&backup)), "{story}");
    let evidence = std::fs::read_dir(house.installation.data.join("damaged")).unwrap().count();
    assert!(evidence >= 3, "what was there is kept");
    house.deliver(&[ALICE], &message("Goes on", "heal-5"));

    // A copy of that, too: then nothing is damaged any more.
    let path = segment(&house);
    let bytes = std::fs::read(&path).unwrap();
    let hashes = b"###################";
    let at = bytes.windows(hashes.len()).position(|part| part == hashes).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"The body of heal-4.", at as u64).unwrap();
    assert!(house.restante_json(&["scrub"])["clean"] == true);
    let now = house.mailbox(ALICE, "INBOX");
    assert!(now[..3] == alice[..], "byte for byte");
    assert!(house.restante(&["trace", &after]).contains("INBOX"));
}

#[test]
fn the_server_heals_what_it_finds_by_itself() {
    let mut house = House::made("127.0.0.1:1");
    let backup = house.path().join("backup");
    house.set("backup", &format!("to = {:?}\nevery = \"30d\"", text(&backup)));
    house.set("scrub", "every = \"1s\"");
    house.start();
    let receipt = receipt_id(&house.deliver(&[ALICE], &message("Rots", "heal-6"))).to_owned();
    house.restante(&["backup", "--to", text(&backup)]);
    let before = house.mailbox(ALICE, "INBOX");
    rot(&segment(&house), "The body of heal-6.", 0);
    let status = until("the healing", || {
        let status = house.restante_json(&["status"]);
        (!status["scrub"]["healed"].as_array()?.is_empty()
            || status["alarms"].to_string().contains("was healed"))
        .then_some(status)
    });
    assert!(status["alarms"].to_string().contains("was healed"), "{status}");
    assert!(house.mailbox(ALICE, "INBOX") == before);
    assert!(house.restante(&["trace", &receipt]).contains("damaged on the disk"));
}

/// A purge is for good, whatever a backup has.
#[test]
fn purged_mail_does_not_come_back_from_a_backup() {
    let house = House::new();
    let backup = house.path().join("backup");
    let receipt = receipt_id(&house.deliver(&[ALICE], &message("Gone", "heal-7"))).to_owned();
    house.restante(&["backup", "--to", text(&backup)]);
    let purge = ["purge", &receipt, "--reason", "a court said so", "--from-mailboxes", "--yes"];
    let purged = house.installation.command(&purge).unwrap();
    assert!(purged.status.success(), "{}", words(&purged));
    // The mark that says so rots, and the header before it.
    rot(&segment(&house), "PURGED", 40);
    let healed = house.installation.command(&["heal", "--from", text(&backup), "--json"]).unwrap();
    let said: serde_json::Value = serde_json::from_slice(&healed.stdout).unwrap();
    assert!(healed.status.success() && said["clean"] == true, "{said}");
    let bytes = std::fs::read(segment(&house)).unwrap();
    let body = b"The body of heal-7.";
    assert!(!bytes.windows(body.len()).any(|part| part == body), "it is back");
}
