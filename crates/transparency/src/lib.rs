//! The Merkle tree over an append-only log, what it proves, and how its heads are signed: the parts
//! of Certificate Transparency that any log needs, in the text formats that others read (C2SP).
//!
//! - [`Frontier`]: the root of a growing tree in memory of its height.
//! - [`inclusion`], [`consistency`]: proofs, made from the hashes of complete subtrees ([`Nodes`]),
//!   which [`stored_index`] gives a place in one append-only file; [`verify_inclusion`] and
//!   [`verify_consistency`] check them with nothing but the heads.
//! - [`Signer`], [`Verifier`], [`Note`]: signed notes; [`Checkpoint`]: a head in one;
//!   [`ProofFile`]: an entry with its proof and head in one file.
//!
//! It opens nothing, draws no random number (a key's seed is an argument) and knows nothing of mail.
//!
//! RFCs: 6962 §2.1 and 9162 §2.1 (tree and proofs), 8032 (Ed25519). Formats: c2sp.org/signed-note,
//! tlog-checkpoint, tlog-proof.

mod checkpoint;
mod note;
mod proof;
mod proof_file;
mod stored;
mod tree;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use note::{Note, NoteError, SEED_BYTES, Signer, Verifier};
pub use proof::{
    ProofError, consistency, inclusion, root_of, verify_consistency, verify_inclusion,
};
pub use proof_file::{ProofFile, ProofFileError};
pub use stored::{Nodes, stored_count, stored_index, stored_leaves};
pub use tree::{EMPTY_ROOT, Frontier, HASH_BYTES, Hash, leaf_hash, node_hash};
