use store::Store;

use crate::support::{arrived, options, populate};

/// Many at once share syncs: with one answer outstanding each, groups form.
#[test]
fn what_waits_together_is_synced_together() {
    let root = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(root.path(), options()).unwrap();
    let (ann, _) = populate(&store);
    let text = "x".repeat(4000);
    let pending: Vec<_> = (0..500)
        .map(|_| store.accept(arrived(&store, true, &["ann@example.org"], &text)))
        .collect();
    pending.into_iter().for_each(|one| {
        one.wait().unwrap();
    });
    assert_eq!(store.mailbox(ann, "INBOX").unwrap().unwrap().messages, 500);
    store.close();
}
