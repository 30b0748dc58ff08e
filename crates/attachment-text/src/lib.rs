//! The text that is written in attachments, to be searched: PDF (ISO 32000), Office Open XML
//! (ECMA-376: docx, xlsx, pptx), OpenDocument (ISO 26300: odt, ods, odp), HTML and plain text in
//! files that are not called so, and the names in a zip archive.
//!
//! It takes any octets and gives text or says why not. Time and memory are limited by [`Limits`] as
//! far as the libraries below let it; whoever reads what strangers send does it in a process that can
//! be ended. It does no I/O, runs no macro, follows no link, opens nothing that is encrypted.

mod office;
mod pdf;
mod pdf_font;
mod zipped;

pub use zipped::{Entry, Zip};

/// How much of an attachment is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of an attachment; a larger one is not read.
    pub bytes_max: usize,
    /// Octets of text taken out of it; what is behind is left out.
    pub text_bytes_max: usize,
    /// Octets that are unpacked of it, all parts together.
    pub unpacked_bytes_max: usize,
    /// Parts of an archive that are looked at.
    pub entries_max: usize,
    /// Pages of a PDF, and sheets or slides of an office document.
    pub pages_max: usize,
    /// Operators of a page and of what it draws.
    pub operators_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 32 << 20,
            text_bytes_max: 1 << 20,
            unpacked_bytes_max: 64 << 20,
            entries_max: 4096,
            pages_max: 2000,
            operators_max: 500_000,
        }
    }
}

/// Why there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is larger than [`Limits::bytes_max`].
    #[error("it is too large to be read")]
    TooLarge,
    /// It unpacks to more than [`Limits::unpacked_bytes_max`].
    #[error("it unpacks to too much")]
    UnpacksToTooMuch,
    /// A password is needed.
    #[error("it is encrypted")]
    Encrypted,
    /// It is not what it says it is.
    #[error("it is broken or of another format")]
    Broken,
}

/// What an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Plain text, whatever its type says.
    Text,
    /// HTML, whatever its type says.
    Html,
    /// PDF.
    Pdf,
    /// Office Open XML: word processing.
    Docx,
    /// Office Open XML: spreadsheet.
    Xlsx,
    /// Office Open XML: presentation.
    Pptx,
    /// OpenDocument of any kind.
    OpenDocument,
    /// A zip archive: the names in it.
    Zip,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Text,
        Self::Html,
        Self::Pdf,
        Self::Docx,
        Self::Xlsx,
        Self::Pptx,
        Self::OpenDocument,
        Self::Zip,
    ];

    /// Its number between processes.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// What an attachment of this type (`application/pdf`, in lower case) and name is; `None` where
    /// nothing can be read in it, or its text is the message's own (`text/…`). The name counts first:
    /// programs say `application/octet-stream` of anything.
    #[must_use]
    pub fn of(media_type: &str, name: &str) -> Option<Self> {
        if media_type.starts_with("text/") || media_type.starts_with("multipart/") {
            return None;
        }
        let extension = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
        let by_name = match extension.as_deref() {
            Some("pdf") => Some(Self::Pdf),
            Some("docx" | "docm" | "dotx" | "dotm") => Some(Self::Docx),
            Some("xlsx" | "xlsm" | "xltx" | "xltm") => Some(Self::Xlsx),
            Some("pptx" | "pptm" | "potx" | "ppsx") => Some(Self::Pptx),
            Some("odt" | "ods" | "odp" | "odg" | "ott" | "ots" | "otp") => Some(Self::OpenDocument),
            Some("html" | "htm" | "xhtml") => Some(Self::Html),
            Some(
                "txt" | "text" | "csv" | "tsv" | "md" | "log" | "json" | "xml" | "yaml" | "ini",
            ) => Some(Self::Text),
            Some("zip") => Some(Self::Zip),
            _ => None,
        };
        by_name.or(match media_type {
            "application/pdf" | "application/x-pdf" => Some(Self::Pdf),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => {
                Some(Self::Docx)
            }
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => Some(Self::Xlsx),
            "application/vnd.openxmlformats-officedocument.presentationml.presentation" => {
                Some(Self::Pptx)
            }
            "application/zip" | "application/x-zip-compressed" => Some(Self::Zip),
            "application/xhtml+xml" => Some(Self::Html),
            "application/json" | "application/xml" => Some(Self::Text),
            other if other.starts_with("application/vnd.oasis.opendocument.") => {
                Some(Self::OpenDocument)
            }
            _ => None,
        })
    }
}

/// What is written in an attachment.
///
/// # Errors
/// Why nothing can be read.
pub fn text_of(kind: Kind, bytes: Vec<u8>, limits: &Limits) -> Result<String, Unreadable> {
    if bytes.len() > limits.bytes_max {
        return Err(Unreadable::TooLarge);
    }
    let mut text = match kind {
        Kind::Text => plain(&bytes, limits)?,
        Kind::Html => message::html_text(&plain(&bytes, limits)?),
        Kind::Pdf => pdf::text(bytes, limits)?,
        Kind::Docx => office::docx(&bytes, limits)?,
        Kind::Xlsx => office::xlsx(&bytes, limits)?,
        Kind::Pptx => office::pptx(&bytes, limits)?,
        Kind::OpenDocument => office::open_document(&bytes, limits)?,
        Kind::Zip => names(&bytes, limits)?,
    };
    text.truncate(text.floor_char_boundary(limits.text_bytes_max));
    Ok(text)
}

/// UTF-16 with its mark, UTF-8, or windows-1252, as far as it can be told.
fn plain(bytes: &[u8], limits: &Limits) -> Result<String, Unreadable> {
    let head = &bytes[..bytes.len().min(limits.text_bytes_max)];
    let charset: Option<&[u8]> = match head {
        [0xff, 0xfe, ..] => Some(b"utf-16le"),
        [0xfe, 0xff, ..] => Some(b"utf-16be"),
        // No text has it.
        _ if memchr::memchr(0, head).is_some() => return Err(Unreadable::Broken),
        _ => None,
    };
    Ok(message::decode_charset(head, charset).into_owned())
}

fn names(bytes: &[u8], limits: &Limits) -> Result<String, Unreadable> {
    let zip = Zip::read(bytes, limits)?;
    let mut text = String::new();
    for entry in zip.entries() {
        text.push_str(&entry.name);
        text.push('\n');
        if text.len() >= limits.text_bytes_max {
            break;
        }
    }
    Ok(text)
}
