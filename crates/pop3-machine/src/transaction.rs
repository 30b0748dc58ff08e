use mailbox::Rows;

use crate::body::{BodyWriter, Extent};
use crate::command::Command;
use crate::maildrop::{Column, Maildrop};
use crate::question::{Question, Trouble, TroubleCode};
use crate::session::{Session, State};

/// Octets of a message read at once.
const READ_OCTETS_MAX: usize = 64 * 1024;
/// The same for TOP, which wants little more than the header.
const TOP_READ_OCTETS_MAX: usize = 16 * 1024;
/// Octets of a list that are written before the driver may send.
const LIST_OCTETS_MAX: usize = 32 * 1024;

/// A reply of many lines on its way.
#[derive(Debug)]
pub(crate) enum Sending {
    /// RETR or TOP.
    Message { index: usize, from: u64, begun: bool, writer: BodyWriter },
    /// LIST or UIDL, and the next message to list.
    List { next: usize, column: Column },
}

/// The TRANSACTION and UPDATE states (RFC 1939 §5, §6).
impl Session {
    pub(crate) fn opened(&mut self, opened: Result<Rows, Trouble>) {
        let maildrop = match opened {
            Ok(rows) => Maildrop::new(rows),
            Err(trouble) => return self.not_opened(&trouble),
        };
        let (count, octets) = maildrop.totals();
        self.ok(&format!("{count} messages ({octets} octets)"));
        self.state = State::Transaction(maildrop);
    }

    pub(crate) fn transaction(&mut self, command: Command, mut maildrop: Maildrop) {
        match command {
            Command::Retr(number) => return self.send_message(maildrop, number, Extent::Whole),
            Command::Top { message, lines } => {
                return self.send_message(maildrop, message, Extent::HeaderAnd(lines));
            }
            Command::List(None) => return self.send_list(maildrop, Column::Octets),
            Command::Uidl(None) => return self.send_list(maildrop, Column::UniqueId),
            Command::Quit => return self.quit(&maildrop),
            Command::Stat => {
                let (count, octets) = maildrop.totals();
                self.ok(&format!("{count} {octets}"));
            }
            Command::List(Some(number)) => self.list_one(&maildrop, number, Column::Octets),
            Command::Uidl(Some(number)) => self.list_one(&maildrop, number, Column::UniqueId),
            Command::Dele(number) => match maildrop.find(number) {
                Some(index) => {
                    maildrop.mark(index);
                    self.ok(&format!("message {number} is removed at QUIT"));
                }
                None => self.err("no such message"),
            },
            Command::Rset => {
                maildrop.unmark_all();
                self.ok("nothing is marked for removal");
            }
            Command::Noop => self.ok("still here"),
            Command::Lang(tag) => self.lang(tag.as_deref()),
            Command::Capa => {
                self.state = State::Transaction(maildrop);
                return self.capabilities();
            }
            Command::Utf8 => self.bad_command("UTF8 comes before the sign-in"),
            Command::Stls | Command::User(_) | Command::Pass(_) | Command::Auth(_) => {
                self.bad_command("signed in already");
            }
        }
        self.state = State::Transaction(maildrop);
    }

    fn list_one(&mut self, maildrop: &Maildrop, number: u64, column: Column) {
        match maildrop.find(number) {
            Some(index) => {
                self.output.extend_from_slice(b"+OK ");
                maildrop.write_lines(index..index + 1, column, usize::MAX, &mut self.output);
            }
            None => self.err("no such message"),
        }
    }

    fn send_list(&mut self, maildrop: Maildrop, column: Column) {
        let (count, octets) = maildrop.totals();
        self.ok(&format!("{count} messages ({octets} octets)"));
        self.list_on(maildrop, Sending::List { next: 0, column });
    }

    /// Writes the next part of a list; asks to go on where there is more.
    pub(crate) fn list_on(&mut self, maildrop: Maildrop, sending: Sending) {
        let Sending::List { next, column } = sending else { return self.close() };
        let full = self.output.len() + LIST_OCTETS_MAX;
        let next = maildrop.write_lines(next..maildrop.len(), column, full, &mut self.output);
        if next < maildrop.len() {
            self.state = State::Sending(maildrop, Sending::List { next, column });
            return self.ask(Question::Continue);
        }
        self.write_line(".", "");
        self.state = State::Transaction(maildrop);
    }

    /// The first part is read before the `+OK`, so that trouble can still be told.
    fn send_message(&mut self, maildrop: Maildrop, number: u64, extent: Extent) {
        match maildrop.find(number) {
            Some(index) => {
                let writer = BodyWriter::new(extent);
                self.send_on(maildrop, Sending::Message { index, from: 0, begun: false, writer });
            }
            None => {
                self.err("no such message");
                self.state = State::Transaction(maildrop);
            }
        }
    }

    /// Asks for the next part of the message, or ends the reply.
    fn send_on(&mut self, maildrop: Maildrop, sending: Sending) {
        let Sending::Message { index, from, begun, writer } = sending else { return self.close() };
        let left = maildrop.octets(index).saturating_sub(from);
        if left == 0 || writer.is_done() {
            if !begun {
                self.begin_message(&maildrop, index);
            }
            writer.finish(&mut self.output);
            self.state = State::Transaction(maildrop);
            return;
        }
        let most = if writer.wants_all() { READ_OCTETS_MAX } else { TOP_READ_OCTETS_MAX };
        let octets_max = usize::try_from(left).map_or(most, |left| left.min(most));
        self.state = State::Sending(maildrop, Sending::Message { index, from, begun, writer });
        self.ask(Question::Read { message: index, from, octets_max });
    }

    fn begin_message(&mut self, maildrop: &Maildrop, index: usize) {
        let text = format!("{} octets", maildrop.octets(index));
        self.ok(&text);
    }

    pub(crate) fn read(
        &mut self,
        maildrop: Maildrop,
        sending: Sending,
        read: Result<Vec<u8>, Trouble>,
    ) {
        let Sending::Message { index, from, begun, mut writer } = sending else {
            return self.close();
        };
        let left = maildrop.octets(index).saturating_sub(from);
        // A part that is empty or goes beyond the end belongs to no message of this size.
        let read = read.and_then(|part| match part.len() as u64 {
            octets if octets > 0 && octets <= left => Ok(part),
            _ => Err(Trouble {
                code: TroubleCode::Temporary,
                text: "this message cannot be read at the moment".to_owned(),
            }),
        });
        match read {
            Ok(part) => {
                if !begun {
                    self.begin_message(&maildrop, index);
                }
                writer.write(&part, &mut self.output);
                let from = from + part.len() as u64;
                self.send_on(maildrop, Sending::Message { index, from, begun: true, writer });
            }
            Err(trouble) if !begun => {
                self.trouble(&trouble);
                self.state = State::Transaction(maildrop);
            }
            // The reply cannot be taken back, and a dot would call what was sent the whole
            // message, upon which clients delete it. Only a broken connection says the truth.
            Err(_) => self.close(),
        }
    }

    /// RFC 1939 §6.
    fn quit(&mut self, maildrop: &Maildrop) {
        let uids = maildrop.marked();
        if uids.is_empty() {
            self.ok("bye");
            return self.close();
        }
        self.state = State::Update;
        self.ask(Question::Remove { uids });
    }

    pub(crate) fn removed(&mut self, removed: Result<(), Trouble>) {
        match removed {
            Ok(()) => self.ok("bye, the marked messages are removed"),
            Err(trouble) => self.trouble(&trouble),
        }
        self.close();
    }
}
