//! Who a message is from, as the DNS bears witness: SPF, DKIM, DMARC, ARC and iprev.
//!
//! Each check is a plain function of what is to be judged and of the DNS answers known so far. It
//! says its result, or which look-ups it lacks ([`Step::Ask`]); it is called again once they are
//! there, and comes to the same point. So it waits for nothing, and its tests need no DNS. It never
//! opens a socket, reads a clock, or decides what becomes of a message.

mod dns;
mod outcome;
mod spf;

pub use dns::{Answer, Answers, Query, QueryKind, Step};
pub use outcome::{Outcome, Verdict};
pub use spf::{SpfResult, SpfScope, SpfSession, spf_helo, spf_mail_from};
