//! What a setting is, and what makes sections of them from the one table in `settings`.

use crate::parse::Fault;

/// One setting, as the reference page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The table of the file it stands in, without brackets; empty at the top.
    pub section: &'static str,
    /// Its key.
    pub name: &'static str,
    /// What is to be written, in words: `size`, `time`, `true or false`.
    pub kind: &'static str,
    /// How to write it, ready to follow "write".
    pub how: &'static str,
    /// What a number counts; empty where the value carries its own unit, or has none.
    pub unit: &'static str,
    /// The default, as it is written in the file; `None` where the file must say it.
    pub default: Option<String>,
    /// The value in force, as it is written in the file.
    pub value: String,
    /// The least and the most, as written in the file.
    pub limits: Option<(String, String)>,
    /// What it does.
    pub doc: String,
}

/// Why a setting was not taken.
pub(crate) enum Unset {
    /// There is no such setting in this section.
    Unknown,
    /// The value is wrong.
    Fault(Fault),
}

/// Makes from one table: a struct for each section, [`Config`] of them all, reading and listing.
macro_rules! settings {
    ($(
        $(#[doc = $section_doc:literal])+
        $section:ident: $Section:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident: $ty:ty as $kind:ident $([$unit:literal])? = $default:expr
                    $(, $range:expr)?;
            )+
        }
    )+) => {
        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $Section {
                $( $(#[doc = $doc])+ pub $name: $ty, )+
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $( $name: $default, )+ }
                }
            }
        )+

        /// All settings of an installation.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Config {
            /// The full name of this host: greets, signs `Received` fields, names the certificate.
            pub hostname: Domain,
            $( $(#[doc = $section_doc])+ pub $section: $Section, )+
        }

        impl Config {
            /// Every setting at its default.
            #[must_use]
            pub fn new(hostname: Domain) -> Self {
                Self { hostname, $( $section: $Section::default(), )+ }
            }

            /// Names and words of all sections, in their order.
            pub(crate) fn sections() -> Vec<(&'static str, String)> {
                vec![$( (stringify!($section), joined(&[$( $section_doc ),+])), )+]
            }

            /// Sets one setting from what the file says.
            pub(crate) fn set(
                &mut self,
                section: &str,
                name: &str,
                value: &DeValue<'_>,
            ) -> Result<(), Unset> {
                match (section, name) {
                    $( $(
                        (stringify!($section), stringify!($name)) => {
                            let range = None $( .or(Some($range)) )?;
                            self.$section.$name =
                                $kind::read_within(value, range).map_err(Unset::Fault)?;
                            Ok(())
                        }
                    )+ )+
                    _ => Err(Unset::Unknown),
                }
            }

            /// The settings of all sections (all but `hostname`) with the values of this
            /// configuration, in the order of the file; without one, with the defaults.
            pub(crate) fn list(config: Option<&Self>) -> Vec<Setting> {
                let mut all = Vec::new();
                $(
                    let defaults = $Section::default();
                    let values = config.map_or(&defaults, |config| &config.$section);
                    $(
                        let range = None $( .or(Some($range)) )?;
                        all.push(Setting {
                            section: stringify!($section),
                            name: stringify!($name),
                            kind: $kind::KIND,
                            how: $kind::MEND,
                            unit: concat!($( $unit )?),
                            default: Some($kind::write(&defaults.$name)),
                            value: $kind::write(&values.$name),
                            limits: $kind::write_limits(range),
                            doc: joined(&[$( $doc ),+]),
                        });
                    )+
                )+
                all
            }
        }
    };
}

pub(crate) use settings;

/// Doc lines as one paragraph.
pub(crate) fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}
