//! What a search finds goes back to the accounts that had it: with folder and flags, once, told
//! before it is done, and taken back like everything else.

use drill::imap_wire::Keep;
use serde_json::{Value, json};

use crate::harness::{ALICE, BOB, House, message, until};

const DELETE_ALL: [&str; 3] = ["SELECT INBOX", "STORE 1:* +FLAGS (\\Deleted)", "EXPUNGE"];

fn search(house: &House, query: &str, how: &[&str]) -> Value {
    house.restante_json(&[&["search", query], how].concat())
}

fn imap(house: &House, account: &str, commands: &[&str]) {
    let mut session = house.wire(account);
    for command in commands {
        session
            .command(command, Keep::Nothing)
            .unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

fn await_found(house: &House, query: &str, wanted: u64) {
    until(&format!("{wanted} found by {query}"), || {
        let dry =
            house.installation.command(&["search", query, "--restore", "--dry-run", "--json"]);
        let found: Value = serde_json::from_slice(&dry.ok()?.stdout).ok()?;
        (found["found"] == wanted).then_some(())
    });
}

#[test]
fn everything_deleted_goes_where_it_was() {
    let house = House::new();
    for (subject, id) in [("Walnuts one", "f-1"), ("Walnuts two", "f-2"), ("Walnuts three", "f-3")]
    {
        house.deliver(&[ALICE, BOB], &message(subject, id));
    }
    let commands = [
        "CREATE Contracts",
        "SELECT INBOX",
        "STORE 1:2 +FLAGS (\\Seen \\Flagged)",
        // One into a folder that goes with it, one through the Trash, one stays.
        "MOVE 1 Contracts",
        "MOVE 1 Trash",
        "SELECT Trash",
        "STORE 1:* +FLAGS (\\Deleted)",
        "EXPUNGE",
        "DELETE Contracts",
    ];
    imap(&house, ALICE, &commands);
    await_found(&house, "walnuts", 3);
    let dry = search(&house, "walnuts", &["--restore", "--dry-run"]);
    assert_eq!(dry["would_restore"], 2, "{dry}");
    assert_eq!(dry["accounts"], json!({ ALICE: 2 }), "{dry}");
    let there = "in a mailbox of the account already";
    assert_eq!(dry["skipped"][there], 4, "{dry}");
    let to: Vec<&str> =
        dry["first"].as_array().unwrap().iter().filter_map(|one| one["to"].as_str()).collect();
    assert_eq!(to, ["INBOX", "Contracts"], "{dry}");
    assert_eq!(house.ids_and_flags(ALICE, "INBOX").len(), 1, "a trial run does nothing");

    let done = search(&house, "walnuts", &["--restore"]);
    assert_eq!((&done["restored"], &done["skipped"][there]), (&json!(2), &json!(4)), "{done}");
    // Its flags of then, in a mailbox that is made again.
    let back = house.ids_and_flags(ALICE, "Contracts");
    assert_eq!(back.len(), 1, "{back:?}");
    assert!(back[0].1.iter().any(|flag| flag == "\\Flagged"), "{back:?}");
    assert_eq!(house.ids_and_flags(ALICE, "INBOX").len(), 2);
    assert_eq!(house.ids_and_flags(BOB, "INBOX").len(), 3, "what lies there stays there, once");
    let jobs = house.restante_json(&["job", "list"]);
    let job = &jobs[0];
    assert_eq!(
        (&job["state"], &job["done"], &job["total"]),
        (&json!("done"), &json!(3), &json!(3))
    );

    // Twice is once.
    let again = search(&house, "walnuts", &["--restore"]);
    assert_eq!((&again["restored"], again["acts"].as_str()), (&json!(0), Some("")), "{again}");

    let number = job["job"].to_string();
    let undoing = house.restante_json(&["job", "undo", &number]);
    house.restante(&["job", "watch", &undoing["job"].to_string()]);
    assert_eq!(house.ids_and_flags(ALICE, "INBOX").len(), 1);
    let boxes = house.restante_json(&["mailbox", "list", ALICE]);
    let names: Vec<&str> =
        boxes.as_array().unwrap().iter().filter_map(|one| one["mailbox"].as_str()).collect();
    assert!(!names.contains(&"Contracts"), "{names:?}");
    let twice = house.installation.command(&["job", "undo", &number]).unwrap();
    assert!(!twice.status.success(), "a job is taken back once");

    // By the acts that it told, as any other; and once more.
    let third = search(&house, "walnuts", &["--restore"]);
    let acts = third["acts"].as_str().unwrap();
    house.restante(&["undo", acts]);
    assert_eq!(house.ids_and_flags(ALICE, "INBOX").len(), 1);
    let report = house.restante_json(&["verify", "--online"]);
    assert_eq!(report["unaccounted"], 0, "{report}");
}

#[test]
fn without_a_server_it_is_the_same() {
    let mut house = House::new();
    house.deliver(&[ALICE], &message("Walnuts", "f-9"));
    imap(&house, ALICE, &DELETE_ALL);
    house.stop();
    let done = search(&house, "subject:walnuts", &["--restore"]);
    assert_eq!(done["restored"], 1, "{done}");
    house.start();
    assert_eq!(house.ids_and_flags(ALICE, "INBOX").len(), 1);
}

#[test]
fn the_api_starts_jobs_and_says_how_far_they_are() {
    let house = House::new();
    house.restante(&["operator", "add", "ann", "--role", "operator"]);
    house.restante(&["operator", "add", "max", "--role", "auditor"]);
    house.deliver(&[ALICE], &message("Walnuts", "f-20"));
    imap(&house, ALICE, &DELETE_ALL);
    await_found(&house, "walnuts", 1);
    let ann =
        crate::operators_over_http::token(&house, "ann", "history:write,status:read,mail:read");
    let max = crate::operators_over_http::token(&house, "max", "");
    let of_domain = ["--role", "domain-admin", "--domain", "example.test"];
    house.restante(&[&["operator", "add", "dan"][..], &of_domain].concat());
    let dan = crate::operators_over_http::token(&house, "dan", "");
    let curl = crate::operators_over_http::curl;
    let restore = r#"{"request": {"do": "restore-found", "query": "walnuts"}}"#;
    let (status, refused) = curl(&house, &max, "POST", "jobs", Some(restore));
    assert_eq!(status, 403, "{refused}");
    // Not even what is asked alone is theirs: in a job nothing would be narrowed to the domains.
    let undo = r#"{"request": {"do": "acts", "ask": {"undo": {"acts": [1], "filter": null, "dry_run": false}}}}"#;
    for request in [restore, undo] {
        let (status, refused) = curl(&house, &dan, "POST", "jobs", Some(request));
        assert_eq!(status, 403, "{refused}");
    }
    let dry = r#"{"query": "walnuts", "dry_run": true}"#;
    let (status, dry) = curl(&house, &max, "POST", "archive/restore", Some(dry));
    assert_eq!((status, &dry["would_restore"]), (200, &json!(1)), "{dry}");
    let (status, started) = curl(&house, &ann, "POST", "jobs", Some(restore));
    assert_eq!(status, 200, "{started}");
    let path = format!("jobs/{}", started["job"]);
    let job = until("the job is done", || {
        let (_, job) = curl(&house, &ann, "GET", &path, None);
        (job["state"] == "done").then_some(job)
    });
    assert_eq!(job["result"]["restored"], 1, "{job}");
    // What takes a moment is no job, and no way around what one may do.
    for (token, request, wanted) in [
        (&ann, r#"{"request": {"do": "status"}}"#, 422),
        (&ann, r#"{"request": {"do": "archive", "ask": {"over": {"dry_run": false}}}}"#, 403),
        (
            &max,
            r#"{"request": {"do": "job", "ask": {"start": {"request": {"do": "status"}}}}}"#,
            422,
        ),
    ] {
        let (status, said) = curl(&house, token, "POST", "jobs", Some(request));
        assert_eq!(status, wanted, "{request}: {said}");
    }
    for (path, wanted) in [("backup", "to"), ("head", "note"), ("holds", ""), ("retention", "")] {
        let (status, said) = curl(&house, &max, "GET", path, None);
        let named = wanted.is_empty() || said.get(wanted).is_some();
        assert!(status == 200 && named, "{path}: {status} {said}");
    }
}
