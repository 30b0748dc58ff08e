//! Who wants what kept how long.

use std::collections::{BTreeSet, HashMap};

use journal::Disk;
use mail_types::{AccountId, Address, Domain, RecordSeq, Timestamp};

use super::Retention;
use crate::commit::Work;
use crate::record::{Actor, Record};
use crate::record_archive::{HoldsEnded, Keep, LegalHold, PurgeRule, RetentionOf, RetentionRule};
use crate::sql::{Executor, Row, SqlError};
use crate::{Pending, Refused, Store, StoreError};

/// Bytes of the name of a legal hold, and of a reason.
const NAME_BYTES_MAX: usize = 100;
const REASON_BYTES_MAX: usize = 500;

/// A legal hold with its beginning and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldKnown {
    /// The record that began it.
    pub seq: RecordSeq,
    /// When that was.
    pub since: Timestamp,
    /// What it says.
    pub hold: LegalHold,
    /// When it ended, and why.
    pub ended: Option<(Timestamp, String)>,
}

/// Everything that says how long mail is kept.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Where nothing else says otherwise.
    pub default: Retention,
    of_account: HashMap<AccountId, Keeps>,
    of_domain: HashMap<String, Keeps>,
    /// Legal holds that are in force.
    pub holds: Vec<HoldKnown>,
    /// The last record that changed any of it.
    pub(crate) changed: RecordSeq,
}

/// Mail, junk.
type Keeps = (Option<Keep>, Option<Keep>);

impl Rules {
    /// As the index has them.
    ///
    /// # Errors
    /// The engine's.
    pub fn read(sql: &mut impl Executor, default: Retention) -> Result<Self, SqlError> {
        let mut rules = Self {
            default,
            of_account: HashMap::new(),
            of_domain: HashMap::new(),
            holds: Vec::new(),
            changed: last_change(sql)?,
        };
        sql.query("SELECT domain, account, keep, spam FROM retention", &[], &mut |row| {
            let keeps = (keep_from(row, 2)?, keep_from(row, 3)?);
            match row.id(1)? {
                0 => rules.of_domain.insert(row.text(0)?.to_owned(), keeps),
                account => rules.of_account.insert(AccountId(account), keeps),
            };
            Ok(())
        })?;
        rules.holds = read_holds(sql, false)?;
        Ok(rules)
    }

    /// The shortest time that any mail is kept.
    #[must_use]
    pub fn least(&self) -> Keep {
        let of = self.of_account.values().chain(self.of_domain.values());
        let set = of.flat_map(|(keep, spam)| [*keep, *spam]).flatten();
        set.chain([secs(self.default.keep), secs(self.default.spam)]).min().unwrap_or(Keep::Forever)
    }

    /// How long mail of all these is kept: the longest time that one of them wants, and whose rule
    /// that is. Mail that is nobody's is kept as the settings say.
    #[must_use]
    pub fn keep(
        &self,
        accounts: &[(AccountId, Option<String>)],
        domains: &BTreeSet<String>,
        spam: bool,
    ) -> (Keep, Option<RetentionOf>) {
        let pick =
            |keeps: Option<&Keeps>| keeps.and_then(|(keep, junk)| if spam { *junk } else { *keep });
        let of_domain = |domain: &str| {
            let of = Domain::new(domain).ok().map(RetentionOf::Domain);
            pick(self.of_domain.get(domain)).map(|keep| (keep, of))
        };
        let default = (secs(if spam { self.default.spam } else { self.default.keep }), None);
        let of_accounts = accounts.iter().map(|(account, domain)| {
            let own = pick(self.of_account.get(account));
            own.map(|keep| (keep, Some(RetentionOf::Account(*account))))
                .or_else(|| of_domain(domain.as_deref()?))
                .unwrap_or_else(|| default.clone())
        });
        let of_domains = domains.iter().filter_map(|domain| of_domain(domain));
        let longest = of_accounts.chain(of_domains).max_by_key(|(keep, _)| *keep);
        longest.unwrap_or(default)
    }

    /// The legal hold that keeps mail of these accounts which was accepted then.
    #[must_use]
    pub fn hold(
        &self,
        accounts: &[(AccountId, Option<String>)],
        accepted: Timestamp,
    ) -> Option<&HoldKnown> {
        self.holds.iter().find(|known| {
            let hold = &known.hold;
            accounts.iter().any(|(account, _)| *account == hold.account)
                && hold.from.is_none_or(|from| accepted >= from)
                && hold.until.is_none_or(|until| accepted < until)
        })
    }
}

/// As a record says it.
pub fn secs(time: std::time::Duration) -> Keep {
    Keep::Secs(time.as_secs())
}

/// The rule for a message that was kept so long.
pub fn rule(keep: Keep, spam: bool, of: Option<RetentionOf>) -> Option<PurgeRule> {
    match keep {
        Keep::Secs(keep_secs) => Some(PurgeRule::Retention { keep_secs, spam, of }),
        Keep::Forever => None,
    }
}

/// In the index: seconds, or -1 for ever.
pub(crate) fn keep_code(keep: Option<Keep>) -> Option<i64> {
    keep.map(|keep| match keep {
        Keep::Secs(secs) => i64::try_from(secs).unwrap_or(i64::MAX),
        Keep::Forever => -1,
    })
}

fn keep_from(row: &dyn Row, column: usize) -> Result<Option<Keep>, SqlError> {
    let code = row.int_or_null(column)?;
    Ok(code.map(|code| u64::try_from(code).map_or(Keep::Forever, Keep::Secs)))
}

/// The last record that set a rule, or began or ended a hold.
pub(crate) fn last_change(sql: &mut impl Executor) -> Result<RecordSeq, SqlError> {
    let mut last = 0;
    for query in [
        "SELECT coalesce(max(seq), 0) FROM retention",
        "SELECT coalesce(max(max(seq, coalesce(ended_seq, 0))), 0) FROM legal_hold",
    ] {
        last = last.max(sql.number(query, &[])?.unwrap_or(0).cast_unsigned());
    }
    Ok(RecordSeq(last))
}

fn read_holds(sql: &mut impl Executor, with_ended: bool) -> Result<Vec<HoldKnown>, SqlError> {
    let mut holds = Vec::new();
    sql.query(
        "SELECT seq, since, name, account, from_at, until_at, reason, ended, ended_reason \
         FROM legal_hold WHERE ended IS NULL OR $1 = 1 ORDER BY seq",
        &[i64::from(with_ended).into()],
        &mut |row| {
            let ended = row.int_or_null(7)?.map(Timestamp);
            holds.push(HoldKnown {
                seq: RecordSeq(row.id(0)?),
                since: Timestamp(row.int(1)?),
                hold: LegalHold {
                    name: row.text(2)?.to_owned(),
                    account: AccountId(row.id(3)?),
                    from: row.int_or_null(4)?.map(Timestamp),
                    until: row.int_or_null(5)?.map(Timestamp),
                    reason: row.text(6)?.to_owned(),
                },
                ended: ended.zip(row.text_or_null(8)?.map(str::to_owned)),
            });
            Ok(())
        },
    )?;
    Ok(holds)
}

impl<D: Disk> Store<D> {
    /// How long mail of an account or a domain is kept from now on.
    pub fn set_retention(&self, actor: Actor, rule: RetentionRule) -> Pending<()> {
        self.change(move |work| {
            match &rule.of {
                RetentionOf::Domain(domain) if !work.index.directory.is_local(domain) => {
                    return Err(Refused::Missing(format!("domain {domain}")));
                }
                RetentionOf::Account(account) => check_account(work, *account)?,
                RetentionOf::Domain(_) => {}
            }
            work.record(&actor, Record::RetentionSet(Box::new(rule)))
        })
    }

    /// Rules of accounts and domains, and legal holds, those that are over among them.
    ///
    /// # Errors
    /// The index's.
    pub fn retention(&self) -> Result<(Vec<RetentionRule>, Vec<HoldKnown>), StoreError> {
        self.read(|sql| {
            let mut rules = Vec::new();
            let query =
                "SELECT domain, account, keep, spam FROM retention ORDER BY domain, account";
            sql.query(query, &[], &mut |row| {
                let of = match row.id(1)? {
                    0 => RetentionOf::Domain(crate::index::parsed(row.text(0)?)?),
                    account => RetentionOf::Account(AccountId(account)),
                };
                let (keep, spam) = (keep_from(row, 2)?, keep_from(row, 3)?);
                rules.push(RetentionRule { of, keep, spam });
                Ok(())
            })?;
            Ok((rules, read_holds(sql, true)?))
        })
    }

    /// The accounts that have this address, or had it and were removed, with the newest last.
    ///
    /// # Errors
    /// The index's.
    pub fn accounts_ever(&self, address: &Address) -> Result<Vec<AccountId>, StoreError> {
        let mut found = Vec::new();
        self.read(|sql| {
            let query = "SELECT id FROM account WHERE address = $1 COLLATE NOCASE ORDER BY id";
            sql.query(query, &[address.folded().as_str().into()], &mut |row| {
                found.push(AccountId(row.id(0)?));
                Ok(())
            })
        })?;
        Ok(found)
    }

    /// How long mail is kept where nothing else says otherwise.
    #[must_use]
    pub const fn retention_default(&self) -> Retention {
        self.retention
    }

    /// Keeps mail of accounts, each in a hold of its own.
    pub fn add_holds(&self, actor: Actor, holds: Vec<LegalHold>) -> Pending<()> {
        self.change(move |work| {
            let known = read_holds(&mut work.index.sql, false);
            let known = known.map_err(|error| work.fail(error.into()))?;
            for hold in &holds {
                check_words(&hold.name, &hold.reason)?;
                check_account(work, hold.account)?;
                let is_same = |known: &HoldKnown| {
                    (&known.hold.name, known.hold.account) == (&hold.name, hold.account)
                };
                if known.iter().any(is_same) {
                    return Err(Refused::Exists(format!("hold {} of this account", hold.name)));
                }
                if hold.from.zip(hold.until).is_some_and(|(from, until)| from >= until) {
                    return Err(Refused::Invalid("a hold ends behind its beginning".to_owned()));
                }
            }
            for hold in holds {
                work.record(&actor, Record::LegalHoldSet(Box::new(hold)))?;
            }
            Ok(())
        })
    }

    /// Ends the holds of this name: all of them, or one account's. Answers how many.
    pub fn end_holds(
        &self,
        actor: Actor,
        name: String,
        account: Option<AccountId>,
        reason: String,
    ) -> Pending<usize> {
        self.change(move |work| {
            check_words(&name, &reason)?;
            let known = read_holds(&mut work.index.sql, false);
            let known = known.map_err(|error| work.fail(error.into()))?;
            let meant = known.iter().filter(|known| {
                known.hold.name == name
                    && account.is_none_or(|account| account == known.hold.account)
            });
            let holds: Vec<RecordSeq> = meant.map(|known| known.seq).collect();
            if holds.is_empty() {
                return Err(Refused::Missing(format!("hold {name}")));
            }
            let count = holds.len();
            let ended = HoldsEnded { holds, reason };
            work.record(&actor, Record::HoldsEnded(Box::new(ended)))?;
            Ok(count)
        })
    }
}

/// Whether there is such an account, or was: the mail of one that is removed is kept as well.
fn check_account(work: &mut Work<'_>, account: AccountId) -> Result<(), Refused> {
    let query = "SELECT 1 FROM account WHERE id = $1";
    match work.index.sql.number(query, &[account.0.into()]) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Refused::Missing(format!("account {account}"))),
        Err(error) => Err(work.fail(error.into())),
    }
}

fn check_words(name: &str, reason: &str) -> Result<(), Refused> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let what = format!("the name of a hold has 1 to {NAME_BYTES_MAX} bytes");
        return Err(Refused::Invalid(what));
    }
    if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(Refused::Invalid(format!("a reason has 1 to {REASON_BYTES_MAX} bytes")));
    }
    Ok(())
}
