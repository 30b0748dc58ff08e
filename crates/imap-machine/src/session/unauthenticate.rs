//! UNAUTHENTICATE (RFC 8437): back to before sign-in, on the same connection.

use mail_types::Acceptance;

use super::{Flow, Session, Status, Work};
use crate::ask::{Answer, Question};
use crate::grammar::Names;

impl<R: Acceptance> Session<R> {
    /// Whether it is offered. Under compression it is not: that would have to end with it.
    pub(super) fn may_unauthenticate(&self) -> bool {
        self.config.limits.unauthenticate && !self.compressed
    }

    /// Why the command is out of place, if it is. RFC 8437 §3: there is no other refusal.
    pub(super) fn no_unauthenticate(&self) -> Option<&'static str> {
        if self.signed_in.is_none() {
            return Some("Sign in first");
        }
        (!self.may_unauthenticate()).then_some("This is not offered here")
    }

    pub(super) fn unauthenticate(&mut self) -> Flow {
        self.ask(Work::Unauthenticate, Question::Forget)
    }

    // RFC 8437 §3: "reset all connection state except for the state of the TLS layer"; §4.1 says
    // what that is. What the client has sent behind it stays: the next sign-in may be in it.
    pub(super) fn unauthenticated(&mut self, answer: Option<Answer<R>>) -> Flow {
        if !matches!(answer, Some(Answer::Done)) {
            return self.bye("This session cannot be reset, connect again");
        }
        self.signed_in = None;
        self.selected = None;
        self.wants = None;
        self.heard = false;
        self.stirred = false;
        self.condstore = false;
        self.qresync = false;
        self.rev2 = false;
        self.utf8 = false;
        self.uid_only = false;
        self.reader.names = Names::Utf7;
        self.reader.signed_out(&self.config.limits);
        self.octets_in = 0;
        self.deadline = self.now.after(self.config.limits.sign_in_timeout);
        self.finish_silently(Status::Ok, "", "Signed out; sign in anew")
    }
}
