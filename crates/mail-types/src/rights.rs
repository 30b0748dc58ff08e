use std::fmt;

use serde::{Deserialize, Serialize};

/// What somebody may do with a mailbox (RFC 4314 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// `l`: see that it is there.
    Lookup,
    /// `r`: read it.
    Read,
    /// `s`: set and clear `\Seen`.
    Seen,
    /// `w`: set and clear other flags.
    Write,
    /// `i`: put messages into it.
    Insert,
    /// `p`: kept for other programs, means nothing here.
    Post,
    /// `k`: make mailboxes below it.
    Create,
    /// `x`: delete or rename it.
    DeleteMailbox,
    /// `t`: set and clear `\Deleted`.
    DeleteMessages,
    /// `e`: expunge.
    Expunge,
    /// `a`: say who may do what.
    Administer,
}

impl Right {
    /// Every right, in the order in which RFC 4314 names them.
    pub const ALL: [Self; 11] = [
        Self::Lookup,
        Self::Read,
        Self::Seen,
        Self::Write,
        Self::Insert,
        Self::Post,
        Self::Create,
        Self::DeleteMailbox,
        Self::DeleteMessages,
        Self::Expunge,
        Self::Administer,
    ];

    /// Its letter.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Lookup => 'l',
            Self::Read => 'r',
            Self::Seen => 's',
            Self::Write => 'w',
            Self::Insert => 'i',
            Self::Post => 'p',
            Self::Create => 'k',
            Self::DeleteMailbox => 'x',
            Self::DeleteMessages => 't',
            Self::Expunge => 'e',
            Self::Administer => 'a',
        }
    }

    /// Its place among the bits, which stand in records: never changed.
    const fn bit(self) -> u16 {
        1 << match self {
            Self::Lookup => 0,
            Self::Read => 1,
            Self::Seen => 2,
            Self::Write => 3,
            Self::Insert => 4,
            Self::Post => 5,
            Self::Create => 6,
            Self::DeleteMailbox => 7,
            Self::DeleteMessages => 8,
            Self::Expunge => 9,
            Self::Administer => 10,
        }
    }
}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rights(u16);

/// A letter that stands for no right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("“{0}” is no right: there are lrswipkxtea")]
pub struct NoRight(pub char);

impl Rights {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self(0x7ff);

    /// From letters. `c` stands for `k`, and `d` for `e`, `t` and `x` (RFC 4314 §2.1.1).
    ///
    /// # Errors
    /// The first letter that stands for no right.
    pub fn parse(letters: &str) -> Result<Self, NoRight> {
        let mut rights = Self::NONE;
        for letter in letters.chars() {
            match (letter, Right::ALL.into_iter().find(|right| right.letter() == letter)) {
                (_, Some(right)) => rights = rights.with(right),
                ('c', None) => rights = rights.with(Right::Create),
                ('d', None) => rights = rights.union(Self::VIRTUAL_D),
                (letter, None) => return Err(NoRight(letter)),
            }
        }
        Ok(rights)
    }

    /// What the virtual right `d` stands for.
    const VIRTUAL_D: Self =
        Self(Right::Expunge.bit() | Right::DeleteMessages.bit() | Right::DeleteMailbox.bit());

    /// From the bits that [`Rights::bits`] gave; others are passed over.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// As a number, for keeping.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether this right is among them.
    #[must_use]
    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Whether one of `others` is among them.
    #[must_use]
    pub const fn has_any(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// With this right too.
    #[must_use]
    pub const fn with(self, right: Right) -> Self {
        Self(self.0 | right.bit())
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |&right| self.has(right))
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        rights.into_iter().fold(Self::NONE, Self::with)
    }
}

/// The letters. RFC 4314 §2.1.1: `c` and `d` come with any right that they stand for, for programs
/// that know RFC 2086 only.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.iter().try_for_each(|right| f.write_char(right.letter()))?;
        if self.has(Right::Create) {
            f.write_char('c')?;
        }
        if self.has_any(Self::VIRTUAL_D) {
            f.write_char('d')?;
        }
        Ok(())
    }
}
