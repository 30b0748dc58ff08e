//! What operators did, in sentences: the audit log.

use mail_types::{AccountId, Domain};
use serde_json::{Value, json};
use store::{
    Actor, Directory, Entry, Event, KeyChange, Looked, OperatorAct, Record, RetentionOf, Store,
};

use crate::story::short_receipt;
use crate::tongue::{self, Language, say};

/// Messages that one line names.
const NAMED_MAX: usize = 5;

/// One thing that was done.
pub fn view(event: &Event, store: &Store, directory: &Directory, language: Language) -> Value {
    let entry = &event.entry;
    let ip = match &entry.actor {
        Actor::Console { ip, .. } => Some(ip.to_string()),
        Actor::Peer { .. }
        | Actor::Account { .. }
        | Actor::Session { .. }
        | Actor::Operator { .. }
        | Actor::Server => None,
    };
    let is_look = matches!(entry.record, Record::Looked(_));
    json!({
        "seq": event.seq.0,
        "at": entry.at.to_string(),
        "who": store::audited(entry),
        "ip": ip,
        "look": is_look,
        "what": sentence(entry, store, directory, language),
    })
}

fn account(id: AccountId, store: &Store, directory: &Directory, language: Language) -> String {
    match directory.account(id) {
        Some(account) => account.address.to_string(),
        // It is told of as it was called, also when it is gone.
        None => match store.account_address(id) {
            Ok(Some(address)) => address,
            Ok(None) | Err(_) => say!(language, "account {id}", "账户 {id}"),
        },
    }
}

fn sentence(entry: &Entry, store: &Store, directory: &Directory, language: Language) -> String {
    let account = |id: &AccountId| account(*id, store, directory, language);
    match &entry.record {
        Record::DomainAdded { domain } => {
            say!(language, "added the domain {domain}", "添加了域名 {domain}")
        }
        Record::DomainRemoved { domain } => {
            say!(language, "removed the domain {domain}", "移除了域名 {domain}")
        }
        Record::AccountAdded { address, .. } => {
            say!(language, "added the account {address}", "添加了账户 {address}")
        }
        Record::AccountRemoved { account: id } => {
            let whose = account(id);
            say!(language, "removed the account {whose}", "移除了账户 {whose}")
        }
        Record::CredentialsSet { account: id, .. } => {
            let whose = account(id);
            say!(language, "set a new password for {whose}", "为 {whose} 设置了新密码")
        }
        Record::AliasSet { alias, targets } => {
            let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
            let targets = targets.join(", ");
            say!(language, "set the alias {alias} to {targets}", "将别名 {alias} 设为 {targets}")
        }
        Record::AliasRemoved { alias } => {
            say!(language, "removed the alias {alias}", "移除了别名 {alias}")
        }
        Record::RouteSet { domain, host, port } => {
            let of = of_route(domain.as_ref(), language);
            say!(
                language,
                "set the route of {of} to {host}:{port}",
                "将{of}的路由设为 {host}:{port}"
            )
        }
        Record::RouteRemoved { domain } => {
            let of = of_route(domain.as_ref(), language);
            say!(language, "removed the route of {of}", "移除了{of}的路由")
        }
        Record::AccountRestored { account: id } => {
            let whose = account(id);
            say!(language, "brought the account {whose} back", "恢复了账户 {whose}")
        }
        Record::QuotaSet { account: id, .. } => {
            let whose = account(id);
            say!(language, "set the quota of {whose}", "设置了 {whose} 的配额")
        }
        Record::CustodiesChanged(change) => {
            let (number, count) = (change.change, change.items.len());
            let word = tongue::change(change.kind, language);
            let recipients = if count == 1 { "recipient" } else { "recipients" };
            let what = match language {
                Language::English => format!("{word}: {count} {recipients} (change {number})"),
                Language::Chinese => format!("{word}：{count} 位收件人（更改 {number}）"),
            };
            match &change.reason {
                Some(why) => say!(language, "{what}; reason: {why}", "{what}；原因：{why}"),
                None => what,
            }
        }
        Record::QueuePaused { destination, paused, .. } => {
            let to = match destination {
                Some(to) => to.clone(),
                None => say!(language, "all destinations", "所有目的地"),
            };
            match paused {
                true => say!(language, "paused mail to {to}", "暂停了发往 {to} 的邮件"),
                false => say!(language, "let mail to {to} go on", "恢复了发往 {to} 的邮件"),
            }
        }
        Record::TokenAdded { account: id, label, .. } => {
            let whose = account(id);
            say!(language, "made a token “{label}” for {whose}", "为 {whose} 创建了令牌“{label}”")
        }
        Record::TokenRemoved { token } => {
            say!(language, "made token {token} worthless", "作废了令牌 {token}")
        }
        Record::HookSet { url, .. } => say!(language, "added a hook at {url}", "添加了钩子 {url}"),
        Record::HookRemoved { hook } => say!(language, "removed hook {hook}", "移除了钩子 {hook}"),
        Record::KeyChanged(change) => key_act(change, language),
        Record::MailboxCreated { name, account: id, .. } => {
            let whose = account(id);
            say!(language, "made the mailbox {name} of {whose}", "为 {whose} 新建了邮箱 {name}")
        }
        Record::OperatorChanged(change) => {
            let number = change.operator;
            let name = match directory.operator_of(number) {
                Some(operator) => operator.name.clone(),
                None => say!(language, "removed operator {number}", "已移除的管理人员 {number}"),
            };
            operator_act(&change.act, &name, language)
        }
        Record::Looked(looked) => look(looked, language),
        record => of_mail(record, &account, language),
    }
}

fn of_route(domain: Option<&Domain>, language: Language) -> String {
    match domain {
        Some(domain) => domain.to_string(),
        None => say!(language, "every other domain", "其他所有域名"),
    }
}

/// What was done with mail, and with how long it is kept.
fn of_mail(record: &Record, account: &dyn Fn(&AccountId) -> String, language: Language) -> String {
    match record {
        Record::Accepted(_) => say!(language, "put a message into a mailbox", "将邮件放入邮箱"),
        Record::Restored { messages, .. } => {
            let count = messages.len();
            say!(
                language,
                "put messages back into a mailbox ({count})",
                "将邮件恢复到邮箱（{count} 封）"
            )
        }
        Record::MailboxRestored { name, .. } => {
            say!(language, "brought the mailbox {name} back", "恢复了邮箱 {name}")
        }
        Record::Undone { act, .. } => say!(language, "took act {act} back", "撤销了操作 {act}"),
        Record::Expunged { uids, .. } => {
            let count = uids.len();
            say!(
                language,
                "took messages out of a mailbox again ({count})",
                "将邮件再次移出邮箱（{count} 封）"
            )
        }
        Record::Subscription { .. } => say!(language, "set a subscription", "设置了订阅"),
        Record::Promoted(promoted) => match &promoted.reason {
            Some(why) => say!(
                language,
                "promoted this standby to be the server: {why}",
                "将此备用服务器提升为主服务器：{why}"
            ),
            None => say!(
                language,
                "promoted this standby to be the server",
                "将此备用服务器提升为主服务器"
            ),
        },
        Record::LegalHoldSet(hold) => {
            let (name, whose, why) = (&hold.name, account(&hold.account), &hold.reason);
            say!(
                language,
                "put the mail of {whose} on the legal hold {name}; reason: {why}",
                "对 {whose} 的邮件设置了法律保全 {name}；原因：{why}"
            )
        }
        Record::HoldsEnded(ended) => {
            let (count, why) = (ended.holds.len(), &ended.reason);
            say!(
                language,
                "ended legal holds ({count}); reason: {why}",
                "结束了法律保全（{count} 项）；原因：{why}"
            )
        }
        Record::RetentionSet(rule) => {
            let of = match &rule.of {
                RetentionOf::Domain(domain) => domain.to_string(),
                RetentionOf::Account(id) => account(id),
            };
            say!(language, "set how long mail of {of} is kept", "设置了 {of} 邮件的保留时间")
        }
        Record::Purged(purged) => {
            let count = purged.mails.len();
            say!(language, "purged messages for good ({count})", "永久清除了邮件（{count} 封）")
        }
        _ => say!(language, "changed something else", "进行了其他更改"),
    }
}

fn look(looked: &Looked, language: Language) -> String {
    let mut names: Vec<_> =
        looked.mails.iter().take(NAMED_MAX).map(|mail| short_receipt(*mail)).collect();
    if looked.mails.len() > NAMED_MAX {
        let more = looked.mails.len() - NAMED_MAX;
        names.push(say!(language, "{more} more", "另外 {more} 封"));
    }
    let names = names.join(", ");
    let found = match names.is_empty() {
        true => say!(language, "found nothing", "没有找到"),
        false => say!(language, "saw {names}", "看到 {names}"),
    };
    let (asked, what) = (&looked.asked, tongue::looked_at(looked.at, language));
    say!(language, "looked for “{asked}” ({what}) and {found}", "查找“{asked}”（{what}），{found}")
}

fn key_act(change: &KeyChange, language: Language) -> String {
    match change {
        KeyChange::DkimAdded { domain, key } => {
            let selector = &key.selector;
            say!(
                language,
                "made the signing key {selector} of {domain}",
                "为 {domain} 生成了签名密钥 {selector}"
            )
        }
        KeyChange::DkimStateSet { domain, selector, state } => {
            let word = state.as_str();
            say!(
                language,
                "made the signing key {selector} of {domain} {word}",
                "将 {domain} 的签名密钥 {selector} 设为 {word}"
            )
        }
        KeyChange::SrsAdded { .. } => {
            say!(language, "made a new key for forwarded mail", "为转发邮件生成了新密钥")
        }
    }
}

fn operator_act(act: &OperatorAct, name: &str, language: Language) -> String {
    match act {
        OperatorAct::Added { name, role, .. } => {
            let role = tongue::role(role, language);
            say!(language, "added the operator {name} as {role}", "添加了管理人员 {name}（{role}）")
        }
        OperatorAct::Removed => {
            say!(language, "removed the operator {name}", "移除了管理人员 {name}")
        }
        OperatorAct::RoleSet { role } => {
            let role = tongue::role(role, language);
            say!(language, "made {name} {role}", "将 {name} 设为{role}")
        }
        OperatorAct::PasswordSet { .. } => {
            say!(
                language,
                "set a new password for operator {name}",
                "为管理人员 {name} 设置了新密码"
            )
        }
        OperatorAct::SecondFactorSet { secret: Some(_) } => {
            say!(
                language,
                "set up an authenticator for operator {name}",
                "为管理人员 {name} 设置了验证器"
            )
        }
        OperatorAct::SecondFactorSet { secret: None } => say!(
            language,
            "took the authenticator of operator {name} away",
            "取消了管理人员 {name} 的验证器"
        ),
        OperatorAct::TokenAdded { token, label, .. } => say!(
            language,
            "made token {token} “{label}” for operator {name}",
            "为管理人员 {name} 创建了令牌 {token}“{label}”"
        ),
        OperatorAct::TokenRemoved { token } => say!(
            language,
            "made token {token} of operator {name} worthless",
            "作废了管理人员 {name} 的令牌 {token}"
        ),
        OperatorAct::SignedIn { ip, agent } => {
            say!(language, "{name} signed in from {ip} ({agent})", "{name} 从 {ip} 登录（{agent}）")
        }
        OperatorAct::SignedOut { ip } => {
            say!(language, "ended a session of {name} from {ip}", "从 {ip} 结束了 {name} 的会话")
        }
    }
}
