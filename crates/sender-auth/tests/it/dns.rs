use sender_auth::{Query, QueryKind};

#[test]
fn names_have_one_spelling() {
    assert_eq!(
        Query::new("Example.ORG.", QueryKind::Txt),
        Query::new("example.org", QueryKind::Txt)
    );
}

#[test]
fn addresses_are_asked_for_backwards() {
    let name = |ip: &str| Query::reverse(ip.parse().unwrap()).name().to_owned();
    assert_eq!(name("192.0.2.1"), "1.2.0.192.in-addr.arpa");
    assert_eq!(name("::ffff:192.0.2.1"), "1.2.0.192.in-addr.arpa");
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    assert_eq!(name("2001:db8::1"), six);
}
