//! Behind a purge no word of the message is left in the files, not even where nobody would look.

use std::time::{Duration, Instant};

use archive_search::{Patience, Search, Settings};
use mail_types::MailId;
use store::Actor;

use crate::support::{Archive, Says};

const DEADLINE: Duration = Duration::from_secs(120);

/// Words of the file; each is in the files as it is while it is kept. (The subject is in the record of
/// its acceptance, which stays, and so is it here.)
const SECRET: [&str; 2] = ["zebrafinch", "quokkaland"];

fn is_in_files(archive: &Archive, word: &str) -> bool {
    ["search.sqlite", "search.sqlite-wal"].iter().any(|name| {
        let bytes = std::fs::read(archive.path().with_file_name(name)).unwrap_or_default();
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    })
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn no_word_of_a_purged_message_stays_in_the_files() {
    let archive = Archive::new();
    let mut others: Vec<MailId> =
        (0..40).map(|number| archive.accept(&format!("Ordinary {number}"), 1)).collect();
    let secret = archive.accept("Wanted", 1);
    others.extend((40..80).map(|number| archive.accept(&format!("Ordinary {number}"), 1)));
    let mut read = 0;
    let reader = Says(move |_: &Patience<'_>| {
        read += 1;
        Ok(if read == 41 { "the quokkaland papers on a zebrafinch" } else { "common papers" }
            .to_owned())
    });
    let settings = Settings { rebuild_percent: 100, scour_after: Duration::ZERO };
    let (store, path) = (&archive.store, archive.path());
    let search = Search::start(store, path, settings, Box::new(reader)).unwrap();
    let all = others.len() as u64 + 1;
    wait("all are searchable", || search.progress(store).unwrap().searchable == all);
    archive.finds(&search, "file:quokkaland file:zebrafinch", &[secret]);
    assert!(SECRET.iter().all(|word| is_in_files(&archive, word)));
    let operator = Actor::Operator { name: "root".to_owned() };
    store.purge(&operator, secret, "erasure".to_owned(), true).unwrap();
    let sql = archive.sql();
    let number = |name: &str| -> i64 {
        let select = "SELECT coalesce(max(number), 0) FROM meta WHERE name = ?1";
        sql.query_row(select, [name], |row| row.get(0)).unwrap()
    };
    wait("the files are gone through", || {
        number("taken_out") > 0 && number("taken_out") == number("scoured")
    });
    // Also in part, as words stand behind others that begin alike.
    for word in SECRET.iter().chain(&["brafinch", "kkaland"]) {
        assert!(!is_in_files(&archive, word), "{word} is still there");
    }
    archive.finds(&search, "subject:wanted", &[secret]);
    archive.finds(&search, "zebra", &[]);
    let found = archive.find(&search, "file:papers ordinar", archive_search::TIME_MAX).0;
    assert_eq!(found.len(), others.len());
    search.stop();
}
