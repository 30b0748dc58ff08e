use mail_types::Acceptance;

use super::plan::Dialect;
use super::{Flow, Session, Status};
use crate::grammar::Names;
use crate::write::push_text;

impl<R: Acceptance> Session<R> {
    pub(super) const fn dialect(&self) -> Dialect {
        Dialect { rev2: self.rev2, utf8: self.utf8 }
    }

    // RFC 5161 §3.1: unknown names are passed over; ENABLED lists those that are enabled.
    pub(super) fn enable(&mut self, names: &[String]) -> Flow {
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        let mut enabled = String::new();
        // RFC 5161 §3.1, RFC 9051 §6.3.1: what changes the meaning of what is told of a mailbox can
        // be enabled only before one is selected.
        let may_change = self.selected.is_none();
        if has("IMAP4REV2") && (may_change || self.rev2) {
            self.rev2 = true;
            enabled.push_str(" IMAP4rev2");
        }
        if has("UTF8=ACCEPT") && (may_change || self.utf8) {
            self.utf8 = true;
            enabled.push_str(" UTF8=ACCEPT");
        }
        // RFC 9586 §3.1; there is no way back.
        if has("UIDONLY") && (may_change || self.uid_only) {
            self.uid_only = true;
            enabled.push_str(" UIDONLY");
        }
        if self.rev2 || self.utf8 {
            self.reader.names = Names::Utf8;
        }
        if has("CONDSTORE") {
            enabled.push_str(" CONDSTORE");
        }
        // RFC 7162 §3.2.3: it enables CONDSTORE too.
        if has("QRESYNC") {
            self.qresync = true;
            enabled.push_str(" QRESYNC");
        }
        push_text(&mut self.output, &format!("* ENABLED{enabled}\r\n"));
        if has("CONDSTORE") || has("QRESYNC") {
            self.enable_condstore();
        }
        self.finish(Status::Ok, "", "Done")
    }

    // RFC 7162 §3.1.2: the first CONDSTORE-enabling command in a selected mailbox is answered with
    // HIGHESTMODSEQ.
    pub(super) fn enable_condstore(&mut self) {
        if self.condstore {
            return;
        }
        self.condstore = true;
        if let Some(mailbox) = &self.selected {
            let highest = mailbox.view.highest_modseq().0.max(1);
            let line = format!("* OK [HIGHESTMODSEQ {highest}] CONDSTORE is enabled\r\n");
            push_text(&mut self.output, &line);
        }
    }
}
