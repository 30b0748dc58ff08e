//! Settings that are right alone and wrong together.

use crate::problems_of;

#[track_caller]
fn contradiction(lines: &str, expected: &str) {
    assert_eq!(problems_of(&format!("hostname = \"mx.example.org\"\n{lines}")), expected);
}

#[test]
fn two_services_on_one_port() {
    contradiction(
        "[listen]\naddresses = [\"127.0.0.1\"]\nimap = 993\n",
        "restante.toml:4: listen.imap and listen.imaps: 127.0.0.1:993 and 127.0.0.1:993 are one \
         place; give each service a port of its own, or switch one off with false",
    );
}

#[test]
fn a_whole_address_under_a_common_one() {
    contradiction(
        "[listen]\naddresses = [\"0.0.0.0\"]\nsmtp = [\"192.0.2.1:587\"]\n",
        "restante.toml:4: listen.smtp and listen.submission: 192.0.2.1:587 and 0.0.0.0:587 are one \
         place; give each service a port of its own, or switch one off with false",
    );
}

#[test]
fn one_address_twice() {
    contradiction(
        "[listen]\nsmtp = [\"192.0.2.1:25\", \"0.0.0.0:25\"]\n",
        "restante.toml:3: listen.smtp: 192.0.2.1:25 and 0.0.0.0:25 are one place; write each \
         address once, or 0.0.0.0 or :: alone for all",
    );
}

#[test]
fn the_two_families_are_apart() {
    let text = "hostname = \"a.example\"\n[listen]\nsmtp = [\"0.0.0.0:25\", \"[::]:25\"]\n";
    assert!(config::Config::parse(text, "f").is_ok());
}

#[test]
fn a_port_beyond_the_last() {
    contradiction(
        "[listen]\nport_base = 60000\nimap = 6000\n",
        "restante.toml:4: listen.imap and listen.port_base: 60000 + 6000 is no port; write a \
         port_base of at most 59535",
    );
}

#[test]
fn services_behind_no_proxy() {
    contradiction(
        "[proxy]\nlisteners = [\"smtp\"]\n",
        "restante.toml:3: proxy.listeners and proxy.networks: nobody could connect to these \
         listeners; write the proxies' addresses into proxy.networks",
    );
}

#[test]
fn a_proxy_in_front_of_nothing() {
    contradiction(
        "[proxy]\nlisteners = [\"192.0.2.1:26\"]\nnetworks = [\"192.0.2.2\"]\n",
        "restante.toml:3: proxy.listeners: nothing listens at 192.0.2.1:26; write a service, or an \
         address as it is under [listen]",
    );
}

#[test]
fn limits_out_of_order() {
    contradiction(
        "[queue]\nlifetime = \"1h\"\nretry_schedule = [\"1m\"]\n",
        "restante.toml:3: queue.delay_warning_after and queue.lifetime: 4h is more than 1h; write \
         a queue.delay_warning_after that is not above queue.lifetime",
    );
    contradiction(
        "[queue]\nlifetime = \"1h\"\ndelay_warning_after = \"0s\"\nretry_schedule = [\"2h\"]\n",
        "restante.toml:5: queue.retry_schedule and queue.lifetime: 2h is more than 1h; write a \
         queue.retry_schedule that is not above queue.lifetime",
    );
    contradiction(
        "[queue]\nconcurrency = 5\n",
        "restante.toml:3: queue.per_destination_concurrency and queue.concurrency: 10 is more than \
         5; write a queue.per_destination_concurrency that is not above queue.concurrency",
    );
    contradiction(
        "[limits]\nconnections_max = 49\n",
        "restante.toml:3: limits.connections_per_ip_max and limits.connections_max: 64 is more \
         than 49; write a limits.connections_per_ip_max that is not above limits.connections_max",
    );
    contradiction(
        "[journal]\nsegment_bytes = \"512 KiB\"\n",
        "restante.toml:3: journal.inline_body_bytes_max and journal.segment_bytes: 256 KiB is \
         more than a quarter of 512 KiB; write \"128 KiB\" or less for the first",
    );
    contradiction(
        "[limits]\nsmtp_line_bytes_max = 4096\n",
        "restante.toml:3: limits.smtp_line_bytes_max and limits.smtp_path_line_bytes_max: 4096 is \
         more than 2048; write a limits.smtp_line_bytes_max that is not above \
         limits.smtp_path_line_bytes_max",
    );
    contradiction(
        "[dns]\ntimeout = \"3s\"\n",
        "restante.toml:3: dns.attempt_timeout and dns.timeout: 4s is more than 3s; write a \
         dns.attempt_timeout that is not above dns.timeout",
    );
}

#[test]
fn half_a_client_of_the_token_server() {
    contradiction(
        "[oauth]\nclient_id = \"restante\"\n",
        "restante.toml:3: oauth.client_id and oauth.client_secret_file: one is of no use without the \
         other; write both, or false for both",
    );
}
