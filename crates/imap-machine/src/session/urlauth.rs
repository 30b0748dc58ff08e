use std::collections::VecDeque;

use mail_types::Acceptance;
use message::write_astring;

use super::{Ending, Flow, Session, Status, Work};
use crate::ask::{Answer, Code, Question, UrlOctets};
use crate::grammar::{FetchedUrl, ImapUrl, UrlCommand, UrlForm};
use crate::write::{push_number, push_text};

/// The one mechanism (RFC 4467 §5).
const INTERNAL: &str = "INTERNAL";

/// GENURLAUTH, RESETKEY and URLFETCH (RFC 4467): one URL after another.
#[derive(Debug)]
pub(super) enum Urls {
    /// The response so far, and what is still to be authorized.
    Generate(Vec<u8>, VecDeque<(Vec<u8>, Box<ImapUrl>)>),
    ResetKey,
    Fetch(VecDeque<FetchedUrl>),
    /// The first of them is being written: from which octet on, how many there are.
    Octets(VecDeque<FetchedUrl>, u32, u32),
}

impl<R: Acceptance> Session<R> {
    pub(super) fn url_command(&mut self, command: UrlCommand) -> Flow {
        match command {
            UrlCommand::Generate(urls) => {
                let mut checked = VecDeque::with_capacity(urls.len());
                for (url, mechanism) in urls {
                    if mechanism != INTERNAL {
                        return self.bad("", "The only mechanism is INTERNAL");
                    }
                    match self.generable(&url) {
                        Ok(parsed) => checked.push_back((url, parsed)),
                        Err(text) => return self.bad("", text),
                    }
                }
                self.urls_generate(b"* GENURLAUTH".to_vec(), checked)
            }
            UrlCommand::ResetKey { mailbox, mechanisms } => {
                let Some(account) = self.account() else { return self.misfit() };
                if mechanisms.iter().any(|mechanism| mechanism != INTERNAL) {
                    return self.no(Code::Cannot, "The only mechanism is INTERNAL");
                }
                let question = Question::ResetUrlKeys { account, mailbox };
                self.ask(Work::Urls(Box::new(Urls::ResetKey)), question)
            }
            UrlCommand::Fetch(urls) => self.urls_fetch(urls.into()),
        }
    }

    // RFC 4467 §6.1: absolute, the client's own, of a mailbox, with an access identifier and without
    // a verifier. Which of our names its host is we need not know: the token is about this one.
    fn generable(&self, url: &[u8]) -> Result<Box<ImapUrl>, &'static str> {
        let parsed = ImapUrl::parse(url).map_err(|error| error.0)?;
        let own = self.signed_in.as_ref().map(|signed_in| signed_in.name.as_str());
        let (Some(server), Some(auth)) = (&parsed.server, &parsed.auth) else {
            return Err("The URL is absolute and ends with ;URLAUTH=");
        };
        if server.user.as_deref().zip(own).is_none_or(|(user, own)| !own.eq_ignore_ascii_case(user))
        {
            return Err("The URL is not yours: its user is the one who has signed in");
        }
        if auth.verifier.is_some() {
            return Err("The URL is authorized already");
        }
        Ok(Box::new(parsed))
    }

    pub(super) fn urls_answered(&mut self, work: Urls, answer: Option<Answer<R>>) -> Flow {
        match (work, answer) {
            // Some of a literal may have been written: then nothing true can be said any more.
            (Urls::Octets(urls, from, total), answer) => match answer {
                None => self.urls_octets(urls, from, total),
                Some(Answer::UrlOctets(Some(UrlOctets { total: now, octets, .. })))
                    if now == Some(total) && !octets.is_empty() =>
                {
                    self.urls_write(urls, from, total, &octets)
                }
                Some(_) => {
                    self.ending = Ending::Close;
                    Flow::Again
                }
            },
            (_, Some(Answer::No(refusal))) => self.refuse(&refusal),
            (Urls::Generate(mut line, mut urls), Some(Answer::Token(token))) => {
                if let Some((mut url, _)) = urls.pop_front() {
                    url.extend_from_slice(format!(":{INTERNAL}:{token}").as_bytes());
                    line.push(b' ');
                    write_astring(&mut line, &url);
                }
                self.urls_generate(line, urls)
            }
            (Urls::ResetKey, Some(Answer::Done)) => {
                self.finish(Status::Ok, "[URLMECH INTERNAL]", "Such URLs are worth nothing now")
            }
            (Urls::Fetch(urls), Some(Answer::UrlOctets(found))) => self.urls_found(urls, found),
            (Urls::Fetch(urls), None) => self.urls_fetch(urls),
            (Urls::Generate(..) | Urls::ResetKey | Urls::Fetch(_), _) => self.misfit(),
        }
    }

    fn urls_generate(
        &mut self,
        mut line: Vec<u8>,
        urls: VecDeque<(Vec<u8>, Box<ImapUrl>)>,
    ) -> Flow {
        let Some(account) = self.account() else { return self.misfit() };
        let Some((rump, url)) = urls.front().cloned() else {
            line.extend_from_slice(b"\r\n");
            self.output.extend_from_slice(&line);
            return self.finish(Status::Ok, "", "Authorized");
        };
        let work = Work::Urls(Box::new(Urls::Generate(line, urls)));
        self.ask(work, Question::UrlToken { account, url, rump })
    }

    fn urls_fetch(&mut self, urls: VecDeque<FetchedUrl>) -> Flow {
        let Some(url) = urls.front() else {
            return self.finish(Status::Ok, "", "Fetched");
        };
        match self.url_question(url, 0) {
            Some(question) => self.ask(Work::Urls(Box::new(Urls::Fetch(urls))), question),
            None => self.urls_found(urls, None),
        }
    }

    /// Writes what the first URL leads to, or begins to.
    fn urls_found(&mut self, urls: VecDeque<FetchedUrl>, found: Option<UrlOctets>) -> Flow {
        let Some(first) = urls.front() else { return self.misfit() };
        let out = &mut self.output;
        push_text(out, "* URLFETCH ");
        write_astring(out, &first.url);
        let wanted = first.wanted;
        // RFC 5524 §5: url-metadata is one element at least.
        let says_something =
            |found: &UrlOctets| found.structure.is_some() || wanted.octets != UrlForm::None;
        let Some(found) = found.filter(says_something) else {
            push_text(out, " NIL\r\n");
            return self.urls_next(urls);
        };
        if first.extended {
            if let Some(structure) = &found.structure {
                push_text(out, " (BODYPARTSTRUCTURE ");
                out.extend_from_slice(structure);
                out.push(b')');
            }
            match wanted.octets {
                UrlForm::None => {
                    push_text(out, "\r\n");
                    return self.urls_next(urls);
                }
                UrlForm::Body => push_text(out, " (BODY"),
                UrlForm::Binary => push_text(out, " (BINARY"),
            }
        }
        let Some(total) = found.total else {
            push_text(out, if first.extended { " NIL)\r\n" } else { " NIL\r\n" });
            return self.urls_next(urls);
        };
        // RFC 5524 §5: "If content contains a NUL octet, literal8 MUST be used."
        let is_binary = found.has_nul && wanted.octets == UrlForm::Binary;
        push_text(out, if is_binary { " ~{" } else { " {" });
        push_number(out, u64::from(total));
        out.extend_from_slice(b"}\r\n");
        self.urls_write(urls, 0, total, &found.octets)
    }

    /// `None` where the URL leads to nothing whatever the service knows.
    fn url_question(&self, fetched: &FetchedUrl, from: u32) -> Option<Question> {
        let FetchedUrl { url, wanted, .. } = fetched;
        let parsed = Box::new(ImapUrl::parse(url).ok()?);
        let auth = parsed.auth.as_ref()?;
        let internal = auth.verifier.as_ref().is_some_and(|found| found.mechanism == INTERNAL);
        let rump = url.get(..auth.rump_octets)?.to_vec();
        let (account, wanted) = (self.account()?, *wanted);
        let question = Question::UrlFetch { account, url: parsed, rump, wanted, from };
        internal.then_some(question)
    }

    fn urls_next(&mut self, mut urls: VecDeque<FetchedUrl>) -> Flow {
        urls.pop_front();
        self.again(Work::Urls(Box::new(Urls::Fetch(urls))))
    }

    fn urls_write(
        &mut self,
        urls: VecDeque<FetchedUrl>,
        from: u32,
        total: u32,
        octets: &[u8],
    ) -> Flow {
        let left = (total - from) as usize;
        let octets = &octets[..octets.len().min(left)];
        self.output.extend_from_slice(octets);
        // Proven: at most what is left of a 32-bit total.
        let from = from + octets.len() as u32;
        // A look at the output before the next piece.
        self.again(Work::Urls(Box::new(Urls::Octets(urls, from, total))))
    }

    fn urls_octets(&mut self, urls: VecDeque<FetchedUrl>, from: u32, total: u32) -> Flow {
        if from == total {
            let is_extended = urls.front().is_some_and(|first| first.extended);
            push_text(&mut self.output, if is_extended { ")\r\n" } else { "\r\n" });
            return self.urls_next(urls);
        }
        match urls.front().and_then(|url| self.url_question(url, from)) {
            Some(question) => {
                self.ask(Work::Urls(Box::new(Urls::Octets(urls, from, total))), question)
            }
            None => self.misfit(),
        }
    }
}
