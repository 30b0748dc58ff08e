//! Who else must have what is acknowledged.

use journal::Head;

/// What is to be done once it is known whether a group is at the standby, too.
pub type Then = Box<dyn FnOnce(Result<(), String>) + Send>;

/// Hears of every group that is durable here, in order, and says when anybody may be told of it.
pub trait Witness: Send + Sync {
    /// A group is durable here. `then` is called, from any thread and after those of earlier
    /// groups, when it may be acknowledged, or with why it may not be. It must not wait here: this
    /// is the writer's thread.
    fn durable(&self, head: &Head, then: Then);

    /// Whether a message may be begun now: asked before anything of it is recorded, so that what is
    /// refused is nowhere.
    ///
    /// # Errors
    /// Why it would not be acknowledged.
    fn ready(&self) -> Result<(), String>;
}
