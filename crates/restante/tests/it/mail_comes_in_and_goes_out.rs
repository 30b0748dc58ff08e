//! `restante import` and `restante export`: what Python's mailbox module wrote comes in, once, with
//! flags and dates, goes out again and is read by Python; also where the server is killed in between.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{ALICE, BOB, CAROL, House, RESTANTE, tool, until};

fn made(house: &House, count: u32) -> PathBuf {
    let there = house.path().join("there");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/py/make_mailboxes.py");
    let mut python = Command::new("python3");
    tool(python.arg(script).arg(&there).arg(count.to_string()));
    there
}

fn import(house: &House, account: &str, source: &str, more: &[&str]) -> Value {
    house.restante_json(&[&["import", account, source], more].concat())
}

fn sum(report: &Value, column: &str) -> u64 {
    let folders = report["folders"].as_array().unwrap();
    folders.iter().map(|folder| folder[column].as_u64().unwrap()).sum()
}

/// Flags and whole messages of a mailbox, without what the session adds.
fn messages(house: &House, account: &str, mailbox: &str) -> Vec<String> {
    let mut all: Vec<String> = house
        .mailbox(account, mailbox)
        .into_iter()
        .map(|message| message.split_once("BODY[]").unwrap().1.to_owned())
        .collect();
    all.sort();
    all
}

#[test]
fn from_maildir_and_mbox_once_with_flags() {
    let house = House::new();
    let there = made(&house, 40);
    let maildir = format!("maildir:{}", there.join("Maildir").display());
    let dry = import(&house, ALICE, &maildir, &["--dry-run"]);
    assert_eq!((sum(&dry, "new"), sum(&dry, "there")), (120, 120), "{dry}");
    assert!(messages(&house, ALICE, "INBOX").is_empty());
    let report = import(&house, ALICE, &maildir, &[]);
    assert_eq!(report["complete"], true, "{report}");
    for column in ["there", "here", "new", "equal"] {
        assert_eq!(sum(&report, column), 120, "{column}: {report}");
    }
    let again = import(&house, ALICE, &maildir, &[]);
    assert_eq!((sum(&again, "new"), sum(&again, "equal")), (0, 120), "{again}");
    let mbox = format!("mbox:{}", there.join("mbox").display());
    let report = import(&house, BOB, &mbox, &[]);
    assert_eq!((sum(&report, "equal"), sum(&report, "troubles")), (120, 0), "{report}");
    for mailbox in ["INBOX", "Sent", "Old/B&APw-cher"] {
        assert_eq!(messages(&house, ALICE, mailbox).len(), 40);
        assert_eq!(messages(&house, ALICE, mailbox), messages(&house, BOB, mailbox));
        let flags = |account| {
            let mut flags = house.ids_and_flags(account, mailbox);
            flags.sort();
            flags
        };
        assert_eq!(flags(ALICE), flags(BOB), "{mailbox}");
    }
    let mapped = import(
        &house,
        CAROL,
        &maildir,
        &["--map", "Old=Archive/Old", "--folder", "Sent", "--folder", "Old/Bücher"],
    );
    assert_eq!(sum(&mapped, "equal"), 80);
    assert_eq!(messages(&house, CAROL, "Archive/Old/B&APw-cher").len(), 40);
    // The date of the file is the date of the message.
    let fetched = house.restante(&["trace", "<1001@example.org>"]);
    assert!(fetched.contains("imported"), "{fetched}");
}

/// Kills the server while an import runs, twice; begun again it goes on and brings nothing twice.
#[test]
fn an_import_that_is_killed_goes_on() {
    let mut house = House::new();
    let there = made(&house, 900);
    let maildir = there.join("Maildir").display().to_string();
    for _ in 0..2 {
        let mut importing = Command::new(RESTANTE)
            .args(["import", ALICE, &maildir, "--data"])
            .arg(&house.installation.data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let before = messages(&house, ALICE, "Sent").len();
        until("some more of the import", || {
            let done = importing.try_wait().unwrap().is_some();
            (done || messages(&house, ALICE, "Sent").len() > before).then_some(())
        });
        house.kill();
        importing.wait().unwrap();
        house.start();
    }
    let report = import(&house, ALICE, &maildir, &[]);
    assert_eq!((sum(&report, "equal"), sum(&report, "there")), (2700, 2700), "{report}");
    for mailbox in ["INBOX", "Sent", "Old/B&APw-cher"] {
        assert_eq!(messages(&house, ALICE, mailbox).len(), 900, "{mailbox}");
    }
}

#[test]
fn what_goes_out_comes_back_the_same() {
    let mut house = House::new();
    let there = made(&house, 30);
    let maildir = there.join("Maildir").display().to_string();
    import(&house, ALICE, &maildir, &[]);
    // Without a server, too.
    house.stop();
    for (format, account) in [("maildir", BOB), ("mbox", CAROL)] {
        let to = house.path().join(format).display().to_string();
        let export = ["export", ALICE, "--to", &to, "--format", format];
        let report = house.restante_json(&export);
        assert_eq!((sum(&report, "here"), sum(&report, "equal")), (90, 90), "{report}");
        assert_eq!(sum(&report, "altered"), 0, "{report}");
        let report = import(&house, account, &format!("{format}:{to}"), &[]);
        assert_eq!((sum(&report, "equal"), sum(&report, "new")), (90, 90), "{report}");
    }
    // Whoever reads others' mail leaves a record.
    for mailbox in ["INBOX", "Sent", "Old/Bücher"] {
        let log = house.restante(&["audit"]);
        assert!(log.contains(&format!("the export of {mailbox} of {ALICE}")), "{log}");
    }
    house.start();
    for mailbox in ["INBOX", "Sent", "Old/B&APw-cher"] {
        for account in [BOB, CAROL] {
            assert_eq!(messages(&house, ALICE, mailbox), messages(&house, account, mailbox));
        }
    }
    let python = format!(
        "import mailbox,sys; box = mailbox.Maildir({0:?}, create=False); \
         print(len(box), len(box.get_folder('Sent')), len(mailbox.mbox({1:?}, create=False)), \
         sorted(int(m.get_date()) for m in box)[0])",
        house.path().join("maildir").display().to_string(),
        house.path().join("mbox/INBOX.mbox").display().to_string(),
    );
    let said = tool(Command::new("python3").args(["-c", &python]));
    assert_eq!(said.trim(), "30 30 30 1700000000");
    let names: BTreeSet<String> = std::fs::read_dir(house.path().join("maildir"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.contains(".Old.B&APw-cher"), "{names:?}");
}

/// Dovecot over the Maildir, on this port.
struct Dovecot(std::process::Child);

impl Dovecot {
    fn start(house: &House, maildir: &Path) -> (Self, u16) {
        let sign_in = "auth_mechanisms = plain scram-sha-256\n\
                       passdb {\n driver = static\n args = password=secret\n}\n";
        Self::start_with(house, maildir, sign_in)
    }

    /// The same that has people sign in so.
    fn start_with(house: &House, maildir: &Path, sign_in: &str) -> (Self, u16) {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let base = house.path().join("dovecot");
        std::fs::create_dir(&base).unwrap();
        // Its mail processes run as somebody else.
        let nobody = 65_534;
        for path in [house.path(), maildir.parent().unwrap()] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        tool(Command::new("chown").arg("-R").arg(nobody.to_string()).arg(maildir));
        let (base, maildir) = (base.display(), maildir.display());
        let config = format!(
            "base_dir = {base}\nlog_path = {base}/log\nprotocols = imap\nlisten = 127.0.0.1\n\
             ssl = no\ndisable_plaintext_auth = no\n{sign_in}\
             first_valid_uid = {nobody}\n\
             mail_location = maildir:{maildir}\n\
             userdb {{\n driver = static\n args = uid={nobody} gid={nobody} home=/tmp\n}}\n\
             service imap-login {{\n inet_listener imap {{\n port = {port}\n }}\n \
             inet_listener imaps {{\n port = 0\n }}\n}}\n"
        );
        let file = house.path().join("dovecot.conf");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("dovecot").arg("-F").arg("-c").arg(&file).spawn().unwrap();
        until("Dovecot", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        (Self(child), port)
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // It ends its children, which SIGKILL would leave behind.
        Command::new("kill").arg(self.0.id().to_string()).status().ok();
        self.0.wait().ok();
    }
}

#[test]
fn from_dovecot_over_imap_the_same_as_from_its_files() {
    let house = House::new();
    let there = made(&house, 30);
    let maildir = there.join("Maildir");
    let (dovecot, port) = Dovecot::start(&house, &maildir);
    let password = house.path().join("old-password");
    std::fs::write(&password, "secret\n").unwrap();
    let source = format!("imap://ann@127.0.0.1:{port}");
    let password = password.display().to_string();
    let more = ["--password-file", password.as_str(), "--plain"];
    let report = import(&house, ALICE, &source, &more);
    for column in ["there", "here", "new", "equal"] {
        assert_eq!(sum(&report, column), 90, "{column}: {report}");
    }
    let again = import(&house, ALICE, &source, &more);
    assert_eq!((sum(&again, "new"), sum(&again, "equal")), (0, 90), "{again}");
    drop(dovecot);
    // A server that can prove itself hears no password.
    let log = std::fs::read_to_string(house.path().join("dovecot/log")).unwrap();
    assert!(log.contains("method=SCRAM-SHA-256") && !log.contains("method=PLAIN"), "{log}");
    import(&house, BOB, &maildir.display().to_string(), &[]);
    for mailbox in ["INBOX", "Sent", "Old/B&APw-cher"] {
        assert_eq!(messages(&house, ALICE, mailbox), messages(&house, BOB, mailbox));
        let flags = |account| {
            let mut flags = house.ids_and_flags(account, mailbox);
            flags.sort();
            flags
        };
        assert_eq!(flags(ALICE), flags(BOB), "{mailbox}");
    }
}

/// Over TLS from another server of ours, whose certificate nobody has signed.
#[test]
fn from_another_restante_over_tls() {
    let (here, there) = (House::new(), House::new());
    for number in 0..3 {
        there.deliver(&[ALICE], &crate::harness::message("moved", &format!("moved-{number}")));
    }
    let password = here.path().join("password").display().to_string();
    for (account, scheme, port) in [(ALICE, "imaps", 993), (BOB, "imap", 143)] {
        let source = format!("{scheme}://{ALICE}@{}", there.address(port));
        let more = ["--password-file", password.as_str()];
        let refused =
            here.installation.command(&[&["import", account, &source], &more[..]].concat());
        assert!(!refused.unwrap().status.success(), "its certificate is nobody's");
        let report = import(&here, account, &source, &[&more[..], &["--insecure"]].concat());
        assert_eq!((sum(&report, "equal"), sum(&report, "new")), (3, 3), "{report}");
        assert_eq!(messages(&here, account, "INBOX").len(), 3);
    }
}

/// Where a server asks whose a token is: `good` is alice's.
fn introspection_endpoint() -> (std::process::Child, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = format!(
        "import http.server, json, urllib.parse\n\
         class Endpoint(http.server.BaseHTTPRequestHandler):\n\
         \x20def do_POST(self):\n\
         \x20 form = self.rfile.read(int(self.headers['Content-Length'])).decode()\n\
         \x20 good = urllib.parse.parse_qs(form)['token'] == ['good']\n\
         \x20 said = json.dumps({{'active': good, 'username': '{ALICE}', 'scope': 'mail'}})\n\
         \x20 self.send_response(200)\n\
         \x20 self.end_headers()\n\
         \x20 self.wfile.write(said.encode())\n\
         http.server.HTTPServer(('127.0.0.1', {port}), Endpoint).serve_forever()\n"
    );
    let endpoint = Command::new("python3").args(["-c", &script]).spawn().unwrap();
    until("the endpoint", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    (endpoint, port)
}

/// As with large providers, which take no passwords.
#[test]
fn from_a_server_that_wants_a_token() {
    let (here, mut there) = (House::new(), House::made("127.0.0.1:1"));
    let (mut endpoint, port) = introspection_endpoint();
    there.set("oauth", &format!("introspection_url = \"http://127.0.0.1:{port}/\""));
    there.set("oauth", "client_id = \"restante\"\nclient_secret_file = \"oauth-secret\"");
    std::fs::write(there.installation.data.join("oauth-secret"), "secret\n").unwrap();
    there.start();
    there.deliver(&[ALICE], &crate::harness::message("moved", "moved-by-token"));
    let token = here.path().join("token");
    let source = format!("imaps://{ALICE}@{}", there.address(993));
    let token_file = token.display().to_string();
    let more = ["--token-file", token_file.as_str(), "--insecure"];
    std::fs::write(&token, "stale\n").unwrap();
    let refused = here.installation.command(&[&["import", BOB, &source], &more[..]].concat());
    let refused = refused.unwrap();
    let why = crate::harness::words(&refused);
    assert!(!refused.status.success() && why.contains("invalid_token"), "{why}");
    std::fs::write(&token, "good\n").unwrap();
    let report = import(&here, BOB, &source, &more);
    endpoint.kill().unwrap();
    endpoint.wait().unwrap();
    assert_eq!((sum(&report, "equal"), sum(&report, "new")), (1, 1), "{report}");
    // A password is not what this server is asked for.
    let both = ["--password-file", more[1], "--token-file", more[1]];
    let refused = here.installation.command(&[&["import", BOB, &source], &both[..]].concat());
    assert!(crate::harness::words(&refused.unwrap()).contains("cannot be used with"));
}

/// Dovecot with XOAUTH2 alone, as one large provider has it: its errors are told before its NO.
#[test]
fn from_dovecot_with_xoauth2() {
    let house = House::new();
    let maildir = made(&house, 3).join("Maildir");
    let (mut endpoint, port) = introspection_endpoint();
    let oauth2 = house.path().join("dovecot-oauth2.conf.ext");
    let asks = format!(
        "introspection_mode = post\nintrospection_url = http://127.0.0.1:{port}/\n\
         username_attribute = username\nactive_attribute = active\nactive_value = true\n"
    );
    std::fs::write(&oauth2, asks).unwrap();
    let sign_in = format!(
        "auth_mechanisms = xoauth2\npassdb {{\n driver = oauth2\n mechanisms = xoauth2\n \
         args = {}\n}}\n",
        oauth2.display()
    );
    let (dovecot, port) = Dovecot::start_with(&house, &maildir, &sign_in);
    let token = house.path().join("access-token");
    let token_file = token.display().to_string();
    let source = format!("imap://{ALICE}@127.0.0.1:{port}");
    let more = ["--token-file", token_file.as_str(), "--plain"];
    std::fs::write(&token, "stale\n").unwrap();
    let refused = house.installation.command(&[&["import", ALICE, &source], &more[..]].concat());
    let refused = refused.unwrap();
    let why = crate::harness::words(&refused);
    // What it tells of the token is told on.
    assert!(!refused.status.success() && why.contains("\"status\":\"401\""), "{why}");
    std::fs::write(&token, "good\n").unwrap();
    let report = import(&house, ALICE, &source, &more);
    endpoint.kill().unwrap();
    endpoint.wait().unwrap();
    drop(dovecot);
    assert_eq!((sum(&report, "equal"), sum(&report, "new")), (9, 9), "{report}");
    let log = std::fs::read_to_string(house.path().join("dovecot/log")).unwrap();
    assert!(log.contains("method=XOAUTH2"), "{log}");
}
