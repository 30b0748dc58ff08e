use mail_types::{Flags, ModSeq, SystemFlag, Timestamp, Uid};
use mailbox::{CHUNK_ROWS_MAX, Packed, Row, Rows};

pub fn row(uid: u32, modseq: u64, flags: Flags) -> Row {
    Row {
        uid: Uid::new(uid).unwrap(),
        modseq: ModSeq(modseq),
        flags,
        internal_date: Timestamp::from_secs(i64::from(uid) * 60),
        saved: Timestamp::from_secs(1_800_000_000),
        size: 4000 + uid,
        mail: u64::from(uid) + 7,
    }
}

fn mailbox(messages: u32) -> Rows {
    let mut rows = Rows::new(1, 1, ModSeq(1));
    for uid in 1..=messages {
        let flags =
            if uid % 3 == 0 { [SystemFlag::Seen].into_iter().collect() } else { Flags::default() };
        rows.put(&row(uid, 2 + u64::from(uid), flags));
    }
    rows
}

#[test]
fn a_row_takes_40_octets_and_little_besides() {
    assert_eq!(size_of::<Packed>(), 40);
    for messages in [1000, 10_000, 100_000] {
        let rows = mailbox(messages);
        let per_row = rows.memory() as f64 / f64::from(messages);
        println!("{messages} messages: {} octets, {per_row:.2} each", rows.memory());
        assert!(per_row < 48.0, "{per_row} octets");
    }
}

/// One change in 100,000 messages copies one chunk; the comparison looks at that chunk alone.
#[test]
fn a_change_copies_one_chunk() {
    let before = mailbox(100_000);
    let mut after = before.clone();
    assert!(after.is_same(&before));
    after.set_flags([50_000], &Flags::from_iter([SystemFlag::Deleted]), ModSeq(200_000));
    let shared = |rows: &Rows| {
        let chunks = |rows: &Rows| -> Vec<*const Packed> {
            (0..rows.len())
                .step_by(CHUNK_ROWS_MAX)
                .map(|place| std::ptr::from_ref(rows.at(place)))
                .collect()
        };
        chunks(&before).iter().zip(chunks(rows)).filter(|(a, b)| **a == *b).count()
    };
    assert_eq!(shared(&after), 100_000_usize.div_ceil(CHUNK_ROWS_MAX) - 1);
    let difference = before.diff(&after);
    assert_eq!(difference.changed, [(49_999, 49_999)]);
    assert!(difference.removed.is_empty() && difference.added.is_empty());
    // Of the copy that nobody else holds, the next change copies nothing.
    let place = std::ptr::from_ref(after.at(49_999));
    after.set_flags([50_000], &Flags::default(), ModSeq(200_001));
    assert_eq!(std::ptr::from_ref(after.at(49_999)), place);
}
