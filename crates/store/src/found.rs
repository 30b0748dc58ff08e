//! What a search over the whole archive asks of the store: the messages there are, their texts, and
//! what is so of them now. What it finds words by is its own affair.

use std::collections::HashSet;

use extract::{Made, Stream, Visit};
use journal::Disk;
use mail_types::{AccountId, Address, Domain, MailId, MailboxId};

use crate::custody::CustodyState;
use crate::index::{address_fingerprint, host_fingerprint, message_id_fingerprint};
use crate::record::{Place, Record};
use crate::record_judged::JudgedAct;
use crate::shared::AcceptedWake;
use crate::sql::{Executor, SqlError};
use crate::{Store, StoreError};

/// Records behind a message's acceptance among which its verdict stands.
const JUDGED_WITHIN: u64 = 4;

/// What a message is known by besides its words.
#[derive(Clone, Copy, Debug)]
pub enum KnownBy<'a> {
    /// Sender or recipient.
    Address(&'a Address),
    /// Its Message-ID, without angle brackets.
    MessageId(&'a str),
    /// The host that brought it, or that it was offered to: a name or an address.
    Host(&'a str),
}

impl KnownBy<'_> {
    pub(crate) fn fingerprint(&self) -> i64 {
        match self {
            Self::Address(address) => address_fingerprint(address),
            Self::MessageId(id) => message_id_fingerprint(id),
            Self::Host(host) => host_fingerprint(host),
        }
    }
}

impl<D: Disk> Store<D> {
    /// Has `wake` called with the messages of each group that was accepted, behind the sync, and
    /// with those whose bodies were purged. It is on the writer's way: it only notes them.
    pub fn on_accepted(&self, wake: AcceptedWake) {
        self.shared.set_accepted_wake(wake);
    }

    /// The messages behind this one, ascending, at most so many.
    ///
    /// # Errors
    /// The index's.
    pub fn mails_behind(&self, mail: MailId, count_max: u32) -> Result<Vec<MailId>, StoreError> {
        let mut mails = Vec::new();
        self.read(|sql| {
            sql.query(
                "SELECT id FROM mail WHERE id > $1 ORDER BY id LIMIT $2",
                &[mail.0.into(), count_max.into()],
                &mut |row| {
                    mails.push(MailId(row.id(0)?));
                    Ok(())
                },
            )
        })?;
        Ok(mails)
    }

    /// The last message there is.
    ///
    /// # Errors
    /// The index's.
    pub fn last_mail(&self) -> Result<Option<MailId>, StoreError> {
        let last = self.read(|sql| sql.number("SELECT max(id) FROM mail", &[]))?;
        Ok(last.map(|id| MailId(id.cast_unsigned())))
    }

    /// How many messages there are.
    ///
    /// # Errors
    /// The index's.
    pub fn mail_count(&self) -> Result<u64, StoreError> {
        let count = self.read(|sql| sql.number("SELECT count(*) FROM mail", &[]))?;
        Ok(count.unwrap_or_default().cast_unsigned())
    }

    /// Visits the decoded, folded texts of bodies in order, cut where they are long; `None` for a
    /// message that is lost, which is logged.
    ///
    /// # Errors
    /// The index's.
    pub fn texts(
        &self,
        mails: &[MailId],
        mut each: impl FnMut(usize, Option<&str>) -> Visit,
    ) -> Result<(), StoreError> {
        let known = self.known(mails)?;
        self.extract.entries(Stream::Text, mails, &known.slots, |at, entry| {
            if let Some(text) = entry.and_then(|text| std::str::from_utf8(text).ok()) {
                return each(at, Some(text));
            }
            let made = self.anew(&known, at).map(|body| Made::of(&body));
            each(at, made.as_ref().map(|made| &*made.text))
        });
        Ok(())
    }

    /// What was made of a message when it was judged; `None` where nobody did.
    ///
    /// # Errors
    /// The index's and the journal's.
    pub fn judged(&self, mail: MailId) -> Result<Option<JudgedAct>, StoreError> {
        let mut places = Vec::new();
        self.read(|sql| {
            sql.query(
                "SELECT segment, place FROM story WHERE mail = $1 ORDER BY seq LIMIT $2",
                &[mail.0.into(), JUDGED_WITHIN.into()],
                &mut |row| {
                    let segment = u32::try_from(row.int(0)?).unwrap_or(u32::MAX);
                    places.push(Place { segment, offset: row.id(1)? });
                    Ok(())
                },
            )
        })?;
        for at in places {
            if let Record::Judged(judged) = self.entry_at(at)?.record {
                return Ok(Some(judged.act));
            }
        }
        Ok(None)
    }

    /// Whose a mailbox is, or was.
    ///
    /// # Errors
    /// The index's.
    pub fn mailbox_owner(&self, mailbox: MailboxId) -> Result<Option<AccountId>, StoreError> {
        let select = "SELECT account FROM mailbox WHERE id = $1";
        let owner = self.read(|sql| sql.number(select, &[mailbox.0.into()]))?;
        Ok(owner.map(|id| AccountId(id.cast_unsigned())))
    }

    /// Which of these messages are known by all of this; a fingerprint decides, so that one in very
    /// many may be none.
    ///
    /// # Errors
    /// The index's.
    pub fn are_known_by(
        &self,
        mails: &[MailId],
        by: &[KnownBy<'_>],
    ) -> Result<Vec<bool>, StoreError> {
        let by: Vec<i64> = by.iter().map(KnownBy::fingerprint).collect();
        let select = "SELECT 1 FROM lookup WHERE fingerprint = $1 AND mail = $2";
        self.read(|sql| {
            let mut known = Vec::with_capacity(mails.len());
            for mail in mails {
                let mut all = true;
                for &fingerprint in &by {
                    let key = [fingerprint.into(), mail.0.into()];
                    all = all && sql.number(select, &key)?.is_some();
                }
                known.push(all);
            }
            Ok(known)
        })
    }

    /// The messages known by this, before that one, the newest first, at most so many.
    ///
    /// # Errors
    /// The index's.
    pub fn known_by(
        &self,
        by: KnownBy<'_>,
        before: MailId,
        count_max: u32,
    ) -> Result<Vec<MailId>, StoreError> {
        let mut mails = Vec::new();
        self.read(|sql| {
            sql.query(
                "SELECT mail FROM lookup WHERE fingerprint = $1 AND mail < $2 \
                 ORDER BY mail DESC LIMIT $3",
                &[by.fingerprint().into(), before.0.into(), count_max.into()],
                &mut |row| {
                    mails.push(MailId(row.id(0)?));
                    Ok(())
                },
            )
        })?;
        Ok(mails)
    }

    /// The states of each message's recipients.
    ///
    /// # Errors
    /// The index's.
    pub fn states(&self, mails: &[MailId]) -> Result<Vec<Vec<CustodyState>>, StoreError> {
        self.read(|sql| {
            let mut states = Vec::with_capacity(mails.len());
            for mail in mails {
                let mut of = Vec::new();
                let select = "SELECT DISTINCT state FROM custody WHERE mail = $1";
                sql.query(select, &[mail.0.into()], &mut |row| {
                    of.extend(CustodyState::from_code(row.int(0)?));
                    Ok(())
                })?;
                states.push(of);
            }
            Ok(states)
        })
    }

    /// The messages that lie in mailboxes of this name now, in any case; `INBOX/a` is a whole name.
    /// `None` where there are more than `count_max`.
    ///
    /// # Errors
    /// The index's.
    pub fn mails_in(
        &self,
        name: &str,
        account: Option<AccountId>,
        count_max: u32,
    ) -> Result<Option<HashSet<MailId>>, StoreError> {
        let account = account.map(|account| account.0);
        self.read(|sql| {
            let mut mailboxes = Vec::new();
            sql.query(
                "SELECT id FROM mailbox WHERE deleted = 0 AND name = $1 COLLATE NOCASE \
                 AND account = coalesce($2, account)",
                &[name.into(), account.into()],
                &mut |row| {
                    mailboxes.push(row.id(0)?);
                    Ok(())
                },
            )?;
            let mut mails = HashSet::new();
            for mailbox in mailboxes {
                let left = u64::from(count_max) + 1 - mails.len() as u64;
                let select = "SELECT mail FROM message WHERE mailbox = $1 LIMIT $2";
                sql.query(select, &[mailbox.into(), left.into()], &mut |row| {
                    mails.insert(MailId(row.id(0)?));
                    Ok(())
                })?;
                if mails.len() > count_max as usize {
                    return Ok::<_, SqlError>(None);
                }
            }
            Ok(Some(mails))
        })
    }

    /// Every account that has, or had until it was removed, an address in one of these domains.
    ///
    /// # Errors
    /// The index's.
    pub fn accounts_ever_in(&self, domains: &[Domain]) -> Result<Vec<AccountId>, StoreError> {
        let mut accounts = Vec::new();
        self.read(|sql| {
            sql.query("SELECT id, address FROM account ORDER BY id", &[], &mut |row| {
                let domain = row.text(1)?.rsplit_once('@').map_or("", |(_, domain)| domain);
                if domains.iter().any(|own| own.as_str().eq_ignore_ascii_case(domain)) {
                    accounts.push(AccountId(row.id(0)?));
                }
                Ok(())
            })
        })?;
        Ok(accounts)
    }
}
