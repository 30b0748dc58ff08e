//! What is worked out of a message behind its delivery says what its bytes say: size, envelope,
//! structure, header and searches, against `BODY[]`.

use std::time::Duration;

use crate::imap::{Imap, ImapError};
use crate::server::Installation;
use crate::token::Token;

const WAIT: Duration = Duration::from_secs(120);
const ITEMS: &str = "UID RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[]";
/// Misread messages that are told of.
const LISTED_MAX: usize = 20;
/// One of so many of them is searched for, among so many neighbours.
const SEARCHED_ONE_IN: usize = 20;
const NEIGHBOURS: u64 = 20;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Messages read.
    pub read: u64,
    /// What is wrong with some of them.
    pub misread: Vec<String>,
}

/// Reads so many messages of each mailbox of all accounts in every way, evenly spread.
///
/// # Errors
/// When a mailbox cannot be read.
pub fn read_all(installation: &Installation, read_max: u64) -> Result<Reading, ImapError> {
    let mut reading = Reading::default();
    if read_max == 0 {
        return Ok(reading);
    }
    for account in &installation.accounts {
        let server = installation.address(143);
        let mut imap = Imap::sign_in(server, account, &installation.password, WAIT)?;
        for mailbox in ["INBOX", crate::append::MAILBOX] {
            let count = imap.examine(mailbox)?;
            let name = format!("{account}/{mailbox}");
            if count > 0 {
                read_mailbox(&mut imap, &name, count, read_max, &mut reading)?;
            }
        }
    }
    Ok(reading)
}

fn read_mailbox(
    imap: &mut Imap,
    name: &str,
    count: u64,
    read_max: u64,
    reading: &mut Reading,
) -> Result<(), ImapError> {
    let numbers: Vec<u64> = (1..=count).step_by(count.div_ceil(read_max) as usize).collect();
    let set: Vec<String> = numbers.iter().map(u64::to_string).collect();
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    let (read, _) = imap.fetch_of(&set.join(","), ITEMS, &mut |answer| match misread(answer) {
        Ok(seen) => found.push(seen),
        Err(why) => wrong.push(why),
    })?;
    reading.read += read;
    for (number, (uid, token)) in numbers.iter().zip(&found).step_by(SEARCHED_ONE_IN) {
        let (first, last) =
            (number.saturating_sub(NEIGHBOURS).max(1), (number + NEIGHBOURS).min(count));
        for key in ["SUBJECT", "TEXT", "BODY"] {
            let mut hits = String::new();
            imap.search(&format!("{first}:{last} {key} {token}"), &mut hits)?;
            if hits != *uid {
                wrong.push(format!("SEARCH {key} {token} finds {hits:?}, not UID {uid}"));
            }
        }
    }
    let room = LISTED_MAX.saturating_sub(reading.misread.len());
    reading.misread.extend(wrong.into_iter().take(room).map(|why| format!("{name}: {why}")));
    Ok(())
}

/// UID and token of a message that is as its bytes are; what is wrong with it otherwise.
fn misread(answer: &[u8]) -> Result<(String, Token), String> {
    let text = String::from_utf8_lossy(answer);
    let number = |name: &str| {
        let rest = text.split_once(name)?.1;
        rest.split([' ', ')']).next()?.parse::<usize>().ok()
    };
    let uid = number("UID ").ok_or("no UID")?;
    let literal = |name: &str| {
        let (_, rest) = text.split_once(name)?;
        let (bytes, rest) = rest.split_once("}\r\n")?;
        rest.get(..bytes.parse().ok()?)
    };
    let header = literal("BODY[HEADER] {").ok_or_else(|| format!("UID {uid}: no header"))?;
    let body = literal("BODY[] {").ok_or_else(|| format!("UID {uid}: no body"))?;
    let token = Token::find_in(header.as_bytes());
    let token = token.ok_or_else(|| format!("UID {uid}: no token in its header"))?;
    let (_, structure) = text.split_once("BODYSTRUCTURE (").unwrap_or_default();
    let structure = structure.split("BODY[").next().unwrap_or_default();
    let octets = body.len() - header.len().min(body.len());
    let checks = [
        ("RFC822.SIZE", number("RFC822.SIZE ") == Some(body.len())),
        ("header", body.starts_with(header) && header.ends_with("\r\n\r\n")),
        ("ENVELOPE", text.contains(&format!("\"load {token}\""))),
        ("message id", text.contains(&format!("\"<{token}@load.invalid>\""))),
        ("text", body.contains(&format!("\r\n\r\ntoken {token}\r\n"))),
        ("BODYSTRUCTURE", structure.contains(&format!(" {octets} "))),
    ];
    match checks.iter().find(|(_, is_right)| !is_right) {
        Some((what, _)) => Err(format!("UID {uid}: its {what} is not that of its bytes")),
        None => Ok((uid.to_string(), token)),
    }
}
