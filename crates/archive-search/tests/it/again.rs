//! What was not read for a trouble that passes is tried again, a few times, and what stays unread is
//! told of.

use std::sync::{Arc, Mutex};

use archive_search::{NoReader, NotRead, Patience, TIME_MAX, Unread};

use crate::support::{Archive, Says};

const TWO_DAYS_MINUTES: i64 = 2 * 24 * 60;

/// A machine that is busy for the first two attachments but one, and then is not.
#[test]
fn a_passing_trouble_is_tried_again_and_what_was_read_is_kept() {
    let archive = Archive::new();
    let mail = archive.accept("Busy", 2);
    let mut answers = vec![Ok("wombat".to_owned()), Err(NotRead::NoTime), Ok("alpaca".to_owned())];
    let mut reads = 0;
    let mut reader = Says(|_: &Patience<'_>| {
        // The attachments that are to be read, in their order: the second is there the third time.
        reads += 1;
        answers.pop().unwrap()
    });
    let search = archive.search(&mut reader).unwrap();
    archive.finds(&search, "file:alpaca", &[mail]);
    archive.finds(&search, "file:wombat", &[]);
    archive.finds(&search, "has:unread", &[mail]);
    let unread = Unread { why: NotRead::NoTime.to_string(), tried_again: true, attachments: 1 };
    assert_eq!(search.unread().unwrap(), [unread]);
    drop(archive.search(&mut reader).unwrap());
    archive.minutes_later(10);
    let search = archive.search(&mut reader).unwrap();
    archive.finds(&search, "file:alpaca file:wombat", &[mail]);
    archive.finds(&search, "has:unread", &[]);
    assert!(search.unread().unwrap().is_empty());
    assert_eq!(reads, 3, "what was read is read no more");
}

#[test]
fn it_is_tried_a_few_times_and_then_told_of() {
    let archive = Archive::new();
    let mail = archive.accept("Never", 1);
    let patient = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&patient);
    let mut reader = Says(move |patience: &Patience<'_>| {
        let left = patience.until.saturating_duration_since(std::time::Instant::now());
        seen.lock().unwrap().push(left.as_secs().div_ceil(60));
        Err(NotRead::Ended)
    });
    for _ in 0..10 {
        drop(archive.search(&mut reader).unwrap());
        archive.minutes_later(TWO_DAYS_MINUTES);
    }
    // Minutes: the machine may need longer.
    assert_eq!(*patient.lock().unwrap(), [1, 2, 3, 4, 4, 4]);
    let search = archive.search(&mut reader).unwrap();
    archive.finds(&search, "has:unread", &[mail]);
    let unread = Unread { why: NotRead::Ended.to_string(), tried_again: false, attachments: 1 };
    assert_eq!(search.unread().unwrap(), [unread]);
}

#[test]
fn what_was_not_to_be_read_is_read_once_it_is() {
    let archive = Archive::new();
    let mail = archive.accept("Off", 1);
    let search = archive.search(&mut NoReader).unwrap();
    archive.finds(&search, "file:later", &[]);
    let search = archive.search(&mut Says(|_: &Patience<'_>| Ok("later".to_owned()))).unwrap();
    archive.finds(&search, "file:later", &[mail]);
    assert_eq!(archive.find(&search, "has:unread", TIME_MAX).0, []);
}
