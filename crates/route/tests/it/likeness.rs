use mail_types::Domain;
use route::meant;

fn of(written: &str, familiar: &[&str]) -> Option<String> {
    let familiar: Vec<Domain> = familiar.iter().map(|name| Domain::new(name).unwrap()).collect();
    meant(&Domain::new(written).unwrap(), &familiar).map(|domain| domain.to_string())
}

#[test]
fn slips_of_the_pen_are_read() {
    for (written, wanted) in [
        // One letter dropped, added, changed, or swapped with its neighbour.
        ("gmal.com", Some("gmail.com")),
        ("gmaill.com", Some("gmail.com")),
        ("gmail.con", Some("gmail.com")),
        ("gmial.com", Some("gmail.com")),
        ("hotmial.con", Some("hotmail.com")),
        // Two are too many for a short name.
        ("gmial.con", None),
        ("webb.de", Some("web.de")),
        ("we.de", Some("web.de")),
        // What is right is not corrected, and neither is what is like nothing.
        ("gmail.com", None),
        ("gmx.net", None),
        ("example.org", None),
        ("qqq.com", Some("qq.com")),
    ] {
        assert_eq!(of(written, &[]).as_deref(), wanted, "{written}");
    }
}

#[test]
fn what_mail_reaches_comes_first() {
    let familiar = ["my-partner.example", "gmaik.com"];
    assert_eq!(of("my-patner.example", &familiar).as_deref(), Some("my-partner.example"));
    assert_eq!(of("gmai.com", &familiar).as_deref(), Some("gmaik.com"));
    assert_eq!(of("gmaik.com", &familiar), None, "it works");
}
