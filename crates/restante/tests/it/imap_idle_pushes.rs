//! IDLE and NOTIFY: a delivery, a flag, an expunge and a name reach a session that waits.

use crate::harness::House;

#[test]
fn deliveries_and_other_sessions_changes_are_pushed() {
    House::new().python("imap_idle.py");
}

#[test]
fn what_notify_asks_for_comes_by_itself() {
    House::new().python("imap_notify.py");
}
