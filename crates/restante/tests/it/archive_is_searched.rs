//! `restante search`: every message ever accepted is found, whatever has become of it.

use drill::imap_wire::Keep;
use serde_json::Value;

use crate::harness::{ALICE, BOB, House, base64, message, receipt_id, until, words};

/// What a search finds, and how it ended.
fn search(house: &House, query: &[&str]) -> (Vec<Value>, Value) {
    let arguments = [&["search", "--json"], query].concat();
    let output = house.installation.command(&arguments).unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{}", words(&output))))
        .collect();
    let end = lines.pop().unwrap_or_else(|| panic!("{}", words(&output)));
    (lines, end["end"].clone())
}

/// The receipts that a search finds.
fn found(house: &House, query: &str) -> Vec<String> {
    let (hits, _) = search(house, &[query]);
    hits.iter().map(|hit| hit["receipt"].as_str().unwrap().to_owned()).collect()
}

/// Waits until this many messages are there and all are searchable.
fn await_searchable(house: &House, messages: u64) {
    until(&format!("{messages} messages searchable"), || {
        let (_, end) = search(house, &[]);
        (end["searchable"] == messages && end["messages"] == messages).then_some(())
    });
}

#[track_caller]
fn finds(house: &House, query: &str, receipts: &[&str]) {
    let mut wanted: Vec<&str> = receipts.iter().map(|receipt| receipt_id(receipt)).collect();
    let mut got = found(house, query);
    wanted.sort_unstable();
    got.sort_unstable();
    assert_eq!(got, wanted, "{query}");
}

fn letter(subject: &str, id: &str, body: &str) -> String {
    format!(
        "From: Anna Müller <anna@outside.test>\r\nTo: somebody@example.test\r\nSubject: {subject}\r\n\
         Message-ID: <{id}@outside.test>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n"
    )
}

#[test]
fn by_people_words_parts_of_words_and_two_characters_of_chinese() {
    let house = House::new();
    let one = letter("=?utf-8?B?5bm05bqm5oql5ZGK?=", "s1", "请在星期五之前预订会议室。Straßenfest");
    let one = house.deliver(&[ALICE], &one);
    let two =
        letter("Invoices of October", "s2", "The reimbursement was calculated. 서울에서 만나요");
    let two = house.deliver(&[BOB], &two);
    let three = house.submit(&[BOB], &message("Internal matters", "s3"));
    await_searchable(&house, 3);
    finds(&house, "会议", &[&one]);
    finds(&house, "subject:年度", &[&one]);
    finds(&house, "body:年度", &[]);
    finds(&house, "서울", &[&two]);
    // Parts of words, and without regard to case and marks.
    finds(&house, "imburse", &[&two]);
    finds(&house, "subject:INVOICE", &[&two]);
    finds(&house, "strassen", &[&one]);
    finds(&house, "from:muller", &[&one, &two]);
    finds(&house, "\"reimbursement was\"", &[&two]);
    finds(&house, "\"was reimbursement\"", &[]);
    finds(&house, "会议室 OR reimbursement -from:stranger@example.test", &[&one, &two]);
    finds(&house, "from:muller -会议", &[&two]);
    // The envelope, facts and states.
    finds(&house, &format!("to:{BOB}"), &[&two, &three]);
    finds(&house, &format!("account:{ALICE}"), &[&one, &three]);
    finds(&house, "direction:internal", &[&three]);
    finds(&house, "direction:in after:1h smaller:1M state:delivered in:inbox", &[&one, &two]);
    finds(&house, "id:<s2@outside.test>", &[&two]);
    finds(&house, receipt_id(&two), &[&two]);
    finds(&house, "host:127.0.0.1 subject:october", &[&two]);
    finds(&house, "before:1h", &[]);
    let (hits, _) = search(&house, &["会议室"]);
    assert_eq!(hits[0]["excerpt"]["hit"], "会议室", "{hits:?}");
    assert_eq!(hits[0]["excerpt"]["before"], "请在星期五之前预订");
    let output = house.installation.command(&["search", "form:anna"]).unwrap();
    assert!(words(&output).contains("the keys are from, to"), "{}", words(&output));
}

#[test]
fn deleted_mail_is_found_with_who_deleted_it() {
    let house = House::new();
    let receipt = house.deliver(&[ALICE], &letter("Dear customer", "d1", "precious words"));
    let kept = house.deliver(&[ALICE], &letter("Another", "d2", "precious too"));
    let mut imap = house.wire(ALICE);
    for command in [
        "SELECT INBOX",
        "UID MOVE 1 Trash",
        "SELECT Trash",
        "UID STORE 1 +FLAGS.SILENT (\\Deleted)",
        "EXPUNGE",
    ] {
        imap.command(command, Keep::Nothing).unwrap();
    }
    await_searchable(&house, 2);
    finds(&house, "precious", &[&receipt, &kept]);
    finds(&house, "precious is:deleted", &[&receipt]);
    finds(&house, "precious -is:deleted in:INBOX", &[&kept]);
    let (hits, _) = search(&house, &["precious is:deleted"]);
    let places = hits[0]["places"].as_array().unwrap();
    assert_eq!(
        (&places[0]["mailbox"], &places[0]["gone"]["how"]),
        (&"INBOX".into(), &"moved".into())
    );
    assert_eq!(places[1]["mailbox"], "Trash");
    assert_eq!(places[1]["gone"]["how"], "expunged");
    let by = places[1]["gone"]["by"].as_str().unwrap();
    assert!(by.contains(ALICE) && by.contains("127.0.0.1"), "{by}");
    let shown = house.restante(&["search", "precious", "is:deleted"]);
    assert!(shown.contains("deleted from Trash"), "{shown}");
}

#[test]
fn what_is_searched_in_can_be_lost_and_is_made_anew() {
    let mut house = House::new();
    let receipt = house.deliver(&[ALICE, BOB], &letter("Kept", "r1", "unforgettable 会议"));
    await_searchable(&house, 1);
    house.stop();
    let path = house.installation.data.join("search.sqlite");
    // Without a server the command makes it itself.
    std::fs::remove_file(&path).unwrap();
    finds(&house, "unforgettable", &[&receipt]);
    std::fs::write(&path, b"no database").unwrap();
    finds(&house, "会议", &[&receipt]);
    std::fs::remove_file(&path).unwrap();
    house.start();
    await_searchable(&house, 1);
    finds(&house, "forgettab", &[&receipt]);
    // What comes while it runs is found, and what came before a kill.
    let second = house.deliver(&[BOB], &letter("Second", "r2", "unforgettable again"));
    house.kill();
    house.start();
    await_searchable(&house, 2);
    finds(&house, "unforgettable", &[&receipt, &second]);
}

/// A message with a file of crates/attachment-text/tests/files, or these octets.
fn with_file(subject: &str, name: &str, bytes: &[u8]) -> String {
    let encoded = base64(bytes);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!(
        "From: anna@outside.test\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
         see the file\r\n--b\r\nContent-Type: application/octet-stream\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
}

fn file(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../attachment-text/tests/files/");
    std::fs::read(format!("{path}{name}")).unwrap()
}

#[test]
fn what_is_written_in_attachments_is_found() {
    let house = House::new();
    let send = |name: &str| house.deliver(&[ALICE], &with_file("Files", name, &file(name)));
    let pdf = send("letter.pdf");
    let docx = send("paper.docx");
    let xlsx = send("table.xlsx");
    await_searchable(&house, 3);
    finds(&house, "zeppelin", &[&pdf]);
    finds(&house, "file:年度报告", &[&pdf]);
    finds(&house, "body:zeppelin", &[]);
    finds(&house, "marmalade", &[&docx]);
    finds(&house, "会议记录 has:attachment", &[&docx]);
    finds(&house, "windmill", &[&xlsx]);
    finds(&house, "filename:xlsx", &[&xlsx]);
    finds(&house, "filename:paper.docx", &[&docx]);
    let (hits, _) = search(&house, &["zeppelin"]);
    assert_eq!(hits[0]["excerpt"]["attachment"], "letter.pdf");
    assert_eq!(hits[0]["excerpt"]["hit"], "zeppelin");
    assert_eq!(hits[0]["attachments"][0]["name"], "letter.pdf");
}

#[test]
fn hostile_attachments_stop_nothing() {
    let house = House::new();
    // Made by Python's zipfile: 160 KiB that unpack to 160 MiB.
    let bomb = house.deliver(&[ALICE], &with_file("A bomb", "bomb.docx", &file("bomb.docx")));
    let mut cut = file("letter.pdf");
    cut.truncate(20_000);
    house.deliver(&[ALICE], &with_file("A cut PDF", "cut.pdf", &cut));
    let deep = format!("%PDF-1.7\n1 0 obj\n{}\nendobj\n", "[".repeat(2_000_000));
    house.deliver(&[ALICE], &with_file("Deep", "deep.pdf", deep.as_bytes()));
    let good = house.deliver(&[ALICE], &with_file("Good", "paper.docx", &file("paper.docx")));
    await_searchable(&house, 4);
    finds(&house, "subject:bomb filename:bomb", &[&bomb]);
    finds(&house, "marmalade", &[&good]);
    let (hits, _) = search(&house, &["subject:bomb"]);
    let why = &hits[0]["attachments"][0]["unread_because"];
    assert_eq!(why, "it unpacks to too much");
}

#[test]
fn what_was_found_is_written_out_with_a_manifest() {
    let house = House::new();
    let first = house.deliver(&[ALICE, BOB], &letter("One", "e1", "export these words"));
    house.deliver(&[BOB], &letter("Two", "e2", "export those"));
    house.deliver(&[BOB], &letter("Three", "e3", "not me"));
    await_searchable(&house, 3);
    let to = house.path().join("out");
    let export = |to: &std::path::Path, query: &str| {
        let to = to.display().to_string();
        house.installation.command(&["search", query, "--export", &to, "--json"]).unwrap()
    };
    let output = export(&to, "export");
    assert!(output.status.success(), "{}", words(&output));
    let manifest = std::fs::read_to_string(to.join("manifest.jsonl")).unwrap();
    let lines: Vec<Value> =
        manifest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{manifest}");
    assert_eq!((&lines[0]["query"], &lines[3]["counts"]["written"]), (&"export".into(), &2.into()));
    let of = lines.iter().find(|line| line["receipt"] == receipt_id(&first)).unwrap();
    let bytes = std::fs::read(to.join(of["file"].as_str().unwrap())).unwrap();
    assert_eq!(of["blake3"], blake3::hash(&bytes).to_hex().as_str());
    assert_eq!(of["recipients"].as_array().unwrap().len(), 2);
    let sums = std::process::Command::new("sha256sum")
        .arg(to.join(of["file"].as_str().unwrap()))
        .output()
        .unwrap();
    let sum = String::from_utf8(sums.stdout).unwrap();
    assert!(sum.starts_with(of["sha256"].as_str().unwrap()), "{sum}");
    // Begun again it goes on: what is there is not written twice, and what was cut is.
    std::fs::write(to.join(of["file"].as_str().unwrap()), b"cut").unwrap();
    let again: Value = serde_json::from_slice(&export(&to, "export").stdout).unwrap();
    assert_eq!(
        (&again["export"]["written"], &again["export"]["there_before"]),
        (&1.into(), &1.into())
    );
    assert!(words(&export(&to, "words")).contains("another query"));
    let mbox = house.path().join("found.mbox");
    assert!(export(&mbox, "export").status.success());
    let text = std::fs::read_to_string(&mbox).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("From ")).count(), 2, "{text}");
    assert!(words(&export(&mbox, "export")).contains("exists"));
}

#[test]
fn what_was_found_is_put_back() {
    let house = House::new();
    let receipt = house.deliver(&[ALICE], &letter("Put me back", "p1", "deleted by mistake"));
    let mut imap = house.wire(ALICE);
    for command in ["SELECT INBOX", "STORE 1 +FLAGS.SILENT (\\Deleted)", "EXPUNGE"] {
        imap.command(command, Keep::Nothing).unwrap();
    }
    await_searchable(&house, 1);
    let to_alice = ["search", "mistake is:deleted", "--restore-to", ALICE];
    assert!(house.restante(&to_alice).contains("is there again"));
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 1);
    assert!(house.restante(&to_alice).contains("was there"));
    // Somebody else gets a copy that the first can still undo without.
    house.restante(&["search", receipt_id(&receipt), "--restore-to", BOB, "--mailbox", "Archive"]);
    let copies = house.mailbox(BOB, "Archive");
    assert!(copies.len() == 1 && copies[0].contains("deleted by mistake"), "{copies:?}");
    let (hits, _) = search(&house, &[receipt_id(&receipt)]);
    let there = |place: &&Value| place["gone"].is_null();
    let places = hits[0]["places"].as_array().unwrap();
    assert_eq!(places.iter().filter(there).count(), 2, "{places:?}");
}

#[test]
fn an_exported_message_proves_that_it_was_accepted() {
    let house = House::new();
    let receipt = house.deliver(&[ALICE], &letter("Proof", "x1", "provable"));
    await_searchable(&house, 1);
    let to = house.path().join("out").display().to_string();
    house.restante(&["search", "provable", "--export", &to]);
    let id = receipt_id(&receipt);
    let answer = house.restante_json(&["proof", id]);
    let (key, file) = (answer["key"].as_str().unwrap(), format!("{to}/0000/{id}"));
    let (proof, message) = (format!("{file}.proof"), format!("{file}.eml"));
    let verify = ["proof", "verify", &proof, "--key", key, "--message", &message];
    assert!(house.installation.command(&verify).unwrap().status.success());
    std::fs::write(&message, b"another").unwrap();
    assert!(!house.installation.command(&verify).unwrap().status.success());
}

#[test]
fn a_trace_takes_several_keys() {
    let house = House::new();
    let one = house.deliver(&[ALICE], &letter("Zeppelin news", "t1", "one"));
    let two = house.deliver(&[BOB], &letter("Zeppelin parts", "t2", "two"));
    let three = house.submit(&[BOB], &message("Other things", "t3"));
    await_searchable(&house, 3);
    let trace = |arguments: &[&str]| -> Vec<String> {
        let arguments = [&["trace", "--json"], arguments].concat();
        let found = house.installation.command(&arguments).unwrap().stdout;
        let found: Value = serde_json::from_slice(&found).unwrap();
        let found = found.as_array().unwrap().iter();
        found.map(|story| story["receipt"].as_str().unwrap().to_owned()).collect()
    };
    let ids = |receipts: &[&String]| -> Vec<String> {
        receipts.iter().map(|receipt| receipt_id(receipt).to_owned()).collect()
    };
    assert_eq!(trace(&["--to", BOB]), ids(&[&three, &two]));
    assert_eq!(trace(&["--from", "stranger@outside.test", "--to", BOB]), ids(&[&two]));
    assert_eq!(trace(&["--from", ALICE]), ids(&[&three]));
    assert!(trace(&["--host", "127.0.0.1", "--until", "2020-01-01"]).is_empty());
    assert_eq!(trace(&["--host", "OUTSIDE.test", "--since", "1h"]), ids(&[&two, &one]));
    assert_eq!(trace(&["--subject", "zeppelin"]), ids(&[&two, &one]));
    assert_eq!(trace(&["--subject", "zeppelin", "--to", ALICE]), ids(&[&one]));
    assert_eq!(trace(&["--message-id", "<t2@outside.test>"]), ids(&[&two]));
}

#[test]
fn the_daily_balance_is_right() {
    let house = House::new();
    house.restante(&["alias", "add", "both@example.test", ALICE, BOB]);
    house.deliver(&["both@example.test"], &letter("To two", "b1", "x"));
    house.deliver(&[ALICE, BOB], &letter("To two", "b2", "x"));
    // Nobody answers there: it stays open.
    house.submit(&["far@elsewhere.test"], &message("Far away", "b3"));
    let mut imap = house.wire(ALICE);
    let letter = "Subject: appended\r\n\r\nx\r\n";
    let append = format!("APPEND Drafts {{{}+}}\r\n{letter}", letter.len());
    imap.command(&append, Keep::Nothing).unwrap();
    let answer = house.restante_json(&["report", "balance"]);
    assert_eq!(
        (&answer["balanced"], &answer["unaccounted"]),
        (&true.into(), &0.into()),
        "{answer}"
    );
    assert_eq!(answer["from_outside"]["counts"]["inbox"], 4, "{answer}");
    assert_eq!(answer["from_outside"]["of_100"]["inbox"], 100.0);
    assert_eq!(answer["from_here"]["counts"]["open"], 1, "{answer}");
    assert_eq!(answer["from_here"]["counts"]["other_mailbox"], 1, "{answer}");
    let far =
        house.restante_json(&["report", "balance", "--since", "1h", "--domain", "elsewhere.test"]);
    assert_eq!(far["all"]["accepted"], 1, "{far}");
    let shown = house.restante(&["report", "balance"]);
    assert!(shown.contains("all 6 recipients are accounted for"), "{shown}");
    let before = house.restante_json(&["report", "balance", "--day", "2020-02-02"]);
    assert_eq!((&before["messages"], &before["balanced"]), (&0.into(), &true.into()));
}

/// What was purged is found by what its record says, and by its words no more: also where it went
/// while no server ran.
#[test]
fn what_is_purged_has_no_words_any_more() {
    let mut house = House::new();
    let one = house.deliver(&[ALICE], &letter("First subject", "p1", "confidential zebra"));
    let two = house.deliver(&[ALICE], &letter("Second subject", "p2", "confidential giraffe"));
    await_searchable(&house, 2);
    finds(&house, "confidential", &[&one, &two]);
    let purge = |house: &House, receipt| {
        let receipt = receipt_id(receipt);
        house.restante(&["purge", receipt, "--reason", "a test", "--yes", "--from-mailboxes"]);
    };
    purge(&house, &one);
    until("it is forgotten", || found(&house, "zebra").is_empty().then_some(()));
    finds(&house, "subject:first", &[&one]);
    house.stop();
    purge(&house, &two);
    house.start();
    until("it is forgotten", || found(&house, "giraffe").is_empty().then_some(()));
    finds(&house, "confidential", &[]);
    finds(&house, "subject:second", &[&two]);
}
