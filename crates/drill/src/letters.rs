//! Letters as people send them, made from a seed: the same number is the same letter on every machine.
//!
//! Subjects, senders and threads differ; bodies are plain text in several charsets and encodings
//! (Chinese and Japanese among them), alternatives with HTML, or text with a small attachment. About
//! 4 KiB each, and mostly as incompressible as mail is.

use std::fmt::Write as _;

use crate::base64;
use crate::random::Random;

const VOCABULARY: usize = 4_000;
const PEOPLE: u64 = 300;
/// Bytes that a letter's texts and attachment come to, before encodings.
const CONTENT_BYTES_LEAST: usize = 1_800;
const CONTENT_BYTES_SPREAD: u64 = 1_600;
/// RFC 5322 §2.1.1: lines of at most 78 characters besides the CRLF.
const LINE_BYTES: usize = 76;
/// References that a letter names at most.
const ANCESTORS_MAX: usize = 8;
/// An answer comes within so many letters.
const ANSWER_WITHIN: u64 = 200;
/// Letters are spread over this many minutes: two years from 2025-01-01.
const MINUTES: u64 = 2 * 365 * 24 * 60;
const MONTHS: [(&str, u64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

/// Makes letters; `total` of them are one mailbox.
#[derive(Clone, Debug)]
pub struct Letters {
    seed: u64,
    total: u64,
    words: Vec<String>,
    /// (a word, in how many letters it stands)
    rare: Option<(String, u64)>,
}

impl Letters {
    /// Letters number 0 to `total - 1` of this seed.
    #[must_use]
    pub fn new(seed: u64, total: u64) -> Self {
        let mut random = Random::new(seed);
        let words = (0..VOCABULARY).map(|_| word(&mut random)).collect();
        Self { seed, total: total.max(1), words, rare: None }
    }

    /// The same, with a word of which `letters` of them have one in their body, evenly spread.
    #[must_use]
    pub fn with_rare_word(mut self, word: &str, letters: u64) -> Self {
        self.rare = Some((word.to_owned(), letters.max(1)));
        self
    }

    /// How many there are.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// A whole message with CRLF line ends.
    #[must_use]
    pub fn letter(&self, number: u64) -> Vec<u8> {
        let mut random = self.random(number);
        let mut letter = self.header(number, &mut random);
        let text = self.text(number, &mut random);
        match random.below(100) {
            0..45 => plain(&mut letter, "us-ascii", "7bit", text.as_bytes()),
            45..57 => {
                let text = format!("{}\r\n{text}", far_eastern(&mut random, 500));
                plain(&mut letter, "utf-8", "8bit", text.as_bytes());
            }
            57..67 => {
                let text = text.replace('u', "ü");
                plain(&mut letter, "utf-8", "quoted-printable", quoted(&text).as_bytes());
            }
            67..73 => {
                let text = format!("{}\r\n{text}", far_eastern(&mut random, 300));
                plain(&mut letter, "utf-8", "base64", &folded(text.as_bytes()));
            }
            73..90 => alternative(&mut letter, number, &text),
            _ => attachment(&mut letter, number, &text, &mut random),
        }
        letter
    }

    /// `dd-Mon-yyyy hh:mm:ss +0000` as APPEND takes it (RFC 9051 §9, date-time).
    #[must_use]
    pub fn date_time(&self, number: u64) -> String {
        let (day, month, year, hour, minute, second) = self.civil(number);
        format!("{day:02}-{month}-{year} {hour:02}:{minute:02}:{second:02} +0000")
    }

    fn random(&self, number: u64) -> Random {
        Random::new(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 1)
    }

    fn header(&self, number: u64, random: &mut Random) -> Vec<u8> {
        let mut header = String::with_capacity(5 << 10);
        let date = self.date(number);
        let (from, to, cc) = (random.below(PEOPLE), random.below(PEOPLE), random.below(PEOPLE));
        let mut line = |arguments: std::fmt::Arguments<'_>| {
            // Writing to a String cannot fail.
            header.write_fmt(arguments).ok();
            header.push_str("\r\n");
        };
        let signature: Vec<u8> = (0..6).flat_map(|_| random.next_u64().to_le_bytes()).collect();
        line(format_args!(
            "Received: from relay{}.outside.test (relay [192.0.2.{}])\r\n\tby mx.outside.test with \
             ESMTPS id {:016x};\r\n\t{date}",
            from % 9,
            from % 250,
            random.next_u64()
        ));
        line(format_args!(
            "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=outside.test;\r\n\ts=k{}; \
             h=from:to:subject:date:message-id;\r\n\tb={}",
            from % 5,
            base64(&signature)
        ));
        line(format_args!("Date: {date}"));
        line(format_args!("From: {}", self.person(from)));
        line(format_args!("To: {}", self.person(to)));
        if random.below(4) == 0 {
            line(format_args!("Cc: {},\r\n {}", self.person(cc), self.person(cc / 2)));
        }
        line(format_args!("Subject: {}", self.subject(number)));
        line(format_args!("Message-ID: {}", self.id(number)));
        let ancestors = self.ancestors(number);
        if let Some(parent) = ancestors.last() {
            line(format_args!("In-Reply-To: {}", self.id(*parent)));
            let ids: Vec<String> = ancestors.iter().map(|number| self.id(*number)).collect();
            line(format_args!("References: {}", ids.join("\r\n ")));
        }
        line(format_args!("MIME-Version: 1.0"));
        header.into_bytes()
    }

    fn text(&self, number: u64, random: &mut Random) -> String {
        let bytes = CONTENT_BYTES_LEAST + random.below(CONTENT_BYTES_SPREAD) as usize;
        let mut text = String::with_capacity(bytes + 256);
        let mut column = 0;
        while text.len() < bytes {
            let word = self.word(random);
            if column + word.len() > LINE_BYTES - 6 {
                text.push_str("\r\n");
                column = 0;
            } else if column > 0 {
                text.push(' ');
            }
            column += word.len() + 1;
            text.push_str(word);
        }
        text.push_str("\r\n");
        if let Some((rare, letters)) = &self.rare {
            let step = (self.total / letters).max(1);
            if number % step == step / 2 && number / step < *letters {
                text.push_str(rare);
                text.push_str("\r\n");
            }
        }
        text
    }

    /// Common words are common: the square of an even spread.
    fn word(&self, random: &mut Random) -> &str {
        let spread = random.below(1 << 16);
        let place = ((spread * spread) as usize * self.words.len()) >> 32;
        self.words.get(place).map_or("word", String::as_str)
    }

    fn subject(&self, number: u64) -> String {
        let root = self.ancestors(number).first().copied();
        let mut random = Random::new(self.seed ^ root.unwrap_or(number) << 8 ^ 2);
        let words: Vec<&str> = (0..2 + random.below(4)).map(|_| self.word(&mut random)).collect();
        let mut subject = words.join(" ");
        match random.below(10) {
            0 => subject = format!("=?utf-8?Q?Gr=C3=BC=C3=9Fe=3A_{}?=", subject.replace(' ', "_")),
            1 => {
                let text = far_eastern(&mut random, 30);
                subject = format!("=?utf-8?B?{}?=", base64(text.trim().as_bytes()));
            }
            _ => {}
        }
        if root.is_some() { format!("Re: {subject}") } else { subject }
    }

    /// The letters that this one answers, the first of the thread first.
    fn ancestors(&self, number: u64) -> Vec<u64> {
        let mut ancestors = Vec::new();
        let mut child = number;
        while ancestors.len() < ANCESTORS_MAX {
            let mut random = Random::new(self.seed ^ child << 16 ^ 3);
            if random.below(100) >= 55 || child == 0 {
                break;
            }
            child -= 1 + random.below(ANSWER_WITHIN.min(child));
            ancestors.push(child);
        }
        ancestors.reverse();
        ancestors
    }

    fn id(&self, number: u64) -> String {
        let random = self.random(number).next_u64();
        format!(
            "<{number}.{random:012x}@{}.outside.test>",
            ["mail", "app", "news"][number as usize % 3]
        )
    }

    fn person(&self, person: u64) -> String {
        let word = |place: u64| self.words.get(place as usize).map_or("name", String::as_str);
        let (first, last) = (word(person * 7 % 1_000), word(1_000 + person * 11 % 1_000));
        match person % 6 {
            0 => format!("=?utf-8?Q?{first}_M=C3=BCller?= <{first}.{person}@outside.test>"),
            1 => format!("{first}.{person}@outside.test"),
            2 => format!("\"{last}, {first}\" <{first}{person}@{last}.test>"),
            _ => format!("{first} {last} <{first}.{last}@outside.test>"),
        }
    }

    fn date(&self, number: u64) -> String {
        let (day, month, year, hour, minute, second) = self.civil(number);
        format!("{day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
    }

    /// Mostly in order, as mail arrives, a few hours apart at most.
    fn civil(&self, number: u64) -> (u64, &'static str, u64, u64, u64, u64) {
        let mut random = Random::new(self.seed ^ number << 4 ^ 4);
        let minutes = (number * MINUTES / self.total + random.below(180)).min(MINUTES - 1);
        let (year, mut day) = (2025 + minutes / (365 * 24 * 60), minutes / (24 * 60) % 365);
        let mut month = MONTHS[11].0;
        for (name, days) in MONTHS {
            if day < days {
                month = name;
                break;
            }
            day -= days;
        }
        (day + 1, month, year, minutes / 60 % 24, minutes % 60, random.below(60))
    }
}

fn word(random: &mut Random) -> String {
    const HEADS: [&str; 16] =
        ["b", "br", "d", "f", "gr", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v"];
    const TAILS: [&str; 12] = ["a", "ai", "e", "en", "er", "i", "in", "o", "on", "or", "u", "us"];
    (0..1 + random.below(4))
        .map(|_| {
            let (head, tail) = (random.below(16) as usize, random.below(12) as usize);
            format!("{}{}", HEADS[head], TAILS[tail])
        })
        .collect()
}

/// Lines of Chinese characters and Hiragana, about so many bytes.
fn far_eastern(random: &mut Random, bytes: usize) -> String {
    let mut text = String::new();
    while text.len() < bytes {
        let code = if random.below(3) == 0 {
            0x3042 + random.below(80) as u32
        } else {
            0x4e00 + random.below(2_500) as u32
        };
        text.push(char::from_u32(code).unwrap_or('字'));
        if text.len() % 72 < 3 {
            text.push_str("\r\n");
        }
    }
    text
}

fn plain(letter: &mut Vec<u8>, charset: &str, encoding: &str, content: &[u8]) {
    part(letter, &format!("text/plain; charset={charset}"), encoding, content);
}

fn part(letter: &mut Vec<u8>, kind: &str, encoding: &str, content: &[u8]) {
    letter.extend_from_slice(
        format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n").as_bytes(),
    );
    letter.extend_from_slice(content);
}

fn alternative(letter: &mut Vec<u8>, number: u64, text: &str) {
    let boundary = format!("=_alternative_{number:x}");
    letter.extend_from_slice(
        format!("Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n").as_bytes(),
    );
    letter.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
    let half = text.len() / 2;
    plain(letter, "us-ascii", "7bit", text.get(..half).unwrap_or(text).as_bytes());
    letter.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
    let html = format!(
        "<html><body><p class=3D\"first\">{}</p></body></html>\r\n",
        quoted(text).replace("\r\n\r\n", "</p>\r\n<p>")
    );
    part(letter, "text/html; charset=utf-8", "quoted-printable", html.as_bytes());
    letter.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
}

fn attachment(letter: &mut Vec<u8>, number: u64, text: &str, random: &mut Random) {
    let boundary = format!("----=_mixed_{number:x}");
    letter.extend_from_slice(
        format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\r\n\r\n").as_bytes(),
    );
    letter.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
    plain(letter, "us-ascii", "7bit", text.as_bytes());
    letter.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
    letter.extend_from_slice(b"Content-Disposition: attachment; filename=\"figures.bin\"\r\n");
    let bytes: Vec<u8> = (0..100).flat_map(|_| random.next_u64().to_le_bytes()).collect();
    part(letter, "application/octet-stream; name=\"figures.bin\"", "base64", &folded(&bytes));
    letter.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
}

/// RFC 2045 §6.8: lines of 76 characters.
fn folded(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bytes.len() * 3 / 2);
    for line in bytes.chunks(LINE_BYTES / 4 * 3) {
        lines.extend_from_slice(base64(line).as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// RFC 2045 §6.7: quoted-printable; soft line breaks where a line would be too long.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 5 / 4);
    let mut column = 0;
    for byte in text.bytes() {
        match byte {
            b'\r' | b'\n' => {
                out.push(char::from(byte));
                column = 0;
                continue;
            }
            b' '..=b'~' if byte != b'=' => {
                out.push(char::from(byte));
                column += 1;
            }
            _ => {
                // Writing to a String cannot fail.
                write!(out, "={byte:02X}").ok();
                column += 3;
            }
        }
        if column > LINE_BYTES - 4 {
            out.push_str("=\r\n");
            column = 0;
        }
    }
    out
}
