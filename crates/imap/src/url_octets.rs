use imap_machine::grammar::{ImapUrl, MailboxName, UrlAccess, UrlForm, UrlVerifier, UrlWanted};
use imap_machine::{Answer, Refusal, UrlOctets};
use mail_types::{AccountId, MailboxId, Right};
use message::{
    BodyForm, Limits, SectionSpec, SectionText, Summary, decoded_part, part_at, section,
    write_body_of_part,
};
use net::now;
use store::UrlKey;

use crate::refusals::{Missing, not_now, refusal};
use crate::session::{Answered, Session};

/// What an authorized URL named last, while it is sent in pieces.
pub struct UrlHeld {
    rump: Vec<u8>,
    token: String,
    wanted: UrlWanted,
    named: Named,
}

/// What a URL names.
struct Named {
    /// `None` where they are not wanted, or in an encoding that nobody knows.
    octets: Option<Vec<u8>>,
    /// BODYPARTSTRUCTURE.
    structure: Option<Vec<u8>>,
}

/// The octets as they are kept, and nothing else.
const PLAIN: UrlWanted = UrlWanted { structure: false, octets: UrlForm::Body };

/// CATENATE (RFC 4469) and URLAUTH (RFC 4467).
impl Session {
    /// The octets that a URL names are the next of the message.
    pub async fn append_url(
        &mut self,
        account: AccountId,
        selected: Option<MailboxId>,
        url: &ImapUrl,
    ) -> Answered {
        let mailbox = match &url.mailbox {
            Some(name) => self.mailbox_of_url(account, name),
            None => selected,
        };
        let octets = match mailbox {
            Some(mailbox) => self.named_in(mailbox, url, PLAIN).await?,
            None => None,
        };
        match octets.and_then(|named| named.octets) {
            Some(octets) => self.append_bytes(&octets),
            None => Ok(Answer::Gone),
        }
    }

    pub async fn url_token(&self, account: AccountId, url: &ImapUrl, rump: &[u8]) -> Answered {
        let random = net::random_bytes().map_err(|error| not_now("make a key", error))?;
        let mailbox = url.mailbox.as_ref().map_or("", MailboxName::as_str);
        let key = self.shared.store.url_key(self.actor(account), mailbox, UrlKey::new(random));
        let key = key.await.map_err(|refused| refusal(&refused, Missing::NonExistent))?;
        Ok(Answer::Token(key.token(rump)))
    }

    pub async fn reset_url_keys(
        &self,
        account: AccountId,
        mailbox: Option<&MailboxName>,
    ) -> Answered {
        let mailbox = mailbox.map(MailboxName::as_str);
        let reset = self.shared.store.reset_url_keys(self.actor(account), mailbox).await;
        reset.map_err(|refused| refusal(&refused, Missing::NonExistent))?;
        Ok(Answer::Done)
    }

    pub async fn url_fetch(
        &mut self,
        account: AccountId,
        url: &ImapUrl,
        rump: Vec<u8>,
        wanted: UrlWanted,
        from: u32,
    ) -> Answered {
        let verifier = url.auth.as_ref().and_then(|auth| auth.verifier.as_ref());
        let Some(UrlVerifier { token, .. }) = verifier else {
            return Ok(Answer::UrlOctets(None));
        };
        let held = self.url_held.take().filter(|held| {
            from > 0 && held.rump == rump && held.token == *token && held.wanted == wanted
        });
        let held = match held {
            Some(held) => held,
            None => match self.authorized(account, url, &rump, token, wanted).await? {
                Some(named) => Box::new(UrlHeld { rump, token: token.clone(), wanted, named }),
                None => return Ok(Answer::UrlOctets(None)),
            },
        };
        let all = held.named.octets.as_deref();
        let Ok(total) = all.map(|all| u32::try_from(all.len())).transpose() else {
            return Ok(Answer::UrlOctets(None));
        };
        let rest = all.and_then(|all| all.get(from as usize..)).unwrap_or_default();
        let octets = rest[..rest.len().min(self.shared.limits.fetch_octets_max as usize)].to_vec();
        // Asked for once, at the begin.
        let has_nul = from == 0 && all.is_some_and(|all| all.contains(&0));
        let structure = held.named.structure.clone().filter(|_| from == 0);
        if octets.len() < rest.len() {
            self.url_held = Some(held);
        }
        Ok(Answer::UrlOctets(Some(UrlOctets { total, octets, has_nul, structure })))
    }

    // RFC 4467 §6.3: what does not fit in any way leads to nothing, and which it was is not told.
    async fn authorized(
        &self,
        account: AccountId,
        url: &ImapUrl,
        rump: &[u8],
        token: &str,
        wanted: UrlWanted,
    ) -> Result<Option<Named>, Refusal> {
        let (Some(server), Some(name), Some(auth)) = (&url.server, &url.mailbox, &url.auth) else {
            return Ok(None);
        };
        let directory = self.shared.store.directory();
        let id = |user: &str| directory.sign_in_name(user).map(|account| account.id);
        let may = match &auth.access {
            UrlAccess::User(user) => id(user) == Some(account),
            UrlAccess::AuthUser | UrlAccess::Anonymous => true,
            // RFC 4467 §3: for submission servers, on behalf of any user: the token proves for whom.
            UrlAccess::Submit(_) => self.is_submission_server(account),
        };
        let expired = auth.expire.is_some_and(|expire| expire < now());
        let owner = server.user.as_deref().and_then(id);
        let Some(owner) = owner.filter(|_| may && !expired) else { return Ok(None) };
        let Some(mailbox) = self.mailbox_of_url(owner, name) else { return Ok(None) };
        let key =
            self.read("look for a key", move |store| store.known_url_key(owner, mailbox)).await?;
        if key.is_none_or(|key| !key.proves(rump, token)) {
            return Ok(None);
        }
        self.named_in(mailbox, url, wanted).await
    }

    /// Whether the account is a submission server's, as the settings say.
    fn is_submission_server(&self, account: AccountId) -> bool {
        let directory = self.shared.store.directory();
        let mut servers = self.shared.submission_servers.iter();
        servers.any(|name| directory.sign_in_name(name).is_some_and(|found| found.id == account))
    }

    /// A mailbox that the account may read.
    fn mailbox_of_url(&self, account: AccountId, name: &MailboxName) -> Option<MailboxId> {
        let found = self.shared.store.reach(account, name.as_str());
        found.filter(|(_, rights)| rights.has(Right::Read)).map(|(mailbox, _)| mailbox.id)
    }

    /// What the URL names in this mailbox.
    async fn named_in(
        &self,
        mailbox: MailboxId,
        url: &ImapUrl,
        wanted: UrlWanted,
    ) -> Result<Option<Named>, Refusal> {
        let _turn = self.shared.caches.read_turn().await;
        let url = url.clone();
        let read = self.read("read what a URL names", move |store| {
            let Some(target) = store.url_target(mailbox, url.uid)? else { return Ok(None) };
            if url.uid_validity.is_some_and(|wanted| wanted.get() != target.uid_validity) {
                return Ok(None);
            }
            Ok(named(&store.body(&target.facts)?, &url, wanted))
        });
        read.await
    }
}

/// What a URL names of a message; `None` where there is no such section or octet.
fn named(body: &[u8], url: &ImapUrl, wanted: UrlWanted) -> Option<Named> {
    let wants_octets = wanted.octets != UrlForm::None;
    if url.section == SectionSpec::default() && !wanted.structure {
        let octets = if wants_octets { Some(partial(body, url)?) } else { None };
        return Some(Named { octets, structure: None });
    }
    let summary = Summary::read(body, &Limits::default());
    let all = &summary.structure;
    let raw = section(all, body, &url.section)?;
    let part = match url.section {
        SectionSpec { ref part, text: SectionText::All } => part_at(all, part),
        _ => None,
    };
    let is_binary = wanted.octets == UrlForm::Binary;
    let octets = match part {
        // RFC 3516 §4: a message as a whole has no transfer encoding, its body has.
        Some(at) if is_binary && !url.section.part.is_empty() => {
            decoded_part(body, &all.parts()[at]).ok()
        }
        // It names parts: the text of a message is none.
        None if is_binary && url.section.text == SectionText::Text => None,
        Some(_) | None => Some(raw),
    };
    let octets = match octets {
        Some(octets) => Some(partial(&octets, url)?),
        None => None,
    };
    let structure = part.filter(|_| wanted.structure).map(|at| {
        let mut out = Vec::new();
        let decoded = octets.as_deref().filter(|_| is_binary);
        let form = BodyForm { extended: true, rev2: false };
        write_body_of_part(&mut out, all, at, decoded, form);
        out
    });
    Some(Named { octets: octets.filter(|_| wants_octets), structure })
}

/// RFC 5092 §6: what ";PARTIAL=" leaves.
fn partial(octets: &[u8], url: &ImapUrl) -> Option<Vec<u8>> {
    let Some((first, count)) = url.partial else { return Some(octets.to_vec()) };
    let rest = octets.get(first as usize..)?;
    let count = count.map_or(rest.len(), |count| rest.len().min(count as usize));
    Some(rest[..count].to_vec())
}
