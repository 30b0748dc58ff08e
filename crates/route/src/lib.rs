//! Which hosts take the mail of a domain, when to try again, and what a failure means.
//!
//! [`Routes`] says whether an operator has named the way; [`hosts`] reads the MX answer; [`plan`]
//! turns hosts and their addresses into the ordered list of places to try. [`Schedule`] says when
//! the next attempt is due, [`classify`] what the end of an attempt means for the mail, [`meant`]
//! which domain a mistyped one was to be.
//!
//! Everything is an argument: DNS answers, the time, random numbers. This crate does no I/O, keeps
//! no state and never decides that a failure of ours (DNS that does not answer, a full disk) is
//! permanent.
//!
//! RFCs: 5321 §4.2.1, §4.5.4, §5 · 7505 (null MX) · 7504 (521) · 8461 §3 (MTA-STS) · 3463 (status codes).

mod failure;
mod likeness;
mod mta_sts;
mod mx;
mod routes;
mod schedule;
mod verdict;

pub use failure::{Class, Failure};
pub use likeness::meant;
pub use mta_sts::{MxPattern, StsError, StsMode, StsPolicy, sts_id};
pub use mx::{
    Addresses, DnsError, Inward, MX_HOSTS_MAX, Mx, MxAnswer, Network, NetworkError, Own, Place,
    Plan, hosts, is_inward, literal, plan, smart_host,
};
pub use routes::{Pattern, Relay, RouteError, Routes};
pub use schedule::{Next, Schedule};
pub use verdict::{Stage, Then, Trouble, Verdict, classify};
