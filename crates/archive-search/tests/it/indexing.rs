//! Making messages searchable: never more at a time than may be held, ended at the stop, and nothing
//! kept for ever that was so for a moment.

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use archive_search::{
    NoReader, NotRead, Patience, ReaderProcess, Search, Settings, TIME_MAX, fold_words, write_words,
};
use mail_types::MailId;

use crate::support::{Archive, Says};

fn is_there(path: &std::path::Path) -> i64 {
    let sql = rusqlite::Connection::open(path).unwrap();
    sql.query_row("SELECT count(*) FROM mail", [], |row| row.get(0)).unwrap()
}

/// Octets that are made of messages and not yet put in.
#[test]
fn no_more_is_held_than_one_transaction_may() {
    const TEXT_OCTETS: usize = 1 << 20;
    const HELD_MAX: usize = 12 << 20;
    let archive = Archive::new();
    for _ in 0..12 {
        archive.accept("Much", 1);
    }
    let (path, mut made, mut held_most) = (archive.path(), 0, 0);
    let search = archive.search(&mut Says(|_: &Patience<'_>| {
        let there = usize::try_from(is_there(&path)).unwrap();
        // The text and its words.
        held_most = held_most.max((made - there) * 2 * TEXT_OCTETS);
        made += 1;
        Ok("much ".repeat(TEXT_OCTETS / 5))
    }));
    archive.finds(&search.unwrap(), "subject:much file:much -body:much larger:1G", &[]);
    assert_eq!(made, 12);
    assert!(held_most > 0 && held_most <= HELD_MAX, "{held_most} octets are held");
}

#[test]
fn folding_takes_no_more_than_it_may() {
    // 3 octets that become 33, and no place to cut.
    let swelling = "\u{fdfa}".repeat(400_000);
    let mut words = String::new();
    fold_words(&swelling, &mut words, 1 << 20);
    assert!(words.len() <= 1 << 20 && words.ends_with(' '), "{}", words.len());
    assert!(words.capacity() <= 4 << 20, "{} octets are held", words.capacity());
    // In pieces or at once: the same words.
    for text in ["Über den Käse, STRASSE. ".repeat(3000), "关于年度的会议室预订，".repeat(3000)]
    {
        let (mut whole, mut pieces) = (String::new(), String::new());
        write_words(&message::fold(&text), &mut whole);
        fold_words(&text, &mut pieces, usize::MAX);
        assert!(whole == pieces, "{}", &text[..30]);
    }
}

#[test]
fn a_stop_ends_the_reading_of_a_message() {
    let archive = Archive::new();
    archive.accept("Slow", 20);
    let read = Arc::new(AtomicUsize::new(0));
    let (begun, begins) = mpsc::channel();
    let reads = Arc::clone(&read);
    let reader = Says(move |patience: &Patience<'_>| {
        reads.fetch_add(1, Ordering::AcqRel);
        begun.send(()).unwrap();
        while !(patience.stopping)() {
            std::thread::yield_now();
        }
        Ok(String::new())
    });
    let settings = Settings { rebuild_percent: 100, scour_after: Duration::ZERO };
    let (store, path) = (&archive.store, archive.path());
    let search = Search::start(store, path, settings, Box::new(reader)).unwrap();
    begins.recv().unwrap();
    search.stop();
    assert_eq!(read.load(Ordering::Acquire), 1);
    assert_eq!(archive.count("SELECT count(*) FROM mail"), 0, "half a message is put in");
}

#[test]
fn all_attachments_of_a_message_share_its_time() {
    let archive = Archive::new();
    archive.accept("Slow", 3);
    let mut until = Vec::new();
    let reader = &mut Says(|patience: &Patience<'_>| {
        until.push(patience.until);
        Err(NotRead::TooLong)
    });
    archive.search(reader).unwrap();
    assert_eq!(until.len(), 3);
    assert!(until.iter().all(|one| *one == until[0]));
}

#[test]
fn what_could_not_be_read_for_a_moment_is_read_later() {
    let archive = Archive::new();
    let first = archive.accept("Before", 0);
    let second = archive.accept("Attached", 1);
    let mut none = ReaderProcess::new("/nowhere/at/all".into(), Vec::new());
    let error = archive.search(&mut none).unwrap_err().to_string();
    assert!(error.contains("cannot be started"), "{error}");
    assert_eq!(archive.count("SELECT max(id) FROM mail"), i64::try_from(first.0).unwrap());
    // A process that is ended over it the first time, as for want of memory.
    let flag = archive.path().with_file_name("ended-once");
    let script = "if [ -e \"$0\" ]; then printf '\\001\\005\\000\\000\\000hello'; cat >/dev/null; \
                  else : >\"$0\"; kill -KILL $$; fi";
    let arguments = vec!["-c".to_owned(), script.to_owned(), flag.display().to_string()];
    let search = archive.search(&mut ReaderProcess::new("/bin/sh".into(), arguments)).unwrap();
    archive.finds(&search, "file:hello", &[second]);
}

#[test]
fn a_reader_that_ends_over_an_attachment_again_is_told_of() {
    let archive = Archive::new();
    archive.accept("Ends it", 1);
    archive.accept("Takes its time", 1);
    for (script, why) in [("exit 1", "ended over it"), ("kill -XCPU $$", "takes too long")] {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        archive.search(&mut ReaderProcess::new("/bin/sh".into(), arguments)).unwrap();
        let count = format!("SELECT count(*) FROM attachment WHERE unread LIKE '%{why}%'");
        assert_eq!(archive.count(&count), 2, "{why}");
        std::fs::remove_file(archive.path()).unwrap();
    }
}

#[test]
fn what_cannot_be_opened_for_a_moment_is_not_made_anew() {
    let archive = Archive::new();
    archive.accept("Kept", 1);
    let mut reads = 0;
    let mut search = || {
        archive.search(&mut Says(|_: &Patience<'_>| {
            reads += 1;
            Ok("words".to_owned())
        }))
    };
    drop(search().unwrap());
    // SQLite cannot open its log, as where the system is out of something.
    let wal = archive.path().with_file_name("search.sqlite-wal");
    std::fs::create_dir(&wal).unwrap();
    search().unwrap_err();
    std::fs::remove_dir(&wal).unwrap();
    search().unwrap();
    // What is broken is.
    std::fs::write(archive.path(), "no database").unwrap();
    search().unwrap();
    assert_eq!(reads, 2);
}

/// The place of the record of a message's acceptance.
fn damage(root: &std::path::Path, mail: MailId) {
    let index = rusqlite::Connection::open(root.join("index.sqlite")).unwrap();
    let select = "SELECT segment, place FROM mail WHERE id = ?1";
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
fn a_damaged_record_is_told_of_and_ends_no_search() {
    let archive = Archive::new();
    let mails: Vec<MailId> = (0..3).map(|_| archive.accept("Evidence", 0)).collect();
    drop(archive.search(&mut NoReader).unwrap());
    let archive = archive.restarted(|root| damage(root, mails[1]));
    let search = archive.search(&mut NoReader).unwrap();
    let (found, lost, ended) = archive.find(&search, "subject:evidence", TIME_MAX);
    assert_eq!((found, lost, ended.found), (vec![mails[2], mails[0]], vec![mails[1]], 3));
    // Where the words are made anew, it is still found by what the index knows.
    std::fs::remove_file(archive.path()).unwrap();
    let search = archive.search(&mut NoReader).unwrap();
    let (found, lost, _) = archive.find(&search, "smaller:1M", TIME_MAX);
    assert_eq!((found, lost), (vec![mails[2], mails[0]], vec![mails[1]]));
}

#[test]
fn a_search_whose_time_is_over_says_so() {
    let archive = Archive::new();
    archive.accept("Late", 0);
    let search = archive.search(&mut NoReader).unwrap();
    let (found, _, ended) = archive.find(&search, "is:deleted", Duration::ZERO);
    assert!(found.is_empty() && ended.gave_up && ended.more);
}

#[test]
fn one_message_does_not_fill_the_vocabulary_and_a_full_one_is_told() {
    let archive = Archive::new();
    let mail = archive.accept("Extraordinary", 1);
    let random = || (0..5000).map(|number| format!("word{number:05} ")).collect();
    let search = archive.search(&mut Says(|_: &Patience<'_>| Ok(random()))).unwrap();
    let words = archive.count("SELECT count(*) FROM vocabulary");
    assert!(words <= 2000, "{words}");
    archive.finds(&search, "traordin", &[mail]);
    archive.finds(&search, "word04999", &[mail]);
    assert!(!archive.find(&search, "word04999", TIME_MAX).2.parts_full);
    let full = "INSERT INTO vocabulary (id, word) VALUES (4000000, 'thelastone')";
    archive.sql().execute(full, []).unwrap();
    let late = archive.accept("Unparalleled", 0);
    let search = archive.search(&mut NoReader).unwrap();
    archive.finds(&search, "unparalleled", &[late]);
    archive.finds(&search, "paralle", &[]);
    assert!(archive.find(&search, "paralle", TIME_MAX).2.parts_full);
}
