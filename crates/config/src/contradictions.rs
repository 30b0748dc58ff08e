use std::fmt;

use crate::units::{format_bytes, format_duration};
use crate::values::{Listen, StandbyAcknowledge};
use crate::{Config, Listener, Service};

/// Settings that are right by themselves and wrong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The settings, as `section.name`.
    pub keys: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.keys.join(" and "), self.what, self.mend)
    }
}

impl Config {
    /// All contradictions between settings; a server with one does not start.
    #[must_use]
    pub fn contradictions(&self) -> Vec<Contradiction> {
        let mut found = Vec::new();
        self.ports_too_high(&mut found);
        self.listeners_in_each_others_way(&mut found);
        self.limits_out_of_order(&mut found);
        self.proxies_without_networks(&mut found);
        self.half_a_client(&mut found);
        self.nobody_to_wait_for(&mut found);
        found
    }

    fn ports_too_high(&self, found: &mut Vec<Contradiction>) {
        for service in Service::ALL {
            if let Listen::Port(port) = self.listen_of(service)
                && self.port_of(service).is_none()
            {
                found.push(Contradiction {
                    keys: vec![key_of(service), "listen.port_base".to_owned()],
                    what: format!("{} + {port} is no port", self.listen.port_base),
                    mend: format!("write a port_base of at most {}", u16::MAX - port),
                });
            }
        }
    }

    fn listeners_in_each_others_way(&self, found: &mut Vec<Contradiction>) {
        let all = self.listeners();
        for (index, first) in all.iter().enumerate() {
            for second in all.iter().skip(index + 1).filter(|second| collide(first, second)) {
                let same = first.service == second.service;
                let mut keys = vec![key_of(first.service), key_of(second.service)];
                keys.dedup();
                found.push(Contradiction {
                    keys,
                    what: format!("{} and {} are one place", first.address, second.address),
                    mend: if same {
                        "write each address once, or 0.0.0.0 or :: alone for all".to_owned()
                    } else {
                        "give each service a port of its own, or switch one off with false"
                            .to_owned()
                    },
                });
            }
        }
    }

    fn nobody_to_wait_for(&self, found: &mut Vec<Contradiction>) {
        let waits = self.standby.acknowledge == StandbyAcknowledge::Standby;
        if waits && *self.listen_of(Service::Standby) == Listen::Off {
            found.push(Contradiction {
                keys: vec!["standby.acknowledge".to_owned(), "listen.standby".to_owned()],
                what: "mail would wait for a standby, and none can link".to_owned(),
                mend: "give listen.standby a port, or acknowledge = \"local\"".to_owned(),
            });
        }
    }

    fn proxies_without_networks(&self, found: &mut Vec<Contradiction>) {
        let proxy = &self.proxy;
        if !proxy.listeners.is_empty() && proxy.networks.is_empty() {
            found.push(Contradiction {
                keys: vec!["proxy.listeners".to_owned(), "proxy.networks".to_owned()],
                what: "nobody could connect to these listeners".to_owned(),
                mend: "write the proxies' addresses into proxy.networks".to_owned(),
            });
        }
        // One that covers nothing is a slip of the pen that would leave a door open.
        let all = self.listeners();
        for at in &proxy.listeners {
            if !all.iter().any(|listener| at.covers(listener)) {
                found.push(Contradiction {
                    keys: vec!["proxy.listeners".to_owned()],
                    what: format!("nothing listens at {at}"),
                    mend: "write a service, or an address as it is under [listen]".to_owned(),
                });
            }
        }
    }

    fn half_a_client(&self, found: &mut Vec<Contradiction>) {
        let oauth = &self.oauth;
        if oauth.client_id.is_some() != oauth.client_secret_file.is_some() {
            found.push(Contradiction {
                keys: vec!["oauth.client_id".to_owned(), "oauth.client_secret_file".to_owned()],
                what: "one is of no use without the other".to_owned(),
                mend: "write both, or false for both".to_owned(),
            });
        }
        let acme = &self.acme;
        if acme.external_account.is_some() != acme.external_account_key_file.is_some() {
            found.push(Contradiction {
                keys: vec![
                    "acme.external_account".to_owned(),
                    "acme.external_account_key_file".to_owned(),
                ],
                what: "one is of no use without the other".to_owned(),
                mend: "write both, or false for both".to_owned(),
            });
        }
    }

    fn limits_out_of_order(&self, found: &mut Vec<Contradiction>) {
        let (queue, limits) = (&self.queue, &self.limits);
        let mut at_most = |[low, high]: [&str; 2], wrong: bool, [is, most]: [String; 2]| {
            if wrong {
                found.push(Contradiction {
                    keys: vec![low.to_owned(), high.to_owned()],
                    what: format!("{is} is more than {most}"),
                    mend: format!("write a {low} that is not above {high}"),
                });
            }
        };
        at_most(
            ["queue.delay_warning_after", "queue.lifetime"],
            queue.delay_warning_after > queue.lifetime,
            [queue.delay_warning_after, queue.lifetime].map(format_duration),
        );
        at_most(
            ["queue.per_destination_concurrency", "queue.concurrency"],
            queue.per_destination_concurrency > queue.concurrency,
            [queue.per_destination_concurrency, queue.concurrency].map(|each| each.to_string()),
        );
        at_most(
            ["limits.connections_per_ip_max", "limits.connections_max"],
            limits.connections_per_ip_max > limits.connections_max,
            [limits.connections_per_ip_max, limits.connections_max].map(|each| each.to_string()),
        );
        // The first wait alone must fit, or nothing would ever be tried twice.
        let first_wait = queue.retry_schedule.first().copied().unwrap_or_default();
        at_most(
            ["queue.retry_schedule", "queue.lifetime"],
            first_wait > queue.lifetime,
            [first_wait, queue.lifetime].map(format_duration),
        );
        at_most(
            ["limits.smtp_line_bytes_max", "limits.smtp_path_line_bytes_max"],
            limits.smtp_line_bytes_max > limits.smtp_path_line_bytes_max,
            [limits.smtp_line_bytes_max, limits.smtp_path_line_bytes_max]
                .map(|each| each.to_string()),
        );
        at_most(
            ["dns.attempt_timeout", "dns.timeout"],
            self.dns.attempt_timeout > self.dns.timeout,
            [self.dns.attempt_timeout, self.dns.timeout].map(format_duration),
        );
        // A segment must hold an inline body with its frames, and should hold several.
        let (inline, segment) =
            (self.journal.inline_body_bytes_max as u64, self.journal.segment_bytes);
        if inline > segment / 4 {
            found.push(Contradiction {
                keys: vec![
                    "journal.inline_body_bytes_max".to_owned(),
                    "journal.segment_bytes".to_owned(),
                ],
                what: format!(
                    "{} is more than a quarter of {}",
                    format_bytes(inline),
                    format_bytes(segment)
                ),
                mend: format!("write \"{}\" or less for the first", format_bytes(segment / 4)),
            });
        }
    }
}

fn key_of(service: Service) -> String {
    format!("listen.{service}")
}

/// Whether the second socket could not be bound beside the first. An IPv6 socket takes IPv6 only,
/// so the two families never meet.
fn collide(first: &Listener, second: &Listener) -> bool {
    let (a, b) = (first.address, second.address);
    a.port() == b.port()
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}
