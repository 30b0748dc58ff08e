//! Pages that other parts of the server put here: policies, challenges, discovery files.

use std::sync::Arc;

/// A small document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its media type, as Content-Type has it.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Finds a page by host (in lower case, without port) and path; `None` where it has none there. Asked
/// for GET and HEAD, before anything else, without any sign-in. Must not block.
pub type PageSource = Arc<dyn Fn(&str, &str) -> Option<Page> + Send + Sync>;
