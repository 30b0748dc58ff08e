//! MESSAGELIMIT and SAVELIMIT (RFC 9738): how many messages one command works on.

use std::num::NonZeroU32;

use mail_types::Acceptance;

use super::{Flow, Session, Status};
use crate::write::push_text;

impl<R: Acceptance> Session<R> {
    /// Messages that a command may work on.
    pub(super) const fn message_limit(&self) -> Option<NonZeroU32> {
        self.config.limits.command_messages_max
    }

    /// Messages that COPY and APPEND take.
    pub(super) fn save_limit(&self) -> Option<NonZeroU32> {
        self.message_limit().or(self.config.limits.saved_messages_max)
    }

    // RFC 9738 §3: SAVELIMIT in place of MESSAGELIMIT, not beside it.
    pub(super) fn message_limit_capability(&self) -> String {
        let limits = &self.config.limits;
        match (limits.command_messages_max, limits.saved_messages_max) {
            (Some(limit), _) => format!(" MESSAGELIMIT={limit}"),
            (None, Some(limit)) => format!(" SAVELIMIT={limit}"),
            (None, None) => String::new(),
        }
    }

    pub(super) fn is_above_limit(&self, messages: u64) -> bool {
        self.message_limit().is_some_and(|limit| messages > u64::from(limit.get()))
    }

    /// Refuses what cannot be done for some of the messages only.
    pub(super) fn above_limit(&mut self, text: &str) -> Flow {
        let code = self.save_limit().map(|limit| limit_code(limit, None)).unwrap_or_default();
        self.finish(Status::No, &code, text)
    }

    /// Ends a command that is done, and says of which messages where it is not for all. `code` with
    /// brackets, or empty.
    pub(super) fn finish_cut(&mut self, code: &str, text: &str) -> Flow {
        if !code.is_empty() {
            self.tell_cut();
        }
        match self.take_cut() {
            Some(code) => {
                let text = "Done for the last of the messages, and not for those before them";
                self.finish(Status::Ok, &code, text)
            }
            None => self.finish(Status::Ok, code, text),
        }
    }

    /// The same in an untagged NO, where the tagged response has a code of its own (RFC 9738 §3.1).
    pub(super) fn tell_cut(&mut self) {
        if let Some(code) = self.take_cut() {
            let line = format!("* NO {code} The messages before it were left alone\r\n");
            push_text(&mut self.output, &line);
        }
    }

    fn take_cut(&mut self) -> Option<String> {
        let (lowest, limit) = self.cut.take().zip(self.message_limit())?;
        Some(limit_code(limit, Some(lowest)))
    }
}

// RFC 9738 §4: resp-text-code =/ "MESSAGELIMIT" SP message-limit [SP uniqueid]: the lowest UID of
// the messages worked on, or that would have been.
pub(super) fn limit_code(limit: NonZeroU32, lowest: Option<u32>) -> String {
    match lowest {
        Some(uid) => format!("[MESSAGELIMIT {limit} {uid}]"),
        None => format!("[MESSAGELIMIT {limit}]"),
    }
}
