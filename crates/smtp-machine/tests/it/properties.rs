//! What must hold for any octets. The fuzz targets of the same names call these; `corpora.rs`
//! replays their corpora.

use mail_types::{
    Acceptance, Address, Machine as _, MailId, ReceiptId, Refusal, Reply, ReversePath, Step,
    Timestamp,
};
use smtp_machine::command::{self, Command};
use smtp_machine::data::{ChunkReader, DotReader, DotWriter, Fault};
use smtp_machine::path::{self, ForwardPath};
use smtp_machine::reply::{self, REPLY_LINES_MAX};
use smtp_machine::{client, server, xtext};

struct Receipt;

impl Acceptance for Receipt {
    fn receipt_id(&self) -> ReceiptId {
        ReceiptId { mail: MailId(1), check: 0 }
    }
}

/// A server survives any input, says only well-formed replies, and no `250` with a receipt without
/// a kept message; a command that is understood is understood the same when written again.
pub fn smtp_commands(octets: &[u8]) {
    for line in octets.split(|&octet| octet == b'\n') {
        written_again(line.strip_suffix(b"\r").unwrap_or(line));
    }
    let config = server::Config {
        hostname: "mx.example.org".parse().unwrap(),
        role: server::Role::Submission,
        peer: [192, 0, 2, 1].into(),
        tls: server::Tls::Offered,
        auth_without_tls: true,
        tokens: false,
        postmaster: Address::parse("postmaster@example.org").unwrap(),
        nonce: "nonce".into(),
        turned_away: None,
        hold_max: None,
        priority_max: None,
        deliver_by_min: None,
        limits: server::Limits::default(),
    };
    let mut server = server::Server::new(config);
    let now = Timestamp::from_secs(1);
    let (mut kept, mut out) = (0, Vec::new());
    let mut rest = octets;
    assert!(matches!(server.step(now), Step::NeedInput));
    for _ in 0..octets.len() * 4 + 100 {
        let step = server.step(now);
        out.append(server.output());
        match step {
            Step::Ask(question) => {
                kept += usize::from(matches!(question, server::Question::BodyEnd));
                server.answer(agree(&question), now);
            }
            Step::StartTls => server.tls_started(mail_types::TlsFacts::default(), now),
            Step::StartCompression | Step::Close => break,
            Step::NeedInput if rest.is_empty() => {
                server.peer_closed(now);
                rest = &[];
            }
            Step::NeedInput => {
                let piece = rest.len().min(usize::from(rest[0]) + 1);
                let taken = server.input(&rest[..piece], now);
                assert!(taken > 0, "a server that needs input takes some");
                rest = &rest[taken..];
            }
        }
    }
    assert!(matches!(server.step(now), Step::Close), "it does not come to an end");
    let text = std::str::from_utf8(&out).unwrap();
    assert!(text.is_empty() || text.ends_with("\r\n"));
    for line in text.split_terminator("\r\n") {
        assert!(line.len() >= 4 && line.as_bytes()[..3].iter().all(u8::is_ascii_digit), "{line:?}");
        assert!(line.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{line:?}");
    }
    // Other replies may end in a word of the client's.
    let is_receipt = |line: &&str| line.starts_with("250 2.0.0 ") && line.ends_with(" kept");
    assert_eq!(text.split_terminator("\r\n").filter(is_receipt).count(), kept);
}

fn agree(question: &server::Question) -> server::Answer<Receipt> {
    match question {
        server::Question::SignIn(_) => server::Answer::SignIn(sasl::Answer::Accepted {
            account: mail_types::AccountId(1),
            name: "ann@example.org".into(),
        }),
        server::Question::BodyEnd => server::Answer::Accepted(Receipt),
        server::Question::Recipient(recipient) if recipient.notify.is_some() => {
            server::Answer::Refused(Refusal::permanent(550, 1, 1, "no"))
        }
        server::Question::Sender(_)
        | server::Question::Recipient(_)
        | server::Question::BodyBegin(_)
        | server::Question::BodyBytes(_)
        | server::Question::BodyAborted
        | server::Question::Reset => server::Answer::Ok,
    }
}

fn written_again(line: &[u8]) {
    match command::parse(line) {
        Ok(Command::Mail(mail)) => {
            let text = format!("MAIL FROM:{}", mail.reverse_path);
            match command::parse(text.as_bytes()) {
                Ok(Command::Mail(again)) => assert_eq!(again.reverse_path, mail.reverse_path),
                other => panic!("{text:?} is {other:?}"),
            }
        }
        Ok(Command::Rcpt(rcpt)) => {
            let (ForwardPath::Address(address), orcpt) = (&rcpt.forward_path, &rcpt.orcpt) else {
                return;
            };
            let orcpt_text = orcpt.as_ref().map_or_else(String::new, |orcpt| {
                format!(" ORCPT={};{}", orcpt.addr_type, xtext::encode(&orcpt.address))
            });
            let text = format!("RCPT TO:<{address}>{orcpt_text}");
            match command::parse(text.as_bytes()) {
                Ok(Command::Rcpt(again)) => {
                    assert_eq!(again.forward_path, rcpt.forward_path);
                    assert_eq!(again.orcpt, rcpt.orcpt);
                }
                // Encoded again it may be longer than an ORCPT may be.
                Err(_) if orcpt_text.len() > 500 => {}
                other => panic!("{text:?} is {other:?}"),
            }
        }
        Ok(_) => {}
        Err(error) => assert!(error.refusal().reply().code >= 500),
    }
}

/// DATA as a table-free, octet-wise reading of RFC 5321 §4.5.2, to compare with.
pub struct Plain {
    pub content: Vec<u8>,
    pub broken: bool,
    pub taken: usize,
    pub ended: bool,
}

pub fn plain_reading(octets: &[u8]) -> Plain {
    let mut plain = Plain { content: Vec::new(), broken: false, taken: 0, ended: false };
    let at = |place: usize| octets.get(place).copied();
    // Whether a line begins here: at the begin, or behind CRLF.
    let mut place = 0;
    while let Some(octet) = at(place) {
        let begin = place == 0 || (place >= 2 && &octets[place - 2..place] == b"\r\n");
        if begin && octet == b'.' {
            if at(place + 1) == Some(b'\r') && at(place + 2) == Some(b'\n') {
                plain.taken = place + 3;
                plain.ended = true;
                return plain;
            }
            place += 1;
            continue;
        }
        let bare_cr = octet == b'\r' && at(place + 1).is_some_and(|next| next != b'\n');
        let bare_lf = octet == b'\n' && (place == 0 || octets[place - 1] != b'\r');
        plain.broken |= bare_cr || bare_lf || octet == 0;
        plain.content.push(octet);
        place += 1;
    }
    plain.taken = octets.len();
    plain
}

/// Content is read the same in whatever pieces, as the plain reading does; what is written is read
/// back, ends where it ends, and holds nothing that a careless server could take for an end.
pub fn smtp_data(octets: &[u8]) {
    let plain = plain_reading(octets);
    for piece in [1, 2, 3, 7, octets.len().max(1)] {
        let (mut reader, mut content, mut taken) = (DotReader::default(), Vec::new(), 0);
        let mut ended = false;
        for part in octets.chunks(piece) {
            let scanned = reader.read(part, &mut content);
            taken += scanned.taken;
            ended = scanned.ended;
            if ended {
                break;
            }
        }
        assert_eq!((ended, taken), (plain.ended, plain.taken));
        assert_eq!(reader.fault().is_some(), plain.broken, "{octets:?}");
        // A reader holds a final `.CR` back until it knows better.
        let held_back = !ended && plain.content.len() > content.len();
        assert!(content == plain.content || (held_back && plain.content.ends_with(b"\r")));
    }

    let mut wire = Vec::new();
    for piece in [1, 2, 3, 7, octets.len().max(1)] {
        let (mut writer, mut written) = (DotWriter::default(), Vec::new());
        octets.chunks(piece).for_each(|part| writer.write(part, &mut written));
        writer.end_line(&mut written);
        written.extend_from_slice(b".\r\n");
        assert!(wire.is_empty() || wire == written, "pieces make a difference");
        wire = written;
    }
    let (mut reader, mut content) = (DotReader::default(), Vec::new());
    let scanned = reader.read(&wire, &mut content);
    assert!(scanned.ended && scanned.taken == wire.len());
    assert!(matches!(reader.fault(), None | Some(Fault::Nul)));
    let mut chunks = ChunkReader::default();
    octets.chunks(3).for_each(|part| chunks.read(part));
    chunks.end();
    if chunks.fault().is_none() {
        let whole = octets.is_empty() || octets.ends_with(b"\r\n");
        assert!(content == octets || (!whole && content == [octets, b"\r\n"].concat()));
    }
}

/// Replies are read within their limits and the same when written again; a client survives any
/// server.
pub fn smtp_replies(octets: &[u8]) {
    if let Ok(Some((reply, taken))) = reply::parse(octets) {
        assert!(taken <= octets.len() && (200..600).contains(&reply.code));
        assert!((1..=REPLY_LINES_MAX).contains(&reply.lines.len()));
        let mut written = Vec::new();
        reply.write(&mut written);
        // Broken UTF-8 that was replaced, or a status added to each line, may make it too long.
        if let Ok(again) = reply::parse(&written) {
            let (again, _) = again.unwrap();
            assert_same(&again, &reply);
        }
    }
    let config = client::Config {
        hostname: "mx.example.org".parse().unwrap(),
        tls: client::Tls::Opportunistic,
        is_proven: false,
        login: None,
        is_near: false,
        nonce: "nonce".to_owned(),
        chunking: true,
        waits: client::Waits::default(),
    };
    let mut client = client::Client::new(config);
    let now = Timestamp::from_secs(1);
    let (mut rest, mut sent, mut done, mut dots) = (octets, 0, 0, 0);
    for _ in 0..octets.len() * 8 + 100 {
        let step = client.step(now);
        client.output().clear();
        match step {
            Step::NeedInput if rest.is_empty() => client.peer_closed(now),
            Step::NeedInput => {
                let piece = rest.len().min(usize::from(rest[0]) + 1);
                let taken = client.input(&rest[..piece], now);
                assert!(taken > 0, "a client that needs input takes some");
                rest = &rest[taken..];
            }
            Step::Ask(question) => {
                match &question {
                    client::Question::Next(_) => sent += 1,
                    client::Question::FinalDot { .. } => dots += 1,
                    client::Question::Done(report) => {
                        done += 1;
                        assert_eq!(report.outcomes.len(), 2);
                        let unsure = |outcome: &client::Outcome| {
                            matches!(
                                outcome,
                                client::Outcome::Taken(_) | client::Outcome::Uncertain(_)
                            )
                        };
                        assert!(dots > 0 || !report.outcomes.iter().any(unsure));
                    }
                    client::Question::Body | client::Question::NoSession(_) => {}
                }
                client.answer(send_on(&question), now);
            }
            Step::StartTls => client.tls_started(mail_types::TlsFacts::default(), now),
            Step::StartCompression | Step::Close => break,
        }
    }
    assert!(matches!(client.step(now), Step::Close), "it does not come to an end");
    assert_eq!(sent, done, "a message without a report");
}

fn send_on(question: &client::Question) -> client::Answer {
    match question {
        client::Question::Next(_) => client::Answer::Send(Box::new(client::Message {
            reverse_path: ReversePath::Null,
            params: smtp_machine::MailParams::default(),
            recipients: ["ann@example.org", "bob@example.org"]
                .map(|to| smtp_machine::Recipient::new(Address::parse(to).unwrap()))
                .into(),
        })),
        client::Question::Body => client::Answer::End,
        client::Question::FinalDot { .. } => client::Answer::Go,
        client::Question::Done(_) | client::Question::NoSession(_) => client::Answer::Noted,
    }
}

/// The status moves to where it can be read again; the words stay.
fn assert_same(again: &Reply, reply: &Reply) {
    assert_eq!((again.code, again.lines.len()), (reply.code, reply.lines.len()));
    assert_eq!(again.to_string(), reply.to_string());
}

/// An address that is understood is understood the same when written again, with and without
/// brackets and source route.
pub fn addresses(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(address) = Address::parse(text) {
        let written = address.to_string();
        assert_eq!(Address::parse(&written).as_ref(), Ok(&address), "{written:?}");
        assert!(!written.contains(['\r', '\n', '\0']));
        let bracketed = format!("<@a.example,@b.example:{written}> X=1");
        let (inside, behind) = path::split(&bracketed).unwrap();
        assert_eq!(behind, " X=1");
        assert_eq!(path::forward(inside), Ok(ForwardPath::Address(address.clone())));
        assert_eq!(path::reverse(inside), Ok(ReversePath::Address(address)));
    }
    if let Ok((inside, _)) = path::split(text)
        && let Ok(ReversePath::Address(address)) = path::reverse(inside)
    {
        assert_eq!(Address::parse(&address.to_string()), Ok(address));
    }
    if let Ok(decoded) = xtext::decode(text) {
        assert_eq!(xtext::decode(&xtext::encode(&decoded)), Ok(decoded));
    }
}
