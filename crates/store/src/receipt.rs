use mail_types::{Acceptance, ReceiptId, Timestamp};

use crate::commit::Synced;

/// Proof that a message is kept. Its fields are private and [`Receipt::committed`] is visible to
/// the commit alone, which calls it after the sync: whoever holds a receipt may answer `250`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    id: ReceiptId,
    at: Timestamp,
}

impl Receipt {
    pub(crate) const fn committed(id: ReceiptId, at: Timestamp, _: &Synced) -> Self {
        Self { id, at }
    }

    /// What the `250` carries.
    #[must_use]
    pub const fn id(&self) -> ReceiptId {
        self.id
    }

    /// When the message was accepted.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

impl Acceptance for Receipt {
    fn receipt_id(&self) -> ReceiptId {
        self.id
    }
}
