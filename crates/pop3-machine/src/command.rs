use sasl::Secret;

/// A command, read once from its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Capa,
    Stls,
    Utf8,
    /// RFC 6856 §3: the tag, or a wish for the list.
    Lang(Option<String>),
    User(String),
    Pass(Secret),
    Auth(Option<AuthCommand>),
    Stat,
    List(Option<u64>),
    Uidl(Option<u64>),
    Retr(u64),
    Top {
        message: u64,
        lines: u64,
    },
    Dele(u64),
    Noop,
    Rset,
    Quit,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthCommand {
    pub mechanism: String,
    /// Not decoded; RFC 5034 §4: `=` is an empty one.
    pub initial: Option<String>,
}

/// Why a line is no command: the text of the `-ERR`.
pub(crate) type Unfit = &'static str;

impl Command {
    /// RFC 1939 §3: keyword and arguments, each separated by one space. The keyword is
    /// case-insensitive. Spaces at the end are forgiven (quirk: some clients pad), except behind
    /// PASS, where they may be part of the password.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Unfit> {
        let line = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
        if line.chars().any(char::is_control) {
            return Err("control characters in a command");
        }
        let (keyword, rest) = match line.split_once(' ') {
            Some((keyword, rest)) => (keyword, Some(rest)),
            None => (line, None),
        };
        let keyword = keyword.to_ascii_uppercase();
        if keyword == "PASS" {
            // RFC 1939 §7: PASS has one argument, so spaces in it belong to the password.
            return rest
                .map(|rest| Self::Pass(Secret::new(rest.to_owned())))
                .ok_or("PASS needs a password");
        }
        let rest = rest.map(|rest| rest.trim_end_matches(' ')).filter(|rest| !rest.is_empty());
        match keyword.as_str() {
            "USER" => rest.map(|rest| Self::User(rest.to_owned())).ok_or("USER needs a name"),
            "AUTH" => auth(rest),
            "LANG" => Ok(Self::Lang(rest.map(str::to_owned))),
            "LIST" => optional_number(rest).map(Self::List),
            "UIDL" => optional_number(rest).map(Self::Uidl),
            "RETR" => Ok(Self::Retr(number(rest)?)),
            "DELE" => Ok(Self::Dele(number(rest)?)),
            "TOP" => {
                let (message, lines) = rest
                    .and_then(|rest| rest.split_once(' '))
                    .ok_or("TOP needs a message number and a number of lines")?;
                Ok(Self::Top { message: number(Some(message))?, lines: number(Some(lines))? })
            }
            _ => bare(&keyword, rest),
        }
    }
}

/// The commands without arguments.
fn bare(keyword: &str, rest: Option<&str>) -> Result<Command, Unfit> {
    let command = match keyword {
        "CAPA" => Command::Capa,
        "STLS" => Command::Stls,
        "UTF8" => Command::Utf8,
        "STAT" => Command::Stat,
        "NOOP" => Command::Noop,
        "RSET" => Command::Rset,
        "QUIT" => Command::Quit,
        _ => return Err("unknown command"),
    };
    match rest {
        None => Ok(command),
        Some(_) => Err("this command has no argument"),
    }
}

/// RFC 5034 §4: `AUTH mechanism [initial-response]`.
fn auth(rest: Option<&str>) -> Result<Command, Unfit> {
    let Some(rest) = rest else { return Ok(Command::Auth(None)) };
    let (mechanism, initial) = match rest.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial.to_owned())),
        None => (rest, None),
    };
    Ok(Command::Auth(Some(AuthCommand { mechanism: mechanism.to_owned(), initial })))
}

fn optional_number(text: Option<&str>) -> Result<Option<u64>, Unfit> {
    match text {
        None => Ok(None),
        Some(_) => number(text).map(Some),
    }
}

fn number(text: Option<&str>) -> Result<u64, Unfit> {
    let text = text.ok_or("a number is missing")?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("not a number");
    }
    text.parse().map_err(|_| "not a number that can be")
}
