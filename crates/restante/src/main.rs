//! Restante: mail that stays until it is collected. The command line; it wires services together
//! and holds no rules of its own.

mod acme;
mod alarms;
mod arc_sealing;
mod archive_command;
mod archiving;
mod audit_view;
mod auditing;
mod background;
mod backups;
mod balance;
mod bring_back;
mod certificates;
mod check;
mod cli;
mod control;
mod data_dir;
mod demo;
mod desk;
mod dkim;
mod dkim_signing;
mod domain_dns;
mod doors;
mod failure;
mod file_limit;
mod heads;
mod history;
mod hook_command;
mod incoming;
mod init;
mod introspection;
mod jobs;
mod kept_file;
mod looking_after;
mod mail_access;
mod mailbox_command;
mod message_view;
mod metrics;
mod mta_sts;
mod narrow;
mod operator_command;
mod outbound;
mod outside;
mod overview;
mod own_mail;
mod own_search;
mod permit;
mod phrase_book;
mod queue_command;
mod queue_perform;
mod queue_waits;
mod report_command;
mod reporting;
mod reports;
mod request;
mod restore_found;
mod scrubbing;
mod search;
mod serve;
mod show;
mod standbys;
mod story;
mod story_changes;
mod story_judged;
mod story_tries;
mod sts_files;
mod tls;
mod tongue;
mod transfer;
mod verify;
mod view;
mod web_access;
mod which;
mod zone;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli.run() {
        Ok(code) => code,
        Err(error) => {
            show::error(&error);
            ExitCode::FAILURE
        }
    }
}
