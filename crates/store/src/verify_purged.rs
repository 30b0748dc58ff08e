//! I10: what was purged was in nobody's mailbox, was to go nowhere, was under no legal hold, and had
//! been kept as long as was wanted. Looked at where the record stands, with the rules of then; and
//! I4: every hole is a purge, and every purge that is done a hole.

use std::collections::HashSet;

use journal::{Disk, Found, Position, ReadError, Reader};
use mail_types::{MailId, Timestamp};

use crate::StoreError;
use crate::archive::{Holding, Retention, Rules, ends, follow, holding, read_parts};
use crate::record::{Entry, Place, Record};
use crate::record_archive::{Keep, PurgeRule};
use crate::sql::Executor;
use crate::verify::{Invariant, Report};

/// Bodies by segment and offset.
pub type Holes = HashSet<(u32, u64)>;

/// Checks a body; one that is purged is a hole.
///
/// # Errors
/// What is wrong with it.
pub fn check_body<D: Disk>(
    reader: &Reader<D>,
    at: Position,
    holes: &mut Holes,
) -> Result<(), ReadError> {
    // Once more where it fails: a server that runs may just have purged it.
    match reader.check(at).or_else(|_| reader.check(at))? {
        Found::Purged { .. } => drop(holes.insert((at.segment, at.offset))),
        Found::Body { .. } | Found::Record { .. } => {}
    }
    Ok(())
}

/// What a record purges, before it is applied to the index.
pub fn check_record<D: Disk>(
    entry: &Entry,
    reader: &Reader<D>,
    sql: &mut impl Executor,
    report: &mut Report,
) -> Result<(), StoreError> {
    let Record::Purged(purged) = &entry.record else { return Ok(()) };
    let at = entry.at;
    // Settings are no records: what of them counted stands in the rule.
    let rules = Rules::read(sql, Retention::default())?;
    for &mail in &purged.mails {
        let bad = check_mail(mail, at, &purged.rule, &rules, reader, sql);
        match bad {
            Ok(None) => {}
            Ok(Some(what)) => {
                report.add(Invariant::PurgedRightly, format!("message {mail} was purged {what}"));
            }
            // A record that cannot be read is told of under I1.
            Err(StoreError::Read(_) | StoreError::Record(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn check_mail<D: Disk>(
    mail: MailId,
    at: Timestamp,
    rule: &PurgeRule,
    rules: &Rules,
    reader: &Reader<D>,
    sql: &mut impl Executor,
) -> Result<Option<String>, StoreError> {
    let Some(parts) = read_parts(sql, mail)? else {
        return Ok(Some("and was never accepted".to_owned()));
    };
    let read = |at: Place| {
        let (_, payload) = reader.read_record(at.into())?;
        Ok(Entry::decode(&payload)?)
    };
    let traits = follow(mail, &parts, &read)?;
    let Holding { owners, there, spam } = holding(sql, mail, &traits)?;
    if parts.purged.is_some() {
        return Ok(Some("twice".to_owned()));
    }
    if let Some(state) = parts.open {
        return Ok(Some(format!("while a recipient was {state}")));
    }
    if !there.is_empty() {
        return Ok(Some(format!("while it lay in {} mailboxes", there.len())));
    }
    if let Some(known) = rules.hold(&owners, parts.accepted_at) {
        return Ok(Some(format!("while the legal hold {} kept it", known.hold.name)));
    }
    let PurgeRule::Retention { keep_secs, spam: as_spam, .. } = rule else { return Ok(None) };
    if *as_spam && !spam {
        return Ok(Some("as junk, which it was not".to_owned()));
    }
    let (wanted, of) = rules.keep(&owners, &traits.domains, *as_spam);
    let wanted = match of {
        Some(_) => wanted,
        None => Keep::Secs(*keep_secs),
    };
    let until = ends(traits.last_at, wanted.max(Keep::Secs(*keep_secs)));
    Ok(match until {
        Some(until) if until <= at => None,
        Some(until) => Some(format!("at {at}, but was to be kept until {until}")),
        None => Some("but was to be kept for ever".to_owned()),
    })
}

/// What all records together came to, against the bodies that are holes.
pub fn check_end<D: Disk>(
    mut holes: Holes,
    reader: &Reader<D>,
    sql: &mut impl Executor,
    report: &mut Report,
) -> Result<(), StoreError> {
    for (what, query) in [
        (
            "purged message that lies in a mailbox",
            "SELECT DISTINCT mail FROM message WHERE mail IN \
             (SELECT id FROM mail WHERE purged IS NOT NULL)",
        ),
        (
            "message that was taken out of a mailbox when it was purged already",
            "SELECT DISTINCT expunged.mail FROM mail JOIN expunged ON expunged.mail = mail.id \
             WHERE mail.purged IS NOT NULL AND expunged.seq > mail.purged",
        ),
    ] {
        sql.query(query, &[], &mut |row| {
            report.add(Invariant::PurgedRightly, format!("{what}: {}", row.int(0)?));
            Ok(())
        })?;
    }
    let mut left = Vec::new();
    sql.query(
        "SELECT id, body_segment, body_place, done FROM mail JOIN purge ON purge.seq = mail.purged",
        &[],
        &mut |row| {
            let place = (u32::try_from(row.int(1)?).unwrap_or(u32::MAX), row.id(2)?);
            // Between its record and the disk a crash may come: the next start goes on.
            if !holes.remove(&place) && row.int(3)? == 1 {
                left.push((MailId(row.id(0)?), place));
            }
            Ok(())
        },
    )?;
    for (mail, (segment, offset)) in left {
        // A server that runs purged it behind the look at its body.
        if let Ok(Found::Purged { .. }) = reader.check(Place { segment, offset }.into()) {
            continue;
        }
        let what = format!("message {mail}: purged, and its body is still there");
        report.add(Invariant::BodyThere, what);
    }
    for (segment, offset) in holes {
        let what = format!("the body at {segment}:{offset} is a hole, and no record purged it");
        report.add(Invariant::BodyThere, what);
    }
    Ok(())
}
