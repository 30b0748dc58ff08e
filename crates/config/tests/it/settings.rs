//! What is written is read back, and every default keeps its own limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use config::{Config, HostLimit, Listen, LogLevel, MIB, Network, ProxyAt, Resolver, Service};
use mail_types::Domain;

use crate::config_of;

fn domain() -> Domain {
    Domain::new("mx.example.org").unwrap()
}

#[test]
fn the_file_of_the_defaults_is_read_back() {
    let config = Config::new(domain());
    assert_eq!(Config::parse(&config.to_toml(), "f").unwrap(), config);
}

/// Each commented default, its mark taken away, is a line that is read: so every default is within
/// its limits, and what is written of each kind can be read.
#[test]
fn the_file_with_all_marks_taken_away_is_the_defaults() {
    let config = Config::new(domain());
    let is_setting = |rest: &str| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let text: Vec<_> = config
        .to_toml()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) => rest.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let settings = text.iter().filter(|line| is_setting(line)).count();
    assert_eq!(settings, Config::settings().len());
    assert_eq!(Config::parse(&text.join("\n"), "f").unwrap(), config);
}

#[test]
fn every_kind_of_value_survives_writing_and_reading() {
    let mut config = Config::new(domain());
    config.listen.addresses = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    config.listen.port_base = 20_000;
    config.listen.pop3 = Listen::Off;
    config.listen.imap = Listen::Addresses(vec!["[::1]:1430".parse().unwrap()]);
    config.dns.resolver = Resolver::Server("127.0.0.1:20053".parse().unwrap());
    config.tls.key = PathBuf::from("/etc/a \"key\"\\.pem");
    config.limits.message_bytes_max = 1_000_001;
    config.timeouts.send = Duration::from_millis(61_500);
    config.queue.retry_schedule = vec![Duration::from_secs(1), Duration::from_secs(5400)];
    config.queue.retry_jitter_percent = 0;
    config.queue.inward_networks = vec![
        Network { ip: "127.0.0.0".parse().unwrap(), prefix_bits: 8 },
        Network { ip: "::1".parse().unwrap(), prefix_bits: 128 },
    ];
    config.queue.host_limits = vec![HostLimit {
        hosts: "*.example.net".to_owned(),
        connections: Some(2),
        messages: None,
        per_minute: None,
        per_hour: Some(500),
    }];
    config.journal.inline_body_bytes_max = 0;
    config.journal.compression_level = 3;
    config.lmtp.socket = Some(PathBuf::from("/run/lmtp.sock"));
    config.proxy.listeners =
        vec![ProxyAt::Service(Service::Smtp), ProxyAt::Address("[::1]:1430".parse().unwrap())];
    config.proxy.networks = vec![Network { ip: "192.0.2.7".parse().unwrap(), prefix_bits: 32 }];
    config.sign_in.allow_plaintext_from_loopback = false;
    config.oauth.introspection_url = Some("http://[::1]:8080/x".to_owned());
    config.oauth.client_id = Some("a \"client\"".to_owned());
    config.oauth.client_secret_file = Some(PathBuf::from("secret"));
    config.oauth.required_scope = None;
    config.log.level = LogLevel::Trace;
    let text = config.to_toml();
    assert_eq!(Config::parse(&text, "f").unwrap(), config, "{text}");
    assert!(text.contains("\nsend = \"1m 1s 500ms\"\n"), "{text}");
    assert!(text.contains("\nmessage_bytes_max = \"1000001 B\"\n"), "{text}");
    assert!(text.contains("\nretry_schedule = [\"1s\", \"1h 30m\"]\n"), "{text}");
}

#[test]
fn settings_are_taken_from_the_file() {
    let config = config_of("[limits]\nmessage_bytes_max = \"25 MiB\"\n[log]\nlevel = \"debug\"\n");
    assert_eq!(config.limits.message_bytes_max, 25 * MIB);
    assert_eq!(config.log.level, LogLevel::Debug);
    assert_eq!(config.limits.recipients_max, 1000);
    let config = config_of("[queue]\ninward_networks = [\"10.0.0.0/8\", \"::1\"]\n");
    let networks: Vec<_> = config.queue.inward_networks.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128"]);
}

#[test]
fn the_port_base_is_added_to_ports_and_not_to_whole_addresses() {
    let config = config_of(
        "[listen]\naddresses = [\"127.0.0.1\"]\nport_base = 20000\nimap = [\"[::1]:143\"]\n\
         pop3 = false\n",
    );
    let at = |service| -> Vec<String> {
        let of = |each: &config::Listener| each.service == service;
        config
            .listeners()
            .iter()
            .filter(|each| of(each))
            .map(|each| each.address.to_string())
            .collect()
    };
    assert_eq!(at(Service::Smtp), ["127.0.0.1:20025"]);
    assert_eq!(at(Service::Submissions), ["127.0.0.1:20465"]);
    assert_eq!(at(Service::Imap), ["[::1]:143"]);
    assert!(at(Service::Pop3).is_empty());
    assert_eq!(config.port_of(Service::Imaps), Some(20_993));
    assert_eq!(config.port_of(Service::Imap), None);
}

/// design.md §7: the ports that everything else relies on.
#[test]
fn services_have_their_standard_ports() {
    let config = config_of("");
    let ports: Vec<_> = Service::ALL
        .into_iter()
        .map(|service| (service.as_str(), config.port_of(service)))
        .collect();
    let expected = [
        ("smtp", 25),
        ("submission", 587),
        ("submissions", 465),
        ("imap", 143),
        ("imaps", 993),
        ("pop3", 110),
        ("pop3s", 995),
        ("https", 443),
    ];
    // Not everybody needs these.
    let mut wanted = expected.map(|(name, port)| (name, Some(port))).to_vec();
    wanted.extend([("http", None), ("lmtp", None), ("standby", None)]);
    assert_eq!(ports, wanted);
    let everywhere: Vec<SocketAddr> =
        vec!["0.0.0.0:25".parse().unwrap(), "[::]:25".parse().unwrap()];
    let smtp = config.listeners().into_iter().filter(|each| each.service == Service::Smtp);
    assert_eq!(smtp.map(|each| each.address).collect::<Vec<_>>(), everywhere);
}

/// RFC 5321 and its kin set the least a server may allow; the defaults keep to them.
#[test]
fn defaults_keep_to_the_rfcs() {
    let config = config_of("");
    assert!(config.limits.recipients_max >= 100, "RFC 5321 §4.5.3.1.8");
    assert!(config.limits.smtp_auth_line_bytes_max >= 12_288, "RFC 4954 §4");
    assert!(config.timeouts.smtp_command >= Duration::from_secs(300), "RFC 5321 §4.5.3.2.7");
    assert!(config.timeouts.imap_autologout >= Duration::from_secs(1800), "RFC 9051 §5.4");
    assert!(config.timeouts.pop3_autologout >= Duration::from_secs(600), "RFC 1939 §3");
    assert!(config.queue.data_end_timeout >= Duration::from_secs(600), "RFC 5321 §4.5.3.2.6");
    assert!(config.queue.lifetime >= Duration::from_secs(4 * 86_400), "RFC 5321 §4.5.4.1");
}

#[test]
fn the_page_tells_every_setting_with_default_and_limits() {
    let page = config::reference_page();
    for setting in Config::settings() {
        let start = page.find(&format!("\n### {}\n\n{}\n", setting.name, setting.doc));
        let about = &page[start.unwrap_or_else(|| panic!("{} is missing", setting.name))..];
        let about = about[5..].split("\n##").next().unwrap();
        if let Some(default) = setting.default {
            assert!(about.contains(&format!("Default: `{default}`")), "{about}");
        }
        if let Some((least, most)) = setting.limits {
            assert!(about.contains(&format!("Limits: `{least}` to `{most}`")), "{about}");
        }
    }
}

#[test]
fn every_setting_is_told_in_a_sentence() {
    for setting in Config::settings() {
        assert!(setting.doc.len() > 20, "{}: {}", setting.name, setting.doc);
        assert!(setting.doc.ends_with('.'), "{}: {}", setting.name, setting.doc);
    }
}
