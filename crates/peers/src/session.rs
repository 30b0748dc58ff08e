use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::script::{Act, Stage};
use crate::sink::{Command, Shared, SinkState, Stored};

/// RFC 5321 §4.5.3.1.4: octets of a command line with CRLF; extensions add to it.
const COMMAND_OCTETS_MAX: usize = 4096;
/// RFC 5321 §4.5.3.1.6: octets of a text line with CRLF.
const TEXT_LINE_OCTETS_MAX: usize = 1000;
/// A message beyond this is cut off: no test sends more.
const BODY_OCTETS_MAX: usize = 256 << 20;
const READ_OCTETS: usize = 16 << 10;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One connection to a sink.
pub(crate) struct Session {
    stream: Box<dyn Io>,
    number: u64,
    client: IpAddr,
    shared: Arc<Shared>,
    acceptor: Option<TlsAcceptor>,
    input: Vec<u8>,
    output: Vec<u8>,
    tls: bool,
    helo: String,
    transaction: Option<Transaction>,
    count_only: bool,
}

#[derive(Default)]
struct Transaction {
    reverse_path: String,
    mail_parameters: String,
    recipients: Vec<String>,
    rcpt_parameters: Vec<String>,
    chunks: Vec<u8>,
}

/// How a session goes on after a stage.
enum Next {
    Continue,
    Close,
}

impl Session {
    pub(crate) fn new(
        stream: TcpStream,
        number: u64,
        shared: Arc<Shared>,
        acceptor: Option<TlsAcceptor>,
    ) -> Self {
        // A client that is gone already says nothing that would need its address.
        let client = stream.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
        let count_only = shared.script.lock().unwrap().count_only;
        Self {
            stream: Box::new(stream),
            number,
            client,
            shared,
            acceptor,
            input: Vec::new(),
            output: Vec::new(),
            tls: false,
            helo: String::new(),
            transaction: None,
            count_only,
        }
    }

    pub(crate) async fn run(mut self) {
        self.note(|state| {
            state.connections += 1;
            state.open += 1;
            state.open_max = state.open_max.max(state.open);
        });
        // Counts the end also where the task is cut while it waits.
        let ended = Ended(Arc::clone(&self.shared));
        // However the connection ends, what happened on it is in the state.
        let end = self.converse().await;
        if end.is_err() && self.transaction.is_some() {
            self.note(|state| state.aborted += 1);
        }
        drop(ended);
    }

    async fn converse(&mut self) -> io::Result<()> {
        let greeting = format!("220 {} ESMTP", self.host());
        if let Next::Close = self.perform(Stage::Connect, b"", &greeting).await? {
            return Ok(());
        }
        loop {
            let line = self.read_line().await?;
            if let Next::Close = self.command(&line).await? {
                return self.flush().await;
            }
        }
    }

    async fn command(&mut self, line: &[u8]) -> io::Result<Next> {
        let text = String::from_utf8_lossy(line).into_owned();
        if !self.count_only {
            let (connection, line) = (self.number, text.clone());
            self.note(|state| state.commands.push(Command { connection, line }));
        }
        let verb = text.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        self.check_pipelining(&verb);
        match verb.as_str() {
            "EHLO" | "HELO" => self.hello(&verb, &text).await,
            "STARTTLS" => self.start_tls(line).await,
            "MAIL" => self.mail(&text).await,
            "RCPT" => self.rcpt(&text).await,
            "DATA" => self.data(line).await,
            "BDAT" => self.bdat(&text).await,
            "RSET" => {
                self.transaction = None;
                self.perform(Stage::Rset, line, "250 2.0.0 forgotten").await
            }
            "QUIT" => {
                self.transaction = None;
                self.perform(Stage::Quit, line, "221 2.0.0 bye").await?;
                Ok(Next::Close)
            }
            "NOOP" => self.perform(Stage::Other, line, "250 2.0.0 yes").await,
            _ => self.perform(Stage::Other, line, "500 5.5.2 what").await,
        }
    }

    /// RFC 2920 §3.1: commands may be sent in groups only where PIPELINING is offered, and EHLO,
    /// DATA, QUIT, STARTTLS and NOOP only as the last of a group.
    fn check_pipelining(&self, verb: &str) {
        if self.input.is_empty() || verb == "BDAT" {
            return;
        }
        if !self.offers("PIPELINING") {
            self.violation(format!("{verb} and more were sent without PIPELINING"));
        } else if matches!(verb, "EHLO" | "HELO" | "DATA" | "QUIT" | "STARTTLS" | "NOOP") {
            self.violation(format!("{verb} is not the last command of its group"));
        }
    }

    async fn hello(&mut self, verb: &str, text: &str) -> io::Result<Next> {
        self.transaction = None;
        text.split_once(' ').map_or("", |(_, name)| name).clone_into(&mut self.helo);
        if self.helo.is_empty() {
            self.violation(format!("{verb} without a name"));
        }
        if verb == "HELO" {
            let reply = format!("250 {}", self.host());
            return self.perform(Stage::Helo, text.as_bytes(), &reply).await;
        }
        let mut lines = vec![self.host()];
        let capabilities = self.shared.script.lock().unwrap().capabilities.clone();
        // RFC 3207 §4.2: not offered again once TLS runs.
        lines.extend(capabilities.into_iter().filter(|line| !(self.tls && line == "STARTTLS")));
        let last = lines.len() - 1;
        let mark = |(index, line): (usize, String)| {
            format!("250{}{line}", if index == last { ' ' } else { '-' })
        };
        let reply: Vec<String> = lines.into_iter().enumerate().map(mark).collect();
        self.perform(Stage::Ehlo, text.as_bytes(), &reply.join("\n")).await
    }

    async fn start_tls(&mut self, line: &[u8]) -> io::Result<Next> {
        let Some(acceptor) = self.acceptor.clone().filter(|_| self.offers("STARTTLS")) else {
            self.violation("STARTTLS was not offered".to_owned());
            self.say("502 5.5.1 no TLS here");
            return Ok(Next::Continue);
        };
        let act = self.act(Stage::StartTls, line);
        if act == Act::BreakTls {
            self.say("220 2.0.0 go on");
            self.flush().await?;
            self.stream.write_all(b"this is no TLS record at all\r\n").await?;
            return Ok(Next::Close);
        }
        let accepted = matches!(act, Act::Normal | Act::Hold | Act::Delay(_));
        let next = self.carry_out(act, "220 2.0.0 go on").await?;
        if !accepted {
            return Ok(next);
        }
        self.flush().await?;
        if !self.input.is_empty() {
            self.violation("bytes were sent behind STARTTLS".to_owned());
            self.input.clear();
        }
        // RFC 3207 §4.2: nothing from before the handshake counts.
        self.transaction = None;
        self.helo.clear();
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        self.stream = Box::new(acceptor.accept(plain).await?);
        self.tls = true;
        Ok(Next::Continue)
    }

    async fn mail(&mut self, text: &str) -> io::Result<Next> {
        let Some((reverse_path, parameters)) = path(text, "MAIL FROM:") else {
            self.violation(format!("malformed: {text}"));
            self.say("501 5.5.4 malformed");
            return Ok(Next::Continue);
        };
        if self.transaction.is_some() {
            self.violation("MAIL inside a transaction".to_owned());
        }
        if self.helo.is_empty() {
            self.violation("MAIL before EHLO".to_owned());
        }
        self.check_mail_parameters(text, &parameters);
        let size_max = self.shared.script.lock().unwrap().size_max;
        let declared = parameters
            .split(' ')
            .find_map(|parameter| parameter.strip_prefix("SIZE=")?.parse::<usize>().ok());
        if let (Some(limit), Some(size)) = (size_max, declared)
            && size > limit
        {
            self.say("552 5.3.4 too big for me");
            return Ok(Next::Continue);
        }
        let reply = "250 2.1.0 sender fine";
        let act = self.act(Stage::Mail, text.as_bytes());
        if says_yes(&act) {
            self.transaction = Some(Transaction {
                reverse_path,
                mail_parameters: parameters,
                ..Transaction::default()
            });
        }
        self.carry_out(act, reply).await
    }

    fn check_mail_parameters(&self, text: &str, parameters: &str) {
        let uses = |word: &str| parameters.split(' ').any(|parameter| parameter == word);
        let begins = |word: &str| parameters.split(' ').any(|each| each.starts_with(word));
        let used = [
            (uses("BODY=8BITMIME"), "8BITMIME"),
            (uses("SMTPUTF8") || !text.is_ascii(), "SMTPUTF8"),
            (begins("SIZE="), "SIZE"),
            (begins("RET=") || begins("ENVID="), "DSN"),
            (uses("BODY=BINARYMIME"), "BINARYMIME"),
        ];
        for (_, extension) in
            used.into_iter().filter(|(used, extension)| *used && !self.offers(extension))
        {
            self.violation(format!("{extension} was not offered: {text}"));
        }
    }

    async fn rcpt(&mut self, text: &str) -> io::Result<Next> {
        let Some((recipient, parameters)) = path(text, "RCPT TO:") else {
            self.violation(format!("malformed: {text}"));
            self.say("501 5.5.4 malformed");
            return Ok(Next::Continue);
        };
        if !parameters.is_empty() && !self.offers("DSN") {
            self.violation(format!("DSN was not offered: {text}"));
        }
        let act = self.act(Stage::Rcpt, text.as_bytes());
        let Some(transaction) = &mut self.transaction else {
            self.say("503 5.5.1 no MAIL yet");
            return Ok(Next::Continue);
        };
        let from = &transaction.reverse_path;
        if self.shared.script.lock().unwrap().is_greylisted(self.client, from, &recipient) {
            self.say("451 4.7.1 greylisted, come again");
            return Ok(Next::Continue);
        }
        if says_yes(&act) {
            transaction.recipients.push(recipient);
            transaction.rcpt_parameters.push(parameters);
        }
        self.carry_out(act, "250 2.1.5 recipient fine").await
    }

    async fn data(&mut self, line: &[u8]) -> io::Result<Next> {
        let no_recipients = self.transaction.as_ref().is_none_or(|t| t.recipients.is_empty());
        if no_recipients {
            self.say("554 5.5.1 no valid recipients");
            return Ok(Next::Continue);
        }
        let act = self.act(Stage::Data, line);
        let go_on = says_go_on(&act);
        let next = self.carry_out(act, "354 go on").await?;
        if !go_on {
            return Ok(next);
        }
        self.flush().await?;
        if !self.input.is_empty() {
            self.violation("the message began before the 354".to_owned());
        }
        let Some(body) = self.read_body().await? else { return Ok(Next::Close) };
        self.finish(body).await
    }

    /// RFC 3030 §2.
    async fn bdat(&mut self, text: &str) -> io::Result<Next> {
        let mut words = text.split(' ').skip(1);
        let length = words.next().and_then(|word| word.parse::<usize>().ok());
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        let Some(length) = length.filter(|&length| length <= BODY_OCTETS_MAX) else {
            self.say("501 5.5.4 how much");
            return Ok(Next::Close);
        };
        if !self.offers("CHUNKING") {
            self.violation("CHUNKING was not offered".to_owned());
        }
        while self.input.len() < length {
            self.fill().await?;
        }
        let chunk: Vec<u8> = self.input.drain(..length).collect();
        let Some(transaction) = self.transaction.as_mut().filter(|t| !t.recipients.is_empty())
        else {
            self.say("554 5.5.1 no valid recipients");
            return Ok(Next::Continue);
        };
        transaction.chunks.extend_from_slice(&chunk);
        if last {
            let body = std::mem::take(&mut transaction.chunks);
            return self.finish(body).await;
        }
        self.perform(Stage::Data, text.as_bytes(), "250 2.0.0 chunk").await
    }

    /// The bytes up to the final dot, unstuffed; `None` where the script cuts the connection.
    async fn read_body(&mut self) -> io::Result<Option<Vec<u8>>> {
        let cut_after = match self.act(Stage::Body, b"") {
            Act::Close => Some(0),
            Act::CloseAfter(octets) => Some(octets),
            _ => None,
        };
        let mut searched = 0;
        loop {
            if let Some(cut) = cut_after
                && self.input.len() >= cut.max(1)
            {
                return Ok(None);
            }
            if let Some(end) = end_of_body(&self.input, searched) {
                let body = self.unstuff(&self.input[..end]);
                self.input.drain(..end + 3);
                return Ok(Some(body));
            }
            if self.input.len() > BODY_OCTETS_MAX {
                return Ok(None);
            }
            searched = self.input.len().saturating_sub(4);
            self.fill().await?;
        }
    }

    /// RFC 5321 §4.5.2: takes the added dots away; notes line ends that are none.
    fn unstuff(&self, raw: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(raw.len());
        for line in raw.split_inclusive(|&byte| byte == b'\n') {
            let text = line.strip_suffix(b"\r\n");
            if text.is_none_or(|text| text.contains(&b'\r')) {
                self.violation("a bare CR or LF in the message".to_owned());
            }
            if line.len() > TEXT_LINE_OCTETS_MAX + 1 {
                self.violation("a text line over 1000 octets".to_owned());
            }
            body.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        body
    }

    /// The message is whole: keep it or not, and say so.
    async fn finish(&mut self, body: Vec<u8>) -> io::Result<Next> {
        let Some(transaction) = self.transaction.take() else { return Ok(Next::Close) };
        let size_max = self.shared.script.lock().unwrap().size_max;
        if size_max.is_some_and(|limit| body.len() > limit) {
            self.say("552 5.3.4 too big for me");
            return Ok(Next::Continue);
        }
        let act = self.act(Stage::Dot, &body);
        let stores = says_yes(&act)
            || matches!(act, Act::StoreThenReply(_) | Act::StoreThenClose | Act::StoreThenSilent);
        let waits = matches!(act, Act::Hold | Act::Delay(_));
        let stored = Stored {
            reverse_path: transaction.reverse_path,
            mail_parameters: transaction.mail_parameters,
            recipients: transaction.recipients,
            rcpt_parameters: transaction.rcpt_parameters,
            body,
            helo: self.helo.clone(),
            connection: self.number,
            tls: self.tls,
        };
        // What waits is kept once it is answered.
        if stores && !waits {
            self.keep(stored);
            return self.carry_out(act, "250 2.0.0 kept by the sink").await;
        }
        let next = self.carry_out(act, "250 2.0.0 kept by the sink").await?;
        if stores {
            self.keep(stored);
        }
        Ok(next)
    }

    fn keep(&self, stored: Stored) {
        let count_only = self.count_only;
        self.note(|state| {
            state.count += 1;
            if !count_only {
                state.stored.push(stored);
            }
        });
    }

    async fn perform(&mut self, stage: Stage, text: &[u8], normal: &str) -> io::Result<Next> {
        let act = self.act(stage, text);
        self.carry_out(act, normal).await
    }

    async fn carry_out(&mut self, act: Act, normal: &str) -> io::Result<Next> {
        match act {
            Act::Normal | Act::BreakTls | Act::CloseAfter(_) => self.say(normal),
            Act::Reply(text) | Act::StoreThenReply(text) => self.say(&text),
            Act::ReplyThenClose(text) => {
                self.say(&text);
                self.flush().await?;
                return Ok(Next::Close);
            }
            Act::Raw(bytes) => self.output.extend_from_slice(&bytes),
            Act::Close | Act::StoreThenClose => return Ok(Next::Close),
            Act::Silent | Act::StoreThenSilent => {
                self.flush().await?;
                // Ends when the peer closes.
                loop {
                    self.input.clear();
                    self.fill().await?;
                }
            }
            Act::Hold => {
                self.flush().await?;
                self.hold().await;
                self.say(normal);
            }
            Act::Drip(wait, text) => {
                self.flush().await?;
                self.say(&text);
                for octet in std::mem::take(&mut self.output) {
                    self.stream.write_all(&[octet]).await?;
                    self.stream.flush().await?;
                    delay(wait).await;
                }
            }
            Act::Delay(wait) => {
                self.flush().await?;
                delay(wait).await;
                self.say(normal);
            }
        }
        Ok(Next::Continue)
    }

    async fn hold(&mut self) {
        let mut released = self.shared.released.subscribe();
        self.note(|state| state.held += 1);
        // Its sender lives in `shared`, which this session holds.
        released.wait_for(|&times| times > 0).await.unwrap();
        self.note(|state| state.held -= 1);
    }

    fn act(&self, stage: Stage, text: &[u8]) -> Act {
        self.shared.script.lock().unwrap().act(stage, text)
    }

    fn offers(&self, keyword: &str) -> bool {
        self.shared.script.lock().unwrap().offers(keyword)
    }

    fn host(&self) -> String {
        self.shared.script.lock().unwrap().host.clone()
    }

    fn note(&self, change: impl FnOnce(&mut SinkState)) {
        self.shared.state.send_modify(change);
    }

    fn violation(&self, what: String) {
        self.note(|state| state.violations.push(what));
    }

    fn say(&mut self, reply: &str) {
        for line in reply.trim_end_matches('\n').split('\n') {
            self.output.extend_from_slice(line.trim_end_matches('\r').as_bytes());
            self.output.extend_from_slice(b"\r\n");
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await?;
            self.output.clear();
        }
        Ok(())
    }

    /// Reads more; sends what is to be said first, so that replies to a group go out together.
    async fn fill(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.input.reserve(READ_OCTETS);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    async fn read_line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.input.drain(..=end).collect();
                line.pop();
                if line.pop_if(|byte| *byte == b'\r').is_none() {
                    self.violation("a command line without CR".to_owned());
                }
                return Ok(line);
            }
            if self.input.len() > COMMAND_OCTETS_MAX {
                self.violation("a command line without end".to_owned());
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.fill().await?;
        }
    }
}

struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.open -= 1);
    }
}

/// The delay is the behaviour that the script asks for; no test waits this way.
async fn delay(wait: Duration) {
    tokio::time::sleep(wait).await;
}

fn says_yes(act: &Act) -> bool {
    match act {
        Act::Normal | Act::Hold | Act::Delay(_) => true,
        Act::Reply(text) | Act::ReplyThenClose(text) | Act::Drip(_, text) => text.starts_with('2'),
        _ => false,
    }
}

fn says_go_on(act: &Act) -> bool {
    match act {
        Act::Normal | Act::Hold | Act::Delay(_) => true,
        Act::Reply(text) | Act::Drip(_, text) => text.starts_with("354"),
        _ => false,
    }
}

/// `MAIL FROM:<path> parameters`, nothing between colon and bracket (RFC 5321 §3.3).
fn path(text: &str, verb: &str) -> Option<(String, String)> {
    let start = text.get(..verb.len())?;
    let rest = text[verb.len()..].strip_prefix('<').filter(|_| start.eq_ignore_ascii_case(verb))?;
    let (path, parameters) = rest.rsplit_once('>')?;
    Some((path.to_owned(), parameters.trim_start().to_owned()))
}

/// Where the line with the final dot begins: only `<CRLF>.<CRLF>` ends a message.
fn end_of_body(input: &[u8], searched: usize) -> Option<usize> {
    if input.starts_with(b".\r\n") {
        return Some(0);
    }
    let found = input.get(searched..)?.windows(5).position(|window| window == b"\r\n.\r\n")?;
    Some(searched + found + 2)
}
