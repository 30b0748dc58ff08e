//! The session: states, commands in order, questions one at a time.

mod access;
mod answer;
mod append;
mod binary;
mod capabilities;
mod compress;
mod context;
mod enable;
mod fetch;
mod finish;
mod flags;
mod fresh;
mod idle;
mod large;
mod limit;
mod listing;
mod machine;
mod mailboxes;
mod metadata;
mod multisearch;
mod notify;
mod order;
mod plan;
mod quota;
mod resync;
mod search;
mod select;
mod settle;
mod sign_in;
mod transfer;
mod uid_only;
mod unauthenticate;
mod urlauth;
mod urls;

use mail_types::{Acceptance, MailboxId, Step, Timestamp, TlsFacts};
use sasl::SignedIn;

use self::finish::Then;
use self::uid_only::names_sequence_numbers;

use crate::ask::{Answer, Code, Question, Refusal};
use crate::config::Config;
use crate::grammar::{CHARSETS, Command, CommandError, MailboxName, Tag, UidSet};
use crate::reader::{Read, Reader};
use crate::view::View;
use crate::write::{push_human, push_text};

/// Capacity that an empty output buffer may keep.
const IDLE_OUTPUT_CAPACITY_MAX: usize = 512;

/// One IMAP connection. `R` is the service's proof that a message is kept.
#[derive(Debug)]
pub struct Session<R> {
    config: Config,
    reader: Reader,
    output: Vec<u8>,
    tls: Option<TlsFacts>,
    signed_in: Option<SignedIn>,
    selected: Option<Box<Mailbox>>,
    /// CONDSTORE is enabled: tell modification sequences.
    condstore: bool,
    /// QRESYNC is enabled: VANISHED in place of EXPUNGE.
    qresync: bool,
    /// IMAP4rev2 is enabled.
    rev2: bool,
    /// UTF8=ACCEPT is enabled.
    utf8: bool,
    /// UIDONLY is enabled: no message is named by its sequence number.
    uid_only: bool,
    /// Both directions are DEFLATE streams.
    compressed: bool,
    /// The command under way.
    work: Work,
    tag: Option<Tag>,
    /// EXPUNGE may be written when the command ends.
    expunge_allowed: bool,
    /// The command works with UIDs.
    by_uid: bool,
    open: Open,
    answer: Option<Answer<R>>,
    /// The command works on more messages than one may: the lowest UID of those it is done for
    /// (RFC 9738).
    cut: Option<u32>,
    /// The selected mailbox may hold news.
    stirred: bool,
    /// What NOTIFY has asked for; none before the first.
    wants: Option<Box<notify::Wants>>,
    /// The service has news of watched mailboxes.
    heard: bool,
    /// The time, as of the last step.
    now: Timestamp,
    /// Messages whose commits are under way.
    appends: settle::Appends,
    /// What was read, and waits until those are answered.
    read: Option<Read>,
    deadline: Timestamp,
    octets_in: usize,
    bad_commands: u32,
    sign_in_failures: u32,
    sign_in_attempts: u32,
    ending: Ending,
}

/// The selected mailbox.
#[derive(Debug)]
struct Mailbox {
    id: MailboxId,
    name: MailboxName,
    read_only: bool,
    view: View,
    /// Results that are kept up to date (RFC 5267).
    contexts: Vec<context::Context>,
    /// New messages from this UID on have not been looked at for what is fetched of them unasked.
    fresh_from: u32,
    /// New messages that came by this session's own commands.
    own: UidSet,
}

/// Whether a question is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    No,
    Flush,
    Question,
}

/// How the connection comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Not at all yet.
    No,
    /// The client will send no more; what it sent is still answered.
    PeerClosed,
    /// The server stops: BYE as soon as no command is under way.
    ShutDown,
    /// BYE is written, or nothing can be said any more.
    Close,
}

/// The command under way, and how far it is.
#[derive(Debug)]
enum Work {
    /// None.
    Ready,
    SignIn(sign_in::SignIn),
    Asked(mailboxes::Asked),
    Lines(Box<listing::Lines>),
    Unauthenticate,
    Acl(Box<access::AskedAcl>),
    Quota(Option<MailboxName>),
    Metadata(metadata::AskedMetadata),
    Select(select::Select),
    Append(Box<append::Append>),
    /// The service is asked what has become of messages; then this goes on.
    Settle(Box<Work>),
    Urls(Box<urlauth::Urls>),
    Fetch(Box<fetch::Fetching>),
    Store(Box<flags::Storing>),
    Transfer(transfer::Transfer),
    Resync(resync::Resyncing),
    Search(Box<search::Searching>),
    Multisearch(multisearch::Multisearch),
    Hear(notify::Hearing),
    Idle,
    Finish(finish::Finish),
}

/// What a piece of work comes to.
enum Flow {
    /// Go on.
    Again,
    /// Go on when others have had their turn.
    Pause,
    /// Ask this.
    Ask(Question),
    /// More input is needed.
    NeedInput,
    StartTls,
    StartCompression,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ok,
    No,
    Bad,
}

impl<R: Acceptance> Session<R> {
    /// Begins with the greeting. `tls` where the connection began with TLS (port 993).
    #[must_use]
    pub fn new(config: Config, tls: Option<TlsFacts>, now: Timestamp) -> Self {
        let mut session = Self {
            reader: Reader::new(&config.limits),
            output: Vec::new(),
            tls,
            signed_in: None,
            selected: None,
            condstore: false,
            qresync: false,
            rev2: false,
            utf8: false,
            uid_only: false,
            compressed: false,
            work: Work::Ready,
            tag: None,
            expunge_allowed: true,
            by_uid: false,
            cut: None,
            open: Open::No,
            answer: None,
            stirred: false,
            wants: None,
            heard: false,
            now,
            appends: settle::Appends::default(),
            read: None,
            deadline: now.after(config.limits.sign_in_timeout),
            octets_in: 0,
            bad_commands: 0,
            sign_in_failures: 0,
            sign_in_attempts: 0,
            ending: Ending::No,
            config,
        };
        session.greet();
        session
    }

    /// Who has signed in.
    #[must_use]
    pub const fn signed_in(&self) -> Option<&SignedIn> {
        self.signed_in.as_ref()
    }

    /// The selected mailbox: the one whose changes are wanted.
    #[must_use]
    pub fn selected(&self) -> Option<MailboxId> {
        self.selected.as_ref().map(|mailbox| mailbox.id)
    }

    /// The selected mailbox as the client sees it.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.selected.as_ref().map(|mailbox| &mailbox.view)
    }

    const fn may_sign_in(&self) -> bool {
        self.tls.is_some() || self.config.plain_sign_in
    }

    fn output_is_full(&self) -> bool {
        self.output.len() >= self.config.limits.output_octets_max
    }

    fn advance(&mut self, now: Timestamp) -> Flow {
        let answer = self.answer.take();
        match std::mem::replace(&mut self.work, Work::Ready) {
            Work::Ready => self.next_command(now),
            Work::SignIn(work) => self.sign_in_goes_on(work, answer, now),
            Work::Asked(work) => self.asked_answered(work, answer),
            Work::Unauthenticate => self.unauthenticated(answer),
            Work::Lines(work) => self.lines_go_on(work, answer),
            Work::Acl(work) => self.acl_answered(*work, answer),
            Work::Quota(of) => self.quota_answered(of, answer),
            Work::Metadata(work) => self.metadata_answered(work, answer),
            Work::Select(work) => self.select_answered(work, answer),
            Work::Append(work) => self.append_goes_on(work, answer),
            Work::Urls(work) => self.urls_answered(*work, answer),
            Work::Settle(then) => self.settled(*then, answer),
            Work::Fetch(work) => self.fetch_goes_on(work, answer),
            Work::Store(work) => self.store_goes_on(work, answer),
            Work::Transfer(work) => self.transfer_answered(work, answer),
            Work::Resync(work) => self.resync_answered(work, answer),
            Work::Search(work) => self.search_goes_on(work, answer),
            Work::Multisearch(work) => self.multisearch_goes_on(work, answer),
            Work::Hear(work) => self.hearing_goes_on(work, answer),
            Work::Idle => self.idle_goes_on(),
            Work::Finish(work) => self.finish_goes_on(work, answer),
        }
    }

    fn next_command(&mut self, now: Timestamp) -> Flow {
        if self.appends.is_due() || self.appends.is_waiting() && self.ending != Ending::No {
            return self.settle(Work::Ready);
        }
        if self.ending == Ending::ShutDown {
            return self.bye("Server is shutting down, connect again in a moment");
        }
        let Some(read) = self.read_behind_appends() else { return self.settle(Work::Ready) };
        match read {
            Read::Incomplete => self.unasked(Then::Next).unwrap_or(Flow::NeedInput),
            Read::Continue => {
                push_text(&mut self.output, "+ Go on\r\n");
                Flow::Again
            }
            Read::Command => {
                let parsed = Command::parse_in(self.reader.command(), self.reader.names);
                self.reader.consume();
                self.touch(now);
                self.begin(parsed)
            }
            Read::Append(head) => {
                self.touch(now);
                self.append_begins(head)
            }
            Read::TooLong(tag) => {
                self.tag = tag;
                self.bad("[TOOBIG]", "The command is too long")
            }
            Read::Items(_) | Read::Endless => self.bye("Too much input for one command"),
        }
    }

    /// The client has shown that it is there.
    fn touch(&mut self, now: Timestamp) {
        if self.signed_in.is_some() {
            self.deadline = now.after(self.config.limits.idle_timeout);
        }
    }

    fn begin(&mut self, parsed: Result<(Tag, Command), (Option<Tag>, CommandError)>) -> Flow {
        self.expunge_allowed = true;
        self.by_uid = false;
        self.cut = None;
        let command = match parsed {
            Ok((tag, command)) => {
                self.tag = Some(tag);
                command
            }
            Err((tag, CommandError::Charset)) => {
                self.tag = tag;
                // RFC 3501 §7.1: "lists the charsets that are supported".
                let code = format!("[BADCHARSET ({})]", CHARSETS.join(" "));
                return self.finish(Status::No, &code, "Unknown charset; UTF-8 is best");
            }
            Err((tag, CommandError::Syntax(error))) => {
                self.tag = tag;
                return self.bad("", error.0);
            }
        };
        if let Some(refusal) = self.out_of_state(&command) {
            return self.bad("", refusal);
        }
        // RFC 9586 §3: "the server MUST return tagged BAD".
        if self.uid_only && names_sequence_numbers(&command) {
            return self.bad("[UIDREQUIRED]", "UIDONLY is enabled: name messages by UID");
        }
        self.bad_commands = 0;
        self.run(command)
    }

    // RFC 3501 §3: which commands are valid in which state.
    fn out_of_state(&self, command: &Command) -> Option<&'static str> {
        let signed_in = self.signed_in.is_some();
        match command {
            Command::Capability | Command::Noop | Command::Logout | Command::Id(_) => None,
            Command::Unauthenticate => self.no_unauthenticate(),
            Command::StartTls | Command::Authenticate { .. } | Command::Login { .. } => {
                signed_in.then_some("You are signed in already")
            }
            Command::Enable(_)
            | Command::Compress(_)
            | Command::Namespace
            | Command::Select { .. }
            | Command::Create { .. }
            | Command::Delete(_)
            | Command::Rename(..)
            | Command::Subscribe(_)
            | Command::Unsubscribe(_)
            | Command::List(_)
            | Command::Status(..)
            | Command::Manage(_)
            | Command::Append(_)
            | Command::Url(_)
            | Command::Notify(_)
            | Command::Idle => (!signed_in).then_some("Sign in first"),
            // RFC 7377 §2.1: it works without a selected mailbox.
            Command::Search(search) if search.sources.is_some() => {
                (!signed_in).then_some("Sign in first")
            }
            Command::Search(_)
            | Command::Check
            | Command::Close
            | Command::Unselect
            | Command::Expunge(_)
            | Command::CancelUpdate(_)
            | Command::Fetch(_)
            | Command::Store(_)
            | Command::Copy { .. } => match (signed_in, &self.selected) {
                (false, _) => Some("Sign in first"),
                (true, None) => Some("Select a mailbox first"),
                (true, Some(_)) => None,
            },
        }
    }

    fn run(&mut self, command: Command) -> Flow {
        match command {
            Command::Capability => {
                let line = format!("* CAPABILITY {}\r\n", self.capabilities());
                push_text(&mut self.output, &line);
                self.finish(Status::Ok, "", "Done")
            }
            Command::Noop | Command::Check => {
                self.stirred = true;
                self.finish(Status::Ok, "", "Done")
            }
            Command::Logout => {
                push_text(&mut self.output, "* BYE Until next time\r\n");
                self.ending = Ending::Close;
                self.finish_silently(Status::Ok, "", "Signed out")
            }
            Command::Id(_) => {
                push_text(&mut self.output, "* ID (\"name\" \"Restante\")\r\n");
                self.finish(Status::Ok, "", "Pleased to meet you")
            }
            Command::StartTls => self.start_tls(),
            Command::Authenticate { mechanism, initial } => {
                self.authenticate(&mechanism, initial.as_ref())
            }
            Command::Login { user, password } => self.login(user, password),
            Command::Unauthenticate => self.unauthenticate(),
            Command::Enable(names) => self.enable(&names),
            Command::Compress(algorithm) => self.compress(&algorithm),
            Command::Namespace => self.namespace(),
            Command::Select { mailbox, read_only, params } => {
                self.select(mailbox, read_only, params)
            }
            Command::Close => self.close(),
            Command::Unselect => self.deselect(),
            Command::Idle => self.idle(),
            Command::Notify(command) => self.notify(*command),
            Command::Append(head) => self.append_begins(*head),
            Command::Url(command) => self.url_command(command),
            Command::Fetch(fetch) => self.fetch(fetch),
            Command::Store(store) => self.store(store),
            Command::Search(search) => self.search(*search),
            Command::CancelUpdate(tags) => self.cancel_update(&tags),
            Command::Copy { uid, set, to, away } => self.transfer(uid, &set, to, away),
            Command::Expunge(set) => self.expunge(set.as_ref()),
            Command::Manage(command) => self.manage(*command),
            command @ (Command::Create { .. }
            | Command::Delete(_)
            | Command::Rename(..)
            | Command::Subscribe(_)
            | Command::Unsubscribe(_)
            | Command::List(_)
            | Command::Status(..)) => self.ask_about_mailboxes(command),
        }
    }

    // RFC 3501 §6.2.1
    fn start_tls(&mut self) -> Flow {
        if self.tls.is_some() || !self.config.starttls {
            return self.bad("", "TLS is not offered here, or stands already");
        }
        self.write_tagged(Status::Ok, "", "Begin the TLS handshake now");
        self.reader.clear();
        Flow::StartTls
    }

    /// Says goodbye and closes.
    fn bye(&mut self, text: &str) -> Flow {
        self.bye_now(text);
        Flow::Again
    }

    fn bye_now(&mut self, text: &str) {
        if self.ending != Ending::Close {
            push_text(&mut self.output, "* BYE ");
            push_human(&mut self.output, text);
            push_text(&mut self.output, "\r\n");
            self.ending = Ending::Close;
        }
        self.work = Work::Ready;
    }

    /// The service's answer does not fit its question: our own fault, not the client's.
    fn misfit(&mut self) -> Flow {
        self.finish(Status::No, "[SERVERBUG]", "Internal error, nothing is known to be done")
    }

    fn refuse(&mut self, refusal: &Refusal) -> Flow {
        let code = refusal.code.map(|code| format!("[{}]", code.name())).unwrap_or_default();
        self.finish(Status::No, &code, &refusal.text)
    }

    fn no(&mut self, code: Code, text: &str) -> Flow {
        self.refuse(&Refusal::new(code, text))
    }

    /// Answers BAD; too many in a row end the session.
    fn bad(&mut self, code: &str, text: &str) -> Flow {
        self.bad_commands += 1;
        if self.bad_commands >= self.config.limits.bad_commands_max {
            self.write_tagged(Status::Bad, code, text);
            return self.bye("Too many commands that are none");
        }
        self.finish_silently(Status::Bad, code, text)
    }

    /// Asks, and goes on with this work when the answer is there.
    fn ask(&mut self, work: Work, question: Question) -> Flow {
        self.work = work;
        Flow::Ask(question)
    }

    /// Goes on with this work after a look at the output.
    fn again(&mut self, work: Work) -> Flow {
        self.work = work;
        Flow::Again
    }

    /// Goes on with this work, which takes long, when others have had their turn.
    fn pause(&mut self, work: Work) -> Flow {
        self.work = work;
        Flow::Pause
    }

    /// What to do with nothing to do: give memory back, or close if nothing can come.
    fn need_input(&mut self) -> Step<Question> {
        match self.ending {
            Ending::No => {}
            Ending::Close | Ending::PeerClosed => return Step::Close,
            Ending::ShutDown => {
                self.bye_now("Server is shutting down, connect again in a moment");
                return Step::Close;
            }
        }
        if self.output.is_empty() && self.output.capacity() > IDLE_OUTPUT_CAPACITY_MAX {
            self.output = Vec::new();
        }
        self.reader.shrink();
        Step::NeedInput
    }
}
