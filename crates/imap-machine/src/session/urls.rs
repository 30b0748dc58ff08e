use std::fmt::Write as _;

use mail_types::Acceptance;

use super::append::Append;
use super::{Flow, Session, Work};
use crate::ask::Question;
use crate::grammar::ImapUrl;

impl<R: Acceptance> Session<R> {
    // RFC 4469 §3: a URL is absolute, or relative to the selected mailbox.
    pub(super) fn append_url(&mut self, mut work: Box<Append>, url: Vec<u8>) -> Flow {
        let base = self.selected.as_ref().map(|mailbox| &mailbox.name);
        let parsed = ImapUrl::parse_in(&url, base);
        work.asks_for(url);
        let selected = self.selected();
        match (&self.signed_in, parsed) {
            (Some(signed_in), Ok(url))
                if self.is_ours(&url)
                    && url.auth.is_none()
                    && (url.mailbox.is_some() || selected.is_some()) =>
            {
                let url = Box::new(url);
                let question = Question::AppendUrl { account: signed_in.account, selected, url };
                self.ask(Work::Append(work), question)
            }
            _ => {
                work.refuse_url();
                self.again(Work::Append(work))
            }
        }
    }

    /// Whether the URL names a mailbox of whoever has signed in, at this server.
    fn is_ours(&self, url: &ImapUrl) -> bool {
        let Some(server) = &url.server else { return true };
        let user = server.user.as_deref();
        let own = self.signed_in.as_ref().map(|signed_in| signed_in.name.as_str());
        server.host.eq_ignore_ascii_case(&self.config.host)
            && user.is_none_or(|user| own.is_some_and(|own| own.eq_ignore_ascii_case(user)))
    }
}

// RFC 4469 §5: badurl-response-code = "BADURL" SP url-resp-text; what a response code cannot hold,
// or what could end it, is percent-encoded.
pub(super) fn shown_url(url: &[u8]) -> String {
    let mut shown = String::with_capacity(url.len() + 2);
    shown.push('"');
    for &byte in url {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b']') {
            shown.push(char::from(byte));
        } else {
            // Writing to a text does not fail.
            write!(shown, "%{byte:02X}").ok();
        }
    }
    shown.push('"');
    shown
}
