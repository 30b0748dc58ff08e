use mail_types::Host;
use route::{Pattern, Relay, Routes};

fn routes(list: &[(&str, &str)]) -> Routes {
    list.iter().map(|(p, r)| (p.parse().unwrap(), r.parse().unwrap())).collect()
}

#[test]
fn the_nearest_route_wins() {
    let routes = routes(&[
        ("*", "smart.test:2525"),
        ("example.org", "[::1]:25"),
        (".example.org", "127.0.0.1:26"),
        (".deep.example.org", "deep.test"),
    ]);
    for (host, wanted) in [
        ("example.org", "[::1]:25"),
        ("a.example.org", "127.0.0.1:26"),
        ("a.deep.example.org", "deep.test:25"),
        ("deep.example.org", "127.0.0.1:26"),
        ("badexample.org", "smart.test:2525"),
        ("[192.0.2.1]", "smart.test:2525"),
    ] {
        let found = routes.find(&Host::parse(host).unwrap()).unwrap();
        assert_eq!(found.to_string(), wanted, "{host}");
    }
    let none = Routes::default();
    assert_eq!(none.find(&Host::parse("example.org").unwrap()), None);
}

#[test]
fn relays_are_read_in_every_form_and_refused_with_the_mend() {
    for (text, wanted) in [
        ("relay.test", "relay.test:25"),
        ("relay.test:587", "relay.test:587"),
        ("10.0.0.1", "10.0.0.1:25"),
        ("10.0.0.1:2525", "10.0.0.1:2525"),
        ("[10.0.0.1]:2525", "10.0.0.1:2525"),
        ("::1", "[::1]:25"),
        ("[::1]:2525", "[::1]:2525"),
        ("[IPv6:::1]:2525", "[::1]:2525"),
    ] {
        assert_eq!(text.parse::<Relay>().unwrap().to_string(), wanted);
    }
    for bad in ["", "relay.test:", "relay.test:0", "relay.test:70000", "a b", "[::1", ":25"] {
        assert!(bad.parse::<Relay>().is_err(), "{bad}");
    }
    for bad in ["", ".", "*.example.org", "a@b"] {
        assert!(bad.parse::<Pattern>().is_err(), "{bad}");
    }
    assert_eq!(".Example.ORG".parse::<Pattern>().unwrap().to_string(), ".example.org");
}
