use std::fmt::Write as _;

use crate::{Config, Setting};

/// Columns of a comment in the file.
const COMMENT_COLUMNS: usize = 92;

impl Config {
    /// Every setting with its default, in the order of the file.
    #[must_use]
    pub fn settings() -> Vec<Setting> {
        let mut all = vec![hostname_setting(None)];
        all.extend(Self::list(None));
        all
    }

    /// The file that `restante init` writes: every setting with its comment, those at their
    /// default commented out. [`Config::parse`] reads it back to the same configuration.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::from(
            "# Settings of this installation. Lines behind # are the defaults; take the # away to\n\
             # change one, then restart. All settings: docs/settings.md.\n\n",
        );
        let hostname = hostname_setting(Some(self));
        comment(&mut out, &hostname.doc);
        line(&mut out, format_args!("hostname = {}", hostname.value));
        let all = Self::list(Some(self));
        for (section, doc) in Self::sections() {
            line(&mut out, format_args!("\n[{section}]"));
            comment(&mut out, &doc);
            for setting in all.iter().filter(|setting| setting.section == section) {
                out.push('\n');
                comment(&mut out, &setting.doc);
                comment(&mut out, &about(setting));
                let mark = if setting.default.as_ref() == Some(&setting.value) { "# " } else { "" };
                line(&mut out, format_args!("{mark}{} = {}", setting.name, setting.value));
            }
        }
        out
    }
}

/// The page docs/settings.md.
#[must_use]
pub fn reference_page() -> String {
    let mut out = String::from(
        "# Settings\n\n\
         <!-- Made by `cargo run -p xtask -- settings` from crates/config/src/settings.rs. -->\n\n\
         They stand in `restante.toml` in the data directory, which `restante init` writes with\n\
         all of them and their defaults as comments. The server reads it at its start; a mistake\n\
         in it stops the start and is shown with its line and how to mend it.\n\n\
         A **size** is a number with `B`, `KiB`, `MiB` or `GiB`: `\"25 MiB\"`. A **time** is numbers\n\
         with `ms`, `s`, `m`, `h`, `d` or `w`: `\"90s\"`, `\"1h 30m\"`.\n\n\
         Accounts, domains, aliases and routes are no settings: `restante account`, `domain`,\n\
         `alias` and `route` change them while the server runs.\n\n\
         ## At the top\n",
    );
    reference(&mut out, &hostname_setting(None));
    let all = Config::list(None);
    for (section, doc) in Config::sections() {
        line(&mut out, format_args!("\n## [{section}]\n\n{doc}"));
        for setting in all.iter().filter(|setting| setting.section == section) {
            reference(&mut out, setting);
        }
    }
    out
}

fn reference(out: &mut String, setting: &Setting) {
    line(out, format_args!("\n### {}\n\n{}\n", setting.name, setting.doc));
    let how = if setting.how == setting.kind { "" } else { setting.how };
    let colon = if how.is_empty() { "" } else { ": " };
    line(out, format_args!("- {}{colon}{how}", counted(setting)));
    if let Some((least, most)) = &setting.limits {
        line(out, format_args!("- Limits: `{least}` to `{most}`"));
    }
    match &setting.default {
        Some(default) => line(out, format_args!("- Default: `{default}`")),
        None => line(out, format_args!("- It has no default: the file must set it")),
    }
}

/// Kind and unit: `Number of recipients`.
fn counted(setting: &Setting) -> String {
    let mut kind = setting.kind.to_owned();
    if let Some(first) = kind.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if setting.unit.is_empty() { kind } else { format!("{kind} of {}", setting.unit) }
}

/// Kind, unit and limits, or how to write what has no limits, in a line for the file.
fn about(setting: &Setting) -> String {
    match &setting.limits {
        Some((least, most)) => format!("{}, {least} to {most}.", counted(setting)),
        None if setting.how == setting.kind => format!("{}.", counted(setting)),
        None => format!("{}: {}.", counted(setting), setting.how),
    }
}

/// Writes a comment, broken into lines between words.
fn comment(out: &mut String, text: &str) {
    let mut columns = 0;
    for word in text.split_whitespace() {
        if columns > 0 && columns + 1 + word.len() > COMMENT_COLUMNS {
            out.push('\n');
            columns = 0;
        }
        out.push_str(if columns == 0 { "# " } else { " " });
        out.push_str(word);
        columns += 1 + word.len();
    }
    out.push('\n');
}

fn line(out: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail: its fmt::Write never returns an error.
    if out.write_fmt(content).is_ok() {
        out.push('\n');
    }
}

/// The one setting that has no default.
fn hostname_setting(config: Option<&Config>) -> Setting {
    Setting {
        section: "",
        name: "hostname",
        kind: "domain name",
        how: "a full name, such as \"mail.example.org\"",
        unit: "",
        default: None,
        value: config.map_or_else(String::new, |config| format!("\"{}\"", config.hostname)),
        limits: None,
        doc: "The full name of this host, as other servers look it up. It greets clients, stands \
              in `Received` fields and in the certificate."
            .to_owned(),
    }
}
