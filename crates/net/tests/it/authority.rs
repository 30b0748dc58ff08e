use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use net::{Authority, Turnstile};
use sender_auth::{Answer, Answers, Query, QueryKind, Step};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::resolve::{resolver, resolver_that_waits};

const PATIENCE: Duration = Duration::from_secs(10);

fn query(name: &str, kind: QueryKind) -> Query {
    Query::new(name, kind)
}

/// A check that wants all of these, one after the other or all at once.
fn wants(queries: &[Query], at_once: bool) -> impl FnMut(&Answers) -> Step<Vec<Answer>> {
    move |answers| {
        let missing: Vec<Query> =
            queries.iter().filter(|query| answers.get(query).is_none()).cloned().collect();
        if missing.is_empty() {
            return Step::Done(queries.iter().filter_map(|q| answers.get(q).cloned()).collect());
        }
        Step::Ask(if at_once { missing } else { missing[..1].to_vec() })
    }
}

#[tokio::test]
async fn every_kind_is_answered() {
    let (resolver, _) = resolver().await;
    let mut authority = Authority::new(Arc::new(resolver), PATIENCE);
    let queries = [
        query("txt.example", QueryKind::Txt),
        query("both.example", QueryKind::A),
        query("both.example", QueryKind::Aaaa),
        query("mx.example", QueryKind::Mx),
        Query::reverse("192.0.2.1".parse().unwrap()),
        query("nodata.example", QueryKind::Txt),
        query("there.is.none.example", QueryKind::Txt),
    ];
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let wanted = [
        Answer::Txt(vec![b"v=spf1 -all".to_vec()]),
        Answer::Ips(vec![ip("192.0.2.1")]),
        Answer::Ips(vec![ip("2001:db8::1")]),
        Answer::Mx(vec![(20, "b.example".to_owned()), (10, "a.example".to_owned())]),
        Answer::Names(vec!["both.example".to_owned()]),
        Answer::NoData,
        Answer::NxDomain,
    ];
    assert_eq!(authority.drive(wants(&queries, true)).await, wanted);
    assert_eq!(authority.driven().lookups, 7);
}

#[tokio::test]
async fn a_question_is_asked_once() {
    let (resolver, asked) = resolver().await;
    let mut authority = Authority::new(Arc::new(resolver), PATIENCE);
    let same = vec![query("servfail.example", QueryKind::Txt); 3];
    authority.answer(same.clone()).await;
    let before = asked.udp.load(Ordering::SeqCst);
    assert!(before > 0);
    let answers = authority.drive(wants(&same, false)).await;
    assert!(matches!(answers[0], Answer::Trouble(_)), "{answers:?}");
    // Trouble is not asked about again within one message.
    assert_eq!(asked.udp.load(Ordering::SeqCst), before);
    assert_eq!(authority.driven().lookups, 1);
}

#[tokio::test]
async fn the_deadline_answers_what_is_open() {
    let (resolver, _) = resolver_that_waits(Duration::from_secs(60)).await;
    let mut authority = Authority::new(Arc::new(resolver), Duration::from_millis(200));
    let queries = [query("silent.example", QueryKind::Txt), query("both.example", QueryKind::A)];
    let answers = authority.drive(wants(&queries, true)).await;
    assert!(matches!(answers[0], Answer::Trouble(_)), "{answers:?}");
    assert!(matches!(answers[1], Answer::Ips(_)), "{answers:?}");
}

#[tokio::test]
async fn look_ups_for_one_message_are_limited() {
    let (resolver, asked) = resolver().await;
    let mut authority = Authority::new(Arc::new(resolver), PATIENCE);
    let many: Vec<Query> =
        (0..300).map(|n| query(&format!("n{n}.example"), QueryKind::A)).collect();
    let answers = authority.drive(wants(&many, true)).await;
    let nothing = answers.iter().filter(|answer| **answer == Answer::NxDomain).count();
    assert_eq!((nothing, answers.len() - nothing), (200, 100));
    assert!(asked.udp.load(Ordering::SeqCst) <= 200);
}

#[tokio::test]
async fn a_name_that_cannot_be_is_not_asked_for() {
    let (resolver, asked) = resolver().await;
    let mut authority = Authority::new(Arc::new(resolver), PATIENCE);
    let names = ["a..example", &format!("{}.example", "x".repeat(64)), &"a.".repeat(130), ""];
    let queries: Vec<Query> = names.iter().map(|name| query(name, QueryKind::A)).collect();
    let answers = authority.drive(wants(&queries, true)).await;
    assert_eq!(answers, vec![Answer::NxDomain; 4]);
    assert_eq!(asked.udp.load(Ordering::SeqCst), 0);
}

/// A name that never answers uses up the time; what is asked behind it is known all the same.
#[tokio::test]
async fn a_round_past_the_deadline_still_gets_a_little() {
    let (resolver, _) = resolver_that_waits(Duration::from_secs(60)).await;
    let mut authority = Authority::new(Arc::new(resolver), Duration::from_millis(50));
    let names = ["silent.example", "both.example", "only4.example"];
    let queries = names.map(|name| query(name, QueryKind::A));
    let answers = authority.drive(wants(&queries, false)).await;
    assert!(matches!(answers[0], Answer::Trouble(_)), "{answers:?}");
    assert!(matches!(answers[1..], [Answer::Ips(_), Answer::Ips(_)]), "{answers:?}");
    // Not for ever: rounds without an answer come to an end.
    let silent = ["1", "2", "3", "4", "5", "6", "7", "8"].map(|of| format!("{of}.silent.example"));
    let queries = silent.map(|name| query(&name, QueryKind::Txt));
    let began = Instant::now();
    authority.drive(wants(&queries, false)).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

/// What one source makes us look up keeps no other one waiting, and ends with whoever wanted it.
#[tokio::test]
async fn look_ups_of_one_source_are_bounded() {
    let (resolver, _) = resolver_that_waits(Duration::from_secs(60)).await;
    let resolver = Arc::new(resolver.for_strangers());
    let turnstile = Turnstile::default();
    let (_end, until) = watch::channel(Instant::now() + PATIENCE);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let asking: Vec<_> = (0..20)
        .map(|message| {
            let (source, resolver) = (format!("2001:db8::{message}"), Arc::clone(&resolver));
            let turn = turnstile.of(ip(&source));
            let mut authority = Authority::until(resolver, until.clone()).in_turn(turn);
            let names =
                (0..30).map(move |n| query(&format!("{message}-{n}.silent.example"), QueryKind::A));
            tokio::spawn(async move { authority.answer(names.collect()).await })
        })
        .collect();
    while turnstile.under_way() < 64 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert_eq!(turnstile.under_way(), 64);
    }
    let patience = watch::channel(Instant::now() + Duration::from_secs(2));
    let both = [query("both.example", QueryKind::A)];
    let other = turnstile.of(ip("192.0.2.1"));
    let mut other = Authority::until(Arc::clone(&resolver), patience.1.clone()).in_turn(other);
    assert!(matches!(other.drive(wants(&both, true)).await[0], Answer::Ips(_)));
    assert!(!other.is_starved());
    // The same source waits, and knows that it was no word of the DNS.
    let soon = watch::channel(Instant::now());
    let same = turnstile.of(ip("2001:db8::ffff"));
    let mut same = Authority::until(resolver, soon.1.clone()).in_turn(same);
    assert!(matches!(same.drive(wants(&both, true)).await[0], Answer::Trouble(_)));
    assert!(same.is_starved());
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    while turnstile.under_way() > 0 {
        tokio::task::yield_now().await;
    }
}
