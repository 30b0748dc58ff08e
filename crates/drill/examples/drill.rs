//! `restante drill …` without the rest of Restante, for other servers.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: drill::Args,
}

fn main() -> ExitCode {
    drill::run(&Command::parse().args)
}
