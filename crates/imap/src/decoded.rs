use std::ops::Range;
use std::sync::Arc;

use imap_machine::{Content, Contents, Octets, Wanted};
use mail_types::MailId;
use message::{decoded_part_range, part_at};
use store::{StoreError, Visit};
use tokio::sync::OwnedSemaphorePermit;

use crate::Shared;

/// Octets that are decoded ahead: a part that is sent in pieces is read and decoded from its begin
/// for each so many, and not for each piece.
const AHEAD_OCTETS: u32 = 8 << 20;

/// Octets of a part without its transfer encoding (BINARY, RFC 3516), while they are sent in pieces.
pub struct Decoded {
    mail: u64,
    part: Box<[u32]>,
    /// Where in the part they begin.
    start: u32,
    octets: Vec<u8>,
    /// Their room among all sessions.
    _room: OwnedSemaphorePermit,
}

impl Decoded {
    /// The piece, if it is all here.
    pub fn piece(&self, wanted: &Wanted, octets: &Octets) -> Option<Contents> {
        let Octets::Decoded(part, range) = octets else { return None };
        if wanted.mail != self.mail || *part != self.part {
            return None;
        }
        let start = range.start.checked_sub(self.start)? as usize;
        let piece = self.octets.get(start..start.checked_add(range.len())?)?;
        let mut contents = Contents::default();
        let octets = contents.write(|out| out.extend_from_slice(piece));
        contents.messages.push(Some(Content { summary: None, octets }));
        Some(contents)
    }
}

/// Reads ahead; `None` where there is no room for it now, or nothing to be had.
pub fn read_ahead(
    shared: &Arc<Shared>,
    wanted: &Wanted,
    octets: &Octets,
) -> Result<Option<Decoded>, StoreError> {
    let Octets::Decoded(part, range) = octets else { return Ok(None) };
    let ahead = range.start..range.end.max(range.start.saturating_add(AHEAD_OCTETS));
    let Some(room) = shared.caches.decoded_room(ahead.len() as u64) else { return Ok(None) };
    let octets = decoded(shared, &[MailId(wanted.mail)], part, &ahead)?;
    Ok(octets.filter(|octets| octets.len() >= range.len()).map(|octets| Decoded {
        mail: wanted.mail,
        part: part.clone(),
        start: range.start,
        octets,
        _room: room,
    }))
}

/// Octets of a part without its transfer encoding, as many of those asked for as there are; `None`
/// where they are not to be had.
pub fn decoded(
    shared: &Shared,
    mails: &[MailId],
    part: &[u32],
    range: &Range<u32>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mails = &mails[..mails.len().min(1)];
    let (mut summary, mut octets) = (None, None);
    shared.store.heads(mails, |_, head| {
        summary = head.and_then(|head| head.summary());
        Visit::Stop
    })?;
    let Some(summary) = summary else { return Ok(None) };
    shared.store.bodies(mails, |_, body| {
        let all = &summary.structure;
        let part = part_at(all, part).map(|part| &all.parts()[part]);
        octets = part.zip(body).and_then(|(part, body)| {
            let decoded = decoded_part_range(body, part, range.start as usize, range.len());
            decoded.ok().map(|octets| octets.into())
        });
        Visit::Stop
    })?;
    Ok(octets)
}
