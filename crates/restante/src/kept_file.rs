//! Small files beside the mail: policies, certificates, keys. Replaced whole or not at all.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::{fs, io};

/// Puts a file in place of the one that is there, if one is: whoever reads it, and whatever is left
/// behind a power cut, has either all of the old or all of the new. Readable to its owner alone.
///
/// # Errors
/// What the operating system says; then the old one is there as before.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let nowhere = || io::Error::new(io::ErrorKind::InvalidInput, "no file name");
    let directory = path.parent().ok_or_else(nowhere)?;
    let mut name = path.file_name().ok_or_else(nowhere)?.to_owned();
    name.push(".new");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let fresh = directory.join(name);
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    // The name, too.
    fs::File::open(directory)?.sync_all()
}

/// Removes a file; that there is none is well.
///
/// # Errors
/// What the operating system says.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
