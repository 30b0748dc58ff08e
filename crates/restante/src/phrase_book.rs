//! What records, errors and alarms say in English, in Chinese: for people at the console. Sentences
//! that are made when they are read have both languages beside each other ([`crate::tongue`]); these
//! were written down before, or come from parts that know no reader.
//!
//! A hole (`{}`) takes what stands there. What the book does not have is shown as it is. A test sees
//! to it that each English phrase is one that the sources have.

use std::borrow::Cow;

use serde_json::Value;

use crate::tongue::Language;

/// Members of answers that are such phrases.
const MEMBERS: [&str; 15] = [
    "did",
    "what",
    "mend",
    "held_because",
    "stopped_because",
    "unreadable_because",
    "failed",
    "lost",
    "keep",
    "spam",
    "of",
    "rule",
    "why",
    "by",
    "trouble",
];
/// Deeper than any answer.
const DEPTH_MAX: usize = 12;

const BOOK: &[(&str, &str)] = &[
    ("jobs are for those who look after the whole server", "任务仅供管理整个服务器的人员使用"),
    ("the record of its acceptance is damaged: {}", "接收记录已损坏：{}"),
    ("{} stay, whose records cannot be read", "{} 封保留，其记录无法读取"),
    ("its record is damaged", "其记录已损坏"),
    // Jobs.
    ("job {} is under way", "任务 {} 已开始"),
    ("job {} is one that goes on to its end", "任务 {} 须执行到底"),
    ("job {} is over already", "任务 {} 已经结束"),
    ("job {} ends as soon as its step is done", "任务 {} 将在本步完成后结束"),
    ("job {} takes back what job {} did", "任务 {} 正在撤销任务 {} 的操作"),
    ("job {} is under way still", "任务 {} 仍在进行"),
    ("job {} is taken back already, by job {}", "任务 {} 已由任务 {} 撤销"),
    ("job {} did nothing that can be taken back", "任务 {} 没有可撤销的操作"),
    ("there is no job {}", "没有任务 {}"),
    (
        "jobs are forgotten when the server stops; what they did is kept",
        "服务器停止后任务列表清空；已完成的操作会保留",
    ),
    ("{} jobs are under way already", "已有 {} 个任务在进行"),
    ("wait for one, or cancel it", "请等待其中一个完成，或将其取消"),
    ("restore what the search “{}” finds", "恢复搜索“{}”的结果"),
    ("restore {} messages that were ticked", "恢复所选的 {} 封邮件"),
    ("change the queue: {}", "更改队列：{}"),
    ("take change {} of the queue back", "撤销队列更改 {}"),
    ("take acts back", "撤销操作"),
    ("purge what is over its time", "清除超过保留时间的邮件"),
    ("take a backup", "备份"),
    ("check the backup", "校验备份"),
    ("rehearse a restore of the backup", "演练恢复备份"),
    ("cancelled", "已取消"),
    ("cancelled: {} messages are left as they were", "已取消：{} 封邮件保持原样"),
    ("cancelled: {} recipients are left as they were", "已取消：{} 位收件人保持原样"),
    ("cancelled: {} acts are left as they were", "已取消：{} 项操作保持原样"),
    ("1 message is back in its mailbox", "1 封邮件已恢复到邮箱"),
    ("{} messages are back in their mailboxes", "{} 封邮件已恢复到邮箱"),
    ("{} left as it was: {}", "{} 保持原样：{}"),
    ("in a mailbox of the account already", "已在该账户的邮箱中"),
    ("purged or moved meanwhile", "其间已被清除或移动"),
    ("never in a mailbox here", "从未进入本服务器的邮箱"),
    ("its body is gone for good", "正文已永久清除"),
    ("the account was removed", "账户已移除"),
    ("moved to another account", "已移至其他账户"),
    ("hold", "暂扣"),
    ("release", "放行"),
    ("retry", "立即重试"),
    ("reroute", "改道"),
    ("edit recipient", "更改收件人"),
    ("purge", "清除"),
    ("return", "退回"),
    // What was done.
    ("account {} added", "已添加账户 {}"),
    ("account {} removed; its mail stays in the archive", "已移除账户 {}；其邮件仍在归档中"),
    ("account {} has a new password", "账户 {} 已设置新密码"),
    (
        "mail for {} is local from now on; restante domain dns {} prints what to publish",
        "{} 的邮件今后在本服务器接收；请检查其 DNS",
    ),
    ("mail for {} is no longer local", "{} 的邮件不再由本服务器接收"),
    ("mail for {} goes to {}", "{} 的邮件转到 {}"),
    ("{} is no alias any more", "{} 不再是别名"),
    ("mail to {} waits until `queue resume`", "发往 {} 的邮件暂停发送"),
    ("mail to {} goes on", "发往 {} 的邮件恢复发送"),
    ("every destination", "所有目的地"),
    ("mail of {} is kept: {}; junk: {}", "{} 的邮件保留：{}；垃圾邮件：{}"),
    ("hold {} keeps the mail of {}", "保全 {} 已生效：{}"),
    ("hold {} is over for {} accounts", "保全 {} 已对 {} 个账户结束"),
    ("everybody else", "其他所有人"),
    ("for ever", "永久"),
    ("as usual", "默认"),
    ("{} (settings)", "{}（设置）"),
    ("session {} of {} is over", "{1} 的会话 {0} 已结束"),
    ("1 act taken back", "已撤销 1 项操作"),
    ("{} acts taken back", "已撤销 {} 项操作"),
    ("1 act taken back, {} as before", "已撤销 1 项操作，{}恢复原状"),
    ("{} acts taken back, {} as before", "已撤销 {} 项操作，{}恢复原状"),
    ("1 message", "1 封邮件"),
    ("{} messages", "{} 封邮件"),
    ("{} messages purged, {}", "已清除 {} 封邮件，{}"),
    ("{} kept by legal holds", "{} 封因法律保全保留"),
    ("{} recipients left as it was: {}", "{} 位收件人保持原样：{}"),
    ("1 recipient left as it was: {}", "1 位收件人保持原样：{}"),
    ("1 recipient {}", "1 位收件人{}"),
    ("{} recipients {}", "{} 位收件人{}"),
    ("held", "已暂扣"),
    ("released", "已放行"),
    ("due now", "将立即重试"),
    ("rerouted and due now", "已改道，将立即重试"),
    ("held until they are purged", "已暂扣，到期清除"),
    ("on their way back to the sender", "正在退回发件人"),
    ("as they were before change {}", "已恢复到更改 {} 之前"),
    ("{} records are backed up", "已备份 {} 条记录"),
    ("{} copied", "复制了 {}"),
    ("every byte of the backup is as it was written", "备份的每个字节均完好"),
    ("the backup was restored elsewhere and verified", "备份已在别处恢复并核验"),
    ("the backup is damaged: {} findings", "备份已损坏：发现 {} 处"),
    ("nothing was found out about the backup", "未得出备份状况"),
    // Why not.
    ("account {} does not exist", "账户 {} 不存在"),
    ("no such user: {}", "没有此用户：{}"),
    ("not a local domain: {}", "不是本地域名：{}"),
    ("{} does not exist", "{} 不存在"),
    ("{} exists already", "{} 已存在"),
    ("account {}", "账户 {}"),
    ("mailbox {}", "邮箱 {}"),
    ("domain {}", "域名 {}"),
    ("alias {}", "别名 {}"),
    ("not allowed", "不允许"),
    ("the quota is used up", "配额已用完"),
    ("not now: {}", "暂时无法执行：{}"),
    ("there is no such message", "没有这封邮件"),
    ("there is no message {}", "没有邮件 {}"),
    ("there is no message with this receipt", "没有此回执号的邮件"),
    (
        "restante trace finds messages by sender, recipient and more",
        "可在“邮件追踪”中按发件人、收件人等查找",
    ),
    ("“{}” is no receipt", "“{}”不是回执号"),
    ("“{}” is no session", "“{}”不是会话"),
    ("“{}” is neither a domain nor an address", "“{}”既不是域名也不是地址"),
    ("write example.org or ann@example.org", "请填写 example.org 或 ann@example.org"),
    (
        "write a time like 90d or 7y, forever, or default",
        "请填写时间，如 90d、7y、forever 或 default",
    ),
    (
        "“{}” is no time: write 2026-11-21, 2026-11-21T15:00Z, or how long ago, like 2h",
        "“{}”不是时间：请写 2026-11-21、2026-11-21T15:00Z，或多久以前，如 2h",
    ),
    ("there is no mailbox {}, and was none", "没有也从未有过邮箱 {}"),
    ("there was no mailbox {} at {}", "{1} 时没有邮箱 {0}"),
    ("the archive is not searched", "归档搜索未启用"),
    (
        "set search.enabled = true in restante.toml and start again",
        "请在 restante.toml 中设置 search.enabled = true 并重启",
    ),
    ("{} searches are under way already; try again", "已有 {} 个搜索在进行，请稍后再试"),
    ("nothing can be searched yet: it is being made", "尚无法搜索：正在建立"),
    ("an auditor sees everything and changes nothing", "审计员可查看一切，但不能更改"),
    (
        "operators are looked after on the machine itself: restante operator",
        "管理人员须在服务器本机上管理：restante operator",
    ),
    ("your domains are: {}", "您管理的域名：{}"),
    ("the settings name no backup", "设置中没有指定备份位置"),
    (
        "set backup.to in restante.toml and start again",
        "请在 restante.toml 中设置 backup.to 并重启",
    ),
    ("no backup was taken: {}", "未能备份：{}"),
    ("the backup could not be looked at: {}", "无法检查备份：{}"),
    ("this server signs no heads", "本服务器不签署日志头"),
    ("a server signs one within a second of its start", "服务器启动后一秒内会签署一个"),
    ("the server failed at it (a bug)", "服务器出错（程序缺陷）"),
    ("see the server's log, and try again", "请查看服务器日志后重试"),
    ("restante verify shows more", "restante verify 可显示更多"),
    ("only a running server can tell", "只有运行中的服务器知道"),
    ("add it first: restante account add {}", "请先添加：restante account add {}"),
    ("{} is nobody's address here", "{} 不是本服务器的地址"),
    // What could not be taken back, and why.
    ("changed again since, or went on", "此后又有更改，或已继续处理"),
    ("changed again since", "此后又有更改"),
    ("messages deleted since", "邮件此后已删除"),
    ("messages back already", "邮件已经恢复"),
    ("messages purged since", "邮件此后已清除"),
    ("taken back already", "已经撤销"),
    ("not known, or not yours", "未知或不属于您"),
    ("being sent at this moment", "正在发送"),
    ("settled already", "已有结果"),
    ("held already", "已经暂扣"),
    ("not held", "未暂扣"),
    ("its mailbox is there already", "邮箱已存在"),
    ("its mailbox is not known", "邮箱未知"),
    ("other mailboxes have its name", "名称已被其他邮箱使用"),
    // What people did.
    ("mailbox made", "新建邮箱"),
    ("mailbox renamed", "重命名邮箱"),
    ("mailbox deleted", "删除邮箱"),
    ("mailbox restored", "恢复邮箱"),
    ("subscription", "订阅"),
    ("sharing", "共享"),
    ("annotation", "注释"),
    ("flags", "标记"),
    ("put in", "放入"),
    ("copied", "复制"),
    ("moved", "移动"),
    ("deleted", "删除"),
    ("restored", "恢复"),
    ("quota", "配额"),
    ("operator", "管理员"),
    ("the operator {} (over the console from {})", "管理员 {}（通过控制台，来自 {}）"),
    ("the operator ({})", "管理员（{}）"),
    ("the server", "服务器"),
    ("removed account {}", "已移除的账户 {}"),
    ("{} (over {} from {})", "{}（通过 {}，来自 {}）"),
    // What was found out about senders, and why mail waits.
    (
        "not authenticated as mail of {}, which asks to reject it (DMARC): {}",
        "未通过 {} 的身份验证，该域要求拒收（DMARC）：{}",
    ),
    (
        "not authenticated as mail of {}, which asks to treat it as suspicious (DMARC): {}",
        "未通过 {} 的身份验证，该域要求视为可疑（DMARC）：{}",
    ),
    (
        "not authenticated as mail of {}, which asks for nothing to be done (DMARC): {}",
        "未通过 {} 的身份验证，该域未要求处理（DMARC）：{}",
    ),
    ("{} does not send from there (SPF): {}", "{} 不从该处发信（SPF）：{}"),
    ("whose it is cannot be told: {}", "无法判断归属：{}"),
    ("it was not tried yet: it waits for {}", "尚未尝试：正在等待 {}"),
    ("nobody takes the mail now", "目前没有主机接收此邮件"),
    // What should be in the DNS, and why.
    ("this host is found", "可找到本主机"),
    ("the name of its address", "地址对应的名称"),
    ("mail comes here", "邮件投递到此"),
    ("this host may send (SPF)", "允许本主机发信（SPF）"),
    ("key that signs (DKIM)", "当前签名密钥（DKIM）"),
    ("key that will sign (DKIM)", "即将启用的签名密钥（DKIM）"),
    ("key of mail on its way (DKIM)", "在途邮件的签名密钥（DKIM）"),
    ("policy (DMARC)", "策略（DMARC）"),
    ("there is a policy for TLS (MTA-STS)", "声明有 TLS 策略（MTA-STS）"),
    ("the policy for TLS is there (MTA-STS)", "TLS 策略所在（MTA-STS）"),
    ("reports on TLS (TLS-RPT)", "TLS 报告（TLS-RPT）"),
    ("the key of our certificate (DANE; needs DNSSEC)", "证书公钥（DANE，需要 DNSSEC）"),
    ("mail programs find this service", "邮件程序可找到此服务"),
    ("mail programs set themselves up", "邮件程序可自动配置"),
    ("the DNS did not answer in time", "DNS 未及时应答"),
    // Alarms.
    ("the journal is damaged; see `restante scrub`", "日志已损坏；见 restante scrub"),
    ("the journal is damaged; see `restante verify`", "日志已损坏；见 restante verify"),
    ("no new certificate; the old one stays in use", "未获得新证书；继续使用旧证书"),
    ("cannot sign in to the smart host", "无法登录中继主机"),
    ("damage was found while a backup was taken", "备份时发现损坏"),
    ("no backup was taken", "未能备份"),
    ("the backup is damaged", "备份已损坏"),
    ("the DNS does not answer", "DNS 没有应答"),
    ("the DNS does not answer; mail is put off", "DNS 没有应答；邮件延后处理"),
    (
        "no DNS server answers; mail waits, and senders go unchecked",
        "没有 DNS 服务器应答；邮件等待发送，发件人未经检查",
    ),
    ("no heads are signed; mail is not touched by this", "未签署日志头；邮件不受影响"),
    ("what happened cannot be read", "无法读取事件"),
    ("cannot sign in", "无法登录"),
    ("a hook is behind; mail is not held up by it", "钩子通知滞后；邮件不受影响"),
    ("the certificates could not be read", "无法读取证书"),
    (
        "the certificates could not be read; the old ones stay in use",
        "无法读取证书；继续使用旧证书",
    ),
    ("the store is in trouble", "存储出现问题"),
    ("a signed head could not be sent elsewhere", "签名日志头未能发往别处"),
    ("mail is not accounted for: restante verify", "有邮件去向不明：restante verify"),
    ("mail is in the queue beyond its lifetime", "队列中有邮件超过有效期"),
];

/// A phrase in a language; as it is where the book does not have it.
pub fn in_language(text: &str, language: Language) -> String {
    match language {
        Language::English => text.to_owned(),
        Language::Chinese => whole(text)
            .or_else(|| parts(text, "; ", "；"))
            .or_else(|| parts(text, ", ", "，"))
            .unwrap_or_else(|| text.to_owned()),
    }
}

/// Phrases side by side, where one of them is known.
fn parts(text: &str, between: &str, chinese: &str) -> Option<String> {
    if !text.contains(between) {
        return None;
    }
    let mut known = false;
    let told: Vec<String> = text
        .split(between)
        .map(|part| match whole(part).or_else(|| counted(part)) {
            Some(found) => {
                known = true;
                found
            }
            None => part.to_owned(),
        })
        .collect();
    known.then(|| told.join(chinese))
}

/// `deleted 3`.
fn counted(text: &str) -> Option<String> {
    let (word, number) = text.rsplit_once(' ')?;
    number.parse::<u64>().ok()?;
    Some(format!("{} {number}", whole(word)?))
}

/// The first phrase that a text is, with what fills its holes; phrases in holes as well.
fn whole(text: &str) -> Option<String> {
    if let Some((_, chinese)) = BOOK.iter().find(|(english, _)| *english == text) {
        return Some((*chinese).to_owned());
    }
    BOOK.iter().find_map(|(english, chinese)| {
        let holes = holes(english, text)?;
        // What stands in quotes was written by somebody.
        let pieces = english.split("{}");
        let filled = holes.iter().zip(pieces).map(|(hole, before)| match plain(hole) {
            Some(chinese) if !before.ends_with('“') => chinese,
            _ => (*hole).to_owned(),
        });
        Some(fill(chinese, &filled.collect::<Vec<_>>()))
    })
}

/// What stands in a hole: a phrase without holes, or with plain ones.
fn plain(text: &str) -> Option<String> {
    BOOK.iter().find_map(|(english, chinese)| match english.contains("{}") {
        false => (*english == text).then(|| (*chinese).to_owned()),
        true => {
            let holes = holes(english, text)?;
            let holes: Vec<String> = holes.iter().map(|hole| (*hole).to_owned()).collect();
            (!english.starts_with("{}")).then(|| fill(chinese, &holes))
        }
    })
}

/// What stands in the holes of a phrase, where a text is one.
fn holes<'a>(english: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut pieces = english.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let pieces: Vec<&str> = pieces.collect();
    let mut holes = Vec::with_capacity(pieces.len());
    for (at, piece) in pieces.iter().enumerate() {
        let is_last = at + 1 == pieces.len();
        let end = match (is_last, piece.is_empty()) {
            (true, true) => rest.len(),
            (true, false) => rest.strip_suffix(piece)?.len(),
            (false, _) => rest.find(piece)?,
        };
        let (hole, behind) = rest.split_at_checked(end)?;
        // A number or name is somewhere in it.
        if hole.is_empty() {
            return None;
        }
        holes.push(hole);
        rest = behind.get(piece.len()..)?;
    }
    (!holes.is_empty() && rest.is_empty()).then_some(holes)
}

/// Fills `{}` in order, and `{1}` by its number.
fn fill(chinese: &str, holes: &[String]) -> String {
    let mut filled = chinese.to_owned();
    for (number, hole) in holes.iter().enumerate() {
        let numbered = format!("{{{number}}}");
        filled = match filled.contains(&numbered) {
            true => filled.replace(&numbered, hole),
            false => filled.replacen("{}", hole, 1),
        };
    }
    filled
}

/// Without how a change is taken back on the command line: the console has a button for it.
fn without_hint(text: &str) -> Cow<'_, str> {
    match (text.split_once(" (change "), text.split_once("`)")) {
        (Some((before, _)), Some((_, behind))) => Cow::Owned(format!("{before}{behind}")),
        _ => Cow::Borrowed(text),
    }
}

/// The same for all phrases of an answer.
pub fn answer(answer: &mut Value, language: Language) {
    if language == Language::Chinese {
        walk(answer, 0);
    }
}

fn walk(value: &mut Value, depth: usize) {
    match value {
        Value::Object(members) => {
            // Why so many were left as they were: the reasons are the names.
            if let Some(Value::Object(skipped)) = members.get_mut("skipped") {
                let old = std::mem::take(skipped);
                skipped.extend(
                    old.into_iter()
                        .map(|(why, count)| (in_language(&why, Language::Chinese), count)),
                );
            }
            for (name, member) in members {
                match member {
                    Value::String(text)
                        if MEMBERS.contains(&name.as_str()) || name == "changed" =>
                    {
                        *text = in_language(without_hint(text).as_ref(), Language::Chinese);
                    }
                    member if depth < DEPTH_MAX => walk(member, depth + 1),
                    _ => {}
                }
            }
        }
        Value::Array(values) if depth < DEPTH_MAX => {
            values.iter_mut().for_each(|value| walk(value, depth + 1));
        }
        _ => {}
    }
}
