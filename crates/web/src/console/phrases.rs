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
    StoryInEnglish: "", "以下经过以英文记录。";
    Actions: "Actions", "操作";
}
