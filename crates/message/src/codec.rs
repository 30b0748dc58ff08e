//! The compact forms in which what was read of a message is kept: a version, numbers of seven bits
//! an octet, texts with their length in front.

use crate::Bytes;

/// Why octets are not what was kept of a message ([`crate::Summary`], [`crate::SortFacts`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SummaryError {
    /// Its first octet names a version that this code does not know.
    #[error("what was kept of a message is of unknown version {0}")]
    Version(u8),
    /// It ends early, goes on too long, or holds a value that cannot be.
    #[error("what was kept of a message is damaged")]
    Damaged,
}

pub(crate) struct Encoder {
    pub(crate) out: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(version: u8, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.push(version);
        Self { out }
    }

    /// Seven bits an octet, low ones first, the high bit set on all but the last.
    pub(crate) fn number(&mut self, number: usize) {
        let mut rest = number;
        while rest >= 0x80 {
            self.out.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.out.push(rest as u8);
    }

    pub(crate) fn text(&mut self, text: &[u8]) {
        self.number(text.len());
        self.out.extend_from_slice(text);
    }

    /// 0 for none, else the length plus one and the octets.
    pub(crate) fn optional(&mut self, text: Option<&[u8]>) {
        match text {
            None => self.number(0),
            Some(text) => {
                self.number(text.len() + 1);
                self.out.extend_from_slice(text);
            }
        }
    }
}

/// Every method fails on octets that end early; nothing is allocated ahead of octets that are
/// really there.
pub(crate) struct Decoder<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Begins behind the version, which is the only one that there is yet.
    pub(crate) fn new(version: u8, bytes: &'a [u8]) -> Result<Self, SummaryError> {
        match bytes.split_first().ok_or(SummaryError::Damaged)? {
            (&found, rest) if found == version => Ok(Self { rest }),
            (&found, _) => Err(SummaryError::Version(found)),
        }
    }

    pub(crate) fn number(&mut self) -> Result<usize, SummaryError> {
        let mut number = 0_usize;
        for shift in (0..63).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(SummaryError::Damaged)?;
            self.rest = rest;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(SummaryError::Damaged)
    }

    pub(crate) fn octets(&mut self, count: usize) -> Result<&'a [u8], SummaryError> {
        let (octets, rest) = self.rest.split_at_checked(count).ok_or(SummaryError::Damaged)?;
        self.rest = rest;
        Ok(octets)
    }

    pub(crate) fn str(&mut self) -> Result<&'a str, SummaryError> {
        let count = self.number()?;
        std::str::from_utf8(self.octets(count)?).map_err(|_| SummaryError::Damaged)
    }

    pub(crate) fn text(&mut self) -> Result<Bytes, SummaryError> {
        let count = self.number()?;
        Ok(self.octets(count)?.into())
    }

    pub(crate) fn word(&mut self) -> Result<Box<str>, SummaryError> {
        let text = String::from_utf8(self.text()?.into_vec());
        text.map(Into::into).map_err(|_| SummaryError::Damaged)
    }

    pub(crate) fn optional(&mut self) -> Result<Option<Bytes>, SummaryError> {
        match self.number()? {
            0 => Ok(None),
            count => Ok(Some(self.octets(count - 1)?.into())),
        }
    }

    pub(crate) fn optional_str(&mut self) -> Result<Option<&'a str>, SummaryError> {
        match self.number()? {
            0 => Ok(None),
            count => {
                let text = std::str::from_utf8(self.octets(count - 1)?);
                text.map(Some).map_err(|_| SummaryError::Damaged)
            }
        }
    }

    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self, usize) -> Result<T, SummaryError>,
    ) -> Result<Vec<T>, SummaryError> {
        let count = self.number()?;
        // Each item takes at least one octet.
        if count > self.rest.len() {
            return Err(SummaryError::Damaged);
        }
        (0..count).map(|at| item(self, at)).collect()
    }
}
