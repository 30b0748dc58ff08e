//! A promoted standby tells the server that it followed.

use mail_types::Timestamp;
use store::Promotion;

use crate::error::{FollowError, cut};
use crate::follow::connect;
use crate::token::Token;
use crate::wire::{self, FromServer, Hello, Want};

/// How long the other side has for its answer.
const ANSWER: std::time::Duration = std::time::Duration::from_secs(10);

/// What the other one says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It serves no more.
    Fenced,
    /// This server itself listens there by now.
    Itself,
    /// It goes on itself: this one must not.
    Overruled {
        /// In its words.
        what: String,
        /// What to do.
        mend: String,
    },
}

/// Tells it.
///
/// # Errors
/// Where it cannot be reached.
pub async fn tell(
    from: &str,
    token: &Token,
    hostname: &str,
    promotion: &Promotion,
) -> Result<Told, FollowError> {
    let (mut reader, mut writer) = connect(from, token).await?.split();
    let Timestamp(at) = promotion.at;
    let want = Want::Fence {
        epoch: promotion.epoch,
        by: hostname.to_owned(),
        after: promotion.after.to_bytes().to_vec(),
        at,
    };
    let hello = Hello { version: wire::VERSION, secret: token.secret, want };
    wire::write(&mut writer, &hello, &[]).await.map_err(cut("the link was cut"))?;
    let answer = wire::read(&mut reader, ANSWER).await.map_err(cut("the link was cut"))?;
    match answer.0 {
        FromServer::Fenced => Ok(Told::Fenced),
        FromServer::Itself => Ok(Told::Itself),
        FromServer::Refused { what, mend } => Ok(Told::Overruled { what, mend }),
        _ => Err(cut("the link was cut")(wire::strange("no answer to that"))),
    }
}
