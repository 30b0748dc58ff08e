//! What an index of words costs in three ways, on letters of our own: pairs and words with parts of
//! words beside them (what this crate does), FTS5's trigrams, and words alone.
//!
//! `cargo run --release -p archive-search --example tokenizers [LETTERS]`
#![allow(clippy::print_stdout, missing_docs)]

use std::collections::HashSet;
use std::error::Error;
use std::time::Instant;

use archive_search::write_words;
use drill::letters::Letters;
use rusqlite::Connection;

const RUNS: usize = 21;

fn main() -> Result<(), Box<dyn Error>> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(20_000), |count| count.parse())?;
    let letters = Letters::new(5, count).with_rare_word("xylophonist", 7);
    let dir = tempfile::tempdir()?;
    let ways = [
        ("words, pairs, parts", "content='', contentless_delete=1, tokenize='ascii'"),
        ("trigrams", "content='', contentless_delete=1, tokenize='trigram'"),
        ("unicode61 alone", "content='', contentless_delete=1, tokenize='unicode61'"),
    ];
    for (number, (name, options)) in ways.iter().enumerate() {
        let path = dir.path().join(format!("{number}.sqlite"));
        let sql = Connection::open(&path)?;
        sql.execute_batch(&format!(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32768;
             CREATE VIRTUAL TABLE words USING fts5(text, {options});
             CREATE TABLE vocabulary (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE);
             CREATE VIRTUAL TABLE parts USING fts5(word, content='vocabulary', content_rowid='id',
                 tokenize='trigram', detail=none, columnsize=0); BEGIN"
        ))?;
        let (mut known, mut text_bytes, began) = (HashSet::new(), 0, Instant::now());
        for at in 0..count {
            let text = extract::Made::of(&letters.letter(at)).text;
            text_bytes += text.len();
            let mut put = text.clone();
            if number == 0 {
                put.clear();
                write_words(&text, &mut put);
                for word in put.split_terminator(' ').filter(|word| word.len() >= 4) {
                    if word.is_ascii() && known.insert(word.to_owned()) {
                        let id = known.len() as i64;
                        sql.execute("INSERT INTO vocabulary VALUES (?1, ?2)", (id, word))?;
                        sql.execute("INSERT INTO parts (rowid, word) VALUES (?1, ?2)", (id, word))?;
                    }
                }
            }
            let insert = "INSERT INTO words (rowid, text) VALUES (?1, ?2)";
            sql.prepare_cached(insert)?.execute((at as i64 + 1, put))?;
        }
        sql.execute_batch("COMMIT")?;
        let (took, size) = (began.elapsed(), std::fs::metadata(&path)?.len());
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "{name}: {:.0} MiB for {:.0} MiB of text, {:.2} ms each",
            mib(size),
            mib(text_bytes as u64),
            took.as_secs_f64() * 1000.0 / count as f64
        );
        for (wanted, expression) in [
            ("a rare word", ["\"xylophonist\"", "\"xylophonist\"", "\"xylophonist\""]),
            ("two characters", ["\"会务\"", "\"会务\"", "\"会务\""]),
            ("a part", ["PARTS", "\"lophoni\"", "\"lophoni\""]),
        ] {
            let mut times: Vec<f64> = Vec::new();
            let mut found = 0;
            for _ in 0..RUNS {
                let began = Instant::now();
                found = count_of(&sql, expression[number])?;
                times.push(began.elapsed().as_secs_f64() * 1000.0);
            }
            times.sort_by(f64::total_cmp);
            println!("    {wanted}: {found} found in {:.2} ms", times[RUNS / 2]);
        }
    }
    Ok(())
}

/// The newest hundred that match.
fn count_of(sql: &Connection, expression: &str) -> Result<usize, rusqlite::Error> {
    let mut expression = expression.to_owned();
    if expression == "PARTS" {
        let select = "SELECT word FROM parts WHERE word LIKE '%lophoni%' LIMIT 64";
        let mut statement = sql.prepare_cached(select)?;
        let words: Vec<String> =
            statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        expression = words.join(" OR ");
    }
    let select = "SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY rowid DESC LIMIT 100";
    let mut statement = sql.prepare_cached(select)?;
    let found = statement.query_map([expression], |row| row.get::<_, i64>(0))?;
    Ok(found.collect::<Result<Vec<_>, _>>()?.len())
}
