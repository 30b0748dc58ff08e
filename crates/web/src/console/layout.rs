//! What stands around every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::form::{Form, encoded};
use super::phrases::{Language, Phrase};
use super::session::Notice;
use super::visit::Visit;
use super::{Console, assets, words};

/// What a page's frame is made of.
pub(super) struct Frame<'a> {
    title: &'a str,
    hostname: &'a str,
    language: Language,
    path: &'a str,
    visit: Option<&'a Visit<'a>>,
    notice: Option<Notice>,
}

impl<'a> Frame<'a> {
    /// Around a page of somebody who is signed in; takes what is to be told.
    pub fn of(visit: &'a Visit<'a>, path: &'a str, title: &'a str) -> Self {
        Self {
            title,
            hostname: &visit.console.hostname,
            language: visit.language,
            path,
            visit: Some(visit),
            notice: visit.console.sessions.told(visit.seen.number),
        }
    }

    /// Around a page for anybody.
    pub fn bare(console: &'a Console, language: Language, title: &'a str) -> Self {
        let hostname = &console.hostname;
        Self { title, hostname, language, path: super::signing_in::PATH, visit: None, notice: None }
    }

    fn t(&self, phrase: Phrase) -> &'static str {
        phrase.text(self.language)
    }
}

/// The sections, and whether a domain-admin has them.
const SECTIONS: [(&str, Phrase, bool); 15] = [
    ("/admin", Phrase::Overview, false),
    ("/admin/trace", Phrase::Trace, true),
    ("/admin/archive", Phrase::Archive, true),
    ("/admin/history", Phrase::History, false),
    ("/admin/queue", Phrase::Queue, false),
    ("/admin/held", Phrase::HeldMail, false),
    ("/admin/accounts", Phrase::Accounts, true),
    ("/admin/aliases", Phrase::Aliases, true),
    ("/admin/domains", Phrase::Domains, true),
    ("/admin/retention", Phrase::Retention, false),
    ("/admin/journal", Phrase::Journal, false),
    ("/admin/heads", Phrase::Heads, false),
    ("/admin/jobs", Phrase::Jobs, false),
    ("/admin/audit", Phrase::AuditLog, false),
    ("/admin/sessions", Phrase::Sessions, false),
];

/// A whole page.
pub(super) fn page(frame: &Frame<'_>, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(frame.language.tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) " · Restante · " (frame.hostname) }
                link rel="icon" href=(assets::ICON) type="image/svg+xml";
                link rel="stylesheet" href=(assets::style());
                script src=(assets::script()) defer {}
            }
            body {
                a.skip href="#content" { (frame.t(Phrase::SkipToContent)) }
                (header(frame))
                main #content tabindex="-1" {
                    @if let Some(notice) = &frame.notice { (told(frame, notice)) }
                    (main)
                }
                (footer(frame))
            }
        }
    }
}

fn header(frame: &Frame<'_>) -> Markup {
    html! {
        header.top {
            a.brand href="/admin" {
                span.mark aria-hidden="true" { (PreEscaped(assets::MARK)) }
                span { "Restante" small { (frame.hostname) } }
            }
            @if let Some(visit) = frame.visit {
                nav aria-label=(frame.t(Phrase::Sections)) {
                    ul {
                        @for (path, phrase, of_domains) in SECTIONS {
                            @if of_domains || !visit.is_domain_admin() {
                                li {
                                    a href=(path) aria-current=[is_current(frame.path, path)] {
                                        (frame.t(phrase))
                                    }
                                }
                            }
                        }
                    }
                }
                div.who {
                    a href="/admin/you" aria-current=[is_current(frame.path, "/admin/you")] {
                        (visit.operator.name)
                        small { (words::role(frame.language, &visit.operator.role)) }
                    }
                    form method="post" action="/admin/sign-out" {
                        (key(visit))
                        button.quiet type="submit" { (frame.t(Phrase::SignOut)) }
                    }
                }
            }
        }
    }
}

fn is_current(path: &str, section: &str) -> Option<&'static str> {
    let below = path.strip_prefix(section).is_some_and(|rest| rest.starts_with('/'));
    let is_mail = section == "/admin/trace" && path.starts_with("/admin/mail/");
    (path == section || (below && section != "/admin") || is_mail).then_some("page")
}

fn footer(frame: &Frame<'_>) -> Markup {
    html! {
        footer {
            nav aria-label=(frame.t(Phrase::Language)) {
                @for language in Language::ALL {
                    @if language == frame.language {
                        span lang=(language.tag()) aria-current="true" { (language.name()) }
                    } @else {
                        a href={ (frame.path) "?lang=" (language.tag()) } lang=(language.tag())
                            hreflang=(language.tag()) { (language.name()) }
                    }
                }
            }
        }
    }
}

fn told(frame: &Frame<'_>, notice: &Notice) -> Markup {
    html! {
        div.notice.good[notice.good].bad[!notice.good] role="status" {
            p { (notice.text) }
            @if let Some(secret) = &notice.secret {
                p { (frame.t(Phrase::ShownOnce)) " " code.secret { (secret) } }
            }
            @if let (Some(redo), Some(visit)) = (&notice.redo, frame.visit) {
                form method="post" action="/admin/history/undo" {
                    (key(visit))
                    input type="hidden" name="redo" value=(redo);
                    button type="submit" { (frame.t(Phrase::Undo)) }
                }
            }
            @if let (Some(change), Some(visit)) = (notice.undo, frame.visit) {
                form method="post" action="/admin/queue/undo" {
                    (key(visit))
                    input type="hidden" name="change" value=(change);
                    input type="hidden" name="back" value=(frame.path);
                    button type="submit" { (frame.t(Phrase::Undo)) }
                }
            }
        }
    }
}

/// What every form of a session carries.
pub(super) fn key(visit: &Visit<'_>) -> Markup {
    html! { input type="hidden" name="key" value=(visit.seen.form_key); }
}

/// The heading of a page, and a sentence below it.
pub(super) fn title(title: &str, lead: &str) -> Markup {
    html! {
        h1 { (title) }
        @if !lead.is_empty() { p.lead { (lead) } }
    }
}

/// A page with nothing but a sentence.
pub(super) fn only_title(text: &str) -> Markup {
    html! { div.narrow { h1 { (text) } p { a href="/admin" { "/admin" } } } }
}

/// Why something was not done.
pub(super) fn trouble(visit: &Visit<'_>, title: &str, what: &str, mend: Option<&str>) -> Markup {
    html! {
        div.narrow {
            h1 { (title) }
            @if !what.is_empty() { p.notice.bad role="alert" { (what) } }
            @if let Some(mend) = mend {
                p { strong { (visit.t(Phrase::WhatToDo)) ": " } (mend) }
            }
        }
    }
}

/// Asks for the password, and carries what was to be done.
pub(super) fn confirm(visit: &Visit<'_>, path: &str, form: &Form, wrong: Option<Phrase>) -> Markup {
    let carried = form
        .pairs()
        .filter(|(name, _)| !matches!(*name, "confirm_password" | "confirm_code" | "key"));
    html! {
        div.narrow {
            (title(visit.t(Phrase::ConfirmTitle), visit.t(Phrase::ConfirmLead)))
            @if let Some(wrong) = wrong { p.notice.bad role="alert" { (visit.t(wrong)) } }
            form.card method="post" action=(path) {
                (key(visit))
                @for (name, value) in carried { input type="hidden" name=(name) value=(value); }
                label { (visit.t(Phrase::Password))
                    input type="password" name="confirm_password" required autofocus
                        autocomplete="current-password"; }
                @if visit.operator.second_factor.is_some() {
                    label { (visit.t(Phrase::Code))
                        input name="confirm_code" required inputmode="numeric"
                            autocomplete="one-time-code" maxlength="9"; }
                }
                div.row {
                    button.primary type="submit" { (visit.t(Phrase::Confirm)) }
                    a.button href="/admin" { (visit.t(Phrase::Cancel)) }
                }
            }
        }
    }
}

/// A path to the story of a message.
pub(super) fn mail_path(receipt: &str) -> String {
    format!("/admin/mail/{}", encoded(receipt))
}
