use mail_types::{Flags, Keyword, ModSeq, SystemFlag};
use mailbox::{Counts, Difference, Row, Rows};
use proptest::prelude::*;

use crate::cost::row;

#[derive(Clone, Debug)]
enum Change {
    /// So many messages come.
    Come(u16, u8),
    /// Messages from here, so many, each n-th, get flags.
    Flag(u16, u16, u8, u8),
    /// The same go.
    Go(u16, u16, u8),
    /// One that is there is put again.
    Again(u16, u8),
    /// The state is kept for comparing.
    Keep,
}

fn flags(code: u8) -> Flags {
    let mut flags = Flags::from_parts(code & 31, Vec::new());
    if code & 32 != 0 {
        flags.insert_keyword(Keyword::new(&format!("$k{}", code >> 6)).unwrap());
    }
    flags
}

fn change() -> impl Strategy<Value = Change> {
    let place = 0..1500_u16;
    prop_oneof![
        (1..700_u16, any::<u8>()).prop_map(|(count, code)| Change::Come(count, code)),
        (place.clone(), 1..600_u16, 1..9_u8, any::<u8>())
            .prop_map(|(from, count, step, code)| Change::Flag(from, count, step, code)),
        (place.clone(), 1..900_u16, 1..5_u8)
            .prop_map(|(from, count, step)| Change::Go(from, count, step)),
        (place, any::<u8>()).prop_map(|(at, code)| Change::Again(at, code)),
        Just(Change::Keep),
    ]
}

struct Model {
    rows: Rows,
    plain: Vec<Row>,
    uid: u32,
    modseq: u64,
    kept: Vec<(Rows, Vec<Row>)>,
}

impl Model {
    fn some(&self, from: u16, count: u16, step: u8) -> Vec<usize> {
        let end = usize::from(from + count).min(self.plain.len());
        (usize::from(from)..end).step_by(step.into()).collect()
    }

    fn apply(&mut self, change: &Change) {
        self.modseq += 1;
        let modseq = ModSeq(self.modseq);
        match *change {
            Change::Come(count, code) => {
                for n in 0..count {
                    self.uid += 1 + u32::from(n % 50 == 0);
                    let row = row(self.uid, self.modseq, flags(code));
                    self.rows.put(&row);
                    self.plain.push(row);
                }
            }
            Change::Flag(from, count, step, code) => {
                let places = self.some(from, count, step);
                let uids: Vec<u32> = places.iter().map(|&at| self.plain[at].uid.get()).collect();
                self.rows.set_flags(uids, &flags(code), modseq);
                for place in places {
                    self.plain[place].flags = flags(code);
                    self.plain[place].modseq = modseq;
                }
            }
            Change::Go(from, count, step) => {
                let places = self.some(from, count, step);
                self.rows.remove(&places);
                places.iter().rev().for_each(|&place| drop(self.plain.remove(place)));
            }
            Change::Again(at, code) => {
                if let Some(plain) = self.plain.get_mut(usize::from(at)) {
                    plain.flags = flags(code);
                    plain.modseq = modseq;
                    self.rows.put(plain);
                }
            }
            Change::Keep => self.kept.push((self.rows.clone(), self.plain.clone())),
        }
    }

    fn check(&self) {
        same(&self.rows, &self.plain);
        for (rows, plain) in &self.kept {
            // What others do to their copies does not show in this one.
            same(rows, plain);
            let difference = rows.diff(&self.rows);
            assert_eq!(difference, plain_diff(plain, &self.plain));
            // What is gone can be put back where it was.
            let gone: Vec<Row> = difference.removed.iter().map(|&place| rows.row(place)).collect();
            let (mut merged, mut all) = (self.rows.clone(), self.plain.clone());
            merged.insert_all(&gone);
            all.extend(gone);
            all.sort_by_key(|row| row.uid);
            same(&merged, &all);
        }
    }
}

fn same(rows: &Rows, plain: &[Row]) {
    assert_eq!(rows.len(), plain.len());
    assert!(rows.iter().map(|packed| rows.unpack(packed)).eq(plain.iter().cloned()));
    let has = |flag| plain.iter().filter(|row| row.flags.has(flag)).count();
    let counts = Counts {
        unseen: plain.len() - has(SystemFlag::Seen),
        deleted: has(SystemFlag::Deleted),
        octets: plain.iter().map(|row| u64::from(row.size)).sum(),
    };
    assert_eq!(rows.counts(), counts);
    assert_eq!(rows.uid_max(), plain.last().map_or(0, |row| row.uid.get()));
    for place in (0..plain.len()).step_by(37) {
        let uid = plain[place].uid.get();
        assert_eq!(rows.row(place), plain[place]);
        assert_eq!(rows.find(uid), Some(place));
        assert_eq!(rows.lower_bound(uid + 1), place + 1);
        let slices = rows.slices(place / 2..place);
        let uids = slices.flat_map(|(first, slice)| {
            assert_eq!(rows.at(first), &slice[0]);
            slice.iter().map(|row| row.uid)
        });
        assert!(uids.eq(plain[place / 2..place].iter().map(|row| row.uid.get())));
    }
    assert!(rows.flag_sets().len() <= 2 * rows.len() + 65 + 64);
}

fn plain_diff(old: &[Row], new: &[Row]) -> Difference {
    let at = |rows: &[Row], row: &Row| rows.binary_search_by_key(&row.uid, |row| row.uid);
    let (mut removed, mut changed) = (Vec::new(), Vec::new());
    for (place, row) in old.iter().enumerate() {
        match at(new, row) {
            Ok(now) if new[now].modseq != row.modseq => changed.push((place, now)),
            Ok(_) => {}
            Err(_) => removed.push(place),
        }
    }
    let known = old.last().map_or(0, |row| row.uid.get());
    Difference {
        removed,
        changed,
        added: new.partition_point(|row| row.uid.get() <= known)..new.len(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn rows_are_what_a_plain_list_is(changes in prop::collection::vec(change(), 1..25)) {
        let mut model =
            Model { rows: Rows::new(9, 1, ModSeq(1)), plain: Vec::new(), uid: 0, modseq: 1, kept: Vec::new() };
        for change in &changes {
            model.apply(change);
        }
        model.check();
    }
}
