//! A standby: a second server that has everything the first one has, byte for byte, and can take its
//! place.
//!
//! - [`Hub`] is the first server's side: who may follow ([`invite`]), links that stream durable
//!   groups, body files and small files in order, how far each standby is, and whether anybody may be
//!   told of a group before a standby has it ([`store::Witness`]).
//! - [`follow`] is the standby's side: [`Keeper`] checks and syncs what comes before it says that it
//!   has it; the index and the tree of signed heads are brought up to it behind that.
//! - Of two servers with the same past the one that was promoted goes on: it tells the other one
//!   ([`tell`]), which then serves no more ([`Fence`]).
//!
//! A link is TLS 1.3; the standby knows the server's certificate by its hash and shows a secret, both
//! from a token that `invite` made. A slow standby costs the server the memory of one group and a
//! piece of a body file; one that is away costs it nothing.
//!
//! It never writes a record, sends mail or decides to promote; no file of mail is written but through
//! `journal`.

mod error;
mod fence;
mod follow;
mod hub;
mod invites;
mod keeper;
mod lag;
mod link;
mod link_file;
mod reading;
mod sending;
mod small;
mod tell;
mod token;
mod wire;

pub use error::{FollowError, HubError};
pub use fence::Fence;
pub use follow::{Followed, Following, Standing, follow, greet};
pub use hub::{Acknowledge, Hub, HubSettings, StandbyView, WhenAway};
pub use invites::{Invite, ensure_key, forget, invite, invited};
pub use keeper::{Keeper, Task};
pub use lag::Lag;
pub use link_file::{KeptState, LinkFile, following_path};
pub use tell::{Told, tell};
pub use token::{Token, TokenError};
