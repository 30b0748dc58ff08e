use sasl::Secret;

use super::append::{AppendHead, AppendItem, Stop};
use super::fetch::Fetch;
use super::list::{List, StatusItem, create, list, status};
use super::mailbox::{MailboxName, Names};
use super::manage::Manage;
use super::notify::Notify;
use super::resync::SelectParams;
use super::scan::{Parsed, Scan, SyntaxError};
use super::search::{Search, SearchError};
use super::sequence::SequenceSet;
use super::store::Store;
use super::urlauth::UrlCommand;

/// Octets of a tag.
pub const TAG_OCTETS_MAX: usize = 128;
/// Name-value pairs in one ID (RFC 2971 §3.3: at most 30).
pub const ID_PAIRS_MAX: usize = 30;
/// Tags in one CANCELUPDATE.
const CANCELLED_TAGS_MAX: usize = 256;

/// What stands before a command and comes back in the response that ends it (RFC 3501 §2.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag(Box<str>);

impl Tag {
    // RFC 3501 §9: tag = 1*<any ASTRING-CHAR except "+">
    pub(crate) fn parse(scan: &mut Scan<'_>) -> Parsed<Self> {
        let tag = scan
            .take_while(|byte| (super::scan::is_atom_char(byte) || byte == b']') && byte != b'+');
        match std::str::from_utf8(tag) {
            Ok(text) if (1..=TAG_OCTETS_MAX).contains(&text.len()) => Ok(Self(text.into())),
            _ => Err(SyntaxError("a command begins with a tag")),
        }
    }

    /// The tag at the begin of a line, if there is one.
    #[must_use]
    pub fn of_line(line: &[u8]) -> Option<Self> {
        let mut scan = Scan::new(line);
        let tag = Self::parse(&mut scan).ok()?;
        (scan.peek() == Some(b' ') || scan.at_end()).then_some(tag)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A command of the client (RFC 3501 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// ID (RFC 2971): what the client says of itself.
    Id(Vec<(String, Option<String>)>),
    /// STARTTLS
    StartTls,
    /// AUTHENTICATE
    Authenticate {
        /// Name of the SASL mechanism, in upper case.
        mechanism: String,
        /// SASL-IR (RFC 4959): the initial response, still in base64; `=` for an empty one.
        initial: Option<Secret>,
    },
    /// LOGIN
    Login {
        /// User name.
        user: String,
        /// Password.
        password: Secret,
    },
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
    /// ENABLE (RFC 5161): names in upper case.
    Enable(Vec<String>),
    /// COMPRESS (RFC 4978): the algorithm in upper case.
    Compress(String),
    /// NAMESPACE (RFC 2342)
    Namespace,
    /// SELECT and EXAMINE
    Select {
        /// Which.
        mailbox: MailboxName,
        /// EXAMINE.
        read_only: bool,
        /// RFC 4466 §2.1
        params: SelectParams,
    },
    /// CREATE
    Create {
        /// Which.
        mailbox: MailboxName,
        /// RFC 6154 §3: what it is for, as on the wire.
        uses: Vec<String>,
    },
    /// DELETE
    Delete(MailboxName),
    /// RENAME
    Rename(MailboxName, MailboxName),
    /// SUBSCRIBE
    Subscribe(MailboxName),
    /// UNSUBSCRIBE
    Unsubscribe(MailboxName),
    /// LIST and LSUB
    List(Box<List>),
    /// STATUS
    Status(MailboxName, Vec<StatusItem>),
    /// CHECK
    Check,
    /// CLOSE
    Close,
    /// UNSELECT (RFC 3691)
    Unselect,
    /// EXPUNGE, or UID EXPUNGE of these (RFC 4315)
    Expunge(Option<SequenceSet>),
    /// SEARCH, SORT, THREAD (RFC 5256) and those with UID; ESEARCH (RFC 7377)
    Search(Box<Search>),
    /// CANCELUPDATE (RFC 5267 §4.3.1): the tags of searches
    CancelUpdate(Vec<Tag>),
    /// FETCH and UID FETCH
    Fetch(Fetch),
    /// STORE and UID STORE
    Store(Store),
    /// COPY, UID COPY, MOVE and UID MOVE (RFC 6851)
    Copy {
        /// The set holds UIDs.
        uid: bool,
        /// Which messages.
        set: SequenceSet,
        /// Where to.
        to: MailboxName,
        /// MOVE.
        away: bool,
    },
    /// Rights, quotas and annotations.
    Manage(Box<Manage>),
    /// IDLE (RFC 2177)
    Idle,
    /// NOTIFY (RFC 5465)
    Notify(Box<Notify>),
    /// APPEND and REPLACE, where all of the command is here: what octets the messages have are kept
    /// elsewhere.
    Append(Box<AppendHead>),
    /// GENURLAUTH, RESETKEY and URLFETCH (RFC 4467)
    Url(UrlCommand),
}

/// Why a command was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// The grammar is broken: answered BAD.
    Syntax(SyntaxError),
    /// A search in a charset that we do not know: answered NO [BADCHARSET].
    Charset,
}

impl From<SyntaxError> for CommandError {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl From<SearchError> for CommandError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Syntax(error) => Self::Syntax(error),
            SearchError::Charset => Self::Charset,
        }
    }
}

impl Command {
    /// Parses the bytes of one complete command, its literals and the last line end included.
    ///
    /// # Errors
    /// Where they are none; the tag where at least that could be read.
    pub fn parse(bytes: &[u8]) -> Result<(Tag, Self), (Option<Tag>, CommandError)> {
        Self::parse_in(bytes, Names::Utf7)
    }

    /// The same, with mailbox names in either encoding.
    ///
    /// # Errors
    /// As [`Command::parse`].
    pub fn parse_in(
        bytes: &[u8],
        names: Names,
    ) -> Result<(Tag, Self), (Option<Tag>, CommandError)> {
        if let Some(append) = AppendHead::parse(bytes, names) {
            return append_command(bytes, append);
        }
        let mut scan = Scan::with_names(bytes, names);
        let tag = Tag::parse(&mut scan).map_err(|error| (None, error.into()))?;
        let command = scan.space().map_err(CommandError::from).and_then(|()| {
            let name = scan.word()?;
            Self::body(&name, &mut scan)
        });
        match command {
            Ok(command) => Ok((tag, command)),
            Err(error) => Err((Some(tag), error)),
        }
    }

    fn body(name: &str, scan: &mut Scan<'_>) -> Result<Self, CommandError> {
        let alone = |scan: &mut Scan<'_>, command| scan.end().map(|()| command);
        Ok(match name {
            "CAPABILITY" => alone(scan, Self::Capability)?,
            "NOOP" => alone(scan, Self::Noop)?,
            "LOGOUT" => alone(scan, Self::Logout)?,
            "STARTTLS" => alone(scan, Self::StartTls)?,
            "UNAUTHENTICATE" => alone(scan, Self::Unauthenticate)?,
            "NAMESPACE" => alone(scan, Self::Namespace)?,
            "CHECK" => alone(scan, Self::Check)?,
            "CLOSE" => alone(scan, Self::Close)?,
            "UNSELECT" => alone(scan, Self::Unselect)?,
            "IDLE" => alone(scan, Self::Idle)?,
            "EXPUNGE" => alone(scan, Self::Expunge(None))?,
            "NOTIFY" => Self::Notify(Box::new(Notify::parse(scan)?)),
            "ID" => id(scan)?,
            "AUTHENTICATE" => authenticate(scan)?,
            "LOGIN" => login(scan)?,
            "ENABLE" => enable(scan)?,
            "COMPRESS" => compress(scan)?,
            "SELECT" => select(scan, false)?,
            "EXAMINE" => select(scan, true)?,
            "CREATE" => create(scan)?,
            "DELETE" => Self::Delete(only_mailbox(scan)?),
            "SUBSCRIBE" => Self::Subscribe(only_mailbox(scan)?),
            "UNSUBSCRIBE" => Self::Unsubscribe(only_mailbox(scan)?),
            "RENAME" => {
                let from = mailbox(scan)?;
                Self::Rename(from, only_mailbox(scan)?)
            }
            "LIST" => list(scan, false)?,
            "LSUB" => list(scan, true)?,
            "STATUS" => status(scan)?,
            "ESEARCH" => Self::Search(Box::new(Search::parse_esearch(scan)?)),
            "CANCELUPDATE" => cancel_update(scan)?,
            "APPEND" => return Err(SyntaxError("APPEND takes a mailbox and messages").into()),
            "UID" => {
                scan.space()?;
                let name = scan.word()?;
                Self::with_numbers(&name, scan, true)?
            }
            name => match Manage::parse(name, scan) {
                Some(command) => Self::Manage(Box::new(command?)),
                None => match UrlCommand::parse(name, scan) {
                    Some(command) => Self::Url(command?),
                    None => Self::with_numbers(name, scan, false)?,
                },
            },
        })
    }

    // RFC 3501 §9: uid = "UID" SP (copy / fetch / search / store)
    fn with_numbers(name: &str, scan: &mut Scan<'_>, uid: bool) -> Result<Self, CommandError> {
        Ok(match name {
            "FETCH" => Self::Fetch(Fetch::parse(scan, uid)?),
            "STORE" => Self::Store(Store::parse(scan, uid)?),
            "SEARCH" => Self::Search(Box::new(Search::parse(scan, uid)?)),
            "SORT" => Self::Search(Box::new(Search::parse_sort(scan, uid)?)),
            "THREAD" => Self::Search(Box::new(Search::parse_thread(scan, uid)?)),
            "COPY" | "MOVE" => {
                scan.space()?;
                let set = SequenceSet::parse(scan)?;
                Self::Copy { uid, set, to: only_mailbox(scan)?, away: name == "MOVE" }
            }
            // RFC 4315 §2.1: uid-expunge = "UID" SP "EXPUNGE" SP sequence-set
            "EXPUNGE" if uid => {
                scan.space()?;
                let set = SequenceSet::parse(scan)?;
                scan.end()?;
                Self::Expunge(Some(set))
            }
            _ => return Err(SyntaxError("unknown command").into()),
        })
    }
}

/// An APPEND or REPLACE that has ended before octets of a message came.
fn append_command(
    bytes: &[u8],
    append: Result<AppendHead, Stop>,
) -> Result<(Tag, Command), (Option<Tag>, CommandError)> {
    match append {
        Ok(append) if append.items.last() == Some(&AppendItem::End) => {
            Ok((append.tag.clone(), Command::Append(Box::new(append))))
        }
        Ok(_) | Err(Stop::Unfinished) => {
            Err((Tag::of_line(bytes), SyntaxError("a literal is cut off").into()))
        }
        Err(Stop::Wrong(error)) => Err((Tag::of_line(bytes), error.into())),
    }
}

/// SP mailbox
pub(super) fn mailbox(scan: &mut Scan<'_>) -> Parsed<MailboxName> {
    scan.space()?;
    MailboxName::parse(scan)
}

/// SP mailbox, and the end.
fn only_mailbox(scan: &mut Scan<'_>) -> Parsed<MailboxName> {
    let name = mailbox(scan)?;
    scan.end()?;
    Ok(name)
}

// RFC 2971 §3.1: id = "ID" SP id-params-list; id-params-list = "(" *(string SP nstring) ")" / nil
fn id(scan: &mut Scan<'_>) -> Parsed<Command> {
    scan.space()?;
    let mut pairs = Vec::new();
    if scan.eat(b'(') {
        while !scan.eat(b')') {
            if pairs.len() == ID_PAIRS_MAX {
                return Err(SyntaxError("ID takes at most 30 fields"));
            }
            let name = String::from_utf8_lossy(&scan.string()?).into_owned();
            scan.space()?;
            let value = scan.nstring()?.map(|value| String::from_utf8_lossy(&value).into_owned());
            pairs.push((name, value));
            scan.eat(b' ');
        }
    } else if !scan.eat_text("NIL") {
        return Err(SyntaxError("ID takes a list or NIL"));
    }
    scan.end()?;
    Ok(Command::Id(pairs))
}

// RFC 4959 §7: authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]
fn authenticate(scan: &mut Scan<'_>) -> Parsed<Command> {
    scan.space()?;
    let mechanism = scan.atom()?.to_ascii_uppercase();
    let initial = if scan.eat(b' ') {
        let base64 = scan.take_while(|byte| byte.is_ascii_graphic());
        Some(Secret::new(String::from_utf8_lossy(base64).into_owned()))
    } else {
        None
    };
    scan.end()?;
    Ok(Command::Authenticate { mechanism, initial })
}

// RFC 3501 §9: login = "LOGIN" SP userid SP password; both astring
fn login(scan: &mut Scan<'_>) -> Parsed<Command> {
    const UTF8: SyntaxError = SyntaxError("user name and password are UTF-8");
    scan.space()?;
    let user = String::from_utf8(scan.astring()?.into_owned()).map_err(|_| UTF8)?;
    scan.space()?;
    let password = String::from_utf8(scan.astring()?.into_owned()).map_err(|_| UTF8)?;
    scan.end()?;
    Ok(Command::Login { user, password: Secret::new(password) })
}

// RFC 5161 §4: enable = "ENABLE" 1*(SP capability)
fn enable(scan: &mut Scan<'_>) -> Parsed<Command> {
    let mut names = Vec::new();
    scan.space()?;
    loop {
        names.push(scan.atom()?.to_ascii_uppercase());
        if !scan.eat(b' ') {
            scan.end()?;
            return Ok(Command::Enable(names));
        }
    }
}

// RFC 5267 §8: cancelupdate = "CANCELUPDATE" 1*(SP quoted)
fn cancel_update(scan: &mut Scan<'_>) -> Parsed<Command> {
    let mut tags = Vec::new();
    scan.space()?;
    loop {
        if tags.len() == CANCELLED_TAGS_MAX {
            return Err(SyntaxError("too many tags in CANCELUPDATE"));
        }
        let tag = Tag::of_line(&scan.string()?);
        tags.push(tag.ok_or(SyntaxError("CANCELUPDATE takes the tags of searches in quotes"))?);
        if !scan.eat(b' ') {
            scan.end()?;
            return Ok(Command::CancelUpdate(tags));
        }
    }
}

// RFC 4978 §5: compress = "COMPRESS" SP algorithm; algorithm = "DEFLATE"
fn compress(scan: &mut Scan<'_>) -> Parsed<Command> {
    scan.space()?;
    let algorithm = scan.atom()?.to_ascii_uppercase();
    scan.end()?;
    Ok(Command::Compress(algorithm))
}

// RFC 3501 §9, RFC 4466 §6: select = "SELECT" SP mailbox [select-params]
fn select(scan: &mut Scan<'_>, read_only: bool) -> Parsed<Command> {
    let mailbox = mailbox(scan)?;
    let params = SelectParams::parse(scan)?;
    scan.end()?;
    Ok(Command::Select { mailbox, read_only, params })
}
