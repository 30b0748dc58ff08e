//! IDLE: a delivery, a flag and an expunge reach a session that waits.

use crate::harness::House;

#[test]
fn deliveries_and_other_sessions_changes_are_pushed() {
    House::new().python("imap_idle.py");
}
