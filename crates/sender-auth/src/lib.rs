//! Who a message is from, as the DNS bears witness: SPF, DKIM, DMARC, ARC and iprev.
//!
//! Each check is a plain function of what is to be judged and of the DNS answers known so far. It
//! says its result, or which look-ups it lacks ([`Step::Ask`]); it is called again once they are
//! there, and comes to the same point. So it waits for nothing, and its tests need no DNS. It never
//! opens a socket, reads a clock, or decides what becomes of a message.

mod arc;
mod canon;
pub mod check;
mod dkim;
mod dns;
mod examined;
mod keys;
mod outcome;
mod spf;
mod tags;

pub use arc::{ArcResult, ArcSet};
pub use dkim::{DkimResult, KeyError, SigningKey, dkim_overall};
pub use dns::{Answer, Answers, Query, QueryKind, Step};
pub use examined::{Examined, Reading};
pub use keys::Algorithm;
pub use outcome::{Outcome, Verdict};
pub use spf::{SpfResult, SpfScope, SpfSession, spf_helo, spf_mail_from};
