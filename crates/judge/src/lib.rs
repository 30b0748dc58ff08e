//! What becomes of a message, from what is known of its sender: delivered, put into the folder for
//! junk, held, or turned away, with the reasons in words.
//!
//! It decides and does nothing: no look-up, no clock, no log. Trouble of the DNS never turns a
//! message away for good (RFC 7489 §6.6.2 and RFC 9989 §5.4 leave that to us; a message once refused
//! with 5yz is lost to its recipient). What the facts are is `sender-auth`'s to say.
//!
//! RFC 9989 (DMARC), RFC 7208 §8 (what SPF's results ask for), RFC 8617 §5.2 (ARC), RFC 8601 §2.7.

mod facts;
mod policy;
mod results;
mod verdict;

pub use facts::Facts;
pub use policy::{Act, DnsTrouble, Policy, PolicyError};
pub use results::auth_results;
pub use verdict::{Overridden, Verdict, judge};
