//! Sockets for protocol machines: the one driver that runs every [`mail_types::Machine`] over TCP
//! and TLS, listeners with limits, TLS for both sides, DNS look-ups whose failures are told apart,
//! the clock and randomness.
//!
//! It never knows a protocol: no command, reply or rule of SMTP, IMAP or POP3 is in here, and it
//! imports no service. A connection that panics ends alone. What waits, waits with a limit:
//! handshakes, stalled writers, lingering closes, look-ups and the stop of a server.
//!
//! RFC 8446 and RFC 5246 (TLS, by rustls), RFC 1951 (DEFLATE, by miniz_oxide),
//! RFC 9266 and RFC 5929 (channel bindings), RFC 7435 (opportunistic security), RFC 8314 (implicit
//! TLS), RFC 9110 and RFC 9112 (HTTP, by hyper), RFC 8555 and RFC 8737 (ACME), RFC 1035 and RFC 2308 (DNS, by hickory-resolver),
//! RFC 4035 (DNSSEC), RFC 6698, RFC 7671 and RFC 7672 §3 (DANE), RFC 4291 §2.5.5.2 (IPv4-mapped);
//! haproxy's PROXY protocol, versions 1 and 2.

mod acme;
mod ari;
mod authority;
mod bell;
mod blocking_tls;
mod certificate;
mod clock;
mod dane;
mod deflate;
mod dnssec;
mod drive;
mod end_point;
mod http_client;
mod link;
mod listen;
mod pinned;
mod places;
mod proxy;
mod random;
mod resolve;
mod shown;
mod source;
mod stop;
mod tls_client;
mod tls_server;
mod tlsa;
mod trust;
mod turnstile;
mod wire;
mod x509;

pub use acme::{
    AcmeAccount, AcmeChallenge, AcmeError, AcmeExternal, AcmeIssued, AcmeOrder, AcmeProof,
    AcmeProver, acme_account,
};
pub use ari::{AcmeCertificateId, AcmeWindow, acme_window};
pub use authority::{Authority, Driven};
pub use bell::{Bell, Ear};
pub use blocking_tls::blocking_tls;
pub use certificate::{CertificateError, CertificateFacts, SelfSigned, self_signed};
pub use clock::now;
pub use dane::{Dane, DaneMatch, Demand, TlsRefusal};
pub use dnssec::{Dnssec, Proof, Proven};
pub use drive::{Answer, Ended, Event, Question, Service, drive};
pub use http_client::{HttpClient, HttpError, HttpLimits, HttpRequest, HttpResponse, Reach};
pub use link::{Link, LinkLimits, Peer, Security};
pub use listen::{ListenError, ListenLimits, Listener, Stopped, Trusted};
pub use pinned::{Pin, PinnedKey, PinnedStream, connect_pinned};
pub use places::{Connections, Places};
pub use proxy::{PROXY_OCTETS_MAX, ProxyError, ProxyHeader, ProxyRead, read_proxy};
pub use random::{RandomError, nonce, random_bytes};
pub use resolve::{
    Lookup, Mx, MxHost, NameServer, ResolveError, Resolver, ResolverSettings, Temporary,
};
pub use shown::{RecordKind, tlsa_data};
pub use source::source_towards;
pub use stop::{Stop, Stopper, stopper};
pub use tls_client::ClientTls;
pub use tls_server::{ServerTls, TlsError};
pub use tlsa::Tlsa;
pub use trust::Trust;
pub use turnstile::{Turn, Turnstile};
pub use wire::Wire;
