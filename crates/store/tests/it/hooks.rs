//! What hooks were told, and what was sent: counted as it must be.

use mail_types::{CustodyId, Path, Reply, Timestamp};
use store::{Hook, HookSecret, HookTry, Outcome, Settled, Store, Try, verify};

use crate::support::{PEER, arrived, operator, options, populate};

/// One that is told from now on.
fn hook(store: &Store) -> Hook {
    let url = "https://hook.example/".to_owned();
    let added = store.add_hook(operator(), url, HookSecret(vec![1; 32]), Vec::new());
    added.wait().unwrap();
    store.hooks().unwrap().remove(0)
}

/// A record that the journal cannot take fails everybody's group.
#[test]
fn a_page_of_tries_fails_no_group() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    let hook = hook(&store);
    let tries: Vec<HookTry> = (0..5000)
        .map(|number| HookTry {
            at: Timestamp(number),
            event: format!("evt_{number}"),
            kind: "queued".to_owned(),
            said: "x".repeat(1000),
            told: true,
        })
        .collect();
    let told = store.hook_reached(hook.id, &hook.head, tries);
    let mail = store.accept(arrived(&store, true, &["ann@example.org"], "x"));
    told.wait().unwrap();
    mail.wait().unwrap();
    let log = store.hook_log(hook.id).unwrap();
    assert_eq!((log.len(), log[0].event.as_str()), (100, "evt_4999"));
    store.close();
}

/// One record may tell of a thousand recipients.
#[test]
fn a_page_of_what_happened_counts_recipients() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    let from = hook(&store).head;
    let to: Vec<String> = (0..50).map(|number| format!("u{number}@far.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    for _ in 0..4 {
        store.accept(arrived(&store, false, &to, "hello")).wait().unwrap();
    }
    let happened = store.happened(&from, 60).unwrap();
    assert_eq!((happened.happenings.len(), happened.more), (2, true));
    store.close();
}

/// A smart host sends on from its own address.
#[test]
fn what_a_smart_host_takes_warms_no_address_of_ours() {
    for (path, wanted) in [(Path::SmartHost, 0), (Path::Direct, 1)] {
        let root = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(root.path(), options()).unwrap();
        populate(&store);
        store.accept(arrived(&store, false, &["one@far.example"], "hello")).wait().unwrap();
        let items = store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap().0;
        let custodies: Vec<CustodyId> = items.iter().map(|item| item.custody).collect();
        store.begin_attempts(custodies.clone(), crate::script::peer()).wait().unwrap();
        let reply = Reply { code: 250, status: None, lines: vec!["ok".to_owned()] };
        let outcome = Outcome::Relayed { reply, report: None, may_be_duplicate: false };
        let peer = Some(crate::script::peer());
        let settled = Settled { custody: custodies[0], peer, outcome, reported: false };
        let tried = Try {
            begun: Timestamp(1),
            path,
            peer: None,
            preference: None,
            source: Some(PEER),
            policy: String::new(),
            policy_said: None,
            before: 0,
            phases: Vec::new(),
        };
        store.settle(vec![settled], vec![tried], None).wait().unwrap();
        assert_eq!(store.sent_lately().unwrap().by_source.len(), wanted, "{path:?}");
        store.close();
    }
}

/// What waits for a limit of ours was not tried, whatever its sender is told.
#[test]
fn a_wait_is_no_attempt() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    populate(&store);
    store.accept(arrived(&store, false, &["one@far.example"], "hello")).wait().unwrap();
    let take = || store.take_due(Timestamp(i64::MAX), 10, &|_| false).unwrap().0;
    let due = Timestamp(4_000_000_000_000);
    let outcome = Outcome::Waits { reason: "it waits".to_owned(), due, report: None };
    let custody = take()[0].custody;
    let settled = Settled { custody, peer: None, outcome, reported: false };
    store.settle(vec![settled], Vec::new(), None).wait().unwrap();
    let item = take().remove(0);
    assert_eq!((item.attempts, item.uncertain, item.delay_told), (0, false, false));
    store.close();
    let scratch = tempfile::tempdir().unwrap();
    let report = verify(root.path(), scratch.path(), &mut |_| {}).unwrap();
    assert!(report.is_clean(), "{:?}", report.violations);
}
