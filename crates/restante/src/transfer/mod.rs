//! `restante import` and `restante export`: mail of other systems comes in, mail of this one goes
//! out, and what came is counted and compared.
//!
//! The command reads and writes the files (they are its user's, not the server's) and talks to the
//! store over a session: on the control socket where a server runs, else on a pair of sockets whose
//! other end serves the opened store. So there is one way for both.

mod client;
mod export;
pub mod export_files;
mod export_names;
mod folders;
mod imap;
mod imap_sign_in;
mod import;
mod maildir;
mod mbox;
mod session;
mod source;
mod words;

pub use export::{ExportArgs, export};
pub use export_files::{Growing, directory, write};
pub use import::{ImportArgs, import};
pub use session::serve;
