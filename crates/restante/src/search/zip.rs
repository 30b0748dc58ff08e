//! What a search finds as one zip file, written as it is found: `mail-1.eml` … or one mbox, a proof
//! beside each, and at the end the manifest. Whoever takes it can be anywhere: nothing is read back
//! and no more than one message is held.

use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use interchange::{WriteAs, write_message};
use mail_types::{Flags, Timestamp};
use rawzip::time::UtcDateTime;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use serde_json::Value;

use super::manifest::{self, Counts};

/// The name of the manifest in it.
pub const MANIFEST: &str = "manifest.jsonl";
/// Bytes of the manifest that are read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// How hard is packed: what is attached is packed already, and the rest packs well at once.
const LEVEL: Compression = Compression::fast();

/// What a zip file is of.
pub struct Of<'a> {
    /// As it was typed.
    pub query: &'a str,
    /// One mbox in place of a file for each message.
    pub as_mbox: bool,
    /// Where what is written at the end is kept until then, in a file without a name.
    pub spool: &'a Path,
}

/// Called with each message that is found and its bytes.
pub type OnHit<'a> = &'a mut dyn FnMut(&Value, Vec<u8>) -> anyhow::Result<()>;
/// Finds them; answers how it ended.
pub type Source<'a> = &'a mut dyn FnMut(OnHit<'_>) -> anyhow::Result<Value>;

/// Writes all that is found; answers what it came to, and how the search ended.
///
/// # Errors
/// The source's; where nobody takes it any more, or the manifest cannot be kept.
pub fn write(out: impl Write, of: &Of<'_>, source: Source<'_>) -> anyhow::Result<(Counts, Value)> {
    let mut zip = ZipArchiveWriter::new(BufWriter::with_capacity(CHUNK_BYTES, out));
    let mut lines = BufWriter::new(tempfile::tempfile_in(of.spool)?);
    writeln!(lines, "{}", manifest::first(of.query))?;
    let mut counts = Counts::default();
    let end = if of.as_mbox {
        mbox(&mut zip, &mut lines, &mut counts, source)?
    } else {
        source(&mut |hit, body| {
            let Some(hash) = counts.take(hit, &body)? else {
                return Ok(writeln!(lines, "{}", manifest::lost(hit))?);
            };
            let name = format!("mail-{}.eml", counts.written);
            let at = manifest::internal_date(hit);
            file(&mut zip, &name, at, &mut body.as_slice())?;
            if let Some(proof) = hit["inclusion_proof"].as_str() {
                let name = format!("mail-{}.proof", counts.written);
                file(&mut zip, &name, at, &mut proof.as_bytes())?;
            }
            Ok(writeln!(lines, "{}", manifest::line(hit, &body, hash, Some(&name)))?)
        })?
    };
    writeln!(lines, "{}", manifest::last(&end, &counts))?;
    let mut lines = lines.into_inner()?;
    lines.seek(SeekFrom::Start(0))?;
    file(&mut zip, MANIFEST, Some(net::now()), &mut lines)?;
    zip.finish()?.flush()?;
    Ok((counts, end))
}

/// All messages in one file of the zip.
fn mbox<W: Write>(
    zip: &mut ZipArchiveWriter<W>,
    lines: &mut impl Write,
    counts: &mut Counts,
    source: Source<'_>,
) -> anyhow::Result<Value> {
    let started = zip.new_file("mail.mbox").compression_method(CompressionMethod::DEFLATE);
    let (mut entry, config) = started.last_modified(moment(Some(net::now()))).start()?;
    let mut packed = config.wrap(DeflateEncoder::new(&mut entry, LEVEL));
    let end = source(&mut |hit, body| {
        let Some(hash) = counts.take(hit, &body)? else {
            return Ok(writeln!(lines, "{}", manifest::lost(hit))?);
        };
        let mut out = Vec::with_capacity(body.len() + 128);
        let sender = hit["from"].as_str().unwrap_or_default().trim_matches(['<', '>']);
        let date = manifest::internal_date(hit).unwrap_or_default();
        write_message(&body, &WriteAs { flags: &Flags::default(), date, sender }, &mut out);
        packed.write_all(&out)?;
        Ok(writeln!(lines, "{}", manifest::line(hit, &body, hash, None))?)
    })?;
    let (encoder, descriptor) = packed.finish()?;
    encoder.finish()?;
    entry.finish(descriptor)?;
    Ok(end)
}

fn file<W: Write>(
    zip: &mut ZipArchiveWriter<W>,
    name: &str,
    at: Option<Timestamp>,
    from: &mut impl Read,
) -> anyhow::Result<()> {
    let started = zip.new_file(name).compression_method(CompressionMethod::DEFLATE);
    let (mut entry, config) = started.last_modified(moment(at)).start()?;
    let mut packed = config.wrap(DeflateEncoder::new(&mut entry, LEVEL));
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk)? {
            0 => break,
            count => packed.write_all(&chunk[..count])?,
        }
    }
    let (encoder, descriptor) = packed.finish()?;
    encoder.finish()?;
    entry.finish(descriptor)?;
    Ok(())
}

/// APPNOTE §4.4.6 counts from 1980; what is older is of then.
fn moment(at: Option<Timestamp>) -> UtcDateTime {
    const FIRST_SECS: i64 = 315_532_800;
    let secs = at.map_or(FIRST_SECS, |at| at.millis() / 1000).max(FIRST_SECS);
    UtcDateTime::from_unix(secs)
}
