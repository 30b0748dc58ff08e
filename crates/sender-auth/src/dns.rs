use std::collections::HashMap;
use std::net::IpAddr;

/// A look-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Query {
    /// In ASCII, lower case, without the dot at its end.
    name: String,
    kind: QueryKind,
}

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum QueryKind {
    /// TXT records.
    Txt,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// MX records.
    Mx,
    /// The names of an address; the query's name is the one in `in-addr.arpa` or `ip6.arpa`.
    Ptr,
}

/// What the DNS said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Each record, its character-strings joined without a space (RFC 7208 §3.3, RFC 6376 §3.6.2.2).
    Txt(Vec<Vec<u8>>),
    /// Addresses, of A or AAAA.
    Ips(Vec<IpAddr>),
    /// Preference and host, in the order of the answer.
    Mx(Vec<(u16, String)>),
    /// Names, of PTR.
    Names(Vec<String>),
    /// The name has no such record.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// Nothing is known, and why: SERVFAIL, a time-out. Temporary.
    Trouble(String),
}

/// What is known of the DNS while a message is judged: one for all its checks, so that nothing is
/// asked twice.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    known: HashMap<Query, Answer>,
}

/// How far a check came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// It lacks these answers; at least one, all that are known to be needed by now.
    Ask(Vec<Query>),
    /// Its result.
    Done(T),
}

impl<T> Step<T> {
    /// This and another check side by side: what both lack is asked for at once.
    #[must_use]
    pub fn both<U>(self, other: Step<U>) -> Step<(T, U)> {
        match (self, other) {
            (Self::Done(one), Step::Done(two)) => Step::Done((one, two)),
            (Self::Ask(queries), Step::Done(_)) | (Self::Done(_), Step::Ask(queries)) => {
                Step::Ask(queries)
            }
            (Self::Ask(mut queries), Step::Ask(more)) => {
                for query in more {
                    if !queries.contains(&query) {
                        queries.push(query);
                    }
                }
                Step::Ask(queries)
            }
        }
    }

    /// Makes something of the result.
    #[must_use]
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Ask(queries) => Step::Ask(queries),
            Self::Done(result) => Step::Done(of(result)),
        }
    }
}

impl Query {
    /// A look-up of this name, in any case, with or without its last dot.
    #[must_use]
    pub fn new(name: &str, kind: QueryKind) -> Self {
        Self { name: name.trim_end_matches('.').to_ascii_lowercase(), kind }
    }

    /// The look-up of an address's names (RFC 1035 §3.5, RFC 3596 §2.5).
    #[must_use]
    pub fn reverse(ip: IpAddr) -> Self {
        let mut name = String::new();
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                for octet in ip.octets().iter().rev() {
                    name.push_str(&format!("{octet}."));
                }
                name.push_str("in-addr.arpa");
            }
            IpAddr::V6(ip) => {
                for octet in ip.octets().iter().rev() {
                    name.push_str(&format!("{:x}.{:x}.", octet & 15, octet >> 4));
                }
                name.push_str("ip6.arpa");
            }
        }
        Self { name, kind: QueryKind::Ptr }
    }

    /// In ASCII, lower case, without the dot at its end.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is looked up.
    #[must_use]
    pub const fn kind(&self) -> QueryKind {
        self.kind
    }
}

impl Answers {
    /// What the DNS said to this.
    #[must_use]
    pub fn get(&self, query: &Query) -> Option<&Answer> {
        self.known.get(query)
    }

    /// Which of these are not known yet, each once.
    pub fn missing(&self, queries: impl IntoIterator<Item = Query>) -> Vec<Query> {
        let mut missing = Vec::new();
        for query in queries {
            if self.get(&query).is_none() && !missing.contains(&query) {
                missing.push(query);
            }
        }
        missing
    }

    /// Keeps what others know that is not known here.
    pub fn learn(&mut self, others: &Self) {
        for (query, answer) in &others.known {
            self.known.entry(query.clone()).or_insert_with(|| answer.clone());
        }
    }

    /// Keeps an answer.
    pub fn insert(&mut self, query: Query, answer: Answer) {
        self.known.insert(query, answer);
    }
}
