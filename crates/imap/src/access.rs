use imap_machine::grammar::{MailboxName, RightsChange};
use imap_machine::{AclAnswer, AclQuestion, Answer, Code, Refusal};
use mail_types::{AccountId, Right, Rights};
use store::{AclChange, AclEntry, Directory, Grantee};

use crate::refusals::{Missing, no_mailbox};
use crate::session::{Answered, Session, done};

/// The identifier of everybody with an account (RFC 4314 §3).
const ANYONE: &str = "anyone";

/// Access control lists (RFC 4314).
impl Session {
    pub async fn acl(&self, account: AccountId, name: &MailboxName, what: AclQuestion) -> Answered {
        let directory = self.shared.store.directory();
        let missing = Missing::NonExistent;
        let answer = match what {
            AclQuestion::Mine => {
                let reached = self.shared.store.reach(account, name.as_str());
                // RFC 4314 §4: MYRIGHTS needs any right that shows the mailbox.
                let shows = Rights::from_iter([
                    Right::Lookup,
                    Right::Read,
                    Right::Insert,
                    Right::Create,
                    Right::DeleteMailbox,
                    Right::Administer,
                ]);
                match reached {
                    Some((_, rights)) if rights.has_any(shows) => AclAnswer::Mine(rights),
                    Some(_) | None => return Err(no_mailbox(missing)),
                }
            }
            AclQuestion::List => {
                let reached = self.mailbox(account, name, Right::Administer, missing)?;
                let entries = self
                    .read("read an access control list", move |store| store.acl(&reached.0))
                    .await?;
                let named = entries.into_iter().filter_map(|entry| named(&directory, entry));
                AclAnswer::List(named.collect())
            }
            AclQuestion::Possible(identifier) => {
                let (mailbox, _) = self.mailbox(account, name, Right::Administer, missing)?;
                let grantee = grantee(&directory, &identifier)?;
                let owner = Grantee { account: Some(mailbox.account), negative: false };
                let always = [Right::Lookup, Right::Administer].into_iter();
                let always = always.filter(|_| grantee == owner).collect();
                AclAnswer::Possible { always }
            }
            AclQuestion::Set(identifier, change) => {
                // First whether it may be changed: whoever may not learns no more than that.
                self.mailbox(account, name, Right::Administer, missing)?;
                let grantee = grantee(&directory, &identifier)?;
                let change = match change {
                    RightsChange::Replace(rights) => AclChange::Replace(rights),
                    RightsChange::Add(rights) => AclChange::Add(rights),
                    RightsChange::Remove(rights) => AclChange::Remove(rights),
                    RightsChange::Delete => AclChange::Delete,
                };
                let actor = self.actor(account);
                let changed = self.handle().set_acl(actor, name.as_str(), grantee, change);
                return done(changed.await);
            }
        };
        Ok(Answer::Acl(answer))
    }
}

/// Whom an identifier means: `anyone` or the address of an account; `-` in front takes away.
fn grantee(directory: &Directory, identifier: &str) -> Result<Grantee, Refusal> {
    let (negative, name) = match identifier.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, identifier),
    };
    if name.eq_ignore_ascii_case(ANYONE) {
        return Ok(Grantee { account: None, negative });
    }
    let account = directory.sign_in_name(name).map(|account| account.id);
    let account = account.ok_or_else(|| {
        Refusal::new(Code::NonExistent, "An identifier is `anyone` or the address of an account")
    })?;
    Ok(Grantee { account: Some(account), negative })
}

fn named(directory: &Directory, (grantee, rights): AclEntry) -> Option<(String, Rights)> {
    let name = match grantee.account {
        Some(account) => directory.account(account)?.address.to_string(),
        None => ANYONE.to_owned(),
    };
    Some((if grantee.negative { format!("-{name}") } else { name }, rights))
}
