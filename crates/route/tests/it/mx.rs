use std::collections::BTreeSet;

use mail_types::Domain;
use route::{
    Addresses, Class, DnsError, Failure, Inward, MX_HOSTS_MAX, Mx, MxAnswer, Own, Plan, hosts,
    is_inward, literal, plan, smart_host,
};

fn domain(text: &str) -> Domain {
    Domain::new(text).unwrap()
}

fn answer(list: &[(u16, &str)]) -> MxAnswer {
    let mx = |&(preference, host): &(u16, &str)| Mx {
        preference,
        exchange: (host != ".").then(|| domain(host)),
    };
    MxAnswer::Records(list.iter().map(mx).collect())
}

fn found(list: &[&str]) -> Addresses {
    Addresses::Found(list.iter().map(|ip| ip.parse().unwrap()).collect())
}

fn names(hosts: &[(Domain, u16)]) -> Vec<&str> {
    hosts.iter().map(|(host, _)| host.as_str()).collect()
}

fn plan_of(list: &[(&str, u16, Addresses)], own: &Own) -> Result<Plan, Failure> {
    let hosts: Vec<_> = list.iter().map(|(h, p, a)| (domain(h), *p, a.clone())).collect();
    plan(&domain("example.org"), &hosts, own, &Inward::default(), 25)
}

fn places(plan: &Plan) -> Vec<String> {
    plan.places.iter().map(|place| place.host.to_string()).collect()
}

fn status(result: Result<Plan, Failure>) -> String {
    result.unwrap_err().status.to_string()
}

#[test]
fn mx_hosts_are_in_order_and_equals_take_turns() {
    let mx = answer(&[(20, "c.test"), (10, "a.test"), (10, "b.test"), (30, "a.test")]);
    let mut first = BTreeSet::new();
    for random in 0..64 {
        let hosts = hosts(&domain("example.org"), &mx, random).unwrap();
        assert_eq!(hosts.len(), 3, "a host named twice is tried once");
        assert_eq!(hosts[2].0.as_str(), "c.test");
        first.insert(hosts[0].0.as_str().to_owned());
    }
    assert_eq!(first.len(), 2, "equal preferences are shuffled");
}

#[test]
fn a_long_answer_is_cut_at_the_worst() {
    let many: Vec<(u16, String)> = (0..100).map(|n| (100 - n, format!("h{n}.test"))).collect();
    let many: Vec<(u16, &str)> = many.iter().map(|(p, h)| (*p, h.as_str())).collect();
    let hosts = hosts(&domain("example.org"), &answer(&many), 1).unwrap();
    assert_eq!((hosts.len(), hosts[0].0.as_str()), (MX_HOSTS_MAX, "h99.test"));
}

#[test]
fn what_dns_says_is_told_apart() {
    let ask = |answer: &MxAnswer| hosts(&domain("example.org"), answer, 1);
    assert_eq!(names(&ask(&MxAnswer::NoData).unwrap()), ["example.org"], "implicit MX");
    assert_eq!(names(&ask(&answer(&[(0, "."), (5, "a.test")])).unwrap()), ["a.test"]);
    for (answer, class, status) in [
        (answer(&[(0, ".")]), Class::Permanent, "5.1.10"),
        (MxAnswer::NxDomain, Class::Permanent, "5.1.2"),
        (MxAnswer::Error(DnsError::ServFail), Class::Temporary, "4.4.3"),
        (MxAnswer::Error(DnsError::Timeout), Class::Temporary, "4.4.3"),
        (MxAnswer::Error(DnsError::Other("odd".into())), Class::Temporary, "4.4.3"),
    ] {
        let failure = ask(&answer).unwrap_err();
        assert_eq!((failure.class, failure.status.to_string().as_str()), (class, status));
    }
}

#[test]
fn hosts_at_our_own_preference_and_worse_are_left_out() {
    let own =
        Own { names: vec![domain("us.test")], addresses: vec!["198.51.100.9".parse().unwrap()] };
    let better = ("a.test", 10, found(&["198.51.100.1"]));
    let equal = ("b.test", 20, found(&["198.51.100.2"]));
    let by_name = ("us.test", 20, Addresses::None);
    let by_address = ("alias.test", 20, found(&["198.51.100.9"]));
    for us in [by_name, by_address] {
        let list = [better.clone(), equal.clone(), us.clone()];
        assert_eq!(places(&plan_of(&list, &own).unwrap()), ["a.test"]);
        assert_eq!(status(plan_of(&[us, equal.clone()], &own)), "5.4.6");
    }
}

#[test]
fn addresses_make_the_plan_or_say_why_not() {
    let own = Own::default();
    let good = ("a.test", 10, found(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]));
    let inward = ("b.test", 5, found(&["127.0.0.1", "10.0.0.1", "::1"]));
    let unknown = ("c.test", 1, Addresses::Error(DnsError::Timeout));
    let none = ("d.test", 1, Addresses::None);
    let all = [unknown.clone(), none.clone(), inward.clone(), good];
    let made = plan_of(&all, &own).unwrap();
    let ips: Vec<String> = made.places[0].addresses.iter().map(ToString::to_string).collect();
    assert_eq!(ips, ["[2001:db8::1]:25", "192.0.2.1:25", "192.0.2.2:25"]);
    assert_eq!(made.places.len(), 1);
    assert_eq!(status(plan_of(&[inward.clone(), none.clone()], &own)), "5.4.4");
    assert_eq!(status(plan_of(std::slice::from_ref(&none), &own)), "5.4.4");
    assert_eq!(status(plan_of(&[("example.org", 0, Addresses::None)], &own)), "5.1.2");
    assert_eq!(status(plan_of(&[inward, none, unknown], &own)), "4.4.3");
}

#[test]
fn inward_addresses_are_refused_unless_allowed_or_named() {
    for ip in [
        "0.0.0.0",
        "127.9.9.9",
        "10.1.2.3",
        "172.31.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "198.18.0.1",
    ] {
        let ip = ip.parse().unwrap();
        assert!(is_inward(ip), "{ip}");
        assert_eq!(status(literal(ip, &Own::default(), &Inward::default(), 25)), "5.1.2");
    }
    for ip in
        ["192.0.2.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2001:db8::1", "64:ff9b::808:808"]
    {
        assert!(!is_inward(ip.parse().unwrap()), "{ip}");
    }
    let allowed =
        Inward { allowed: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()] };
    let may = |ip: &str| literal(ip.parse().unwrap(), &Own::default(), &allowed, 25).is_ok();
    assert!(may("10.255.0.1") && may("fd12::1"));
    assert!(!may("127.0.0.1") && !may("fc00::1"));
    let everywhere = Inward::anywhere();
    assert!(literal("::1".parse().unwrap(), &Own::default(), &everywhere, 25).is_ok());
    assert!(literal("127.0.0.1".parse().unwrap(), &Own::default(), &everywhere, 25).is_ok());
    for bad in ["10.0.0.0/33", "fd00::/129", "x", "10.0.0.0/", "/8"] {
        assert!(bad.parse::<route::Network>().is_err(), "{bad}");
    }
    let named = smart_host(&"127.0.0.1:2525".parse().unwrap(), &Addresses::None).unwrap();
    assert_eq!(named.places[0].addresses[0].to_string(), "127.0.0.1:2525");
}

#[test]
fn a_literal_that_is_ours_is_a_loop() {
    let own = Own { names: vec![], addresses: vec!["192.0.2.9".parse().unwrap()] };
    assert_eq!(
        status(literal("192.0.2.9".parse().unwrap(), &own, &Inward::default(), 25)),
        "5.4.6"
    );
}

#[test]
fn a_smart_host_without_address_is_never_permanent() {
    let relay = "smart.test:2525".parse().unwrap();
    let plan = smart_host(&relay, &found(&["10.0.0.1"])).unwrap();
    assert_eq!(plan.places[0].addresses[0].to_string(), "10.0.0.1:2525");
    assert_eq!(smart_host(&relay, &Addresses::None).unwrap_err().class, Class::Ours);
    let error = Addresses::Error(DnsError::ServFail);
    assert_eq!(smart_host(&relay, &error).unwrap_err().class, Class::Temporary);
}
