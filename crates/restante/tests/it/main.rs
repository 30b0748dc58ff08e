//! Behaviour of the real binary, seen by programs that are not ours.
//!
//! One file a behaviour, named for it. Every test has a server of its own in a fresh directory, and
//! ends with `restante verify` on it (`House` does that when it is dropped).
#![allow(clippy::unwrap_used)]

mod harness;

mod aliases_and_forwards;
mod archive_is_searched;
mod backups_are_taken;
mod bad_configuration_stops_the_start;
mod bad_hosts_lose_nothing;
mod bad_input_costs_little;
mod broken;
mod certificates;
mod connections_have_limits;
mod console_in_a_browser;
mod curl_and_swaks_work;
mod damage_is_found_early;
mod deleted_over_pop3;
mod delivered_at_once;
mod dmarc_reports_are_read;
mod drills;
mod faults_of_the_disk;
mod faults_while_taking_mail;
mod foreign_servers;
mod forwards_are_sealed;
mod heads_are_signed;
mod held_mail_goes_on;
mod hooks_are_told;
mod https_answers;
mod imap_changes_mailboxes;
mod imap_compresses;
mod imap_idle_pushes;
mod lmtp_takes_mail;
mod mail_comes_in_and_goes_out;
mod mail_is_kept_and_purged;
mod mail_programs_read;
mod mbsync_keeps_both_sides;
mod operators_over_http;
mod other_opinions;
mod other_servers;
mod owners_help_themselves;
mod pop3_programs_fetch;
mod proxies_name_the_client;
mod python_clients;
mod queue_is_changed_and_undone;
mod relay_refused;
mod relayed_to_another_server;
mod reports_are_sent;
mod restart_under_load;
mod returned_to_the_sender;
mod rfc_dialogs;
mod second;
mod senders_are_checked;
mod senders_are_judged;
mod senders_do_not_hide;
mod sent_later_and_sooner;
mod sent_over_http;
mod shared_and_limited;
mod sign_in_is_guarded;
mod signed_mail_leaves;
mod signs_in_to_smart_hosts;
mod standbys_take_over;
mod submission_needs_a_sign_in;
mod terminal;
mod terminal_programs;
mod thieves_are_undone;
mod tls_policies;
mod tls_reports_are_sent;
mod tokens_sign_in;
mod trace_tells_the_story;
mod twins_are_both_kept;
mod unbound;
mod unknown_user_refused;
mod watched_over;
