//! Two indexes, row for row (I13).

use crate::schema;
use crate::sql::{Executor, SqlError};
use crate::sqlite::Sqlite;
use crate::verify::{Invariant, Report};

/// The tables themselves, whose words a flipped bit may change without harm, for now.
const MADE_OF: (&str, &str) = (
    "sqlite_schema",
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name",
);

/// Compares two indexes row for row by a hash of each table, and names the tables that differ.
pub fn compare(
    live: &mut Sqlite,
    rebuilt: &mut Sqlite,
    report: &mut Report,
) -> Result<(), SqlError> {
    // The rows below are read by their keys: what else finds them is in no table.
    live.query("PRAGMA integrity_check(20)", &[], &mut |row| {
        let said = row.text(0)?;
        if said != "ok" {
            report.add(Invariant::IndexEqual, format!("the index's file is damaged: {said}"));
        }
        Ok(())
    })?;
    for (table, query) in schema::TABLES.into_iter().chain([MADE_OF]) {
        let (live_rows, live_hash) = hash_rows(live, query)?;
        let (rebuilt_rows, rebuilt_hash) = hash_rows(rebuilt, query)?;
        if live_rows != rebuilt_rows {
            report.add(
                Invariant::IndexEqual,
                format!("table {table}: {live_rows} rows live, {rebuilt_rows} rebuilt"),
            );
        } else if live_hash != rebuilt_hash {
            report.add(Invariant::IndexEqual, format!("table {table}: rows differ"));
        }
    }
    Ok(())
}

fn hash_rows(sql: &mut Sqlite, query: &'static str) -> Result<(u64, blake3::Hash), SqlError> {
    let mut hasher = blake3::Hasher::new();
    let mut rows = 0;
    sql.query(query, &[], &mut |row| {
        rows += 1;
        row.hash_into(&mut hasher)
    })?;
    Ok((rows, hasher.finalize()))
}
