use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::{DeInteger, DeValue};

use mail_types::{Address, Domain};

use crate::judging::{Act, DomainRules};
use crate::parse::Fault;
use crate::proxies::ProxyAt;
use crate::units::{format_bytes, format_duration, parse_bytes, parse_duration};
use crate::values::{
    AcmeProofBy, Dnssec, HostLimit, Listen, LogFormat, LogLevel, Network, Resolver, SendReports,
    StandbyAcknowledge, StandbyWhenAway, StsMode,
};

/// Entries of one list in the file.
const LIST_ENTRIES_MAX: usize = 64;

/// A kind of setting: how its value is read, checked and written.
pub(crate) trait Kind {
    /// The value in Rust.
    type Value;
    /// What its limits are made of.
    type Limit: Clone + PartialOrd;
    /// Its name in the reference page.
    const KIND: &'static str;
    /// How to write one, ready to follow "write".
    const MEND: &'static str;

    /// The value of what the file says, limits aside; `None` where that is nothing of this kind.
    fn read(value: &DeValue<'_>) -> Option<Self::Value>;
    /// The value as TOML.
    fn write(value: &Self::Value) -> String;
    /// What of the value the limits hold for.
    fn measured(value: &Self::Value) -> Vec<Self::Limit>;
    /// A limit as TOML.
    fn write_limit(limit: &Self::Limit) -> String;

    /// Reads a value and holds it against the limits.
    fn read_within(
        value: &DeValue<'_>,
        range: Option<RangeInclusive<Self::Limit>>,
    ) -> Result<Self::Value, Fault> {
        let read = Self::read(value).ok_or_else(|| Fault {
            what: format!("{} is no {}", shown(value), Self::KIND),
            mend: format!("write {}", Self::MEND),
        })?;
        let Some(range) = range else { return Ok(read) };
        match Self::measured(&read).into_iter().find(|each| !range.contains(each)) {
            None => Ok(read),
            Some(wrong) => Err(Fault {
                what: format!("{} is outside its limits", Self::write_limit(&wrong)),
                mend: format!(
                    "write at least {} and at most {}",
                    Self::write_limit(range.start()),
                    Self::write_limit(range.end())
                ),
            }),
        }
    }

    /// The limits as TOML.
    fn write_limits(range: Option<RangeInclusive<Self::Limit>>) -> Option<(String, String)> {
        range.map(|range| (Self::write_limit(range.start()), Self::write_limit(range.end())))
    }
}

/// What the file says, cut short for an error.
pub(crate) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() > 40 => {
            format!("{}…", quoted(&text.chars().take(40).collect::<String>()))
        }
        DeValue::String(text) => quoted(text.as_ref()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(when) => when.to_string(),
        DeValue::Array(_) => "this list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

pub(crate) fn quoted<T: Display + ?Sized>(text: &T) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn number<N: TryFrom<u64>>(value: &DeValue<'_>) -> Option<N> {
    let DeValue::Integer(number) = value else { return None };
    N::try_from(u64_of(number)?).ok()
}

fn u64_of(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The entries of a list that `read` all takes; `None` where the list is too long.
fn list<T>(value: &DeValue<'_>, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let DeValue::Array(entries) = value else { return None };
    if entries.len() > LIST_ENTRIES_MAX {
        return None;
    }
    entries.iter().map(|entry| entry.get_ref().as_str().and_then(&read)).collect()
}

/// The same for a list that may not be empty.
fn filled_list<T>(value: &DeValue<'_>, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    list(value, read).filter(|entries| !entries.is_empty())
}

fn write_list<T>(entries: &[T], write: impl Fn(&T) -> String) -> String {
    format!("[{}]", entries.iter().map(write).collect::<Vec<_>>().join(", "))
}

/// A kind whose limits are measured on the value itself.
macro_rules! kind {
    ($kind:ident, $value:ty, $name:literal, $mend:literal, $read:expr, $write:expr) => {
        pub(crate) struct $kind;

        impl Kind for $kind {
            type Value = $value;
            type Limit = $value;
            const KIND: &'static str = $name;
            const MEND: &'static str = $mend;

            fn read(value: &DeValue<'_>) -> Option<$value> {
                let read: fn(&DeValue<'_>) -> Option<$value> = $read;
                read(value)
            }
            fn write(value: &$value) -> String {
                let write: fn(&$value) -> String = $write;
                write(value)
            }
            fn measured(value: &$value) -> Vec<$value> {
                vec![*value]
            }
            fn write_limit(limit: &$value) -> String {
                Self::write(limit)
            }
        }
    };
}

kind!(Count, usize, "number", "a whole number, such as 100", number, ToString::to_string);
kind!(Count32, u32, "number", "a whole number, such as 100", number, ToString::to_string);
kind!(Count64, u64, "number", "a whole number, such as 100", number, ToString::to_string);
kind!(
    PriorityLevel,
    i32,
    "number",
    "a whole number from -9 to 9",
    |value| match value {
        DeValue::Integer(number) => {
            i32::from_str_radix(number.as_str(), number.radix()).ok()
        }
        _ => None,
    },
    ToString::to_string
);
kind!(ZstdLevel, i32, "number", "a whole number from 1 to 19", number, ToString::to_string);
kind!(
    Percent,
    u32,
    "percentage",
    "a whole number without a sign, such as 10",
    number,
    ToString::to_string
);
kind!(Port, u16, "port", "a whole number up to 65535", number, ToString::to_string);
kind!(
    Bytes,
    u64,
    "size",
    "a number with its unit, B, KiB, MiB or GiB, such as \"25 MiB\"",
    |value| value.as_str().and_then(parse_bytes),
    |bytes| quoted(&format_bytes(*bytes))
);
kind!(
    MemoryBytes,
    usize,
    "size",
    "a number with its unit, B, KiB or MiB, such as \"256 KiB\"",
    |value| value.as_str().and_then(parse_bytes).and_then(|bytes| bytes.try_into().ok()),
    |bytes| quoted(&format_bytes(*bytes as u64))
);
kind!(
    Time,
    Duration,
    "time",
    "numbers with their units, ms, s, m, h, d or w, such as \"5m\" or \"1h 30m\"",
    |value| value.as_str().and_then(parse_duration),
    |time| quoted(&format_duration(*time))
);
kind!(YesNo, bool, "true or false", "true or false", |value| value.as_bool(), ToString::to_string);
kind!(
    Level,
    LogLevel,
    "level",
    "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
    |value| LogLevel::ALL.into_iter().find(|level| value.as_str() == Some(level.as_str())),
    |level| quoted(level.as_str())
);

kind!(
    LogFormatKind,
    LogFormat,
    "format",
    "\"text\" or \"json\"",
    |value| {
        let all = [LogFormat::Text, LogFormat::Json];
        all.into_iter().find(|format| value.as_str() == Some(format.as_str()))
    },
    |format| quoted(format.as_str())
);

/// A list of waits.
pub(crate) struct Durations;

impl Kind for Durations {
    type Value = Vec<Duration>;
    type Limit = Duration;
    const KIND: &'static str = "list of times";
    const MEND: &'static str = "a list of 1 to 64 times, such as [\"5m\", \"1h\"]";

    fn read(value: &DeValue<'_>) -> Option<Vec<Duration>> {
        filled_list(value, parse_duration)
    }
    fn write(value: &Vec<Duration>) -> String {
        write_list(value, Time::write)
    }
    fn measured(value: &Vec<Duration>) -> Vec<Duration> {
        value.clone()
    }
    fn write_limit(limit: &Duration) -> String {
        Time::write(limit)
    }
}

/// A kind without limits.
macro_rules! unlimited_kind {
    ($kind:ident, $value:ty, $name:literal, $mend:literal, $read:expr, $write:expr) => {
        pub(crate) struct $kind;

        impl Kind for $kind {
            type Value = $value;
            // Never measured: `measured` is empty, and the table gives no range.
            type Limit = u8;
            const KIND: &'static str = $name;
            const MEND: &'static str = $mend;

            fn read(value: &DeValue<'_>) -> Option<$value> {
                let read: fn(&DeValue<'_>) -> Option<$value> = $read;
                read(value)
            }
            fn write(value: &$value) -> String {
                let write: fn(&$value) -> String = $write;
                write(value)
            }
            fn measured(_: &$value) -> Vec<u8> {
                Vec::new()
            }
            fn write_limit(limit: &u8) -> String {
                limit.to_string()
            }
        }
    };
}

unlimited_kind!(
    IpAddrs,
    Vec<IpAddr>,
    "list of IP addresses",
    "a list of 1 to 64 IP addresses, such as [\"192.0.2.1\", \"::1\"]",
    |value| filled_list(value, |text| text.parse().ok()),
    |addresses| write_list(addresses, quoted)
);
unlimited_kind!(
    Networks,
    Vec<Network>,
    "list of networks",
    "a list of up to 64 networks, such as [\"10.0.0.0/8\", \"::1\"]",
    |value| list(value, Network::read),
    |networks| write_list(networks, quoted)
);
unlimited_kind!(
    HostLimits,
    Vec<HostLimit>,
    "list of limits",
    "a list of up to 64, such as [\"*.example.net connections=2 messages=20\"]",
    |value| list(value, HostLimit::read),
    |limits| write_list(limits, quoted)
);
unlimited_kind!(
    Path,
    PathBuf,
    "path",
    "the path of a file, such as \"tls/key.pem\"",
    |value| value
        .as_str()
        .filter(|text| !text.is_empty() && !text.contains('\0'))
        .map(PathBuf::from),
    |path| quoted(&path.display())
);
unlimited_kind!(
    OptionalPath,
    Option<PathBuf>,
    "path or false",
    "the path of a file, such as \"lmtp.sock\", or false for none",
    |value| match value {
        DeValue::Boolean(false) => Some(None),
        _ => Path::read(value).map(Some),
    },
    |path| path.as_ref().map_or_else(|| "false".to_owned(), Path::write)
);
unlimited_kind!(
    MessageLimit,
    Option<NonZeroU32>,
    "number or false",
    "a whole number from 1000 on, or false for none",
    |value| match value {
        DeValue::Boolean(false) => Some(None),
        // RFC 9738 §3: a limit announced "SHOULD NOT be lower than 1000".
        _ => number(value).filter(|limit| *limit >= 1000).and_then(NonZeroU32::new).map(Some),
    },
    |limit| limit.map_or_else(|| "false".to_owned(), |limit| limit.to_string())
);
unlimited_kind!(
    ActWord,
    Act,
    "act",
    "\"note\", \"junk\", \"hold\" or \"reject\"",
    |value| value.as_str().and_then(Act::read),
    |act| quoted(act.as_str())
);
unlimited_kind!(
    RulesOfDomains,
    Vec<DomainRules>,
    "list of rules",
    "a list of domains with their rules, such as [\"example.org spf_fail=reject dmarc_reject=hold\"]",
    |value| list(value, DomainRules::read),
    |rules| write_list(rules, quoted)
);
unlimited_kind!(
    Domains,
    Vec<Domain>,
    "list of domains",
    "a list of up to 64 domain names, such as [\"example.org\"]",
    |value| list(value, |text| Domain::new(text).ok()),
    |domains| write_list(domains, quoted)
);
unlimited_kind!(
    Accounts,
    Vec<String>,
    "list of accounts",
    "a list of up to 64 accounts or domains, such as [\"ann@example.org\", \"example.net\"]",
    |value| list(value, |text| {
        let domain = || Domain::new(text).map(|domain| domain.as_str().to_owned()).ok();
        Address::parse(text).map_or_else(|_| domain(), |address| Some(address.to_string()))
    }),
    |accounts| write_list(accounts, quoted)
);
unlimited_kind!(
    Addresses,
    Vec<Address>,
    "list of addresses",
    "a list of up to 64 addresses, such as [\"ann@example.org\"]",
    |value| list(value, |text| Address::parse(text).ok()),
    |addresses| write_list(addresses, |address| quoted(&address.to_string()))
);
unlimited_kind!(
    ProxyListeners,
    Vec<ProxyAt>,
    "list of listeners",
    "a list of services and addresses, such as [\"smtp\", \"192.0.2.1:993\"]",
    |value| list(value, ProxyAt::read),
    |listeners| write_list(listeners, quoted)
);
unlimited_kind!(
    AcmeChallengeKind,
    AcmeProofBy,
    "ACME challenge",
    "\"http-01\", \"tls-alpn-01\" or \"dns-01\"",
    |value| AcmeProofBy::ALL.into_iter().find(|by| value.as_str() == Some(by.as_str())),
    |by| quoted(by.as_str())
);
unlimited_kind!(
    StsModeKind,
    StsMode,
    "MTA-STS mode",
    "\"enforce\", \"testing\" or \"none\"",
    |value| StsMode::ALL.into_iter().find(|mode| value.as_str() == Some(mode.as_str())),
    |mode| quoted(mode.as_str())
);
unlimited_kind!(
    HttpsUrl,
    String,
    "https URL",
    "a URL that begins with https://",
    |value| value
        .as_str()
        .filter(|text| text.starts_with("https://") && text.bytes().all(|b| b.is_ascii_graphic()))
        .map(str::to_owned),
    |url| quoted(url)
);
unlimited_kind!(
    Words,
    Vec<String>,
    "list of texts",
    "a list of up to 64 texts, such as [\"mail.example.org\"]",
    |value| list(value, |text| {
        (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
    }),
    |words| write_list(words, quoted)
);
unlimited_kind!(
    Paths,
    Vec<PathBuf>,
    "list of paths",
    "a list of up to 64 paths of files, such as [\"tls/authority.pem\"]",
    |value| list(value, |text| {
        (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text))
    }),
    |paths| write_list(paths, |path| quoted(&path.display()))
);
unlimited_kind!(
    DnssecBy,
    Dnssec,
    "DNSSEC mode",
    "\"auto\", \"trust\", \"validate\" or \"off\"",
    |value| Dnssec::ALL.into_iter().find(|mode| value.as_str() == Some(mode.as_str())),
    |mode| quoted(mode.as_str())
);
unlimited_kind!(
    SendReportsWhen,
    SendReports,
    "auto, yes or no",
    "\"auto\", \"yes\" or \"no\"",
    |value| SendReports::ALL.into_iter().find(|mode| value.as_str() == Some(mode.as_str())),
    |mode| quoted(mode.as_str())
);
unlimited_kind!(
    StandbyAcknowledgeWhen,
    StandbyAcknowledge,
    "local or standby",
    "\"local\" or \"standby\"",
    |value| StandbyAcknowledge::ALL.into_iter().find(|one| value.as_str() == Some(one.as_str())),
    |one| quoted(one.as_str())
);
unlimited_kind!(
    StandbyWhenAwayKind,
    StandbyWhenAway,
    "refuse or go-on",
    "\"refuse\" or \"go-on\"",
    |value| StandbyWhenAway::ALL.into_iter().find(|one| value.as_str() == Some(one.as_str())),
    |one| quoted(one.as_str())
);
unlimited_kind!(
    ResolverAt,
    Resolver,
    "DNS server",
    "\"system\", or an address and port, such as \"192.0.2.53:53\"",
    read_resolver,
    write_resolver
);
unlimited_kind!(
    Listens,
    Listen,
    "listener",
    "a port such as 25, a list of addresses with ports such as [\"192.0.2.1:25\"], or false for none",
    read_listen,
    write_listen
);

fn read_resolver(value: &DeValue<'_>) -> Option<Resolver> {
    match value.as_str()? {
        "system" => Some(Resolver::System),
        text => text.parse().ok().filter(|at: &SocketAddr| at.port() != 0).map(Resolver::Server),
    }
}

fn write_resolver(resolver: &Resolver) -> String {
    match resolver {
        Resolver::System => quoted("system"),
        Resolver::Server(at) => quoted(at),
    }
}

fn read_listen(value: &DeValue<'_>) -> Option<Listen> {
    match value {
        DeValue::Boolean(false) => Some(Listen::Off),
        DeValue::Integer(_) => number(value).filter(|port| *port != 0).map(Listen::Port),
        _ => {
            let address = |text: &str| text.parse().ok().filter(|at: &SocketAddr| at.port() != 0);
            filled_list(value, address).map(Listen::Addresses)
        }
    }
}

fn write_listen(listen: &Listen) -> String {
    match listen {
        Listen::Off => "false".to_owned(),
        Listen::Port(port) => port.to_string(),
        Listen::Addresses(addresses) => write_list(addresses, quoted),
    }
}
