//! neomutt and aerc: what is typed into them happens to the mailbox.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{ALICE, House, PASSWORD, message, until};
use crate::terminal::Terminal;

/// Appends these subjects, a year apart, the latest first.
fn fill(house: &House, subjects: &[&str]) {
    let dated: Vec<(String, Vec<u8>)> = subjects
        .iter()
        .enumerate()
        .map(|(place, subject)| {
            let text = message(subject, &format!("terminal-{place}"));
            let year = 2026 - place;
            let text = text.replace("22 Nov 2026", &format!("22 Nov {year}")).replace('\n', "\r\n");
            (format!("22-Nov-{year} 10:00:00 +0000"), text.into_bytes())
        })
        .collect();
    house.wire(ALICE).append_pipelined("INBOX", &dated, 1).unwrap();
}

#[test]
fn neomutt_sorts_reads_flags_and_deletes() {
    let house = House::new();
    fill(&house, &["latest", "middle", "earliest"]);
    let read = house.path().join("read");
    let configuration = house.path().join("neomuttrc");
    // Sorted by date the earliest is first; all are read into a file, the first is deleted.
    let keys = format!(
        "<tag-pattern>~A<enter><tag-prefix><flag-message><tag-prefix><pipe-message>cat > {}<enter>\
         <first-entry><delete-message><sync-mailbox><exit>",
        read.display()
    );
    let text = format!(
        "set folder=\"imap://{user}@{address}/\"\nset spoolfile=\"+INBOX\"\nset imap_user=\"{ALICE}\"\n\
         set imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\nset ssl_force_tls=no\n\
         set imap_authenticators=\"login\"\nset sort=date\nset quit=yes\nset delete=yes\n\
         set wait_key=no\nset header_cache=\"{cache}\"\npush \"{keys}\"\n",
        user = ALICE.replace('@', "%40"),
        address = house.address(143),
        cache = house.path().join("cache").display(),
    );
    fs::write(&configuration, text).unwrap();
    let command = format!("neomutt -n -F {}", configuration.display());
    let home = [("HOME", house.path().display().to_string())];
    Terminal::start(&command, house.path().join("shown"), &home).ended();
    let text = fs::read_to_string(&read).unwrap();
    let subjects: Vec<&str> = text.lines().filter(|line| line.starts_with("Subject: ")).collect();
    assert_eq!(subjects, ["Subject: earliest", "Subject: middle", "Subject: latest"]);
    let left = house.ids_and_flags(ALICE, "INBOX");
    let ids: Vec<&str> = left.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["terminal-0@outside.test", "terminal-1@outside.test"]);
    assert!(left.iter().all(|(_, flags)| flags.contains(&"\\Flagged".to_owned())), "{left:?}");
}

#[test]
fn aerc_pipes_flags_and_moves() {
    let house = House::new();
    fill(&house, &["first come", "last come"]);
    let configuration = house.path().join("config/aerc");
    fs::create_dir_all(&configuration).unwrap();
    let accounts = configuration.join("accounts.conf");
    let text = format!(
        "[alice]\nsource = imap+insecure://{}:{}@{}\ndefault = INBOX\nfrom = Alice <{ALICE}>\n",
        ALICE.replace('@', "%40"),
        PASSWORD.replace(' ', "%20"),
        house.address(143),
    );
    fs::write(&accounts, text).unwrap();
    fs::set_permissions(&accounts, fs::Permissions::from_mode(0o600)).unwrap();
    let piped = house.path().join("piped");
    let place = |name: &str| house.path().join(name).display().to_string();
    let environment = [
        ("HOME", place("home")),
        ("XDG_CONFIG_HOME", place("config")),
        ("XDG_CACHE_HOME", place("cache")),
        ("XDG_DATA_HOME", place("share")),
    ];
    let mut aerc = Terminal::start("aerc", house.path().join("shown"), &environment);
    // What came last is at the top, where the cursor begins.
    aerc.await_text("last come");
    aerc.keys(&format!(":pipe -b -m tee {}\r", piped.display()));
    until("the message is piped", || {
        fs::read_to_string(&piped).ok().filter(|text| text.contains("Subject: last come"))
    });
    let flagged = |mailbox: &str, flag: &str| {
        let all = house.ids_and_flags(ALICE, mailbox);
        all.iter().any(|(_, flags)| flags.iter().any(|each| each == flag)).then_some(())
    };
    aerc.keys(":flag -x Answered\r");
    until("the flag is set", || flagged("INBOX", "\\Answered"));
    aerc.keys(":mv Archive\r");
    until("the message is moved", || flagged("Archive", "\\Answered"));
    aerc.keys(":quit\r");
    aerc.ended();
    assert_eq!(house.ids_and_flags(ALICE, "INBOX").len(), 1);
    assert_eq!(house.ids_and_flags(ALICE, "Archive")[0].0, "terminal-1@outside.test");
}
