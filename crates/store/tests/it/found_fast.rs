//! What one session or one address did is found without reading what all others did, and damage to
//! one message keeps no other from being told of.

use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;

use mail_types::{AccountId, MailId, RecordSeq};
use store::{ActFilter, Query, SessionActor, SessionId, Store, Via};

use crate::support::{address, arrived, options, populate};

const THIEF: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

fn of(account: AccountId, session: Option<u64>, ip: IpAddr) -> SessionActor {
    let session = session.map(SessionId);
    SessionActor { account, ip: Some(ip), via: Via::Imap, session }
}

fn acts(store: &Store, filter: &ActFilter) -> Result<Vec<RecordSeq>, store::StoreError> {
    let mut found = Vec::new();
    store.acts(filter, &mut |act| {
        found.push(act.seq);
        true
    })?;
    Ok(found)
}

#[test]
fn a_session_and_an_address_are_looked_up() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, bob) = populate(&store);
    let home = "192.0.2.1".parse().unwrap();
    for number in 0..20 {
        let (account, session) = if number % 2 == 0 { (ann, 1) } else { (bob, 2) };
        let actor = of(account, Some(session), home);
        store.create_mailbox(actor, &format!("Box {number}"), None).wait().unwrap();
    }
    store.create_mailbox(of(ann, Some(3), THIEF), "First", None).wait().unwrap();
    store.create_mailbox(of(bob, None, THIEF), "Second", None).wait().unwrap();
    store.close();
    drop(store);
    // Whoever reads the acts of others stumbles over them.
    let sql = rusqlite::Connection::open(root.path().join("index.sqlite")).unwrap();
    let spoilt = sql.execute("UPDATE act SET kind = 99 WHERE session IN (1, 2)", []).unwrap();
    assert_eq!(spoilt, 20);
    drop(sql);
    let (store, _) = Store::open(root.path(), options()).unwrap();
    acts(&store, &ActFilter::default()).unwrap_err();
    let by_session = ActFilter { session: Some(SessionId(3)), ..ActFilter::default() };
    assert_eq!(acts(&store, &by_session).unwrap().len(), 1);
    let by_ip = ActFilter { ip: Some(THIEF), ..ActFilter::default() };
    let both = acts(&store, &by_ip).unwrap();
    assert!(both.len() == 2 && both[0] > both[1], "{both:?}");
    let nobody = ActFilter { ip: Some("192.0.2.99".parse().unwrap()), ..ActFilter::default() };
    assert!(acts(&store, &nobody).unwrap().is_empty());
    // And by what is noted of them alone: nothing else is looked through.
    let sql = rusqlite::Connection::open(root.path().join("index.sqlite")).unwrap();
    assert_eq!(sql.execute("DELETE FROM act_run WHERE ip = '203.0.113.9'", []).unwrap(), 2);
    assert!(acts(&store, &by_session).unwrap().is_empty());
    assert!(acts(&store, &by_ip).unwrap().is_empty());
}

/// Turns a bit of the record that this column pair of the index names.
fn damage(root: &Path, select: &str, mail: MailId) {
    let index = rusqlite::Connection::open(root.join("index.sqlite")).unwrap();
    let (segment, place): (i64, i64) = index
        .query_row(select, [mail.0.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let path = root.join(format!("journal/{segment:08}.seg"));
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let (mut octet, at) = ([0], place.cast_unsigned() + 65);
    file.read_exact_at(&mut octet, at).unwrap();
    file.write_all_at(&[octet[0] ^ 1], at).unwrap();
}

#[test]
fn a_trace_goes_on_behind_damage_and_names_it() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let mut mails = Vec::new();
    for _ in 0..4 {
        let mail = arrived(&store, true, &["ann@example.org"], "hello");
        mails.push(mail.mail);
        store.accept(mail).wait().unwrap();
    }
    let inbox = store.reach(ann, "INBOX").unwrap().0.id;
    store.copy(of(ann, None, THIEF), inbox, vec![(1, 1)], "Trash").wait().unwrap();
    store.close();
    drop(store);
    damage(root.path(), "SELECT segment, place FROM mail WHERE id = ?1", mails[1]);
    let last = "SELECT segment, place FROM story WHERE mail = ?1 ORDER BY seq DESC LIMIT 1";
    damage(root.path(), last, mails[0]);
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let by_sender =
        Query { address: Some(address("eve@example.net")), count_max: 10, ..Query::default() };
    let traced = store.trace_all(&by_sender).unwrap();
    let told: Vec<MailId> = traced.stories.iter().map(|one| one.facts.receipt.mail).collect();
    assert_eq!(told, [mails[3], mails[2], mails[0]]);
    let untold: Vec<MailId> = traced.untold.iter().map(|one| one.facts.receipt.mail).collect();
    assert_eq!(untold, [mails[1]]);
    assert!(!traced.untold[0].why.is_empty());
    let damaged: Vec<usize> = traced.stories.iter().map(|one| one.damaged.len()).collect();
    assert_eq!(damaged, [0, 0, 1], "one record of the first message's story");
    // By number it is the same; what must be whole still fails.
    let named = store.stories_all(&mails, &Query::default()).unwrap();
    assert_eq!((named.stories.len(), named.untold.len()), (3, 1));
    store.trace(&by_sender).unwrap_err();
}
