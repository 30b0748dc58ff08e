//! DANE over a real handshake, and what DNSSEC says of answers.

use std::sync::Arc;

use mail_types::{Domain, Host};
use net::{
    ClientTls, Dane, Demand, Dnssec, Ended, Link, LinkLimits, Lookup, NameServer, Proof, Resolver,
    ResolverSettings, Security, ServerTls, Stop, TlsRefusal, Tlsa,
};
use peers::{Authority, Certified, Dns, Fault};

use crate::toy::{PATIENCE, Toy, ToyService, serve_one};

fn domain(text: &str) -> Domain {
    Domain::new(text).unwrap()
}

fn tlsa(numbers: [u8; 3], association: &[u8]) -> Tlsa {
    let [usage, selector, matching] = numbers;
    Tlsa { usage, selector, matching, association: association.to_vec() }
}

fn sha256(octets: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, octets).as_ref().to_vec()
}

fn sha512(octets: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, octets).as_ref().to_vec()
}

/// Shakes hands with a server that has this certificate; what the client knows of it, or why it
/// said nothing.
async fn shake(certified: &Certified, demand: Demand, host: &str) -> Result<bool, TlsRefusal> {
    let (chain, key) = certified.pem();
    let server = ServerTls::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    let security = Security::ServerImplicit(server);
    let running = serve_one(security, LinkLimits::default(), Toy::new(None), Stop::never()).await;
    let client = ClientTls::with_public_roots().unwrap().demanding(demand);
    let security = Security::ClientImplicit(client, Host::Domain(domain(host)));
    let mut link = Link::connect(running.address, None, security, PATIENCE).await.unwrap();
    let mut toy = Toy::new(None);
    toy.client_lines = vec!["QUIT", "<CLOSE>"];
    let (_, events) = tokio::sync::mpsc::unbounded_channel();
    let mut service = ToyService { gate: Arc::default(), events };
    let ended = net::drive(&mut link, &mut toy, &mut service, &Stop::never()).await;
    drop(link);
    let (_, server) = running.ended.await.unwrap();
    match ended {
        Ended::Handshake(error) => {
            // Nothing was said to the wrong server.
            assert!(toy.tls.is_none());
            assert!(server.received.iter().all(|what| what == "<closed>"), "{:?}", server.received);
            let refusal = error.get_ref().and_then(|why| why.downcast_ref::<TlsRefusal>());
            Err(refusal.unwrap_or_else(|| panic!("{error}")).clone())
        }
        _ => Ok(toy.tls.unwrap().server_name.is_some()),
    }
}

fn dane(records: Vec<Tlsa>) -> Demand {
    let names = vec![domain("mx.example.org"), domain("example.org")];
    Demand::Dane(Arc::new(Dane { records, names }))
}

#[tokio::test]
async fn dane_ee_is_the_very_certificate_or_key() {
    // RFC 7671 §5.1: for another name, expired, and nobody vouches for it: DNS does.
    let made = Authority::new().issue_until(&["elsewhere.test"], 2016);
    let (leaf, key) = (made.chain[0].to_vec(), made.public_key.clone());
    let mut wrong = sha256(&key);
    wrong[31] ^= 1;
    for right in [
        tlsa([3, 0, 0], &leaf),
        tlsa([3, 0, 1], &sha256(&leaf)),
        tlsa([3, 0, 2], &sha512(&leaf)),
        tlsa([3, 1, 0], &key),
        tlsa([3, 1, 1], &sha256(&key)),
        tlsa([3, 1, 2], &sha512(&key)),
    ] {
        assert!(right.is_usable(), "{right}");
        let alone = shake(&made, dane(vec![right.clone()]), "mx.example.org").await;
        assert_eq!(alone, Ok(true), "{right}");
        // RFC 7671 §8.1: while keys roll over, the old and the new stand side by side.
        let both = vec![tlsa([3, 1, 1], &wrong), right.clone()];
        assert_eq!(shake(&made, dane(both), "mx.example.org").await, Ok(true), "{right}");
    }
    for bad in [
        tlsa([3, 1, 1], &wrong),
        tlsa([3, 0, 1], &sha256(&key)),
        tlsa([3, 1, 2], &sha256(&key)),
        tlsa([2, 1, 1], &sha256(&key)),
    ] {
        let refused = shake(&made, dane(vec![bad.clone()]), "mx.example.org").await;
        assert_eq!(refused, Err(TlsRefusal::NoTlsaMatch { records: 1 }), "{bad}");
    }
}

#[tokio::test]
async fn dane_ta_wants_a_chain_a_name_and_a_date() {
    let authority = Authority::new();
    let named = tlsa([2, 0, 1], &sha256(&authority.certificate));
    let good = authority.issue(&["mx.example.org"]);
    assert_eq!(shake(&good, dane(vec![named.clone()]), "mx.example.org").await, Ok(true));
    // RFC 7672 §3.2.2: the domain itself will do, too.
    let domain = authority.issue(&["example.org"]);
    assert_eq!(shake(&domain, dane(vec![named.clone()]), "mx.example.org").await, Ok(true));
    let other = authority.issue(&["mx.example.net"]);
    let refused = shake(&other, dane(vec![named.clone()]), "mx.example.org").await;
    assert!(matches!(refused, Err(TlsRefusal::OtherName { .. })), "{refused:?}");
    let old = authority.issue_until(&["mx.example.org"], 2016);
    let refused = shake(&old, dane(vec![named.clone()]), "mx.example.org").await;
    assert!(matches!(refused, Err(TlsRefusal::Expired { .. })), "{refused:?}");
    // Somebody else's certificate, with the authority's sent along.
    let mut forged = Authority::new().issue(&["mx.example.org"]);
    forged.chain[1] = authority.certificate.clone();
    let refused = shake(&forged, dane(vec![named.clone()]), "mx.example.org").await;
    assert!(matches!(refused, Err(TlsRefusal::NotTrusted { .. })), "{refused:?}");
    // RFC 7672 §3.1.2: an authority that is not sent cannot be matched by its digest …
    let mut alone = authority.issue(&["mx.example.org"]);
    alone.chain.truncate(1);
    let refused = shake(&alone, dane(vec![named]), "mx.example.org").await;
    assert_eq!(refused, Err(TlsRefusal::NoTlsaMatch { records: 1 }));
    // … and can where DNS holds all of it (RFC 7671 §5.2.1).
    let whole = tlsa([2, 0, 0], &authority.certificate);
    assert_eq!(shake(&alone, dane(vec![whole]), "mx.example.org").await, Ok(true));
}

#[tokio::test]
async fn a_chain_is_demanded_or_only_noted() {
    let made = Certified::from(peers::self_signed(&["mx.example.org"]));
    assert_eq!(shake(&made, Demand::Nothing, "mx.example.org").await, Ok(false));
    let refused = shake(&made, Demand::Chain, "mx.example.org").await;
    assert!(matches!(refused, Err(TlsRefusal::NotTrusted { .. })), "{refused:?}");
}

#[test]
fn unusable_records_are_known() {
    // RFC 7672 §3.1.3, RFC 6698 §2.1.
    for bad in [
        tlsa([0, 0, 1], &[0; 32]),
        tlsa([1, 1, 1], &[0; 32]),
        tlsa([3, 2, 1], &[0; 32]),
        tlsa([3, 1, 1], &[0; 31]),
        tlsa([3, 1, 2], &[0; 32]),
        tlsa([3, 1, 3], &[0; 32]),
        tlsa([2, 0, 0], &[]),
        tlsa([255, 0, 0], &[1]),
    ] {
        assert!(!bad.is_usable(), "{bad}");
    }
}

fn resolver(dns: &Dns, dnssec: Dnssec) -> Resolver {
    let servers = vec![NameServer(dns.addr())];
    Resolver::new(&ResolverSettings { servers, dnssec, ..ResolverSettings::default() }).unwrap()
}

#[tokio::test]
async fn the_servers_word_counts_where_it_is_trusted() {
    let dns = Dns::start().await;
    dns.sign("signed.example").tlsa("mx.signed.example", 25, [3, 1, 1], &[7; 32]);
    dns.tlsa("mx.plain.example", 25, [3, 1, 1], &[7; 32]);
    dns.address("mx.signed.example", [192, 0, 2, 1]);
    dns.cname("alias.signed.example", "mx.plain.example")
        .address("mx.plain.example", [192, 0, 2, 2]);
    dns.cname("other.signed.example", "mx.signed.example");
    let trusting = resolver(&dns, Dnssec::TrustServer);
    let signed = trusting.tlsa(&domain("mx.signed.example"), 25).await;
    assert_eq!(signed.proof, Proof::Secure);
    let Lookup::Found { records, .. } = signed.found else { panic!("{:?}", signed.found) };
    assert_eq!(records, [tlsa([3, 1, 1], &[7; 32])]);
    let plain = trusting.tlsa(&domain("mx.plain.example"), 25).await;
    assert_eq!(plain.proof, Proof::Insecure);
    // RFC 7672 §2.1.3: an alias that leads out of the signed zone is no proof of where it ends.
    let alias = trusting.addresses_proven(&domain("alias.signed.example")).await;
    assert_eq!((alias.proof, alias.alias_of), (Proof::Insecure, Some(domain("mx.plain.example"))));
    let first = trusting.cname_proven(&domain("alias.signed.example")).await;
    assert_eq!(first.proof, Proof::Secure);
    let other = trusting.addresses_proven(&domain("other.signed.example")).await;
    assert_eq!((other.proof, other.alias_of), (Proof::Secure, Some(domain("mx.signed.example"))));
    // Nobody's word counts where it is not.
    let doubting = resolver(&dns, Dnssec::Off);
    assert_eq!(doubting.tlsa(&domain("mx.signed.example"), 25).await.proof, Proof::Insecure);
}

#[tokio::test]
async fn trouble_is_never_read_as_none() {
    let dns = Dns::start().await;
    let trusting = resolver(&dns, Dnssec::TrustServer);
    dns.sign("signed.example").fault("_25._tcp.mx.signed.example", Fault::ServFail);
    let failed = trusting.tlsa(&domain("mx.signed.example"), 25).await;
    assert!(matches!(failed.found, Lookup::Temporary(_)), "{:?}", failed.found);
    let none = trusting.tlsa(&domain("none.signed.example"), 25).await;
    assert_eq!(none.found, Lookup::NxDomain);
}
