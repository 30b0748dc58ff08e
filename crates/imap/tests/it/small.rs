//! What an idle connection costs.

/// The size of what serving makes, without making it.
fn future_octets<A, B, C, F>(_: impl Fn(A, B, C) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn an_idle_connection_is_small() {
    let octets = future_octets(imap::serve);

    assert!(octets <= 3 * 1024, "{octets} octets");
}
