use crate::world::World;

#[tokio::test]
async fn messages_are_found_by_what_their_reader_sees() {
    let world = World::new().await;
    let first = "From: =?UTF-8?Q?Ren=C3=A9_M=C3=BCller?= <rene@example.net>\r\n\
                 Subject: =?ISO-8859-1?Q?=DCberraschung?=\r\n\
                 Date: Fri, 31 Jul 2026 23:30:00 -0800\r\nMIME-Version: 1.0\r\n\
                 Content-Type: text/plain; charset=utf-8\r\n\
                 Content-Transfer-Encoding: quoted-printable\r\n\r\n\
                 Gr=C3=BC=C3=9Fe aus K=\r\n=C3=B6ln\r\n";
    let second = "From: bob@example.net\r\nSubject: plain\r\n\
                  Date: Sat, 1 Aug 2026 00:30:00 +0000\r\n\r\nnothing of that kind\r\n";
    world.deliver(first).await;
    world.deliver(second).await;
    let mut client = world.in_inbox().await;
    for (search, found) in [
        ("SUBJECT \"überraschung\"", "1"),
        ("SUBJECT \"ÜBERRASCHUNG\"", "1"),
        ("FROM \"rené müller\"", "1"),
        ("BODY \"grüße aus köln\"", "1"),
        ("TEXT \"köln\"", "1"),
        ("TEXT \"plain\"", "1 2"),
        ("BODY \"plain\"", ""),
        ("NOT BODY \"köln\"", "2"),
        ("HEADER Subject \"\"", "1 2"),
        ("HEADER Content-Type \"\"", "1"),
        ("SENTBEFORE 1-Aug-2026", "1"),
        ("SENTON 1-Aug-2026", "2"),
        ("SENTSINCE 31-Jul-2026", "1 2"),
        ("TEXT \"kein solches wort\"", ""),
    ] {
        let text = search.split('"').nth(1).unwrap_or_default();
        let command = if text.is_ascii() {
            format!("SEARCH {search}")
        } else {
            let key = search.split('"').next().unwrap();
            format!("SEARCH CHARSET UTF-8 {key}{{{}+}}\r\n{text}", text.len())
        };
        let responses = client.ok(&command).await;
        assert_eq!(responses[0].trim_end(), format!("* SEARCH {found}").trim_end(), "{search}");
    }
}

#[tokio::test]
async fn what_lies_behind_the_usual_limits_is_found_too() {
    let world = World::new().await;
    let filler = "all work and no play makes a dull mailbox\r\n".repeat(40_000);
    let padding = format!("X-Padding: {}\r\n", "x".repeat(900)).repeat(1500);
    world.deliver(&format!("Subject: long\r\n\r\n{filler}the needle\r\n")).await;
    world.deliver(&format!("{padding}X-Last: needle\r\n\r\ntext\r\n")).await;
    let mut client = world.in_inbox().await;
    assert_eq!(client.ok("SEARCH BODY needle").await, ["* SEARCH 1"]);
    assert_eq!(client.ok("SEARCH TEXT needle").await, ["* SEARCH 1 2"]);
    assert_eq!(client.ok("SEARCH HEADER X-Last needle").await, ["* SEARCH 2"]);
}
