use std::time::Duration;

use mail_types::Timestamp;
use route::{Next, Schedule};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn exact() -> Schedule {
    Schedule { jitter_percent: 0, ..Schedule::default() }
}

#[test]
fn mail_is_tried_until_its_lifetime_ends_and_at_its_end() {
    let schedule = exact();
    let accepted = Timestamp::from_secs(1_000_000);
    let (mut now, mut attempts, mut times) = (accepted, 0, Vec::new());
    loop {
        attempts += 1;
        match schedule.next(attempts, accepted, now, 0) {
            Next::Due(due) => {
                assert!(due > now, "time goes on");
                now = due;
                times.push(now.since(accepted).as_secs() / 60);
            }
            Next::GiveUp => break,
        }
    }
    assert_eq!(times[..8], [1, 6, 21, 51, 111, 231, 240, 480], "one when the warning is due");
    assert_eq!(times.last(), Some(&7200), "one when the five days end");
    assert_eq!(now, accepted.after(5 * 24 * 60 * MINUTE));
}

#[test]
fn jitter_stays_in_its_limit() {
    let schedule = Schedule::default();
    let mut seen = std::collections::BTreeSet::new();
    for random in [0, 1, 7_777, 12_345_678, u64::MAX] {
        let wait = schedule.wait(2, random);
        assert!((270 * SECOND..=330 * SECOND).contains(&wait), "{wait:?}");
        seen.insert(wait);
    }
    assert!(seen.len() > 3);
    let silent = Schedule { warn_after: None, ..exact() };
    assert_eq!(silent.warning_due(Timestamp::default()), None);
}

#[test]
fn odd_numbers_do_no_harm() {
    let now = Timestamp::from_secs(0);
    let empty = Schedule { waits: vec![], ..exact() };
    assert_eq!(empty.next(1, now, now, 0), Next::Due(now.after(60 * MINUTE)));
    assert_eq!(exact().wait(0, 0), MINUTE);
    assert_eq!(exact().wait(u32::MAX, 0), 240 * MINUTE);
    let future = now.after(60 * MINUTE);
    assert_eq!(exact().next(1, future, now, 0), Next::Due(now.after(MINUTE)), "clock set back");
}
