//! IMAP servers (RFC 3501): only read, nothing is marked as seen.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};
use mail_types::{Flags, Keyword, SystemFlag};

use crate::transfer::imap_sign_in::Proof;
use crate::transfer::source::{CHUNK_MESSAGES, Chunk, Folder, Found, Source, Trouble, key};

/// A server that says nothing for so long is gone.
const WAIT: Duration = Duration::from_secs(120);
/// Bytes of one line, and of a message.
const LINE_BYTES_MAX: u64 = 16 << 20;
const LITERAL_BYTES_MAX: u64 = 512 << 20;
/// Folders of one account.
const FOLDERS_MAX: usize = 10_000;

/// Where the server is and who signs in there.
pub struct Login {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub proof: Proof,
    /// From the first byte; else STARTTLS.
    pub implicit_tls: bool,
    /// No TLS at all; only to this machine itself.
    pub plain: bool,
    /// Take any certificate.
    pub insecure: bool,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub struct ImapServer {
    pub login: Login,
    stream: BufReader<Box<dyn Stream>>,
    tag: u32,
    /// Folders by readable name: as the server writes them.
    wire_names: HashMap<String, String>,
    open: Option<Open>,
}

struct Open {
    folder: String,
    uid_validity: u64,
    uids: VecDeque<u32>,
}

/// One response: its text with `{n}` where literals stood, and these.
pub struct Response {
    pub text: String,
    literals: Vec<Vec<u8>>,
}

impl ImapServer {
    /// Connects and signs in.
    pub fn connect(login: Login) -> anyhow::Result<Self> {
        let named = || format!("{}:{}", login.host, login.port);
        let tcp = TcpStream::connect((login.host.as_str(), login.port))
            .with_context(|| format!("cannot reach {}", named()))?;
        tcp.set_read_timeout(Some(WAIT))?;
        tcp.set_write_timeout(Some(WAIT))?;
        if login.plain && !tcp.peer_addr()?.ip().is_loopback() {
            bail!("a password is not sent in clear to {}; use imaps:// or imap://", named());
        }
        let stream: Box<dyn Stream> = if login.implicit_tls {
            Box::new(net::blocking_tls(&login.host, tcp, login.insecure)?)
        } else if login.plain {
            Box::new(tcp)
        } else {
            Box::new(started(tcp, &login)?)
        };
        let wire_names = HashMap::new();
        let stream = BufReader::new(stream);
        let mut server = Self { login, stream, tag: 0, wire_names, open: None };
        if server.login.implicit_tls || server.login.plain {
            let greeting = server.response()?;
            if !greeting.text.starts_with("* OK") {
                bail!("{} does not greet: {}", server.login.host, greeting.text);
            }
        }
        let who = format!("{} cannot sign in to {}", server.login.user, server.login.host);
        let proof = std::mem::replace(&mut server.login.proof, Proof::Password(String::new()));
        server.sign_in(&proof).context(who)?;
        Ok(server)
    }

    /// Sends a command; `each` sees every untagged response before its end.
    pub fn command(
        &mut self,
        command: &str,
        mut each: impl FnMut(Response) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let tag = self.send(command)?;
        loop {
            let response = self.response()?;
            match response.text.strip_prefix(&tag).map(str::trim_start) {
                Some(status) if status.starts_with("OK") => return Ok(()),
                Some(status) => bail!("the server says: {status}"),
                None => each(response)?,
            }
        }
    }

    /// Sends a command; its tag.
    pub fn send(&mut self, command: &str) -> anyhow::Result<String> {
        self.tag += 1;
        let tag = format!("r{}", self.tag);
        self.send_line(&format!("{tag} {command}"))?;
        Ok(tag)
    }

    pub fn send_line(&mut self, line: &str) -> anyhow::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        Ok(stream.flush()?)
    }

    pub fn response(&mut self) -> anyhow::Result<Response> {
        let (mut text, mut literals) = (String::new(), Vec::new());
        loop {
            let mut line = Vec::new();
            (&mut self.stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
            if line.is_empty() {
                bail!("{} closed the connection", self.login.host);
            }
            text.push_str(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
            let size = text
                .strip_suffix('}')
                .and_then(|rest| rest.rsplit_once('{'))
                .and_then(|(_, digits)| digits.parse::<u64>().ok());
            let Some(size) = size else { return Ok(Response { text, literals }) };
            if size > LITERAL_BYTES_MAX {
                bail!("{} sends {size} bytes at once, which is too many", self.login.host);
            }
            let mut literal = Vec::new();
            (&mut self.stream).take(size).read_to_end(&mut literal)?;
            if literal.len() as u64 != size {
                bail!("{} closed the connection in the middle of a message", self.login.host);
            }
            literals.push(literal);
        }
    }
}

/// RFC 3501 §6.2.1: STARTTLS before anything else is said.
fn started(mut tcp: TcpStream, login: &Login) -> anyhow::Result<impl Stream + use<>> {
    let line = |tcp: &mut TcpStream| -> anyhow::Result<String> {
        // Byte by byte: what stands behind the line is TLS's.
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\n") && (line.len() as u64) < LINE_BYTES_MAX {
            tcp.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    };
    let greeting = line(&mut tcp)?;
    if !greeting.starts_with("* OK") {
        bail!("{} does not greet: {}", login.host, greeting.trim_end());
    }
    tcp.write_all(b"s STARTTLS\r\n")?;
    loop {
        let said = line(&mut tcp)?;
        if said.starts_with("s OK") {
            return net::blocking_tls(&login.host, tcp, login.insecure).map_err(Into::into);
        }
        if said.starts_with("s ") {
            bail!("{} offers no TLS here ({}); try imaps://", login.host, said.trim_end());
        }
    }
}

/// RFC 3501 §4.3: a quoted string.
pub fn quoted(text: &str) -> anyhow::Result<String> {
    if text.contains(['\r', '\n', '\0']) {
        bail!("a name or password may not contain line ends");
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

impl Source for ImapServer {
    fn describe(&self) -> String {
        format!("imap {}@{}", self.login.user, self.login.host)
    }

    fn folders(&mut self) -> anyhow::Result<Vec<Folder>> {
        let mut subscribed = Vec::new();
        self.command("LSUB \"\" \"*\"", |response| {
            subscribed.extend(listed(&response).map(|(_, _, name)| name));
            Ok(())
        })?;
        let mut folders = Vec::new();
        let mut names = HashMap::new();
        self.command("LIST \"\" \"*\"", |response| {
            let Some((attributes, separator, wire)) = listed(&response) else { return Ok(()) };
            let attributes_lower = attributes.to_ascii_lowercase();
            // RFC 5258 §3: what is not there cannot be selected either.
            if ["\\noselect", "\\nonexistent"].iter().any(|word| attributes_lower.contains(word))
                || folders.len() >= FOLDERS_MAX
            {
                return Ok(());
            }
            let decoded = imap_machine::grammar::mutf7_decode(wire.as_bytes());
            let name = decoded.unwrap_or_else(|_| wire.clone());
            let name = separator.map_or(name.clone(), |one| name.replace(one, "/"));
            let uses = ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"];
            let special_use = uses.iter().find(|known| attributes.contains(**known));
            folders.push(Folder {
                name: name.clone(),
                special_use: special_use.map(|known| (*known).to_owned()),
                subscribed: subscribed.contains(&wire),
                messages: None,
            });
            names.insert(name, wire);
            Ok(())
        })?;
        self.wire_names = names;
        Ok(folders)
    }

    fn open(&mut self, folder: &Folder) -> anyhow::Result<()> {
        let wire = self.wire_names.get(&folder.name).context("no such folder")?;
        let examine = format!("EXAMINE {}", quoted(wire)?);
        let (mut uid_validity, mut uids) = (0, Vec::new());
        self.command(&examine, |response| {
            if let Some((_, rest)) = response.text.split_once("[UIDVALIDITY ") {
                uid_validity = rest.split(']').next().and_then(|n| n.parse().ok()).unwrap_or(0);
            }
            Ok(())
        })?;
        self.command("UID SEARCH ALL", |response| {
            if let Some(found) = response.text.strip_prefix("* SEARCH") {
                uids.extend(found.split_whitespace().filter_map(|uid| uid.parse::<u32>().ok()));
            }
            Ok(())
        })?;
        uids.sort_unstable();
        self.open = Some(Open { folder: folder.name.clone(), uid_validity, uids: uids.into() });
        Ok(())
    }

    fn next(&mut self) -> anyhow::Result<Chunk> {
        let open = self.open.as_mut().context("no folder is open")?;
        let count = open.uids.len().min(CHUNK_MESSAGES);
        let uids: Vec<u32> = open.uids.drain(..count).collect();
        let (folder, uid_validity) = (open.folder.clone(), open.uid_validity);
        let mut chunk = Chunk { last: open.uids.is_empty(), ..Chunk::default() };
        if uids.is_empty() {
            return Ok(chunk);
        }
        let (host, user) = (self.login.host.clone(), self.login.user.clone());
        let list: Vec<String> = uids.iter().map(u32::to_string).collect();
        let command = format!("UID FETCH {} (UID FLAGS INTERNALDATE)", list.join(","));
        let mut found: HashMap<u32, Found> = HashMap::new();
        self.command(&command, |response| {
            let Some(uid) = number_behind(&response.text, "UID ") else { return Ok(()) };
            let date = response.text.split_once("INTERNALDATE \"").and_then(|(_, rest)| {
                message::parse_internal_date(rest.split('"').next()?.as_bytes())
            });
            let uid32 = u32::try_from(uid).unwrap_or(0);
            let words: [&[u8]; 6] = [
                b"imap",
                host.as_bytes(),
                user.as_bytes(),
                folder.as_bytes(),
                &uid_validity.to_le_bytes(),
                &uid.to_le_bytes(),
            ];
            found.insert(
                uid32,
                Found {
                    key: key(&words),
                    what: format!("{folder} UID {uid}"),
                    flags: flags(&response.text),
                    date: date.map(|date| date.at),
                    content: None,
                },
            );
            Ok(())
        })?;
        chunk.found = uids.iter().filter_map(|uid| found.remove(uid)).collect();
        Ok(chunk)
    }

    fn fetch(&mut self, found: &Found) -> anyhow::Result<Result<Vec<u8>, Trouble>> {
        let uid = found.what.rsplit(' ').next().unwrap_or_default().to_owned();
        let mut content = None;
        self.command(&format!("UID FETCH {uid} (UID BODY.PEEK[])"), |mut response| {
            if response.text.contains("BODY[]") {
                content = content.take().or(response.literals.pop());
            }
            Ok(())
        })?;
        Ok(content.ok_or_else(|| Trouble {
            what: found.what.clone(),
            why: "the server did not send it; it may have been expunged".to_owned(),
        }))
    }
}

fn number_behind(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

fn flags(text: &str) -> Flags {
    let mut flags = Flags::default();
    let inside = text.split_once("FLAGS (").and_then(|(_, rest)| rest.split_once(')'));
    for word in inside.map_or("", |(words, _)| words).split_whitespace() {
        match (SystemFlag::from_name(word), Keyword::new(word)) {
            (Some(flag), _) => flags.insert(flag),
            (None, Ok(keyword)) => flags.insert_keyword(keyword),
            (None, Err(_)) => {}
        }
    }
    flags
}

/// RFC 3501 §7.2.2, §7.2.3: attributes, separator, name.
fn listed(response: &Response) -> Option<(String, Option<char>, String)> {
    let rest = response.text.strip_prefix("* LIST ").or(response.text.strip_prefix("* LSUB "))?;
    let (attributes, rest) = rest.strip_prefix('(')?.split_once(") ")?;
    let (separator, name) = match rest.strip_prefix("NIL ") {
        Some(name) => (None, name),
        None => {
            let inside = rest.strip_prefix('"')?;
            let inside = inside.strip_prefix('\\').unwrap_or(inside);
            let separator = inside.chars().next()?;
            (Some(separator), inside[separator.len_utf8()..].strip_prefix("\" ")?)
        }
    };
    let name = match (name.strip_prefix('"'), response.literals.last()) {
        (Some(name), _) => name.strip_suffix('"')?.replace("\\\"", "\"").replace("\\\\", "\\"),
        (None, Some(literal)) if name.ends_with('}') => {
            String::from_utf8_lossy(literal).into_owned()
        }
        (None, _) => name.to_owned(),
    };
    Some((attributes.to_owned(), separator, name))
}
