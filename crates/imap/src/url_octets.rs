use imap_machine::grammar::{ImapUrl, MailboxName, UrlAccess, UrlVerifier};
use imap_machine::{Answer, Refusal, UrlOctets};
use mail_types::{AccountId, MailboxId, Right};
use message::{Limits, SectionRange, SectionSpec, Summary, filter_fields, section_range};
use net::now;
use store::UrlKey;

use crate::refusals::{Missing, not_now, refusal};
use crate::session::{Answered, Session};

/// What an authorized URL named last, while it is sent in pieces.
pub struct UrlHeld {
    rump: Vec<u8>,
    token: String,
    octets: Vec<u8>,
}

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
            Some(mailbox) => self.octets_of(mailbox, url).await?,
            None => None,
        };
        match octets {
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
        from: u32,
    ) -> Answered {
        let verifier = url.auth.as_ref().and_then(|auth| auth.verifier.as_ref());
        let Some(UrlVerifier { token, .. }) = verifier else {
            return Ok(Answer::UrlOctets(None));
        };
        let held = self.url_held.take();
        let held = held.filter(|held| from > 0 && held.rump == rump && held.token == *token);
        let held = match held {
            Some(held) => held,
            None => match self.authorized(account, url, &rump, token).await? {
                Some(octets) => UrlHeld { rump, token: token.clone(), octets },
                None => return Ok(Answer::UrlOctets(None)),
            },
        };
        let Ok(total) = u32::try_from(held.octets.len()) else {
            return Ok(Answer::UrlOctets(None));
        };
        let rest = held.octets.get(from as usize..).unwrap_or_default();
        let octets = rest[..rest.len().min(self.shared.limits.fetch_octets_max as usize)].to_vec();
        if octets.len() < rest.len() {
            self.url_held = Some(held);
        }
        Ok(Answer::UrlOctets(Some(UrlOctets { total, octets })))
    }

    // RFC 4467 §6.3: what does not fit in any way leads to nothing, and which it was is not told.
    async fn authorized(
        &self,
        account: AccountId,
        url: &ImapUrl,
        rump: &[u8],
        token: &str,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let (Some(server), Some(name), Some(auth)) = (&url.server, &url.mailbox, &url.auth) else {
            return Ok(None);
        };
        let directory = self.shared.store.directory();
        let id = |user: &str| directory.sign_in_name(user).map(|account| account.id);
        let may = match &auth.access {
            UrlAccess::User(user) => id(user) == Some(account),
            UrlAccess::AuthUser | UrlAccess::Anonymous => true,
            // Nobody signs in here as a submission server.
            UrlAccess::Submit(_) => false,
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
        self.octets_of(mailbox, url).await
    }

    /// A mailbox that the account may read.
    fn mailbox_of_url(&self, account: AccountId, name: &MailboxName) -> Option<MailboxId> {
        let found = self.shared.store.reach(account, name.as_str());
        found.filter(|(_, rights)| rights.has(Right::Read)).map(|(mailbox, _)| mailbox.id)
    }

    /// What the URL names in this mailbox.
    async fn octets_of(
        &self,
        mailbox: MailboxId,
        url: &ImapUrl,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let _turn = self.shared.caches.read_turn().await;
        let url = url.clone();
        let read = self.read("read what a URL names", move |store| {
            let Some(target) = store.url_target(mailbox, url.uid)? else { return Ok(None) };
            if url.uid_validity.is_some_and(|wanted| wanted.get() != target.uid_validity) {
                return Ok(None);
            }
            Ok(named(&store.body(&target.facts)?, &url))
        });
        read.await
    }
}

/// The section and partial of a message that a URL names.
fn named(body: &[u8], url: &ImapUrl) -> Option<Vec<u8>> {
    let section = if url.section == SectionSpec::default() {
        body.to_vec()
    } else {
        let summary = Summary::read(body, &Limits::default());
        match section_range(&summary.structure, &url.section)? {
            SectionRange::Exact(range) => body.get(range)?.to_vec(),
            SectionRange::Header(range) => filter_fields(body.get(range)?, &url.section.text),
        }
    };
    let Some((first, count)) = url.partial else { return Some(section) };
    let rest = section.get(first as usize..)?;
    let count = count.map_or(rest.len(), |count| rest.len().min(count as usize));
    Some(rest[..count].to_vec())
}
