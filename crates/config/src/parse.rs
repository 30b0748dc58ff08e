use std::fmt;
use std::ops::Range;

use mail_types::Domain;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::kinds::shown;
use crate::setting::Unset;
use crate::suggest::nearest;
use crate::{Config, Contradiction};

/// Octets of a configuration file; a larger one is not read.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// What is wrong with a value, without where.
pub(crate) struct Fault {
    pub what: String,
    pub mend: String,
}

/// One thing wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was given to [`Config::parse`].
    pub file: String,
    /// The line, from 1; `None` where what is wrong is not in the file.
    pub line: Option<usize>,
    /// The setting, as `section.name`; empty where the file is no TOML.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}; {}", self.what, self.mend)
    }
}

/// All that is wrong with a configuration file, in the order of its lines; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Config {
    /// Reads a configuration file whose content is `text`; `file` is its name in problems.
    ///
    /// # Errors
    /// Everything that is wrong: no TOML, unknown or misplaced keys, wrong types, values outside
    /// their limits, contradictions.
    pub fn parse(text: &str, file: &str) -> Result<Self, Problems> {
        let mut reading = Reading { text, file, problems: Vec::new(), lines: Vec::new() };
        if text.len() > FILE_BYTES_MAX {
            let what = format!("the file has {} bytes", text.len());
            let mend = format!("a configuration has at most {FILE_BYTES_MAX}");
            reading.problem(None, "", Fault { what, mend });
            return Err(Problems(reading.problems));
        }
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => {
                let what = error.message().replace('\n', ", ");
                let mend = "write settings as key = value, under their [section]".to_owned();
                reading.problem(error.span(), "", Fault { what, mend });
                return Err(Problems(reading.problems));
            }
        };
        reading.config(table.get_ref()).map_err(|()| {
            reading.problems.sort_by_key(|problem| problem.line);
            Problems(reading.problems)
        })
    }
}

/// A file being read.
struct Reading<'a> {
    text: &'a str,
    file: &'a str,
    problems: Vec<Problem>,
    /// Where each setting of the file stands, for contradictions.
    lines: Vec<(String, Range<usize>)>,
}

impl Reading<'_> {
    /// The configuration, or nothing and at least one problem.
    fn config(&mut self, table: &DeTable<'_>) -> Result<Config, ()> {
        // So that a bad hostname does not hide the other problems: never seen outside, because a
        // missing hostname is a problem.
        let stand_in = Domain::new("hostname.invalid").map_err(|_| ())?;
        let hostname = self.hostname(table);
        let mut config = Config::new(hostname.unwrap_or(stand_in));
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let known = Config::sections().iter().any(|(section, _)| *section == name);
            match value.get_ref() {
                _ if name == "hostname" => {}
                DeValue::Table(entries) if known => self.section(&mut config, name, entries),
                _ if known => {
                    let what = format!("{} is no section", shown(value.get_ref()));
                    let mend = format!("write [{name}] on a line of its own, settings under it");
                    self.problem(Some(key.span()), name, Fault { what, mend });
                }
                DeValue::Table(_) => {
                    let fault = unknown_section(name);
                    self.problem(Some(key.span()), name, fault);
                }
                _ => self.problem(Some(key.span()), name, unknown_setting("", name)),
            }
        }
        if self.problems.is_empty() {
            for contradiction in config.contradictions() {
                self.contradiction(contradiction);
            }
        }
        if self.problems.is_empty() { Ok(config) } else { Err(()) }
    }

    fn hostname(&mut self, table: &DeTable<'_>) -> Option<Domain> {
        let mend = "write the full name of this host at the top, such as hostname = \
                    \"mail.example.org\"";
        let fault = |what: String| Fault { what, mend: mend.to_owned() };
        let Some(value) = table.get("hostname") else {
            self.problem(None, "hostname", fault("is missing".to_owned()));
            return None;
        };
        let domain = value.get_ref().as_str().and_then(|text| Domain::new(text).ok());
        if domain.is_none() {
            let what = format!("{} is no domain name", shown(value.get_ref()));
            self.problem(Some(value.span()), "hostname", fault(what));
        }
        domain
    }

    fn section(&mut self, config: &mut Config, section: &str, entries: &DeTable<'_>) {
        for (key, value) in entries {
            let name = key.get_ref().as_ref();
            let full = format!("{section}.{name}");
            match config.set(section, name, value.get_ref()) {
                Ok(()) => self.lines.push((full, key.span())),
                Err(Unset::Unknown) => {
                    self.problem(Some(key.span()), &full, unknown_setting(section, name));
                }
                Err(Unset::Fault(fault)) => self.problem(Some(place(value)), &full, fault),
            }
        }
    }

    fn contradiction(&mut self, found: Contradiction) {
        let in_file = |key: &String| self.lines.iter().find(|(known, _)| known == key);
        let span = found.keys.iter().find_map(in_file).map(|(_, span)| span.clone());
        let fault = Fault { what: found.what, mend: found.mend };
        self.problem(span, &found.keys.join(" and "), fault);
    }

    fn problem(&mut self, span: Option<Range<usize>>, key: &str, fault: Fault) {
        let line_of = |span: Range<usize>| {
            1 + self.text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
        };
        self.problems.push(Problem {
            file: self.file.to_owned(),
            line: span.map(line_of),
            key: key.to_owned(),
            what: fault.what,
            mend: fault.mend,
        });
    }
}

fn place(value: &Spanned<DeValue<'_>>) -> Range<usize> {
    value.span()
}

fn unknown_section(name: &str) -> Fault {
    let sections = Config::sections();
    let mend = match nearest(name, sections.iter().map(|(section, _)| *section)) {
        Some(near) => format!("did you mean [{near}]?"),
        None => {
            let names: Vec<String> = sections.iter().map(|(name, _)| format!("[{name}]")).collect();
            format!("there are {}", names.join(", "))
        }
    };
    Fault { what: "there is no such section".to_owned(), mend }
}

/// For a key that is no setting of `section` (of the top, where that is empty).
fn unknown_setting(section: &str, name: &str) -> Fault {
    let all = Config::list(None);
    let here = all.iter().filter(|setting| setting.section == section).map(|each| each.name);
    let top = section.is_empty().then_some("hostname");
    let exact = all.iter().find(|setting| setting.name == name);
    let mend = if let Some(setting) = exact {
        format!("it belongs under [{}]", setting.section)
    } else if name == "hostname" {
        "it belongs at the top, before the first [section]".to_owned()
    } else if let Some(near) = nearest(name, here.chain(top)) {
        format!("did you mean {near}?")
    } else if let Some(near) = nearest(name, all.iter().map(|setting| setting.name)) {
        let sections = all.iter().find(|setting| setting.name == near).map(|each| each.section);
        format!("did you mean {near} under [{}]?", sections.unwrap_or_default())
    } else {
        "docs/settings.md lists all settings".to_owned()
    };
    Fault { what: "there is no such setting".to_owned(), mend }
}
