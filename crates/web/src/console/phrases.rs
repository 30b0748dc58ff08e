//! Every phrase of the console in every language: one table, complete by its very form.

/// A language of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// 简体中文.
    Chinese,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// RFC 5646.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-Hans",
        }
    }

    /// What it calls itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "简体中文",
        }
    }

    /// Of its tag.
    pub fn of_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.tag() == tag)
    }

    /// RFC 9110 §12.5.4: the first of the browser's languages that is one of ours; browsers name
    /// them in the order of liking.
    pub fn accepted(field: &str) -> Self {
        field
            .split(',')
            .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
            .find_map(|range| match range.split('-').next() {
                Some("en") => Some(Self::English),
                Some("zh") => Some(Self::Chinese),
                _ => None,
            })
            .unwrap_or(Self::English)
    }
}

macro_rules! phrases {
    ($( $name:ident: $english:literal, $chinese:literal; )+) => {
        /// A phrase, whatever the language.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Phrase { $( $name, )+ }

        impl Phrase {
            /// In a language.
            pub const fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $(
                        (Self::$name, Language::English) => $english,
                        (Self::$name, Language::Chinese) => $chinese,
                    )+
                }
            }
        }
    };
}

phrases! {
    SkipToContent: "Skip to content", "跳到正文";
    Sections: "Sections", "栏目";
    Overview: "Overview", "概览";
    Trace: "Trace", "邮件追踪";
    Archive: "Archive", "归档搜索";
    History: "Undo", "撤销操作";
    ArchiveLead: "Every message ever accepted, also what users have deleted.", "所有曾经接收的邮件，包括用户已删除的邮件。";
    ArchiveHint: "Words, “some words”, from: to: subject: body: file: after: before: is:deleted has:attachment account:", "关键词、“短语”、from: to: subject: body: file: after: before: is:deleted has:attachment account:";
    FoundIn: "found, in", "条结果，用时";
    MoreThan: "There are more; narrow the search.", "还有更多结果，请缩小搜索范围。";
    Searchable: "messages are searchable, of", "封邮件可搜索，共";
    LiesIn: "in", "位于";
    TakenOut: "taken out of", "已移出";
    RestoreIt: "Restore", "恢复";
    HistoryLead: "What users, programs and operators did with mail, by session. Take back all that one session or one address did; mail that came since stays.", "用户、程序和管理人员对邮件的操作，按会话列出。可一次撤销某个会话或地址的全部操作；此后收到的邮件不受影响。";
    Account: "Account", "账户";
    Session: "Session", "会话";
    FromAddress: "From address", "来源地址";
    Changed: "What changed", "更改内容";
    TakeBack: "Take back", "撤销";
    Acts: "Acts", "操作记录";
    ShowActs: "Each act", "逐条查看";
    BySession: "By session", "按会话";
    Undone: "taken back", "已撤销";
    ActsWouldBeTakenBack: "acts would be taken back", "项操作将被撤销";
    Accounted: "Accounted for", "账目核对";
    Unaccounted: "unaccounted for", "状态不明";
    AllAccounted: "All mail is accounted for.", "所有邮件均有下落。";
    AuditedAt: "checked", "核对时间";
    Scrub: "Journal read again", "日志复核";
    Damaged: "damaged", "处损坏";
    Queue: "Queue", "发送队列";
    HeldMail: "Held mail", "暂扣邮件";
    Accounts: "Accounts", "账户";
    Aliases: "Aliases", "别名";
    Domains: "Domains", "域名";
    AuditLog: "Audit log", "审计日志";
    Sessions: "Sessions", "登录会话";
    You: "You", "我的账号";
    SignIn: "Sign in", "登录";
    SignOut: "Sign out", "退出登录";
    Name: "Name", "用户名";
    Password: "Password", "密码";
    Code: "Code of the authenticator", "验证器动态码";
    CodeHint: "Only if you have set one up", "仅在已设置验证器时填写";
    SignInFailed: "Name, password or code is wrong.", "用户名、密码或动态码不正确。";
    SignInBusy: "Too many people try to sign in. Wait a minute and try again.", "登录尝试过多，请稍候再试。";
    SignInLead: "For those who look after this mail server.", "供本邮件服务器的管理人员使用。";
    ConfirmTitle: "Your password, once more", "请再次输入密码";
    ConfirmLead: "This takes mail away, carries it out of the house, or changes how you sign in. Give your password again to go on.", "此操作会删除或带出邮件，或更改您的登录方式。请再次输入密码以继续。";
    Confirm: "Go on", "继续";
    Cancel: "Cancel", "取消";
    Language: "Language", "语言";
    Accepting: "Accepting mail", "正在接收邮件";
    NotAccepting: "Not accepting mail", "已停止接收邮件";
    Today: "Today (UTC)", "今日（UTC）";
    BalanceLead: "Every recipient of every message that came today is in exactly one state.", "今日到达的每封邮件的每位收件人都恰好处于一种状态。";
    Came: "came", "到达";
    Flow: "Mail per minute, the last hour", "最近一小时每分钟邮件量";
    FlowNumbers: "The same in numbers", "以数字查看";
    Minute: "Minute (UTC)", "分钟（UTC）";
    SeriesIn: "in: taken", "进：已接收";
    SeriesOut: "out: delivered or relayed", "出：已投递或转发";
    SeriesTrouble: "trouble: put off or returned", "异常：延迟或退回";
    NoFlow: "Nothing came or left in this hour.", "这一小时内没有邮件进出。";
    Alarms: "Alarms", "告警";
    NoAlarms: "No alarms since the server was started.", "自服务器启动以来没有告警。";
    Times: "times", "次";
    Storage: "Storage", "存储空间";
    DiskFree: "free of", "可用，共";
    Waiting: "Waiting", "等待中";
    Held: "Held", "已暂扣";
    Paused: "Paused", "已暂停";
    StateQueued: "waiting", "等待发送";
    StateDelivered: "delivered", "已投递";
    StateRelayed: "relayed", "已转发";
    StateReturned: "returned", "已退回";
    StateHeld: "held", "已暂扣";
    StateExpanded: "expanded", "已展开";
    StatePurged: "purged", "已清除";
    TraceLead: "Find a message by its receipt (r2k-9f86d081), its Message-ID, or an address it is from or to.", "可按回执号（r2k-9f86d081）、Message-ID 或收发件人地址查找邮件。";
    LookFor: "Look for", "查找";
    Since: "Since", "起始时间";
    Until: "Until", "截止时间";
    TimeHint: "2026-11-21, 2026-11-21T15:00Z, or 2h (ago)", "例如 2026-11-21、2026-11-21T15:00Z 或 2h（两小时前）";
    Find: "Find", "查找";
    NothingFound: "Nothing found.", "没有找到。";
    LookIsRecorded: "Looking at mail is recorded in the audit log.", "查看邮件的行为会记入审计日志。";
    Subject: "Subject", "主题";
    NoSubject: "(no subject)", "（无主题）";
    CannotBeRead: "It cannot be read any more:", "已无法读取：";
    From: "From", "发件人";
    To: "To", "收件人";
    Cc: "Cc", "抄送";
    Date: "Date", "日期";
    Time: "Time", "时间";
    Taken: "Taken", "接收时间";
    Receipt: "Receipt", "回执号";
    Size: "Size", "大小";
    State: "State", "状态";
    Story: "What happened", "经过";
    WhereNow: "Where it is now", "当前位置";
    Message: "Message", "邮件";
    ShowText: "Read its text", "阅读正文";
    ShowHtml: "Show its HTML", "查看 HTML";
    Download: "Download the message", "下载邮件";
    BackToStory: "Back to its story", "返回邮件经过";
    HtmlTitle: "Its HTML", "HTML 内容";
    HtmlLead: "Cleaned, in a frame without scripts; links do not lead anywhere.", "内容已清理，置于无脚本的框架中；链接已失效。";
    RemoteOff: "Pictures from the Internet are not loaded: their sender would learn that somebody reads.", "未加载网络图片：加载会让发件人得知邮件被阅读。";
    RemoteOn: "Pictures from the Internet are loaded.", "已加载网络图片。";
    LoadRemote: "Load them", "加载";
    NoRemote: "Load them no more", "不再加载";
    Attachments: "Attachments", "附件";
    HeaderFields: "All fields of the header", "全部邮件头";
    EmptyBody: "It has no text.", "没有正文。";
    QueueLead: "Mail on its way to other servers.", "正在发往其他服务器的邮件。";
    HeldLead: "Mail that is kept back until somebody decides, or its time is over.", "被暂扣、等待处理或到期的邮件。";
    BySender: "By sender", "按发件人";
    ByDestination: "By destination", "按目的地";
    Destination: "Destination", "目的地";
    Sender: "Sender", "发件人";
    Unusual: "unusual", "异常";
    ManyMore: "many more than others", "远多于其他发件人";
    NothingThrough: "nothing gets through", "无法送达";
    NextTry: "Next try", "下次尝试";
    LastReply: "Last reply", "最近回复";
    Select: "Select", "选择";
    SelectAll: "Select all that are shown", "全选本页";
    Selected: "Those selected", "所选项";
    AllMatching: "All that match the search", "符合条件的全部";
    WithWhat: "With", "对象";
    Reason: "Reason, for the record", "原因（留作记录）";
    Hold: "Hold", "暂扣";
    Release: "Release", "放行";
    Retry: "Try now", "立即重试";
    Return: "Return to sender", "退回发件人";
    Purge: "Purge in 7 days", "七天后清除";
    PauseDestination: "Pause", "暂停";
    ResumeDestination: "Let go on", "恢复";
    Undo: "Undo", "撤销";
    WouldChange: "recipients would be changed", "位收件人将被更改";
    AreYouSure: "Look once more before it is done", "执行前请再次确认";
    DoIt: "Do it", "执行";
    NothingSelected: "Nothing was selected.", "没有选择任何项目。";
    NothingWaits: "Nothing waits.", "没有等待的邮件。";
    NothingHeld: "Nothing is held.", "没有暂扣的邮件。";
    OlderThan: "Older than", "早于";
    Address: "Address", "地址";
    Messages: "Messages", "邮件数";
    Limit: "Limit", "上限";
    NoLimit: "no limit", "无上限";
    Mailboxes: "Mailboxes", "邮箱";
    MailboxesLead: "As they are, or as they were at a time: also what was deleted since.", "当前或某一时刻的邮箱状态，包括此后被删除的邮件。";
    AsOf: "As of", "截至时间";
    RestoreAsOf: "Put back what was taken out since", "恢复此后移出的邮件";
    GoneSince: "taken out", "已移出";
    AddAccount: "Add an account", "添加账户";
    Add: "Add", "添加";
    Remove: "Remove", "移除";
    NewPassword: "New password", "重设密码";
    GeneratedLead: "A password is made and shown once.", "系统会生成密码，仅显示一次。";
    ShownOnce: "Shown only now:", "仅此一次显示：";
    RemoveAccountLead: "It cannot sign in or receive any more; its mail stays in the archive.", "账户将不能登录或收信；其邮件仍保留在归档中。";
    RemoveLead: "Is this right?", "确认执行此操作？";
    AddAlias: "Add an alias", "添加别名";
    Targets: "Goes to", "转到";
    TargetsHint: "One or more addresses, separated by spaces", "一个或多个地址，以空格分隔";
    AddDomain: "Add a domain", "添加域名";
    Domain: "Domain", "域名";
    CheckDns: "Check its DNS", "检查 DNS";
    DnsLead: "What should be in the DNS, and what is there.", "应发布的 DNS 记录及其当前状态。";
    Record: "Record", "记录";
    Why: "Why", "用途";
    Right: "right", "正确";
    Wrong: "wrong", "错误";
    Missing: "missing", "缺失";
    Unknown: "unknown", "未知";
    Advised: "advised", "建议";
    Needed: "needed", "必需";
    Present: "present", "现有";
    Who: "Who", "操作者";
    What: "What", "操作";
    AuditLead: "What operators did and looked at, over this console, the API and the command line.", "管理人员通过控制台、API 和命令行所做的操作与查看。";
    Older: "Older", "更早";
    Look: "look", "查看";
    Change: "change", "更改";
    SessionsLead: "Who is signed in at this console now.", "当前登录控制台的人员。";
    Browser: "Browser", "浏览器";
    Began: "Began", "开始";
    LastUsed: "Last used", "最近使用";
    Ends: "Ends", "结束";
    EndSession: "End", "结束";
    ThisSession: "this one", "当前会话";
    RoleOperator: "operator", "管理员";
    RoleDomainAdmin: "domain admin", "域管理员";
    RoleAuditor: "auditor", "审计员";
    YourPassword: "Your password", "您的密码";
    NewPasswordAgain: "The same again", "再次输入";
    PasswordsDiffer: "The two passwords are not the same.", "两次输入的密码不一致。";
    PasswordShort: "A password has at least 12 characters.", "密码至少需要 12 个字符。";
    PasswordSet: "You have a new password; your other sessions are over.", "密码已更新；您的其他会话已结束。";
    SetPassword: "Set it", "设置";
    Authenticator: "Authenticator", "验证器";
    AuthenticatorLead: "An app on your phone that shows a code of six digits. Without it, nobody signs in as you, even with your password.", "手机上的验证器应用会显示六位动态码。即使密码泄露，没有动态码也无法登录。";
    AuthenticatorOn: "You sign in with password and code.", "您使用密码和动态码登录。";
    AuthenticatorOff: "You sign in with your password alone.", "您仅使用密码登录。";
    SetUpAuthenticator: "Set one up", "设置验证器";
    AuthenticatorTitle: "Set up an authenticator", "设置验证器";
    ScanThis: "Scan this with the app, or type the secret in, then write the code that it shows.", "用应用扫描二维码或手动输入密钥，然后填写显示的动态码。";
    Secret: "Secret", "密钥";
    TurnOn: "Turn it on", "启用";
    TurnOff: "Turn it off", "停用";
    WrongCode: "That is not the code that it shows now. Is the clock of the phone right?", "动态码不正确。请检查手机时间是否准确。";
    TotpOn: "From now on you sign in with password and code.", "今后需使用密码和动态码登录。";
    TotpOff: "From now on you sign in with your password alone.", "今后仅使用密码登录。";
    NotFound: "Nothing is here", "页面不存在";
    Forbidden: "Not yours to do", "无权执行此操作";
    Forged: "This form did not come from this console, or its session is over. Go back, load the page anew and try again.", "此表单并非来自本控制台，或会话已结束。请返回并刷新页面后重试。";
    WentWrong: "That was not done", "操作未完成";
    WhatToDo: "What to do", "解决办法";
    UpdatedEvery: "This page renews itself every ten seconds.", "本页每十秒自动刷新。";
    PurgedAt: "then purged, at", "届时清除：";
    Ago: "ago", "前";
    ByConsole: "console", "控制台";
    ByCommand: "command line", "命令行";
    Actions: "Actions", "操作";
    Jobs: "Jobs", "任务";
    Job: "Job", "任务";
    JobsLead: "Long work of this server: what is under way, and what came of it. It is forgotten when the server stops; what was done is kept.", "服务器的长时间任务：进行中的任务及其结果。服务器停止后列表清空，已完成的操作会保留。";
    NoJobs: "Nothing is under way, and nothing was since the server was started.", "自服务器启动以来没有任务。";
    Progress: "Progress", "进度";
    JobRunning: "under way", "进行中";
    JobCancelling: "ends after this step", "本步完成后结束";
    JobDone: "done", "已完成";
    JobCancelled: "cancelled", "已取消";
    JobFailed: "failed", "失败";
    Ended: "Ended", "结束";
    CancelJob: "Cancel it", "取消任务";
    CancelJobLead: "What it has done stays done, and can be taken back.", "已完成的部分会保留，之后可以撤销。";
    LookAgain: "Look again", "刷新";
    TakenBackBy: "Taken back by job", "已由此任务撤销：";
    UnitMessages: "messages", "封邮件";
    UnitRecipients: "recipients", "位收件人";
    UnitActs: "acts", "项操作";
    RestoreTicked: "Restore the ticked", "恢复所选邮件";
    RestoreAllFound: "Restore all that were found", "恢复全部结果";
    RestoreLead: "Back to the accounts that had them, where they were deleted; shown before anything is done.", "将已删除的邮件恢复到原账户；执行前会先显示预览。";
    WouldComeBack: "messages would be put back.", "封邮件将被恢复。";
    LookedAtFirst: "There are more than were looked at now; all of them are restored.", "结果超出本次预览范围；执行时会恢复全部结果。";
    StayAsTheyAre: "stay as they are", "封保持不变";
    WasIn: "Was in", "原邮箱";
    BackTo: "Goes back to", "恢复到";
    DeletedBy: "Deleted", "删除情况";
    Journal: "Journal and backup", "日志与备份";
    JournalLead: "Whether all mail is there, whether it can still be read, and whether a copy of it would do.", "邮件是否齐全、是否仍可读取，以及备份是否可用。";
    Backup: "Backup", "备份";
    NoBackup: "No backup is set up. Set backup.to in restante.toml to a directory on another disk, and start again.", "尚未设置备份。请在 restante.toml 中将 backup.to 设为另一磁盘上的目录，然后重启服务器。";
    BackupTo: "Kept in", "备份位置";
    LastBackup: "Last taken", "最近备份";
    Every: "Every", "间隔";
    ByHandOnly: "by hand only", "仅手动";
    Records: "Records", "记录数";
    LastCheck: "Last check", "最近校验";
    LastRehearsal: "Last rehearsal", "最近恢复演练";
    RestoredIn: "restored in", "恢复用时";
    BackUpNow: "Back up now", "立即备份";
    CheckBackup: "Check every byte", "逐字节校验";
    Rehearse: "Rehearse a restore", "演练恢复";
    RehearseLead: "A rehearsal restores the backup into a place of its own, verifies it and removes it again; it needs as much room as the mail.", "演练会将备份恢复到临时位置，核验后删除；所需空间与邮件总量相当。";
    BackupLate: "The last backup is older than it should be.", "最近一次备份已超过应有时间。";
    DamagedAtSource: "Damaged at its source:", "源数据损坏：";
    NeverDone: "never", "从未";
    Whole: "whole", "完好";
    NotYetLooked: "Not looked at yet.", "尚未核对。";
    RecipientsLookedAt: "Recipients looked at", "已核对收件人";
    Rounds: "Rounds", "轮次";
    Overdue: "Beyond their lifetime", "超出有效期";
    ScrubOff: "Turned off in the settings (scrub.every).", "已在设置中关闭（scrub.every）。";
    NothingDamaged: "Nothing is damaged.", "没有损坏。";
    LastWholeRound: "last whole round", "上次完整复核";
    PointsToRestore: "What can be restored", "可恢复的时间点";
    SignedHead: "Signed head", "签名日志头";
    Heads: "Signed heads", "签名日志头";
    HeadsLead: "Each says what the journal was. One that is kept elsewhere shows that nothing before it was changed or cut off.", "日志头证明日志当时的内容。存放在别处的日志头可证明此前记录未被更改或删除。";
    NoHeadYet: "None is signed yet: a moment after the start there is one.", "尚未签署：启动片刻后即有。";
    LatestHead: "The latest", "最新";
    Log: "Log", "日志";
    Root: "Root", "根哈希";
    HeadKey: "Key to check it with", "验证公钥";
    DownloadHead: "Download it", "下载";
    KeptElsewhere: "Kept elsewhere", "异地存放";
    HeadsStayHere: "Heads stay on this machine: whoever changes its journal can change them, too. Set heads.directory or heads.mail_to in restante.toml.", "日志头仅保存在本机：能更改日志者也能更改日志头。请在 restante.toml 中设置 heads.directory 或 heads.mail_to。";
    Directory: "Directory", "目录";
    MailedTo: "Mailed to", "邮寄至";
    LastSent: "Last sent", "最近发送";
    ProofOf: "Proof that a message was accepted", "邮件接收证明";
    HashOnly: "Leave out what the record says", "不含记录内容";
    DownloadProof: "Download the proof", "下载证明";
    ProofHint: "It holds the record of the acceptance, with all recipients, and is checked without this server: restante proof verify. The look is recorded.", "证明包含接收记录及全部收件人，可脱离本服务器验证（restante proof verify）。此查看会记入审计日志。";
    NoReceipt: "That is no receipt: it looks like r2k-9f86d081.", "回执号格式不正确，应类似 r2k-9f86d081。";
    KeptHeads: "Heads that are kept", "已保存的日志头";
    Retention: "Retention and holds", "保留与法律保全";
    RetentionLead: "How long mail is kept that lies in no mailbox any more. What lies in a mailbox is kept as long as it lies there.", "不在任何邮箱中的邮件的保留时间。仍在邮箱中的邮件会一直保留。";
    RetentionRules: "Kept for", "保留规则";
    RuleOf: "Mail of", "适用对象";
    KeptFor: "Mail is kept for", "邮件保留";
    JunkKeptFor: "Junk is kept for", "垃圾邮件保留";
    SetRetention: "Set a rule", "设置规则";
    DomainOrAccount: "Domain or account", "域名或账户";
    KeepHint: "90d, 7y, forever, or default for what everybody has", "例如 90d、7y、forever（永久）或 default（默认）";
    LegalHolds: "Legal holds", "法律保全";
    LegalHold: "Hold", "保全";
    LegalHoldsLead: "All mail of an account stays, whatever else says that it may go.", "保全期间账户的所有邮件均予保留，优先于任何其他规则。";
    NoHolds: "No legal holds.", "没有法律保全。";
    AcceptedBetween: "Accepted", "接收时间范围";
    AnyTime: "at any time", "任何时间";
    InForce: "in force", "生效中";
    HoldOver: "over", "已结束";
    WhyEnd: "Why", "原因";
    EndHold: "End it", "结束保全";
    AddHold: "Add a hold", "添加保全";
    HoldName: "What it is called", "名称";
    HoldAccounts: "Accounts, separated by commas", "账户（以逗号分隔）";
    AcceptedSince: "Accepted since", "接收时间起";
    AcceptedBefore: "Accepted before", "接收时间止";
    ReasonWanted: "Say why: it is kept in the record.", "请填写原因：原因会留作记录。";
    GoesNext: "What would be purged next", "下次将清除的邮件";
    ShowNext: "Look", "查看";
    KeptByHolds: "kept by holds", "因保全保留";
    NothingGoes: "Nothing is over its time.", "没有超过保留时间的邮件。";
    NobodyHasItSince: "Nobody has it since", "无人持有起始";
    PurgeNow: "Purge it now", "立即清除";
    PurgeNowLead: "It cannot be had back. The server does it by itself, too.", "清除后无法恢复。服务器也会自动清除。";
    Seconds: "seconds", "秒";
    Minutes: "minutes", "分钟";
    Hours: "hours", "小时";
    Days: "days", "天";
}
