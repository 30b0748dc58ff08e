use imap_machine::{Answer, Code, QuotaQuestion, QuotaRoot, Refusal};
use mail_types::{AccountId, Address, Right};

use crate::refusals::Missing;
use crate::session::{Answered, Session};

/// Octets in a unit of STORAGE (RFC 9208 §5.1).
const STORAGE_OCTETS: u64 = 1024;

/// GETQUOTA and GETQUOTAROOT (RFC 9208). Each account is a quota root, named by its address.
impl Session {
    pub async fn quota(&self, account: AccountId, what: QuotaQuestion) -> Answered {
        let directory = self.shared.store.directory();
        let owner = match what {
            QuotaQuestion::Of(name) => {
                let right = Right::Read;
                self.mailbox(account, &name, right, Missing::NonExistent)?.0.account
            }
            // That of somebody else is told with a mailbox of its that may be read, not by name.
            QuotaQuestion::Root(root) => {
                let meant = Address::parse(&root).ok().map(|address| address.folded());
                let own = directory.account(account).map(|account| account.address.folded());
                if meant.is_none() || meant != own {
                    return Err(Refusal::new(Code::NonExistent, "There is no such quota root"));
                }
                account
            }
        };
        let (usage, quota) = self.read("count messages", move |store| store.usage(owner)).await?;
        let name = directory.account(owner).map(|owner| owner.address.to_string());
        let storage = quota
            .storage_bytes
            .map(|limit| ("STORAGE", usage.bytes.div_ceil(STORAGE_OCTETS), limit / STORAGE_OCTETS));
        let messages = quota.messages.map(|limit| ("MESSAGE", usage.messages, limit));
        let mailboxes = ("MAILBOX", usage.mailboxes, store::MAILBOXES_MAX as u64);
        let resources = storage.into_iter().chain(messages).chain([mailboxes]).collect();
        Ok(Answer::Quota(QuotaRoot { name: name.unwrap_or_default(), resources }))
    }
}
