//! Sentences in the language of whoever reads them. Both stand beside each other in the code that
//! makes them, so that none is forgotten and neither is made of the other while the server runs. The
//! command line, the API, the log and the journal have English.

use store::{ChangeKind, HeldBy, LookedAt, OperatorRole};
pub use web::Language;

/// A sentence in English and Chinese, filled as `format!` fills it.
macro_rules! say {
    ($language:expr, $english:literal, $chinese:literal $(, $name:ident = $value:expr)* $(,)?) => {
        match $language {
            $crate::tongue::Language::English => format!($english $(, $name = $value)*),
            $crate::tongue::Language::Chinese => format!($chinese $(, $name = $value)*),
        }
    };
}
pub(crate) use say;

/// A word that is one in both languages.
const fn one_of(language: Language, english: &'static str, chinese: &'static str) -> &'static str {
    match language {
        Language::English => english,
        Language::Chinese => chinese,
    }
}

/// What of a message was looked at.
pub const fn looked_at(at: LookedAt, language: Language) -> &'static str {
    let chinese = match at {
        LookedAt::Story => "经过",
        LookedAt::Text => "正文",
        LookedAt::Html => "HTML 内容",
        LookedAt::Whole => "全部内容",
    };
    one_of(language, at.word(), chinese)
}

/// What a change of the queue is called.
pub const fn change(kind: ChangeKind, language: Language) -> &'static str {
    let chinese = match kind {
        ChangeKind::Hold => "暂扣",
        ChangeKind::Release => "放行",
        ChangeKind::Retry => "立即重试",
        ChangeKind::Reroute => "改道",
        ChangeKind::EditRecipient => "更改收件人",
        ChangeKind::Purge => "清除",
        ChangeKind::Return => "退回",
        ChangeKind::Undo => "撤销",
        ChangeKind::PurgeDue => "到期清除",
        ChangeKind::ReleaseDue => "到期放行",
    };
    one_of(language, kind.word(), chinese)
}

/// By what something is held.
pub const fn held_by(by: HeldBy, language: Language) -> &'static str {
    let chinese = match by {
        HeldBy::Operator => "管理员",
        HeldBy::Purge => "待清除",
        HeldBy::Verdict => "判定",
        HeldBy::Filter => "过滤规则",
        HeldBy::Guard => "防护",
        HeldBy::Future => "定时发送",
    };
    one_of(language, by.word(), chinese)
}

/// What an operator may do.
pub const fn role(role: &OperatorRole, language: Language) -> &'static str {
    let chinese = match role {
        OperatorRole::Operator => "管理员",
        OperatorRole::DomainAdmin { .. } => "域管理员",
        OperatorRole::Auditor => "审计员",
    };
    one_of(language, role.word(), chinese)
}
