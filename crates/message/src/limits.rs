/// How much of a message is looked at. Nothing is ever cut from the message itself: what lies
/// beyond a limit is still inside the byte ranges and is served as it is, only not taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Entities within one another. A multipart or message below this stays one opaque leaf.
    pub depth_max: usize,
    /// Entities in one message. The last one takes everything up to the end of the message.
    pub parts_max: usize,
    /// Fields read in one header; those behind are ignored by the views.
    pub header_fields_max: usize,
    /// Octets read of one header; fields behind are ignored by the views.
    pub header_bytes_max: usize,
    /// Parameters kept of one Content-Type or Content-Disposition.
    pub params_max: usize,
    /// Addresses kept of one envelope list (From, To, Cc, ...), group marks counted.
    pub addresses_max: usize,
    /// Octets kept of one value in a view (a subject, a parameter, a display name).
    pub value_bytes_max: usize,
    /// Octets of decoded text that reading for search or display yields.
    pub text_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 100,
            parts_max: 10_000,
            header_fields_max: 10_000,
            header_bytes_max: 1 << 20,
            params_max: 100,
            addresses_max: 10_000,
            value_bytes_max: 64 << 10,
            text_bytes_max: 1 << 20,
        }
    }
}
