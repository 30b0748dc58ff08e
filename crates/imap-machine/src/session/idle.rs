use mail_types::Acceptance;

use super::finish::Then;
use super::{Flow, Session, Status, Work};
use crate::write::push_text;

impl<R: Acceptance> Session<R> {
    // RFC 2177
    pub(super) fn idle(&mut self) -> Flow {
        push_text(&mut self.output, "+ idling\r\n");
        // What happened just before is told at once.
        self.stirred = true;
        self.finish_with(Then::Idle)
    }

    /// While idle: tells news as it comes, until the client says DONE.
    pub(super) fn idle_goes_on(&mut self) -> Flow {
        match self.reader.bare_line() {
            Ok(Some(line)) if line.eq_ignore_ascii_case(b"DONE") => {
                self.finish(Status::Ok, "", "Done")
            }
            Ok(Some(_)) => self.bad("", "DONE was expected to end IDLE"),
            Ok(None) if self.wants.is_none() && self.stirred && self.selected.is_some() => {
                self.finish_with(Then::Idle)
            }
            // RFC 5465 §4: "exactly the same events as instructed by the client".
            Ok(None) => self.unasked(Then::Idle).unwrap_or_else(|| {
                self.work = Work::Idle;
                Flow::NeedInput
            }),
            Err(_) => self.bye("Too much input while idle"),
        }
    }
}
