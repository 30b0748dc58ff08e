use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use mail_types::{Address, Domain};
use toml::de::DeValue;

use crate::judging::{Act, DomainRules};
use crate::kinds::{
    Accounts, AcmeChallengeKind, ActWord, Addresses, Bytes, Count, Count32, Count64, DnssecBy,
    Domains, Durations, HostLimits, HttpsUrl, IpAddrs, Kind, Level, Listens, LogFormatKind,
    MemoryBytes, MessageLimit, Networks, OptionalPath, Path, Paths, Percent, Port, PriorityLevel,
    ProxyListeners, ResolverAt, RulesOfDomains, SendReportsWhen, StandbyAcknowledgeWhen,
    StandbyWhenAwayKind, StsModeKind, Time, Words, YesNo, ZstdLevel,
};
use crate::networks::{loopback, private};
use crate::optional::{OptionalText, OptionalUrl};
use crate::proxies::ProxyAt;
use crate::setting::{Setting, Unset, joined, settings};
use crate::units::{DAY, GIB, HOUR, KIB, MIB, MINUTE, secs};
use crate::values::{
    AcmeProofBy, Dnssec, HostLimit, Listen, LogFormat, LogLevel, Network, Resolver, SendReports,
    StandbyAcknowledge, StandbyWhenAway, StsMode,
};

// THE table. A line is: name: Rust type as kind [unit] = default, least..=most;
settings! {
    /// Where the services listen.
    listen: ListenOn {
        /// The addresses that every service listens on. An IPv6 address takes IPv6 only, so that
        /// `::` and `0.0.0.0` stand side by side.
        addresses: Vec<IpAddr> as IpAddrs =
            vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        /// Is added to each port below: 20000 makes 25 into 20025. Not added where a service names
        /// whole addresses.
        port_base: u16 as Port = 0, 0..=60_000;
        /// Mail from other servers (SMTP, RFC 5321).
        smtp: Listen as Listens = Listen::Port(25);
        /// Mail from mail programs, with STARTTLS (submission, RFC 6409).
        submission: Listen as Listens = Listen::Port(587);
        /// Mail from mail programs, TLS from the first byte (RFC 8314).
        submissions: Listen as Listens = Listen::Port(465);
        /// Reading mail, with STARTTLS (IMAP).
        imap: Listen as Listens = Listen::Port(143);
        /// Reading mail, TLS from the first byte (IMAP).
        imaps: Listen as Listens = Listen::Port(993);
        /// Fetching mail, with STLS (POP3).
        pop3: Listen as Listens = Listen::Port(110);
        /// Fetching mail, TLS from the first byte (POP3).
        pop3s: Listen as Listens = Listen::Port(995);
        /// The HTTP API, TLS from the first byte (HTTPS).
        https: Listen as Listens = Listen::Port(443);
        /// Proofs for ACME in clear (HTTP): 80 where acme.challenge is http-01, else false.
        http: Listen as Listens = Listen::Off;
        /// Standbys that follow this server (`restante standby invite`): a port, addresses with
        /// ports, or false. They show a secret; whoever else connects learns nothing.
        standby: Listen as Listens = Listen::Off;
        /// Mail from mail servers of your own in front of this one (LMTP, RFC 2033): a port (24 is
        /// usual), addresses with ports, or false.
        lmtp: Listen as Listens = Listen::Off;
    }

    /// Taking mail over LMTP from mail servers of your own, which have judged it already.
    lmtp: Lmtp {
        /// A Unix socket to listen on, too. A path without a leading `/` begins at the data
        /// directory, which other users may not enter.
        socket: Option<PathBuf> as OptionalPath = None;
        /// Whether every user of this machine may open that socket; else its owner and group.
        socket_for_everybody: bool as YesNo = false;
        /// Who may connect to the addresses under [listen]. Others are turned away.
        networks: Vec<Network> as Networks = loopback();
    }

    /// Who mail is from: SPF, DKIM, DMARC, ARC and the client's name, for mail on port 25, and what
    /// is done with it. What was found stands in Authentication-Results.
    judge: Judge {
        /// Whether senders are checked.
        enabled: bool as YesNo = true;
        /// Clients that are not checked: this machine, and mail servers of your own in front of
        /// this one, which have done so.
        trusted_networks: Vec<Network> as Networks = loopback();
        /// After the end of a message an answer of the DNS is waited for so long. What is not known
        /// then counts as trouble, which refuses no mail for good.
        patience: Duration as Time = secs(5), Duration::from_millis(100)..=MINUTE;
        /// Mail that fails DMARC of a domain that asks to reject it (`p=reject`): `reject` turns it
        /// away, `hold` keeps it until somebody decides, `junk` puts it into that folder, `note`
        /// delivers it.
        dmarc_reject: Act as ActWord = Act::Reject;
        /// The same for a domain that asks for quarantine (`p=quarantine`).
        dmarc_quarantine: Act as ActWord = Act::Junk;
        /// The same for a domain that asks for nothing (`p=none`).
        dmarc_none: Act as ActWord = Act::Note;
        /// Mail that fails SPF where DMARC has nothing to say. To reject it breaks forwarding.
        spf_fail: Act as ActWord = Act::Note;
        /// Mail that does not say whose it is: no From field, or none that can be read.
        no_author: Act as ActWord = Act::Note;
        /// Rules for recipients of single domains. A message to several is treated as the mildest
        /// of them want.
        domains: Vec<DomainRules> as RulesOfDomains = Vec::new();
        /// ARC sealers (domains) that are believed in what they say of mail they pass on, such as
        /// mailing lists: it is not judged by DMARC if it was right when it came to them.
        trusted_sealers: Vec<Domain> as Domains = Vec::new();
        /// Whether mail whose author's policy cannot be looked up is put off (451) instead of
        /// delivered.
        defer_on_dns_trouble: bool as YesNo = false;
    }

    /// Mail that accounts send: over the submission ports and the HTTP API.
    submission: Submission {
        /// Accounts, or domains for all of their accounts, that may write any address into From: a
        /// program that writes in others' names. Their envelope sender is their own all the same.
        any_from: Vec<String> as Accounts = Vec::new();
    }

    /// Connections through a proxy (haproxy's PROXY protocol, versions 1 and 2), whose client then
    /// counts for limits, SPF and traces.
    proxy: Proxy {
        /// What proxies alone may connect to, each connection beginning with a PROXY header:
        /// services as they are named under [listen], or single addresses of theirs. A connection
        /// without the header is closed.
        listeners: Vec<ProxyAt> as ProxyListeners = Vec::new();
        /// The proxies. Connections to those listeners from elsewhere are closed.
        networks: Vec<Network> as Networks = Vec::new();
        /// How long a proxy may take to send its header.
        header_timeout: Duration as Time = secs(5), Duration::from_millis(100)..=MINUTE;
    }

    /// Looking up names.
    dns: Dns {
        /// The DNS server to ask; `system` takes those of /etc/resolv.conf.
        resolver: Resolver as ResolverAt = Resolver::System;
        /// How long one question to one server waits for its answer.
        attempt_timeout: Duration as Time = secs(4), Duration::from_millis(100)..=MINUTE;
        /// How often a question without an answer is asked again.
        retries: usize as Count ["tries"] = 2, 0..=10;
        /// How long a whole look-up may take. No answer is a temporary failure.
        timeout: Duration as Time = secs(20), secs(1)..=secs(300);
        /// Answers kept in memory.
        cache_entries: u64 as Count64 ["answers"] = 8192, 0..=1_000_000;
        /// Who checks the signatures of DNSSEC, which DANE rests on: `trust` believes the DNS
        /// server (it must validate, and the way to it must be safe), `validate` checks them here,
        /// `off` nobody, `auto` trusts a server on this machine and checks the answers of others.
        dnssec: Dnssec as DnssecBy = Dnssec::Auto;
        /// Files with other trust anchors than the root's key, one DNSKEY record a line; for closed
        /// networks.
        trust_anchors: Vec<PathBuf> as Paths = Vec::new();
    }

    /// Certificate of this host. Paths without a leading `/` begin at the data directory.
    tls: Tls {
        /// PEM file of the certificate and its chain.
        certificate: PathBuf as Path = PathBuf::from("tls/certificate.pem");
        /// PEM file of its private key.
        key: PathBuf as Path = PathBuf::from("tls/key.pem");
        /// PEM files of authorities that are trusted besides the public ones, where this host is
        /// the client: other mail servers, policies, web hooks, ACME.
        authorities: Vec<PathBuf> as Paths = Vec::new();
    }

    /// TLS towards other mail servers.
    outgoing_tls: OutgoingTls {
        /// Whether DANE is used (RFC 7672): a mail host whose signed TLSA records name its
        /// certificate gets mail over TLS with that certificate, or not at all.
        dane: bool as YesNo = true;
        /// Whether MTA-STS is used (RFC 8461): a domain that publishes a policy to enforce gets
        /// mail over verified TLS at the hosts it names, or not at all.
        mta_sts: bool as YesNo = true;
        /// The port where policies are fetched. 443 on the Internet; another one is for closed
        /// networks.
        mta_sts_port: u16 as Port = 443, 1..=65_535;
        /// How long fetching a policy may take (RFC 8461 §3.3 advises a minute).
        mta_sts_timeout: Duration as Time = MINUTE, secs(1)..=secs(300);
    }

    /// The MTA-STS policy of the domains whose mail is kept here (RFC 8461). It is shown at
    /// https://mta-sts.DOMAIN/ by the HTTPS service; others heed it once `_mta-sts.DOMAIN` has its
    /// TXT record.
    mta_sts: MtaSts {
        /// Whether other servers are shown it.
        publish: bool as YesNo = true;
        /// `enforce` only with a certificate that others verify: mail does not come otherwise.
        mode: StsMode as StsModeKind = StsMode::Testing;
        /// Mail hosts besides this one, wildcards such as `*.example.org` allowed.
        hosts: Vec<String> as Words = Vec::new();
        /// For so long others may remember it.
        max_age: Duration as Time = 7 * DAY, HOUR..=365 * DAY;
    }

    /// Reports to other domains that ask for them: what came in their name (DMARC aggregate reports,
    /// RFC 9990), and how TLS went on the way to them (RFC 8460). Once a day, for the day before (UTC).
    reports: Reports {
        /// Whether DMARC reports are sent; `auto`: where hostname is a name of the public Internet.
        dmarc: SendReports as SendReportsWhen = SendReports::Auto;
        /// The same of TLS reports.
        tls: SendReports as SendReportsWhen = SendReports::Auto;
        /// Who reports, in words; false: the domain that the reports come from.
        organization: Option<String> as OptionalText = None;
        /// The address that reports come from, of a domain that is kept here; false: noreply of the
        /// domain that hostname is in, or of the first. Mail to it is not expected.
        from: Option<String> as OptionalText = None;
        /// Whom to ask about a report: an address; false: postmaster of that domain.
        contact: Option<String> as OptionalText = None;
        /// Reports are sent within this time from midnight UTC; when is chance, and the same each
        /// day, so that not all the world sends at once.
        spread: Duration as Time = 4 * HOUR, Duration::ZERO..=12 * HOUR;
    }

    /// Certificates from an authority that speaks ACME (RFC 8555), renewed when the
    /// authority says (RFC 9773), else when a third of their time is left. They go before the certificate of [tls], which stays as it is.
    acme: Acme {
        /// Whether certificates are ordered. To say yes is to agree to the authority's terms.
        enabled: bool as YesNo = false;
        /// The authority's directory.
        directory: String as HttpsUrl = "https://acme-v02.api.letsencrypt.org/directory".to_owned();
        /// Mail addresses that the authority may write to.
        contact: Vec<String> as Words = Vec::new();
        /// Names in the certificate besides the host's own, such as mta-sts.example.org.
        names: Vec<String> as Words = Vec::new();
        /// How the names are shown to be ours: `tls-alpn-01` on port 443 (the HTTPS service),
        /// `http-01` on port 80 (set listen.http), or `dns-01` by a command.
        challenge: AcmeProofBy as AcmeChallengeKind = AcmeProofBy::TlsAlpn;
        /// The id of the key by which a new account is bound to one that you have with the authority
        /// already (external account binding, RFC 8555 §7.3.4), where it wants that.
        external_account: Option<String> as OptionalText = None;
        /// A file with that key, in base64url as the authority gave it. Relative to the data
        /// directory.
        external_account_key_file: Option<PathBuf> as OptionalPath = None;
        /// The command for `dns-01` with its arguments. `set OWNER VALUE` is added, and the TXT
        /// record must be seen by everybody once it ends; afterwards `unset OWNER VALUE`.
        dns_hook: Vec<String> as Words = Vec::new();
    }

    /// What a client may ask of the server at most. Every refusal says which limit it met.
    limits: Limits {
        /// The largest message that is taken, over SMTP and IMAP APPEND.
        message_bytes_max: u64 as Bytes = 50 * MIB, 64 * KIB..=2 * GIB;
        /// Recipients of one message; one more is told 452 and can follow in the next
        /// transaction (RFC 5321 §4.5.3.1.8: at least 100).
        recipients_max: usize as Count ["recipients"] = 1000, 100..=100_000;
        /// `Received` fields in one message; more is a loop (RFC 5321 §6.3: at least 100).
        received_fields_max: usize as Count ["fields"] = 100, 100..=1000;
        /// Connections to all services together; one more is turned away with a temporary reply.
        connections_max: usize as Count ["connections"] = 16_384, 10..=100_000;
        /// Connections from one address, an IPv6 /64 counting as one.
        connections_per_ip_max: usize as Count ["connections"] = 64, 1..=100_000;
        /// Whether limits of one address, and the slowing down of wrong passwords, hold for
        /// loopback, too.
        loopback_is_limited: bool as YesNo = false;
        /// One SMTP command line with its CRLF (RFC 5321 §4.5.3.1.4: at least 512).
        smtp_line_bytes_max: usize as Count ["bytes"] = 512, 512..=65_536;
        /// A MAIL or RCPT line, which extensions make longer (RFC 3461 §4 and RFC 6531 §3.4).
        smtp_path_line_bytes_max: usize as Count ["bytes"] = 2048, 1024..=65_536;
        /// AUTH and its responses (RFC 4954 §4: 12288).
        smtp_auth_line_bytes_max: usize as Count ["bytes"] = 12_288, 12_288..=65_536;
        /// Commands of one SMTP connection; then it is ended.
        smtp_commands_max: u32 as Count32 ["commands"] = 100_000, 1000..=100_000_000;
        /// Wrong commands of one SMTP connection; then it is ended.
        smtp_errors_max: u32 as Count32 ["commands"] = 20, 3..=1000;
        /// Refused recipients of one SMTP connection; then it is ended, for somebody is guessing.
        smtp_refused_recipients_max: u32 as Count32 ["recipients"] = 100, 10..=100_000;
        /// One IMAP command with its literals, the message of an APPEND aside.
        imap_command_bytes_max: usize as Count ["bytes"] = 262_144, 8192..=16_777_216;
        /// The same before signing in.
        imap_command_bytes_before_sign_in_max: usize as Count ["bytes"] =
            16_384, 8192..=1_048_576;
        /// Wrong IMAP commands in a row; then the connection is ended.
        imap_bad_commands_max: u32 as Count32 ["commands"] = 20, 3..=1000;
        /// Messages that one IMAP FETCH, SEARCH, STORE, MOVE or UID EXPUNGE works on (the last of
        /// those it names; the program is told where to go on), and that one COPY or APPEND takes.
        /// Announced (MESSAGELIMIT of RFC 9738) where it is set. Few programs know it: set it only
        /// where a program asks for it.
        imap_command_messages_max: Option<NonZeroU32> as MessageLimit = None;
        /// Messages that one IMAP COPY or APPEND takes (SAVELIMIT of RFC 9738), where the limit above
        /// is not set.
        imap_saved_messages_max: Option<NonZeroU32> as MessageLimit = None;
    }

    /// How long the server waits for a client.
    timeouts: Timeouts {
        /// For a TLS handshake to end.
        tls_handshake: Duration as Time = secs(30), secs(1)..=secs(300);
        /// For the next SMTP command (RFC 5321 §4.5.3.2.7: at least 5 minutes).
        smtp_command: Duration as Time = secs(300), secs(10)..=HOUR;
        /// For the next bytes of a message under way (RFC 5321 §4.5.3.2.5: 3 minutes).
        smtp_data: Duration as Time = secs(180), secs(10)..=HOUR;
        /// For one whole message, from its first byte to its last.
        smtp_message: Duration as Time = HOUR, secs(60)..=DAY;
        /// For an IMAP or POP3 client to sign in, from the greeting on.
        before_sign_in: Duration as Time = secs(60), secs(5)..=secs(1800);
        /// For the next IMAP command after signing in, IDLE included (RFC 9051 §5.4: at least 30
        /// minutes).
        imap_autologout: Duration as Time = secs(1800), secs(60)..=DAY;
        /// For the next POP3 command (RFC 1939 §3: at least 10 minutes).
        pop3_autologout: Duration as Time = secs(600), secs(60)..=DAY;
        /// For a client to take any of the bytes that wait for it.
        send: Duration as Time = secs(300), secs(5)..=HOUR;
        /// For what is under way to end when the server stops; then connections are cut.
        shut_down: Duration as Time = secs(15), secs(1)..=secs(600);
    }

    /// Signing in.
    sign_in: SignIn {
        /// Whether passwords are taken without TLS from loopback. Never from elsewhere.
        allow_plaintext_from_loopback: bool as YesNo = true;
        /// Whether an IMAP program may sign out and in again as somebody else on one connection
        /// (UNAUTHENTICATE). Say no where a proxy in front checks who signs in.
        imap_unauthenticate: bool as YesNo = true;
        /// Accounts by which submission servers (RFC 4468 BURL) sign in to fetch over IMAP what
        /// programs authorized them to (`submit+` of RFC 4467).
        imap_submission_servers: Vec<String> as Words = Vec::new();
        /// Wrong passwords in one connection; the last ends it.
        tries_max: u32 as Count32 ["tries"] = 3, 1..=100;
        /// How long a verified password is remembered (as a keyed hash, in memory alone).
        remember_for: Duration as Time = secs(600), Duration::ZERO..=DAY;
        /// How long an address waits behind its first wrong password; each further one doubles
        /// it. The same wrong password again does not count.
        failure_delay: Duration as Time = Duration::from_millis(250), Duration::ZERO..=MINUTE;
        /// The longest such wait.
        failure_delay_max: Duration as Time = secs(8), Duration::ZERO..=secs(300);
        /// In each such time one wrong password is forgotten. A right one forgives half of them.
        failure_forgotten_each: Duration as Time = MINUTE, secs(1)..=DAY;
        /// Wrong passwords for one name, from all addresses together, before tries for it wait.
        /// Networks from which the account has signed in never wait for those of others.
        account_failures_free: u32 as Count32 ["tries"] = 5, 0..=1000;
        /// For so long a network (IPv4 /24, IPv6 /48) from which an account has signed in is the
        /// account's own.
        network_known_for: Duration as Time = 30 * DAY, HOUR..=365 * DAY;
    }

    /// Signing in with a token of an OAuth 2.0 server in place of a password, over IMAP, POP3 and
    /// submission (OAUTHBEARER, XOAUTH2).
    oauth: OAuth {
        /// Where the server is asked whether a token is good (RFC 7662), `https:`, or `http:` on
        /// this machine. Nothing of this section counts without it.
        introspection_url: Option<String> as OptionalUrl = None;
        /// As whom it is asked (HTTP Basic), and a file with the secret for that.
        client_id: Option<String> as OptionalText = None;
        /// One line. Relative to the data directory.
        client_secret_file: Option<PathBuf> as OptionalPath = None;
        /// The members of its answer that may hold the account's address; the first that holds an
        /// address counts. `email` never counts where `email_verified` is false.
        address_claims: Vec<String> as Words = vec!["username".to_owned(), "email".to_owned()];
        /// The scope that a token must have. With false a token for any purpose opens the mail, also
        /// one that its owner has given to another site.
        required_scope: Option<String> as OptionalText = Some("mail".to_owned());
        /// Told to mail programs whose token is not good, so that they find where to get one: the
        /// URL of the server's OpenID configuration.
        openid_configuration: Option<String> as OptionalUrl = None;
        /// For one answer of the server.
        timeout: Duration as Time = secs(10), secs(1)..=MINUTE;
        /// How long a good answer is remembered at most (as a keyed hash, in memory alone): for so
        /// long a token works that was revoked.
        remember_for: Duration as Time = secs(300), Duration::ZERO..=secs(300);
    }

    /// The HTTP API.
    web: Web {
        /// For a request's header to come whole, and for the next request of a connection.
        header_timeout: Duration as Time = secs(30), secs(1)..=secs(600);
        /// For a whole request to come, its body included.
        request_timeout: Duration as Time = secs(300), secs(5)..=HOUR;
        /// The header of one request.
        header_bytes_max: usize as Count ["bytes"] = 32_768, 8192..=1_048_576;
        /// Requests under way at a time in one HTTP/2 connection.
        streams_max: u32 as Count32 ["requests"] = 32, 1..=1000;
        /// Bodies of requests that are held in memory at a time, of all connections together; one
        /// more is told 503.
        body_bytes_held_max: usize as Count ["bytes"] = 268_435_456, 67_108_864..=17_179_869_184;
        /// How long an Idempotency-Key is remembered: for so long a request that is sent again
        /// with it is not done again.
        idempotency_keys_for: Duration as Time = 7 * DAY, HOUR..=30 * DAY;
        /// Messages that one account may send over the API; so many may come at once, and more as
        /// time passes. Above it is 429, with the time to wait. `0`: no limit.
        sends_per_account: u32 as Count32 ["messages a minute"] = 1000, 0..=1_000_000;
        /// The same for one token.
        sends_per_token: u32 as Count32 ["messages a minute"] = 1000, 0..=1_000_000;
    }

    /// The console of operators, `https://HOST/admin`, and their part of the HTTP API.
    console: Console {
        /// Who may reach it; others are turned away before any sign-in. The default is this machine
        /// and private networks: everybody's mail is behind it, so that the Internet is let in by
        /// a decision alone, `["0.0.0.0/0", "::/0"]`. `[]`: nobody.
        networks: Vec<Network> as Networks = private();
        /// A session ends when it was not used for so long.
        session_idle: Duration as Time = 30 * MINUTE, MINUTE..=DAY;
        /// A session ends so long after its sign-in, used or not.
        session_max: Duration as Time = 12 * HOUR, MINUTE..=30 * DAY;
        /// What cannot be taken back, or carries mail away, wants the password again where it was
        /// not given for so long.
        confirm_after: Duration as Time = 5 * MINUTE, Duration::ZERO..=HOUR;
    }

    /// Numbers for those who watch over the server: `/metrics` of the HTTPS service, for Prometheus, and
    /// OTLP.
    metrics: Metrics {
        /// Who may read `/metrics`. For all others there is no such page; `/healthz` and `/readyz`
        /// answer everybody.
        networks: Vec<Network> as Networks = loopback();
        /// Where an OTLP collector takes them over HTTP as JSON, such as
        /// `https://otel.example.org/v1/metrics`.
        otlp_url: Option<String> as OptionalUrl = None;
        /// How often they are sent there.
        otlp_every: Duration as Time = MINUTE, secs(1)..=HOUR;
    }

    /// Mail on its way to other servers.
    queue: Queue {
        /// Waits between attempts, one after the other; the last one repeats.
        retry_schedule: Vec<Duration> as Durations = vec![
            MINUTE,
            5 * MINUTE,
            15 * MINUTE,
            30 * MINUTE,
            HOUR,
            2 * HOUR,
            4 * HOUR,
        ], Duration::from_millis(100)..=DAY;
        /// Each wait is made longer or shorter by up to this much, by chance.
        retry_jitter_percent: u32 as Percent = 10, 0..=100;
        /// After this long without delivery a message is returned to its sender (RFC 5321
        /// §4.5.4.1: 4 to 5 days).
        lifetime: Duration as Time = 5 * DAY, secs(1)..=30 * DAY;
        /// After this long without delivery the sender is told of the delay, once. `0s`: never.
        delay_warning_after: Duration as Time = 4 * HOUR, Duration::ZERO..=30 * DAY;
        /// For how long mail may be held that its sender submits to leave later (FUTURERELEASE,
        /// RFC 4865). `0s`: it is not offered.
        future_release_max: Duration as Time = 90 * DAY, Duration::ZERO..=365 * DAY;
        /// The shortest time that a sender may name after which mail that is not delivered is to go
        /// back to it (DELIVERBY, RFC 2852). `0s`: it is not offered.
        deliver_by_min: Duration as Time = secs(10), Duration::ZERO..=DAY;
        /// The highest priority, -9 to 9, that mail of accounts gets where they ask for one
        /// (MT-PRIORITY, RFC 6710); 0 is that of mail of which nothing is said. Higher ones are
        /// lowered to it, and who submits is told so.
        priority_max: i32 as PriorityLevel = 4, -9..=9;
        /// Connections to all destinations together.
        concurrency: usize as Count ["connections"] = 500, 1..=10_000;
        /// Connections to one destination.
        per_destination_concurrency: usize as Count ["connections"] = 10, 1..=1000;
        /// Messages sent through one connection before it makes room for others.
        messages_per_connection: u32 as Count32 ["messages"] = 100, 1..=100_000;
        /// What mail hosts of others bear, by name: fewer connections to them, whatever domains
        /// they serve, fewer messages through each, and no more messages in a minute or an hour.
        /// The first that fits one of the hosts of a destination counts.
        host_limits: Vec<HostLimit> as HostLimits = Vec::new();
        /// Messages that an address of this host sends on the first day (UTC) on which it sends any,
        /// so that others come to know it slowly. What waits goes on the next day. Mail to smart
        /// hosts does not count. 0: no such limit.
        warm_up_first_day: u64 as Count64 ["messages"] = 0, 0..=1_000_000;
        /// Each day of its warm-up has so many percent of the day before.
        warm_up_growth_percent: u32 as Percent = 150, 101..=1000;
        /// Once a day would have so many, the address is known, and nothing is limited any more.
        warm_up_done_at: u64 as Count64 ["messages"] = 50_000, 1..=100_000_000;
        /// Recipients of one message in one transaction (RFC 5321 §4.5.3.1.8: 100 are always
        /// taken).
        recipients_per_transaction: usize as Count ["recipients"] = 100, 1..=1000;
        /// Hosts of a destination that are tried before its mail is put off.
        hosts_per_attempt: usize as Count ["hosts"] = 5, 1..=16;
        /// How long an unused connection is kept for more mail.
        connection_idle: Duration as Time = secs(5), Duration::ZERO..=secs(300);
        /// For a connection to stand.
        connect_timeout: Duration as Time = secs(30), secs(1)..=secs(300);
        /// For the reply to a command (RFC 5321 §4.5.3.2: 5 minutes).
        command_timeout: Duration as Time = secs(300), secs(1)..=HOUR;
        /// For the reply to the final dot (RFC 5321 §4.5.3.2.6: 10 minutes; shorter makes
        /// duplicates).
        data_end_timeout: Duration as Time = secs(600), secs(1)..=HOUR;
        /// How long a destination that could not be reached is left alone; mail for it is put off
        /// at once.
        unreachable_pause: Duration as Time = secs(60), Duration::ZERO..=HOUR;
        /// Whether messages go in chunks, without stuffed dots, where other servers offer it
        /// (CHUNKING, RFC 3030).
        chunking: bool as YesNo = true;
        /// Whether STARTTLS is used where it is offered.
        starttls: bool as YesNo = true;
        /// The port of other servers. 25 on the Internet; another one is for closed networks.
        remote_port: u16 as Port = 25, 1..=65_535;
        /// Networks of your own in which MX records may lead to loopback, link-local or private
        /// addresses. Elsewhere such a record is refused; a route may always name one.
        inward_networks: Vec<Network> as Networks = Vec::new();
    }

    /// How long mail is kept that lies in no mailbox any more and that nobody is to get. Rules for
    /// domains and accounts (`restante retention`) and legal holds (`restante hold`) go before.
    archive: Archive {
        /// For so long, counted from when nobody has it any more. Then its body is purged.
        retention: Duration as Time = 365 * DAY, secs(1)..=36_500 * DAY;
        /// The same for what was judged to be junk, and what nobody took out of the folders for junk
        /// and trash.
        spam_retention: Duration as Time = 30 * DAY, secs(1)..=36_500 * DAY;
        /// How often the server looks for mail that is over its time.
        sweep_interval: Duration as Time = 6 * HOUR, secs(1)..=30 * DAY;
    }

    /// The journal, which is the truth.
    journal: Journal {
        /// Size of a segment file, taken from the disk at once.
        segment_bytes: u64 as Bytes = 64 * MIB, 64 * KIB..=GIB;
        /// Larger bodies get a file of their own. Also the memory that one message on its way in
        /// may take.
        inline_body_bytes_max: usize as MemoryBytes = 256 << 10, 0..=8 << 20;
        /// How hard bodies in the journal are compressed (zstd): 1 is fast, 19 is small.
        compression_level: i32 as ZstdLevel = 1, 1..=19;
    }

    /// Signed heads of the journal. Kept elsewhere, they show later that nothing was changed or
    /// cut off here; whoever can change this machine's files can change the heads on it, too.
    heads: Heads {
        /// A directory that heads are also written to, a file each: of another machine's file
        /// system, best. Relative to the data directory.
        directory: Option<PathBuf> as OptionalPath = None;
        /// Addresses that heads are mailed to.
        mail_to: Vec<Address> as Addresses = Vec::new();
        /// How often, where anything has changed.
        send_every: Duration as Time = DAY, secs(1)..=30 * DAY;
    }

    /// Backups that the server takes by itself; `restante backup` takes one now.
    backup: Backup {
        /// A directory, on another disk, best of another machine; or `s3://BUCKET/PREFIX` on an
        /// S3-compatible store. It will hold all mail and all private keys: see `encrypt_to`. A
        /// directory is relative to the data directory, but not in it.
        to: Option<PathBuf> as OptionalPath = None;
        /// How often. `0s`: only by hand.
        every: Duration as Time = DAY, Duration::ZERO..=365 * DAY;
        /// An alarm is raised when the last good backup is older. `0s`: never.
        alarm_after: Duration as Time = 3 * DAY, Duration::ZERO..=3650 * DAY;
        /// Public keys of age (`age1…`, from `restante backup keygen` or age-keygen): whoever has the
        /// identity of one of them can read the backup, and nobody else, this server included. None:
        /// it is not encrypted.
        encrypt_to: Vec<String> as Words = Vec::new();
        /// Whether the server heals what it finds damaged from the backup. It cannot read an encrypted
        /// one: there `restante heal --identity FILE` does it.
        heal: bool as YesNo = true;
        /// The store's URL. False: AWS_ENDPOINT_URL of the environment, or that of AWS.
        s3_endpoint: Option<String> as OptionalText = None;
        /// Its region. False: AWS_REGION of the environment, or us-east-1.
        s3_region: Option<String> as OptionalText = None;
        /// The id of the key. False: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment.
        s3_key_id: Option<String> as OptionalText = None;
        /// A file that holds the secret of the key.
        s3_secret_file: Option<PathBuf> as OptionalPath = None;
    }

    /// Standbys: servers that have everything this one has, and can take its place.
    standby: Standby {
        /// When a message is acknowledged (`250`, `OK`): when it is on the disk here (local), or on
        /// that of a standby, too (standby). A server that none has followed yet waits for none.
        acknowledge: StandbyAcknowledge as StandbyAcknowledgeWhen = StandbyAcknowledge::Local;
        /// Where that waits for a standby and none is there: refuse mail for a while (refuse; its
        /// senders keep it), or go on without, with an alarm, until one has caught up (go-on).
        when_away: StandbyWhenAway as StandbyWhenAwayKind = StandbyWhenAway::Refuse;
        /// A standby that has not answered for so long is away for that.
        away_after: Duration as Time = secs(10), secs(1)..=HOUR;
        /// One that was not seen, or does not have the latest mail, for so long is an alarm. `0s`:
        /// never.
        alarm_after: Duration as Time = 5 * MINUTE, Duration::ZERO..=30 * DAY;
        /// A server that had a standby waits so long at its start for word whether that was promoted
        /// meanwhile; it serves sooner where that has spoken. `0s`: not at all.
        start_wait: Duration as Time = secs(5), Duration::ZERO..=5 * MINUTE;
    }

    /// Reading again what was written long ago, before it is needed.
    scrub: Scrub {
        /// All of the journal and its bodies is read from the disk once in this time, a little at a
        /// time. `0s`: never.
        every: Duration as Time = 7 * DAY, Duration::ZERO..=365 * DAY;
    }

    /// The index, which is rebuilt from the journal when it is lost.
    store: Store {
        /// The index is committed at least this often. What it lacks is replayed at start.
        index_commit_interval: Duration as Time =
            secs(1), Duration::from_millis(10)..=secs(60);
    }

    /// Searching the whole archive (`restante search`). What is searched in lies in search.sqlite; it can
    /// be removed while the server does not run and is made again.
    search: Search {
        /// Whether messages are made searchable.
        enabled: bool as YesNo = true;
        /// Whether what is written in attachments (PDF, office formats) is found too.
        attachments: bool as YesNo = true;
        /// How much of a core making earlier messages searchable may take. New ones come first.
        rebuild_percent: u32 as Percent = 50, 1..=100;
    }

    /// What is written to standard error.
    log: Log {
        /// The least that is written: error (we are broken), warn (somebody should look tomorrow),
        /// info (something changed for a user), debug (decisions), trace (bytes).
        level: LogLevel as Level = LogLevel::Info;
        /// `text` for people, or `json`: an object on each line, for programs that gather logs.
        format: LogFormat as LogFormatKind = LogFormat::Text;
    }
}
