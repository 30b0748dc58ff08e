//! Programs that fetch over POP3: each message once, by its UIDL, and gone when they say so.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{ALICE, House, PASSWORD, tool, tool_output, words};

const LETTERS: u64 = 60;

fn fetched(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn getmail_keeps_track_by_uidl() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, LETTERS);
    let (state, new) = (house.path().join("getmail"), house.path().join("new"));
    fs::create_dir_all(&state).unwrap();
    fs::create_dir_all(&new).unwrap();
    let fetch = |delete: bool| {
        let text = format!(
            "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = {}\n\
             username = {ALICE}\npassword = {PASSWORD}\n\n\
             [destination]\ntype = MDA_external\npath = /bin/sh\nallow_root_commands = true\n\
             arguments = (\"-c\", \"cat > $(mktemp {}/XXXXXXXX)\")\n\n\
             [options]\nread_all = false\ndelete = {delete}\n",
            house.address(110).port(),
            new.display(),
        );
        fs::write(state.join("getmailrc"), text).unwrap();
        tool(Command::new("getmail").arg("--getmaildir").arg(&state))
    };
    fetch(false);
    assert_eq!(fetched(&new), LETTERS as usize);
    // The same ids in the next session, and only what is new is fetched.
    house.fill(ALICE, "INBOX", 2, 5);
    fetch(false);
    assert_eq!(fetched(&new), LETTERS as usize + 5);
    assert_eq!(house.ids_and_flags(ALICE, "INBOX").len(), LETTERS as usize + 5);
    fetch(true);
    assert_eq!(fetched(&new), LETTERS as usize + 5);
    assert!(house.ids_and_flags(ALICE, "INBOX").is_empty());
}

#[test]
fn fetchmail_takes_everything_away_over_stls() {
    let house = House::new();
    house.fill(ALICE, "INBOX", 1, LETTERS);
    let new = house.path().join("taken");
    fs::create_dir_all(&new).unwrap();
    let configuration = house.path().join("fetchmailrc");
    let text = format!(
        "poll 127.0.0.1 service {} protocol pop3 uidl\n  user \"{ALICE}\" password \"{PASSWORD}\" \
         sslproto 'TLS1.2+' no sslcertck nokeep fetchall\n  mda \"cat > $(mktemp {}/XXXXXXXX)\"\n",
        house.address(110).port(),
        new.display(),
    );
    fs::write(&configuration, text).unwrap();
    let output = tool_output(
        Command::new("sh")
            .args(["-c", "chmod 600 \"$1\" && exec fetchmail -v -f \"$1\" --nodetach", "sh"])
            .arg(&configuration)
            .env("FETCHMAILHOME", house.path()),
    );
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&output).contains("STLS"), "{}", words(&output));
    assert_eq!(fetched(&new), LETTERS as usize);
    assert!(house.ids_and_flags(ALICE, "INBOX").is_empty());
}
