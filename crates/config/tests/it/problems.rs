//! Every problem names file, line, key and mend.

use crate::problems_of;

const HOST: &str = "hostname = \"mx.example.org\"\n";

#[track_caller]
fn problem(lines: &str, expected: &str) {
    assert_eq!(problems_of(&format!("{HOST}{lines}")), expected);
}

#[test]
fn a_hostname_is_needed() {
    assert_eq!(
        problems_of(""),
        "restante.toml: hostname: is missing; write the full name of this host at the top, such \
         as hostname = \"mail.example.org\""
    );
    assert_eq!(
        problems_of("hostname = \"not a name\""),
        "restante.toml:1: hostname: \"not a name\" is no domain name; write the full name of this \
         host at the top, such as hostname = \"mail.example.org\""
    );
}

#[test]
fn a_mistyped_key_is_told_its_neighbour() {
    problem(
        "[limits]\n\nmesage_bytes_max = \"1 MiB\"\n",
        "restante.toml:4: limits.mesage_bytes_max: there is no such setting; did you mean \
         message_bytes_max?",
    );
    problem(
        "[limit]\nrecipients_max = 100\n",
        "restante.toml:2: limit: there is no such section; did you mean [limits]?",
    );
}

#[test]
fn a_misplaced_key_is_told_its_section() {
    problem(
        "[limits]\nlifetime = \"1d\"\n",
        "restante.toml:3: limits.lifetime: there is no such setting; it belongs under [queue]",
    );
    problem(
        "lifetime = \"1d\"\n",
        "restante.toml:2: lifetime: there is no such setting; it belongs under [queue]",
    );
    problem(
        "[log]\nhostname = \"x\"\n",
        "restante.toml:3: log.hostname: there is no such setting; it belongs at the top, before \
         the first [section]",
    );
}

#[test]
fn a_key_like_no_other_is_told_where_all_are() {
    problem(
        "[log]\nwebhooks = true\n",
        "restante.toml:3: log.webhooks: there is no such setting; docs/settings.md lists all \
         settings",
    );
}

#[test]
fn a_wrong_type_is_told_the_right_one() {
    problem(
        "[limits]\nmessage_bytes_max = 1000\n",
        "restante.toml:3: limits.message_bytes_max: 1000 is no size; write a number with its \
         unit, B, KiB, MiB or GiB, such as \"25 MiB\"",
    );
    problem(
        "[queue]\nlifetime = \"5 days\"\n",
        "restante.toml:3: queue.lifetime: \"5 days\" is no time; write numbers with their units, \
         ms, s, m, h, d or w, such as \"5m\" or \"1h 30m\"",
    );
    problem(
        "[queue]\nretry_schedule = []\n",
        "restante.toml:3: queue.retry_schedule: this list is no list of times; write a list of 1 \
         to 64 times, such as [\"5m\", \"1h\"]",
    );
    problem(
        "[log]\nlevel = \"loud\"\n",
        "restante.toml:3: log.level: \"loud\" is no level; write \"error\", \"warn\", \"info\", \
         \"debug\" or \"trace\"",
    );
    problem(
        "[sign_in]\nallow_plaintext_from_loopback = \"yes\"\n",
        "restante.toml:3: sign_in.allow_plaintext_from_loopback: \"yes\" is no true or false; \
         write true or false",
    );
    problem(
        "[dns]\nresolver = \"192.0.2.53\"\n",
        "restante.toml:3: dns.resolver: \"192.0.2.53\" is no DNS server; write \"system\", or an \
         address and port, such as \"192.0.2.53:53\"",
    );
    problem(
        "[queue]\ninward_networks = [\"10.0.0.0/33\"]\n",
        "restante.toml:3: queue.inward_networks: this list is no list of networks; write a list of \
         up to 64 networks, such as [\"10.0.0.0/8\", \"::1\"]",
    );
    problem(
        "[listen]\naddresses = []\n",
        "restante.toml:3: listen.addresses: this list is no list of IP addresses; write a list of 1 \
         to 64 IP addresses, such as [\"192.0.2.1\", \"::1\"]",
    );
    problem(
        "[listen]\nsmtp = 0\n",
        "restante.toml:3: listen.smtp: 0 is no listener; write a port such as 25, a list of \
         addresses with ports such as [\"192.0.2.1:25\"], or false for none",
    );
    for unsafe_or_none in [
        "http://login.example.test/x",
        "http://127.0.0.1.example.test/x",
        "http://127.0.0.1@example.test/x",
        "https:///x",
        "ftp://127.0.0.1/x",
    ] {
        problem(
            &format!("[oauth]\nintrospection_url = \"{unsafe_or_none}\"\n"),
            &format!(
                "restante.toml:3: oauth.introspection_url: \"{unsafe_or_none}\" is no URL or false; \
                 write a URL that begins with https:// (or http:// and an address of this machine), \
                 or false"
            ),
        );
    }
    problem(
        "[limits]\nrecipients_max = -1\n",
        "restante.toml:3: limits.recipients_max: -1 is no number; write a whole number, such as 100",
    );
    problem(
        "queue = 5\n",
        "restante.toml:2: queue: 5 is no section; write [queue] on a line of its own, settings \
         under it",
    );
}

#[test]
fn a_value_outside_its_limits_is_told_them() {
    problem(
        "[limits]\nmessage_bytes_max = \"1 B\"\n",
        "restante.toml:3: limits.message_bytes_max: \"1 B\" is outside its limits; write at least \
         \"64 KiB\" and at most \"2 GiB\"",
    );
    problem(
        "[queue]\nretry_schedule = [\"1m\", \"2d\"]\n",
        "restante.toml:3: queue.retry_schedule: \"2d\" is outside its limits; write at least \
         \"100ms\" and at most \"1d\"",
    );
    problem(
        "[queue]\nretry_jitter_percent = 101\n",
        "restante.toml:3: queue.retry_jitter_percent: 101 is outside its limits; write at least \
         0 and at most 100",
    );
}

#[test]
fn what_is_no_toml_is_told_its_line() {
    let told = problems_of(&format!("{HOST}[limits]\nrecipients_max = = 5\n"));
    assert!(told.starts_with("restante.toml:3: "), "{told}");
    assert!(told.ends_with("write settings as key = value, under their [section]"), "{told}");
    let told = problems_of("hostname = \"a.example\"\nhostname = \"b.example\"\n");
    assert!(told.starts_with("restante.toml:2: duplicate key"), "{told}");
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_lines() {
    let told = problems_of("[queue]\nlifetime = 5\n[limits]\nnothing = 1\n");
    let starts: Vec<_> = told.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(starts, ["restante.toml:", "restante.toml:2:", "restante.toml:4:"]);
}

#[test]
fn a_huge_file_is_not_read() {
    let told = problems_of(&"#".repeat(config::FILE_BYTES_MAX + 1));
    assert_eq!(
        told,
        "restante.toml: the file has 1048577 bytes; a configuration has at most 1048576"
    );
}

#[test]
fn deep_nesting_is_a_problem_and_no_crash() {
    let told = problems_of(&format!("x = {}", "[".repeat(100_000)));
    assert!(told.starts_with("restante.toml:1: "), "{told}");
}
