//! I14: what is kept of messages, see [`extract`], is what their bodies give.

use std::path::Path;

use extract::{Extract, Made, Slot, Stream, Visit};
use journal::{Disk, Reader};
use mail_types::MailId;

use crate::extracting::{body_at, extract_path};
use crate::record::Place;
use crate::sql::{Executor, SqlError};
use crate::verify::{Invariant, Report};

/// Messages looked at together.
const MAILS_AT_A_TIME: u64 = 256;

/// Compares all that is kept and passes its check; what does not is missing, which is no violation.
pub fn check<D: Disk>(
    index_path: &Path,
    reader: &Reader<D>,
    sql: &mut impl Executor,
    report: &mut Report,
) -> Result<(), SqlError> {
    let extract = Extract::look(&extract_path(index_path));
    let mut last = 0;
    loop {
        let (mut mails, mut places) = (Vec::new(), Vec::new());
        sql.query(
            "SELECT id, body_segment, body_place FROM mail WHERE id > $1 ORDER BY id LIMIT $2",
            &[last.into(), MAILS_AT_A_TIME.into()],
            &mut |row| {
                mails.push(MailId(row.id(0)?));
                let segment = u32::try_from(row.id(1)?).unwrap_or(u32::MAX);
                places.push(Place { segment, offset: row.id(2)? });
                Ok(())
            },
        )?;
        let Some(end) = mails.last() else { return Ok(()) };
        last = end.0;
        let slots = extract.slots(&mails);
        let made: Vec<Option<Made>> = slots
            .iter()
            .enumerate()
            .map(|(at, slot)| made(reader, (mails[at], places[at]), slot.as_ref()?, report))
            .collect();
        for stream in [Stream::Head, Stream::Header, Stream::Text] {
            extract.entries(stream, &mails, &slots, |at, entry| {
                if let (Some(entry), Some(made)) = (entry, &made[at])
                    && entry != of(made, stream)
                {
                    let what = format!("what is kept of message {} is another's", mails[at]);
                    report.add(Invariant::ExtractEqual, what);
                }
                Visit::GoOn
            });
        }
    }
}

/// What the body gives, its slot compared; `None` where the body cannot be read, which is told of
/// under I4.
fn made<D: Disk>(
    reader: &Reader<D>,
    (mail, at): (MailId, Place),
    slot: &Slot,
    report: &mut Report,
) -> Option<Made> {
    let body = reader.read_kept_body(at.into()).ok()?;
    let made = Made::of(&body.bytes);
    let is_right = slot.body == body_at(at, &body)
        && slot.header_whole == made.header_whole
        && slot.text_whole == made.text_whole;
    if !is_right {
        let what = format!("the slot of message {mail} does not tell of its body");
        report.add(Invariant::ExtractEqual, what);
    }
    Some(made)
}

fn of(made: &Made, stream: Stream) -> &[u8] {
    match stream {
        Stream::Head => &made.head,
        Stream::Header => &made.header,
        Stream::Text => made.text.as_bytes(),
    }
}
