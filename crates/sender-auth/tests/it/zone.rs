//! A zone and cases in a text file, see `tests/vectors/spf.txt`; the stub DNS of the product's own
//! tests reads the same.

use std::collections::HashMap;

use sender_auth::{Answer, Answers, Query, QueryKind, Step};

/// What is known of the DNS here.
#[derive(Default)]
pub struct Zone {
    records: HashMap<String, Vec<(String, Vec<u8>)>>,
}

impl Zone {
    /// Reads the `@` lines.
    pub fn read(text: &str) -> Self {
        let mut zone = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("@ ")) {
            zone.add(line);
        }
        zone
    }

    pub fn add(&mut self, line: &str) {
        let mut words = line.splitn(3, ' ');
        let name = words.next().unwrap().to_ascii_lowercase();
        let kind = words.next().unwrap().to_owned();
        let data = octets(words.next().unwrap_or(""));
        self.records.entry(name).or_default().push((kind, data));
    }

    fn answer(&self, query: &Query) -> Answer {
        let mut name = query.name().to_owned();
        for _ in 0..8 {
            let Some(records) = self.records.get(&name) else {
                let below = format!(".{name}");
                let exists = self.records.keys().any(|known| known.ends_with(&below));
                return if exists { Answer::NoData } else { Answer::NxDomain };
            };
            if records.iter().any(|(kind, _)| kind == "SERVFAIL") {
                return Answer::Trouble("SERVFAIL".to_owned());
            }
            let alias = records.iter().find(|(kind, _)| kind == "CNAME");
            if let Some((_, target)) = alias {
                name = String::from_utf8(target.clone()).unwrap();
                continue;
            }
            return of_kind(records, query.kind());
        }
        Answer::Trouble("a loop of CNAMEs".to_owned())
    }

    /// Runs a check to its end; the rounds it took.
    pub fn run<T>(&self, mut check: impl FnMut(&Answers) -> Step<T>) -> (T, usize) {
        let mut answers = Answers::default();
        for round in 0..1000 {
            match check(&answers) {
                Step::Done(result) => return (result, round),
                Step::Ask(queries) => {
                    assert!(!queries.is_empty());
                    for query in queries {
                        assert!(answers.get(&query).is_none(), "asked twice: {query:?}");
                        let answer = self.answer(&query);
                        answers.insert(query, answer);
                    }
                }
            }
        }
        panic!("does not end");
    }
}

fn of_kind(records: &[(String, Vec<u8>)], kind: QueryKind) -> Answer {
    let word = match kind {
        QueryKind::Txt => "TXT",
        QueryKind::A => "A",
        QueryKind::Aaaa => "AAAA",
        QueryKind::Mx => "MX",
        QueryKind::Ptr => "PTR",
    };
    let data: Vec<&Vec<u8>> =
        records.iter().filter(|(of, _)| of == word).map(|(_, data)| data).collect();
    if data.is_empty() {
        return Answer::NoData;
    }
    let text = |data: &&Vec<u8>| String::from_utf8((*data).clone()).unwrap();
    match kind {
        QueryKind::Txt => Answer::Txt(data.into_iter().cloned().collect()),
        QueryKind::A | QueryKind::Aaaa => {
            Answer::Ips(data.iter().map(|data| text(data).parse().unwrap()).collect())
        }
        QueryKind::Mx => {
            let read = |data: &&Vec<u8>| {
                let text = text(data);
                let (preference, host) = text.split_once(' ').unwrap();
                (preference.parse().unwrap(), host.trim_end_matches('.').to_owned())
            };
            Answer::Mx(data.iter().map(read).collect())
        }
        QueryKind::Ptr => Answer::Names(data.iter().map(text).collect()),
    }
}

/// `\xHH` is an octet.
pub fn octets(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut octets = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        octets.push(u8::from_str_radix(&part[..2], 16).unwrap());
        octets.extend_from_slice(&part.as_bytes()[2..]);
    }
    octets
}
