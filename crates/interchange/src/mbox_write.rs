//! Writing mbox, in the dialect that can be read back exactly (mboxrd).

use mail_types::{Flags, SystemFlag, Timestamp};

/// What of a message goes beside its bytes.
#[derive(Clone, Debug)]
pub struct WriteAs<'a> {
    /// Its flags.
    pub flags: &'a Flags,
    /// When it was delivered.
    pub date: Timestamp,
    /// The envelope's sender; `MAILER-DAEMON` where it has none.
    pub sender: &'a str,
}

/// Adds a message to an mbox. Line ends are LF there. It comes back as it was where its line ends
/// are CRLF, the last line has one, and it has no fields of its own in which mbox keeps flags.
pub fn write_message(content: &[u8], how: &WriteAs<'_>, out: &mut Vec<u8>) {
    let sender: String = how.sender.chars().filter(|c| c.is_ascii_graphic()).collect();
    let sender = if sender.is_empty() { "MAILER-DAEMON" } else { &sender };
    out.extend_from_slice(format!("From {sender} {}\n", asctime(how.date)).as_bytes());
    let lf = crate::lf(content);
    let header = if lf.starts_with(b"\n") {
        0
    } else {
        memchr::memmem::find(&lf, b"\n\n").map_or(lf.len(), |end| end + 1)
    };
    quote(&lf[..header], out);
    if header > 0 && !lf[..header].ends_with(b"\n") {
        out.push(b'\n');
    }
    out.extend_from_slice(fields(how.flags).as_bytes());
    let rest = &lf[header..];
    quote(if rest.is_empty() { b"\n" } else { rest }, out);
    if !rest.is_empty() && !rest.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// The fields that keep flags, as Dovecot, mutt and UW-IMAP read them.
fn fields(flags: &Flags) -> String {
    let seen = if flags.has(SystemFlag::Seen) { "RO" } else { "O" };
    let mut fields = format!("Status: {seen}\n");
    let letters = [
        (SystemFlag::Answered, 'A'),
        (SystemFlag::Flagged, 'F'),
        (SystemFlag::Draft, 'T'),
        (SystemFlag::Deleted, 'D'),
    ];
    let letters: String =
        letters.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, letter)| *letter).collect();
    if !letters.is_empty() {
        fields.push_str(&format!("X-Status: {letters}\n"));
    }
    if !flags.keywords().is_empty() {
        let words: Vec<&str> = flags.keywords().iter().map(|word| word.as_str()).collect();
        fields.push_str(&format!("X-Keywords: {}\n", words.join(" ")));
    }
    fields
}

/// One more `>` before each line that begins with `>*From `.
fn quote(lines: &[u8], out: &mut Vec<u8>) {
    let mut rest = lines;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let line = &rest[..end];
        let marks = line.iter().take_while(|&&byte| byte == b'>').count();
        if line[marks..].starts_with(b"From ") {
            out.push(b'>');
        }
        out.extend_from_slice(line);
        rest = &rest[end..];
    }
}

/// RFC 4155 §A: `Sun Nov 22 10:00:00 2026`, in UTC.
fn asctime(at: Timestamp) -> String {
    // From RFC 5322's form: `Sun, 22 Nov 2026 10:00:00 +0000`.
    let date = message::format_date(message::MailDate { at, offset_minutes: 0 });
    let words: Vec<&str> = date.split_whitespace().collect();
    match words.as_slice() {
        [weekday, day, month, year, time, ..] => {
            format!("{} {month} {day:>2} {time} {year}", weekday.trim_end_matches(','))
        }
        _ => "Thu Jan  1 00:00:00 1970".to_owned(),
    }
}
