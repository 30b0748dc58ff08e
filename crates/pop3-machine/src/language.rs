use crate::session::Session;

/// The language of all replies: RFC 6856 §3 has the tags of RFC 5646, each with its name in itself.
const TAG: &str = "en";
const NAME: &str = "English";
/// What a server speaks that was told no language (RFC 6856 §3).
const DEFAULT: &str = "i-default";

/// Languages and characters (RFC 6856).
impl Session {
    /// RFC 6856 §2.1: only before the sign-in. There is nothing to switch: what is UTF-8 is sent as
    /// it is in any case.
    pub(crate) fn utf8(&mut self) {
        self.ok("UTF-8 from here on");
    }

    /// RFC 6856 §3.2: lists the languages, or chooses one; `*` leaves the choice to the server.
    pub(crate) fn lang(&mut self, tag: Option<&str>) {
        match tag {
            None => {
                self.ok("languages follow");
                self.write_line(TAG, &format!(" {NAME}"));
                self.write_line(DEFAULT, " Default");
                self.write_line(".", "");
            }
            Some("*") => self.ok(&format!("{TAG} is the language")),
            Some(tag) if tag.eq_ignore_ascii_case(TAG) || tag.eq_ignore_ascii_case(DEFAULT) => {
                self.ok(&format!("{TAG} is the language"));
            }
            Some(_) => self.err("this language is not spoken here"),
        }
    }
}
