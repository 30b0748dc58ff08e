//! What must hold for any bytes: for fuzzing, and for the tests that replay what it found.

use mail_types::{Flags, Timestamp};

use crate::{Dialect, Found, Mbox, WriteAs, write_message};

/// Bytes read as an mbox, whole and in pieces, written and read again.
///
/// # Errors
/// What does not hold.
pub fn check_mbox(bytes: &[u8]) -> Result<(), String> {
    for dialect in [Dialect::Auto, Dialect::Mboxo, Dialect::Mboxrd, Dialect::Mboxcl2] {
        let whole = read(bytes, dialect, bytes.len().max(1));
        let size = usize::from(bytes.first().copied().unwrap_or(0)) % 64 + 1;
        if read(bytes, dialect, size) != whole {
            return Err(format!("{dialect:?}: pieces of {size} bytes read otherwise"));
        }
    }
    let mut file = Vec::new();
    let mut written = Vec::new();
    for found in read(bytes, Dialect::Auto, bytes.len().max(1)) {
        let Found::Message(mut message) = found else { continue };
        drop(crate::take_flags(&mut message.content));
        let how = WriteAs { flags: &Flags::default(), date: Timestamp(0), sender: "a@b" };
        write_message(&message.content, &how, &mut file);
        written.push(message.content);
    }
    let again = read(&file, Dialect::Mboxrd, file.len().max(1));
    if again.len() != written.len() {
        return Err(format!("{} messages were written, {} read", written.len(), again.len()));
    }
    Ok(())
}

fn read(bytes: &[u8], dialect: Dialect, piece: usize) -> Vec<Found> {
    let mut mbox = Mbox::new(dialect);
    let mut all = Vec::new();
    for piece in bytes.chunks(piece) {
        mbox.push(piece);
        while let Some(found) = mbox.find() {
            all.push(found);
        }
    }
    mbox.end();
    while let Some(found) = mbox.find() {
        all.push(found);
    }
    // How many bytes before the first separator are told at a time is no promise.
    all.retain(|found| matches!(found, Found::Message(_)));
    all
}
