//! IMAP APPEND under the kill drill: its `OK` takes custody as a `250` does.

use std::collections::{HashMap, HashSet};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::imap::Imap;
use crate::judge::Copy;
use crate::random::Random;
use crate::server::Installation;
use crate::template::Template;
use crate::token::Token;

/// The mailbox that is appended to.
pub const MAILBOX: &str = "Archive";

/// What one connection appended.
#[derive(Debug, Default)]
pub struct Appended {
    /// Answered `OK`.
    pub acknowledged: HashMap<Copy, String>,
    /// Sent, or being sent, when the connection broke.
    pub uncertain: HashSet<Copy>,
}

/// The name under which the judge knows this mailbox of an account.
#[must_use]
pub fn recipient(account: &str) -> String {
    format!("{account}/{MAILBOX}")
}

/// Appends to the first account until the connection breaks.
#[must_use]
pub fn start(installation: &Installation, round: u32, messages: u64) -> JoinHandle<Appended> {
    let server = installation.address(143);
    let account = installation.accounts.first().cloned().unwrap_or_default();
    let password = installation.password.clone();
    std::thread::spawn(move || {
        let mut appended = Appended::default();
        let Ok(mut imap) = Imap::sign_in(server, &account, &password, Duration::from_secs(60))
        else {
            return appended;
        };
        let run = round * 4 + 2;
        let mut template = Template::new(&account, 3000, 50, &mut Random::new(u64::from(run)));
        for sequence in 0..messages {
            let token = Token { run, sequence };
            let message = template.with_token(token);
            let message = message.strip_suffix(b".\r\n").unwrap_or(message);
            let copy = (recipient(&account), token);
            match imap.append(MAILBOX, message) {
                Ok(answer) => {
                    appended.acknowledged.insert(copy, answer);
                }
                Err(_) => {
                    appended.uncertain.insert(copy);
                    break;
                }
            }
        }
        appended
    })
}
