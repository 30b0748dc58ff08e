//! Which command gets which reply in which situation, as a table: `tests/transitions.txt`. With
//! `DIALOGS_WRITE` set it is written anew, to be read and committed.

use std::fmt::Write as _;
use std::path::Path;

use smtp_machine::server::{Config, Role, Tls};

use crate::dialog::{Connection, Pieces, config};

const EHLO: &str = "EHLO client.example\r\n";
const AUTH: &str = "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n";
const MAIL: &str = "MAIL FROM:<ann@example.org>\r\n";
const RCPT: &str = "RCPT TO:<ann@example.org>\r\n";

const COMMANDS: [(&str, &str); 15] = [
    ("HELO", "HELO client.example\r\n"),
    ("EHLO", EHLO),
    ("STARTTLS", "STARTTLS\r\n"),
    ("AUTH", AUTH),
    ("MAIL", MAIL),
    ("RCPT", RCPT),
    ("DATA", "DATA\r\n"),
    ("BDAT", "BDAT 4\r\nabcd"),
    ("LAST", "BDAT 4 LAST\r\nabcd"),
    ("RSET", "RSET\r\n"),
    ("NOOP", "NOOP\r\n"),
    ("VRFY", "VRFY ann\r\n"),
    ("EXPN", "EXPN list\r\n"),
    ("HELP", "HELP\r\n"),
    ("QUIT", "QUIT\r\n"),
];

fn with(change: fn(&mut Config)) -> Config {
    let mut config = config();
    change(&mut config);
    config
}

fn situations() -> Vec<(&'static str, Config, Vec<&'static str>)> {
    let mx = || with(|_| {});
    let submission = || with(|config| config.role = Role::Submission);
    let submissions =
        || with(|config| (config.role, config.tls) = (Role::Submission, Tls::Implicit));
    vec![
        ("25 greeted", mx(), vec![]),
        ("25 EHLO", mx(), vec![EHLO]),
        ("25 HELO", mx(), vec!["HELO client.example\r\n"]),
        ("25 MAIL", mx(), vec![EHLO, MAIL]),
        ("25 RCPT", mx(), vec![EHLO, MAIL, RCPT]),
        ("25 RCPT refused", mx(), vec![EHLO, MAIL, "RCPT TO:<nobody@example.org>\r\n"]),
        ("25 BDAT", mx(), vec![EHLO, MAIL, RCPT, "BDAT 4\r\nabcd"]),
        ("25 message kept", mx(), vec![EHLO, MAIL, RCPT, "BDAT 4 LAST\r\nabcd"]),
        ("587 greeted", submission(), vec![]),
        ("587 EHLO", submission(), vec![EHLO]),
        ("465 greeted", submissions(), vec![]),
        ("465 EHLO", submissions(), vec![EHLO]),
        ("465 signed in", submissions(), vec![EHLO, AUTH]),
        ("465 MAIL", submissions(), vec![EHLO, AUTH, MAIL]),
        ("465 RCPT", submissions(), vec![EHLO, AUTH, MAIL, RCPT]),
        ("465 BDAT", submissions(), vec![EHLO, AUTH, MAIL, RCPT, "BDAT 4\r\nabcd"]),
    ]
}

#[test]
fn transition_table() {
    let mut table = format!("{:17}", "");
    for (name, _) in COMMANDS {
        write!(table, " {name:8}").unwrap();
    }
    table = table.trim_end().to_owned() + "\n";
    for (name, config, before) in situations() {
        let mut row = format!("{name:17}");
        for (_, command) in COMMANDS {
            let mut connection = Connection::new(config.clone());
            connection.run();
            for command in &before {
                connection.feed(command.as_bytes(), Pieces::Whole);
            }
            let said = connection.feed(command.as_bytes(), Pieces::Whole);
            let reply = said.lines().rfind(|line| line.starts_with("S: ") && !line.contains('<'));
            let code = said
                .lines()
                .filter_map(|line| line.strip_prefix("S: "))
                .find(|line| line.as_bytes()[0].is_ascii_digit())
                .or(reply)
                .map_or("-", |line| &line[..3]);
            write!(row, " {code:8}").unwrap();
        }
        table.push_str(row.trim_end());
        table.push('\n');
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transitions.txt");
    if std::env::var_os("DIALOGS_WRITE").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), table);
}
