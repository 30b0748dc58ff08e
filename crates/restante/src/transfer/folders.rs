//! Which mailbox a folder's messages go into.

use anyhow::bail;

use crate::transfer::source::Folder;
use crate::transfer::words::FolderHere;

/// The rules of one import.
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    /// Folder there, mailbox here.
    pub map: Vec<(String, String)>,
    /// Everything goes below this.
    pub into: Option<String>,
}

impl Mapping {
    /// From `THERE=HERE` on the command line.
    pub fn read(map: &[String], into: Option<String>) -> anyhow::Result<Self> {
        let mut pairs = Vec::new();
        for text in map {
            match text.split_once('=') {
                Some((there, here)) if !there.is_empty() && !here.is_empty() => {
                    pairs.push((there.to_owned(), here.to_owned()));
                }
                _ => bail!("“{text}” maps nothing: write “Sent Items=Sent”"),
            }
        }
        let into = into.map(|prefix| prefix.trim_matches('/').to_owned());
        Ok(Self { map: pairs, into })
    }

    /// Where a folder goes: as mapped, or a folder above it; else to the mailbox here of the same
    /// special use (RFC 6154); else to one of its name.
    pub fn target(&self, folder: &Folder, here: &[FolderHere]) -> String {
        let name = folder.name.as_str();
        let mapped = self.map.iter().find_map(|(there, to)| {
            let rest = name.strip_prefix(there.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
        });
        if let Some(mapped) = mapped {
            return mapped;
        }
        if let Some(prefix) = &self.into {
            return format!("{prefix}/{name}");
        }
        let same_use = folder.special_use.as_ref().and_then(|wanted| {
            here.iter().find(|known| known.special_use.as_ref() == Some(wanted))
        });
        if let Some(known) = same_use {
            return known.name.clone();
        }
        if name.eq_ignore_ascii_case("INBOX") { "INBOX".to_owned() } else { name.to_owned() }
    }
}
