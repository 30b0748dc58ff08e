//! People and the administrators of domains search the archive for what is theirs: neither what is
//! found nor what is not found tells them of others, and what they find they have back or take along.

use std::process::Command;

use drill::imap_wire::Keep;
use serde_json::{Value, json};

use crate::harness::{ALICE, BOB, CAROL, House, PASSWORD, Smtp, message, receipt_id, tool, until};

const EVE: &str = "eve@second.test";

/// The status and the document.
fn curl(house: &House, path: &str, more: &[&str]) -> (u16, Value) {
    let url = format!("https://{}/api/v1/{path}", house.address(443));
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-k", "-w", "\n%{http_code}", &url]).args(more);
    let said = tool(&mut curl);
    let (body, code) = said.rsplit_once('\n').unwrap();
    (code.parse().unwrap(), serde_json::from_str(body).unwrap_or_else(|_| panic!("{said}")))
}

fn search(house: &House, account: &str, query: &str) -> (u16, Value) {
    let (user, q) = (format!("{account}:{PASSWORD}"), format!("q={query}"));
    curl(house, "my/search", &["-G", "-u", &user, "--data-urlencode", &q])
}

#[track_caller]
fn finds(house: &House, account: &str, query: &str, receipts: &[&str]) -> Value {
    let (status, found) = search(house, account, query);
    assert_eq!(status, 200, "{query}: {found}");
    let hits = found["hits"].as_array().unwrap();
    let mut got: Vec<&str> = hits.iter().map(|hit| hit["receipt"].as_str().unwrap()).collect();
    let mut wanted: Vec<&str> = receipts.iter().map(|receipt| receipt_id(receipt)).collect();
    got.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(got, wanted, "{account}: {query}: {found}");
    found
}

fn await_searchable(house: &House, messages: u64) {
    until(&format!("{messages} messages searchable"), || {
        let end = house.restante_json(&["search"])["end"].clone();
        (end["searchable"] == messages && end["messages"] == messages).then_some(())
    });
}

fn commands(house: &House, account: &str, commands: &[&str]) {
    let mut wire = house.wire(account);
    for command in commands {
        wire.command(command, Keep::Nothing).unwrap();
    }
}

#[test]
fn one_s_own_is_found_and_nothing_of_others_not_even_by_its_absence() {
    let house = House::new();
    let both = house.deliver(&[ALICE, BOB], &message("Both of them", "both"));
    let sent = house.submit(&[BOB, CAROL], &message("From alice", "sent"));
    let mut smtp = Smtp::connect(house.address(25));
    smtp.say("EHLO outside.test");
    smtp.expect(&format!("MAIL FROM:<{CAROL}>"), "250");
    let forged = smtp.send(&[BOB], &message("Forged words", "forged"));
    let private = ["CREATE Private", "SELECT INBOX", "MOVE 1 Private", "SELECT Private"];
    commands(&house, BOB, &private);
    commands(&house, BOB, &["SELECT Private", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"]);
    await_searchable(&house, 3);

    let found = finds(&house, ALICE, "subject:both", &[&both]);
    let text = found.to_string();
    for others in ["bob", "Private", "searchable", "\"messages\""] {
        assert!(!text.contains(others), "{others} in {text}");
    }
    assert_eq!(found["hits"][0]["mailboxes"][0]["mailbox"], "INBOX", "{text}");
    // Bob, who got the same, his folder and what he did are not there; and where they are asked to be
    // left out, that leaves out nothing.
    for query in ["both to:bob", "both bob", "both bob@example.test OR nothing", "both in:private"]
    {
        finds(&house, ALICE, query, &[]);
    }
    for query in ["both -to:bob", "both -bob", "both -is:deleted", "both -in:private"] {
        finds(&house, ALICE, query, &[&both]);
    }
    finds(&house, ALICE, "both is:deleted", &[]);
    finds(&house, BOB, "both is:deleted", &[&both]);
    finds(&house, BOB, "both to:bob in:private", &[]);
    finds(&house, BOB, "both to:somebody to:bob", &[&both]);
    // Whoever sent it knows whom to; who got it does not know of the others.
    let found = finds(&house, ALICE, "to:carol", &[&sent]);
    assert_eq!(found["hits"][0]["recipients"].as_array().unwrap().len(), 2, "{found}");
    finds(&house, BOB, "to:carol", &[]);
    let found = finds(&house, BOB, "subject:alice -carol", &[&sent]);
    assert!(!found.to_string().contains("carol"), "{found}");
    // Nobody owns what others have written in his name.
    finds(&house, CAROL, "forged", &[]);
    finds(&house, BOB, "forged from:carol", &[&forged]);
    finds(&house, CAROL, "both", &[]);
    finds(&house, CAROL, &format!("id:{}", receipt_id(&both)), &[]);
    for refused in ["host:127.0.0.1", "account:bob@example.test both", "from:", ""] {
        assert_eq!(search(&house, ALICE, refused).0, 400, "{refused}");
    }
    let wrong = ["-u", "alice@example.test:wrong"];
    assert_eq!(curl(&house, "my/search?q=both", &wrong).0, 401);
    // The operator's command line sees it as they would.
    let as_alice = |query: &str| {
        let arguments = ["search", "--json", "--account", ALICE, query];
        let output = house.installation.command(&arguments).unwrap();
        String::from_utf8(output.stdout).unwrap().lines().count() - 1
    };
    assert_eq!((as_alice("both to:bob"), as_alice("both -to:bob")), (0, 1));
}

#[test]
fn what_is_found_is_had_back_and_taken_along() {
    let house = House::new();
    let both = house.deliver(&[ALICE, BOB], &message("Both of them", "both"));
    await_searchable(&house, 1);
    let gone = ["SELECT INBOX", "STORE 1 +FLAGS (\\Flagged \\Deleted)", "EXPUNGE"];
    commands(&house, ALICE, &gone);
    let receipt = receipt_id(&both).to_owned();
    let restore = |account: &str, document: &str| {
        let user = format!("{account}:{PASSWORD}");
        let more = ["-u", &user, "-H", "Content-Type: application/json", "-d", document];
        curl(&house, "my/search/restore", &more)
    };
    let wanted = json!({ "receipt": receipt, "mailbox": "Archive" }).to_string();
    assert_eq!(restore(CAROL, &wanted).0, 404);
    let (status, done) = restore(ALICE, &wanted);
    assert_eq!((status, &done["was_there"]), (200, &false.into()), "{done}");
    let there = house.ids_and_flags(ALICE, "Archive");
    assert!(there[0].1.iter().any(|flag| flag == "\\Flagged"), "{there:?}");
    let (_, again) = restore(ALICE, &wanted);
    assert_eq!(again["was_there"], true, "{again}");
    assert_eq!(house.mailbox(BOB, "INBOX").len(), 1);
    assert!(house.restante(&["history", "--account", ALICE]).contains("restored"));

    // Taken along: a zip file that others read.
    let zip = house.path().join("alice.zip");
    let url = format!("https://{}/api/v1/my/search/export?q=both", house.address(443));
    let (user, zip) = (format!("{ALICE}:{PASSWORD}"), zip.to_str().unwrap());
    tool(Command::new("curl").args(["-sS", "-f", "-k", "-u", &user, "-o", zip, &url]));
    tool(Command::new("unzip").args(["-t", "-qq", zip]));
    let told = tool(Command::new("python3").args(["-c", READ_ZIP, zip]));
    assert!(told.contains("mail-1.eml") && told.contains("The body of both."), "{told}");
    assert!(!told.contains("bob"), "{told}");
}

/// Opens a zip file with somebody else's library and prints what is in it.
const READ_ZIP: &str = "import sys, zipfile\n\
    z = zipfile.ZipFile(sys.argv[1])\n\
    assert z.testzip() is None\n\
    for name in z.namelist():\n    print(name)\n    print(z.read(name).decode())\n";

#[test]
fn an_export_is_one_zip_file() {
    let house = House::new();
    for number in 0..30 {
        house.deliver(&[ALICE], &message(&format!("Letter {number}"), &format!("n{number}")));
    }
    await_searchable(&house, 30);
    for (name, more, has, files) in
        [("all.zip", None, "mail-30.eml", 30), ("box.zip", Some("--mbox"), "mail.mbox", 1)]
    {
        let path = house.path().join(name);
        let path = path.to_str().unwrap();
        let mut arguments = vec!["search", "letter", "--export", path];
        arguments.extend(more);
        let said = house.restante(&arguments);
        assert!(said.contains("30 messages written"), "{said}");
        tool(Command::new("unzip").args(["-t", "-qq", path]));
        let told = tool(Command::new("python3").args(["-c", READ_ZIP, path]));
        assert!(told.contains(has), "{told}");
        assert_eq!(told.matches("The body of n").count(), 30);
        let is_mail = |line: &&str| line.ends_with(".eml") || line.ends_with(".mbox");
        assert_eq!(told.lines().filter(is_mail).count(), files);
        let lines: Vec<Value> =
            told.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert!(lines.iter().any(|line| line["counts"]["written"] == 30), "{told}");
        let first = lines.iter().find(|line| line["receipt"].is_string()).unwrap();
        assert_eq!(first["sha256"].as_str().unwrap().len(), 64, "{first}");
        // What is there is not written over.
        house
            .installation
            .command(&arguments)
            .map(|output| assert!(!output.status.success()))
            .unwrap();
    }
}

fn token(house: &House, name: &str, scopes: &str) -> String {
    let mut arguments = vec!["operator", "token", "add", name];
    if !scopes.is_empty() {
        arguments.extend(["--scope", scopes]);
    }
    house.restante_json(&arguments)["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_domain_admin_finds_and_takes_back_what_is_the_domain_s() {
    let house = House::new();
    house.restante(&["domain", "add", "second.test"]);
    house.restante(&["account", "add", EVE]);
    house.restante(&["retention", "set", "second.test", "--keep", "7y"]);
    house.restante(&["retention", "set", "example.test", "--keep", "90d"]);
    let of_domain = ["--role", "domain-admin", "--domain", "example.test"];
    house.restante(&[&["operator", "add", "dan"][..], &of_domain].concat());
    let both = house.deliver(&[ALICE, EVE], &message("Both of them", "both"));
    let hers = house.deliver(&[EVE], &message("Hers alone", "hers"));
    await_searchable(&house, 2);
    commands(&house, ALICE, &["SELECT INBOX", "STORE 1 +FLAGS (\\Deleted)", "EXPUNGE"]);
    let dan = token(&house, "dan", "");
    let ask = |path: &str, more: &[&str]| {
        let bearer = format!("Authorization: Bearer {dan}");
        let json = "Content-Type: application/json";
        curl(&house, path, &[&["-H", &bearer, "-H", json][..], more].concat())
    };
    let found = |query: &str| {
        let query = format!("query={query}");
        let (status, found) = ask("search", &["-G", "--data-urlencode", &query]);
        assert_eq!(status, 200, "{query}: {found}");
        assert!(!found.to_string().contains("eve@"), "{query}: {found}");
        assert!(found["end"]["messages"].is_null(), "{found}");
        found["hits"].as_array().unwrap().len()
    };
    assert_eq!((found("both"), found("hers"), found("to:eve"), found("both eve")), (1, 0, 0, 0));
    assert_eq!((found("both -to:eve"), found("both is:deleted")), (1, 1));
    for refused in ["query=host:127.0.0.1", "query=account:eve@second.test"] {
        assert_eq!(ask("search", &["-G", "--data-urlencode", refused]).0, 422, "{refused}");
    }
    let as_eve = format!("account={EVE}");
    assert_eq!(ask("search", &["-G", "-d", "query=both", "-d", &as_eve]).0, 422);

    let restore = |receipt: &str, to: &str| {
        let document = json!({ "receipt": receipt_id(receipt), "to": to }).to_string();
        ask("search/restore", &["-d", &document]).0
    };
    assert_eq!(
        (restore(&both, EVE), restore(&hers, ALICE), restore(&both, ALICE)),
        (403, 422, 200)
    );
    assert_eq!(house.mailbox(ALICE, "INBOX").len(), 1);

    commands(&house, BOB, &["CREATE Work"]);
    let command = |document: Value| ask("command", &["-d", &document.to_string()]);
    let history = |account: Option<&str>| {
        let filter = json!({ "account": account });
        command(json!({ "do": "acts", "ask": { "history": { "filter": filter } } }))
    };
    assert_eq!((history(None).0, history(Some(EVE)).0), (403, 403));
    let (status, acts) = history(Some(BOB));
    assert_eq!((status, &acts[0]["where"]), (200, &"Work".into()), "{acts}");
    let undo = |act: &Value| {
        let undo = json!({ "acts": [act], "filter": null, "dry_run": false });
        command(json!({ "do": "acts", "ask": { "undo": undo } })).0
    };
    house.restante(&["account", "quota", EVE, "--messages", "9"]);
    let of_eve = house.restante_json(&["history", "--account", EVE, "--limit", "1"]);
    assert_eq!((undo(&of_eve[0]["act"]), undo(&acts[0]["act"])), (422, 200));
    assert!(!house.restante(&["mailbox", "list", BOB]).contains("Work"));

    let (status, rules) = command(json!({ "do": "archive", "ask": "retention" }));
    let of: Vec<&str> =
        rules.as_array().unwrap().iter().filter_map(|rule| rule["of"].as_str()).collect();
    assert_eq!((status, of), (200, vec!["everybody else", "example.test"]), "{rules}");

    let wanted = json!({ "query": "both" }).to_string();
    assert_eq!(ask("search/export", &["-d", &wanted]).0, 403);
    let grave = token(&house, "dan", "mail:write,mail:grave");
    let zip = house.path().join("dan.zip");
    let url = format!("https://{}/api/v1/search/export", house.address(443));
    let bearer = format!("Authorization: Bearer {grave}");
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-f", "-k", "-H", &bearer, "-d", &wanted, "-o", zip.to_str().unwrap(), &url]);
    tool(&mut curl);
    let told = tool(Command::new("python3").args(["-c", READ_ZIP, zip.to_str().unwrap()]));
    assert!(told.contains("The body of both.") && !told.contains("eve@"), "{told}");
    let audit = house.restante(&["audit"]);
    assert!(audit.contains("both"), "{audit}");
}
