//! The grammar of commands (RFC 3501 §9 and the extensions named at each parser): from the bytes of
//! one complete command to types that cannot be invalid.

mod append;
mod charset;
mod command;
pub(crate) mod date;
mod fetch;
mod filter;
mod list;
mod mailbox;
mod manage;
mod metadata;
mod notify;
mod resync;
mod returns;
pub(crate) mod scan;
mod search;
mod section;
mod sequence;
mod sort;
mod store;
mod url;
mod urlauth;

pub use append::{AppendHead, AppendItem, CATENATE_URLS_MAX, Replaced};
pub(crate) use append::{AppendWithin, Stop, parse_behind_octets};
pub use charset::CHARSETS;
pub use command::{Command, CommandError, ID_PAIRS_MAX, TAG_OCTETS_MAX, Tag};
pub use date::Day;
pub(crate) use fetch::write_part;
pub use fetch::{Binary, FETCH_ATTRIBUTES_MAX, Fetch, FetchAttribute, Section};
pub use filter::{FILTERED_MAILBOXES_MAX, MailboxFilter};
pub use list::{LIST_PATTERNS_MAX, List, ListReturn, ListSelect, StatusItem};
pub use mailbox::{
    MAILBOX_LEVELS_MAX, MAILBOX_OCTETS_MAX, MailboxName, Names, SEPARATOR, mutf7_decode,
    mutf7_encode,
};
pub use manage::{Manage, RightsChange};
pub use metadata::{Depth, ENTRY_NAME_OCTETS_MAX, EntryName, GetMetadata, SetMetadata};
pub use notify::{EVENT_GROUPS_MAX, EventGroup, Events, Notify};
pub use resync::{Resync, SelectParams};
pub use returns::{PartialRange, SearchReturn};
pub use scan::SyntaxError;
pub use search::{
    ContentKey, SEARCH_DEPTH_MAX, SEARCH_KEYS_MAX, Search, SearchError, SearchKey, SearchOrder,
};
pub use section::{FIELD_NAMES_MAX, SECTION_LEVELS_MAX};
pub use sequence::{SEQUENCE_SET_ELEMENTS_MAX, SeqNumber, SequenceSet, UidSet};
pub use sort::{SORT_CRITERIA_MAX, SortCriterion, SortKey, ThreadAlgorithm};
pub use store::{FLAGS_MAX, Store, StoreMode};
pub use url::{
    ImapUrl, URL_OCTETS_MAX, URL_TOKEN_OCTETS, UrlAccess, UrlAuth, UrlServer, UrlVerifier,
};
pub use urlauth::{FetchedUrl, URLS_MAX, UrlCommand, UrlForm, UrlWanted};
