//! Access control lists: what somebody may do is what the list says, whatever came before.

use std::collections::{BTreeMap, BTreeSet};

use mail_types::{AccountId, Flags, MailboxId, Right, Rights, SystemFlag};
use proptest::prelude::*;
use store::{AclChange, FlagsChange, Grantee, Refused, Store};

use crate::support::{address, arrived, credentials, operator, options, populate, session};

const SHARED: &str = "Other Users/ann@example.org/Team";

fn rights(letters: &str) -> Rights {
    Rights::parse(letters).unwrap()
}

const fn of(account: AccountId) -> Grantee {
    Grantee { account: Some(account), negative: false }
}

fn flags(flags: &[SystemFlag]) -> Flags {
    flags.iter().copied().collect()
}

fn verified_clean(root: &std::path::Path) {
    let scratch = tempfile::tempdir().unwrap();
    let report = store::verify(root, scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:#?}", report.violations);
}

/// Grants bob these on ann's Team.
fn grant(store: &Store, ann: AccountId, bob: AccountId, letters: &str) {
    let change = AclChange::Replace(rights(letters));
    store.set_acl(session(ann), "Team", of(bob), change).wait().unwrap();
}

fn team(store: &Store, ann: AccountId) -> MailboxId {
    let team = store.create_mailbox(session(ann), "Team", None).wait().unwrap();
    store.accept(arrived(store, true, &["ann@example.org"], "x")).wait().unwrap();
    let inbox = store.mailbox(ann, "INBOX").unwrap().unwrap().id;
    store.copy(session(ann), inbox, vec![(1, 1)], "Team").wait().unwrap();
    team
}

const GONE: fn() -> Refused = || Refused::Missing("the mailbox".to_owned());

#[test]
fn nobody_else_sees_a_mailbox_that_is_not_shared() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, bob) = populate(&store);
    let team = team(&store, ann);
    assert_eq!(store.reach(bob, SHARED).unwrap().1, Rights::NONE);
    assert!(store.mailboxes(bob).unwrap().iter().all(|listed| !listed.name.contains("Team")));
    let bobs = || session(bob);
    let add = FlagsChange::Add;
    let seen = || flags(&[SystemFlag::Seen]);
    let stored = store.set_flags(bobs(), team, vec![(1, 9)], add, seen(), None).wait();
    assert_eq!(stored.unwrap_err(), GONE());
    assert_eq!(store.expunge(bobs(), team, None).wait().unwrap_err(), GONE());
    assert_eq!(store.remove(bobs(), team, vec![(1, 9)]).wait().unwrap_err(), GONE());
    assert_eq!(store.copy(bobs(), team, vec![(1, 9)], "INBOX").wait().unwrap_err(), GONE());
    assert_eq!(store.move_messages(bobs(), team, vec![(1, 9)], "INBOX").wait(), Err(GONE()));
    let inbox = store.mailbox(bob, "INBOX").unwrap().unwrap().id;
    assert_eq!(store.copy(bobs(), inbox, vec![(1, 9)], SHARED).wait().unwrap_err(), GONE());
    assert_eq!(store.delete_mailbox(bobs(), SHARED).wait(), Err(GONE()));
    assert_eq!(store.rename_mailbox(bobs(), SHARED, "Mine").wait(), Err(GONE()));
    let change = AclChange::Replace(Rights::ALL);
    assert_eq!(store.set_acl(bobs(), SHARED, of(bob), change).wait(), Err(GONE()));
    // Whether an account exists is not told either.
    for name in ["Other Users/ann@example.org/New", "Other Users/x@example.org/New"] {
        let made = store.create_mailbox(bobs(), name, None).wait();
        assert_eq!(made.unwrap_err(), Refused::NotAllowed);
    }
    store.close();
    verified_clean(root.path());
}

#[test]
fn each_right_allows_its_own_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, bob) = populate(&store);
    let team = team(&store, ann);
    let bobs = || session(bob);
    let inbox = store.mailbox(bob, "INBOX").unwrap().unwrap().id;
    let not = Refused::NotAllowed;

    grant(&store, ann, bob, "lr");
    let listed = store.mailboxes(bob).unwrap();
    assert!(listed.iter().any(|l| l.name == SHARED && l.rights == rights("lr")), "{listed:?}");
    let all = flags(&[SystemFlag::Seen, SystemFlag::Deleted, SystemFlag::Flagged]);
    let store_all = |flags: &Flags| {
        let change = FlagsChange::Add;
        store.set_flags(bobs(), team, vec![(1, 9)], change, flags.clone(), None).wait()
    };
    assert_eq!(store_all(&all).unwrap_err(), not);
    assert_eq!(store.expunge(bobs(), team, None).wait().unwrap_err(), not);
    assert_eq!(store.move_messages(bobs(), team, vec![(1, 9)], "INBOX").wait().unwrap_err(), not);
    assert_eq!(store.copy(bobs(), team, vec![(1, 9)], SHARED).wait().unwrap_err(), not);
    assert_eq!(store.delete_mailbox(bobs(), SHARED).wait().unwrap_err(), not);
    let below = format!("{SHARED}/Below");
    assert_eq!(store.create_mailbox(bobs(), &below, None).wait().unwrap_err(), not);
    let change = AclChange::Add(Rights::ALL);
    assert_eq!(store.set_acl(bobs(), SHARED, of(bob), change).wait().unwrap_err(), not);
    store.copy(bobs(), team, vec![(1, 9)], "INBOX").wait().unwrap();

    // STORE changes what may be changed.
    let flags_now = |uid: usize| store.snapshot(team).unwrap().unwrap().1[uid - 1].flags.clone();
    for (letters, flag) in
        [("lrs", SystemFlag::Seen), ("lrt", SystemFlag::Deleted), ("lrw", SystemFlag::Flagged)]
    {
        grant(&store, ann, bob, letters);
        let before = flags_now(1);
        store_all(&all).unwrap();
        let mut wanted = before;
        wanted.insert(flag);
        assert_eq!(flags_now(1), wanted, "{letters}");
    }
    // As does what is copied here: only \Seen comes along.
    grant(&store, ann, bob, "lrsi");
    let change = FlagsChange::Replace;
    store.set_flags(bobs(), inbox, vec![(1, 9)], change, all, None).wait().unwrap();
    let copied = store.copy(bobs(), inbox, vec![(1, 9)], SHARED).wait().unwrap();
    assert_eq!(copied.messages.len(), 1);
    assert_eq!(flags_now(2), flags(&[SystemFlag::Seen]));

    grant(&store, ann, bob, "lrk");
    store.create_mailbox(bobs(), &below, None).wait().unwrap();
    // It is ann's, and bob may do with it what he may with the one above.
    assert!(store.mailbox(ann, "Team/Below").unwrap().is_some());
    assert_eq!(store.reach(bob, &below).unwrap().1, rights("lrk"));
    assert_eq!(store.delete_mailbox(bobs(), &below).wait(), Err(Refused::NotAllowed));
    grant(&store, ann, bob, "lxk");
    assert!(matches!(
        store.rename_mailbox(bobs(), SHARED, "Mine").wait(),
        Err(Refused::Invalid(_))
    ));
    store.rename_mailbox(bobs(), SHARED, &format!("{SHARED}2")).wait().unwrap_err();
    grant(&store, ann, bob, "le");
    store.expunge(bobs(), team, None).wait().unwrap();
    assert_eq!(store.mailbox(ann, "Team").unwrap().unwrap().messages, 1);
    grant(&store, ann, bob, "la");
    store.set_acl(bobs(), SHARED, of(bob), AclChange::Add(rights("x"))).wait().unwrap();
    store.delete_mailbox(bobs(), SHARED).wait().unwrap();
    // RFC 4314 §4: the list goes with the mailbox.
    store.create_mailbox(session(ann), "Team", None).wait().unwrap();
    assert_eq!(store.reach(bob, SHARED).unwrap().1, Rights::NONE);
    store.close();
    verified_clean(root.path());
}

#[test]
fn an_owner_can_shut_itself_out_and_back_in() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let team = team(&store, ann);
    let anns = || session(ann);
    store.set_acl(anns(), "Team", of(ann), AclChange::Replace(rights(""))).wait().unwrap();
    assert_eq!(store.reach(ann, "Team").unwrap().1, rights("la"));
    assert_eq!(store.expunge(anns(), team, None).wait().unwrap_err(), Refused::NotAllowed);
    store.set_acl(anns(), "Team", of(ann), AclChange::Delete).wait().unwrap();
    assert_eq!(store.reach(ann, "Team").unwrap().1, Rights::ALL);
    store.close();
    verified_clean(root.path());
}

#[test]
fn an_account_that_comes_later_has_no_rights_of_one_that_was() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, bob) = populate(&store);
    team(&store, ann);
    grant(&store, ann, bob, "lrswipkxtea");
    store.remove_account(operator(), address("bob@example.org")).wait().unwrap();
    let again = store.add_account(operator(), address("bob@example.org"), credentials());
    let again = again.wait().unwrap();
    assert_eq!(store.reach(again, SHARED).unwrap().1, Rights::NONE);
    let team = store.mailbox(ann, "Team").unwrap().unwrap();
    assert_eq!(store.acl(&team).unwrap(), [(of(ann), Rights::ALL)]);
}

/// What a list comes to, as RFC 4314 says it, kept as plainly as can be.
#[derive(Default)]
struct Model(BTreeMap<(Option<u64>, bool), BTreeSet<char>>);

impl Model {
    fn rights(&self, owner: u64, account: u64) -> BTreeSet<char> {
        let entry = |who, negative| self.0.get(&(who, negative)).cloned();
        if owner == account {
            let all = "lrswipkxtea".chars().collect();
            let mut rights = entry(Some(owner), false).unwrap_or(all);
            let denied = entry(Some(owner), true).unwrap_or_default();
            rights.retain(|right| !denied.contains(right));
            rights.extend(['l', 'a']);
            return rights;
        }
        let mut rights = entry(Some(account), false).unwrap_or_default();
        rights.extend(entry(None, false).unwrap_or_default());
        for who in [Some(account), None] {
            let denied = entry(who, true).unwrap_or_default();
            rights.retain(|right| !denied.contains(right));
        }
        rights
    }
}

fn letters(rights: Rights) -> BTreeSet<char> {
    rights.iter().map(Right::letter).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn rights_are_what_the_list_says(
        changes in prop::collection::vec((0..3_u8, any::<bool>(), 0..4_u8, 0..0x800_u16), 1..12)
    ) {
        let root = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(root.path(), options()).unwrap();
        let (ann, bob) = populate(&store);
        let team = team(&store, ann);
        let mut model = Model::default();
        for (who, negative, how, bits) in changes {
            let account = [None, Some(ann), Some(bob)][usize::from(who)];
            let grantee = Grantee { account, negative };
            let rights = Rights::from_bits(bits);
            let key = (account.map(|account| account.0), negative);
            let owner = account == Some(ann) && !negative;
            let all = if owner { letters(Rights::ALL) } else { BTreeSet::new() };
            let mut entry = model.0.remove(&key).unwrap_or(all);
            let change = match how {
                0 => { entry = letters(rights); AclChange::Replace(rights) }
                1 => { entry.extend(letters(rights)); AclChange::Add(rights) }
                2 => {
                    entry.retain(|right| !letters(rights).contains(right));
                    AclChange::Remove(rights)
                }
                _ => AclChange::Delete,
            };
            if how < 3 {
                model.0.insert(key, entry);
            }
            store.set_acl(session(ann), "Team", grantee, change).wait().unwrap();
            let reached = |account, name| letters(store.reach(account, name).unwrap().1);
            prop_assert_eq!(reached(ann, "Team"), model.rights(ann.0, ann.0));
            let bobs = model.rights(ann.0, bob.0);
            prop_assert_eq!(&reached(bob, SHARED), &bobs);
            let is_listed = store.mailboxes(bob).unwrap().iter().any(|l| l.name == SHARED);
            prop_assert_eq!(is_listed, bobs.contains(&'l'));
            let expunged = store.expunge(session(bob), team, None).wait();
            prop_assert_eq!(expunged.is_ok(), bobs.contains(&'e'));
        }
        store.close();
        let (store, _) = Store::open(root.path(), options()).unwrap();
        let reached = store.reach(bob, SHARED).unwrap().1;
        prop_assert_eq!(letters(reached), model.rights(ann.0, bob.0));
        let flags = flags(&[SystemFlag::Seen]);
        let stored = store.set_flags(session(bob), team, vec![(1, 9)], FlagsChange::Add, flags, None);
        prop_assert_eq!(stored.wait().is_ok(), letters(reached).contains(&'s'));
        store.close();
        verified_clean(root.path());
    }
}
