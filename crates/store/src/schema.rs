//! The index: tables that can be made anew from the journal at any time.

/// The version of the tables below. An index of another version is dropped and rebuilt.
pub const VERSION: i64 = 25;

/// The tables for SQLite. PostgreSQL differs in three words: BIGINT for INTEGER, BYTEA for BLOB, and
/// nothing for WITHOUT ROWID (which keeps a table in the order of its key, so that the messages of
/// a mailbox lie side by side and a delivery touches one page of them).
pub const SQLITE: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE domain (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE account (
  id INTEGER PRIMARY KEY, address TEXT NOT NULL, credentials BLOB NOT NULL,
  removed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX account_address ON account (address COLLATE NOCASE);
CREATE TABLE alias (address TEXT PRIMARY KEY, targets TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE route (domain TEXT PRIMARY KEY, host TEXT NOT NULL, port INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE relay_login (
  relay TEXT PRIMARY KEY, name TEXT NOT NULL, password BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE mailbox (
  id INTEGER PRIMARY KEY, account INTEGER NOT NULL, name TEXT NOT NULL,
  uid_validity INTEGER NOT NULL, special_use TEXT, uid_next INTEGER NOT NULL,
  mod_seq INTEGER NOT NULL, messages INTEGER NOT NULL, unseen INTEGER NOT NULL,
  bytes INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0);
CREATE INDEX mailbox_name ON mailbox (account, name);
CREATE TABLE subscription (
  account INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (account, name)) WITHOUT ROWID;
CREATE TABLE acl (
  mailbox INTEGER NOT NULL, account INTEGER NOT NULL, negative INTEGER NOT NULL,
  rights INTEGER NOT NULL, PRIMARY KEY (mailbox, account, negative)) WITHOUT ROWID;
CREATE INDEX acl_account ON acl (account);
CREATE TABLE metadata (
  mailbox INTEGER NOT NULL, account INTEGER NOT NULL, entry TEXT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (mailbox, account, entry)) WITHOUT ROWID;
CREATE TABLE quota (
  account INTEGER PRIMARY KEY, storage INTEGER NOT NULL, messages INTEGER NOT NULL);
CREATE TABLE mail (
  id INTEGER PRIMARY KEY, accepted INTEGER NOT NULL, receipt_check INTEGER NOT NULL,
  segment INTEGER NOT NULL, place INTEGER NOT NULL,
  body_segment INTEGER NOT NULL, body_place INTEGER NOT NULL, body_bytes INTEGER NOT NULL,
  purged INTEGER);
CREATE TABLE purge (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, segment INTEGER NOT NULL, place INTEGER NOT NULL,
  done INTEGER NOT NULL);
CREATE INDEX purge_open ON purge (seq) WHERE done = 0;
CREATE TABLE retention (
  domain TEXT NOT NULL, account INTEGER NOT NULL, keep INTEGER, spam INTEGER, seq INTEGER NOT NULL,
  PRIMARY KEY (domain, account)) WITHOUT ROWID;
CREATE TABLE legal_hold (
  seq INTEGER PRIMARY KEY, since INTEGER NOT NULL, name TEXT NOT NULL, account INTEGER NOT NULL,
  from_at INTEGER, until_at INTEGER, reason TEXT NOT NULL, ended INTEGER, ended_seq INTEGER,
  ended_reason TEXT);
CREATE INDEX mail_accepted ON mail (accepted);
CREATE TABLE tls_required (mail INTEGER PRIMARY KEY);
CREATE TABLE tls_optional (mail INTEGER PRIMARY KEY);
CREATE TABLE future_release (
  mail INTEGER PRIMARY KEY, until INTEGER NOT NULL, asked_secs INTEGER);
CREATE TABLE deliver_by (
  mail INTEGER PRIMARY KEY, until INTEGER NOT NULL, asked_secs INTEGER NOT NULL,
  comes_back INTEGER NOT NULL, trace INTEGER NOT NULL);
CREATE INDEX deliver_by_until ON deliver_by (until);
CREATE TABLE custody (
  id INTEGER PRIMARY KEY, mail INTEGER NOT NULL, recipient TEXT NOT NULL, state INTEGER NOT NULL,
  mailbox INTEGER, uid INTEGER, report INTEGER);
CREATE INDEX custody_mail ON custody (mail);
CREATE INDEX custody_open ON custody (state) WHERE state = 0;
CREATE INDEX custody_held ON custody (state) WHERE state = 4;
CREATE TABLE message (
  mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, mail INTEGER NOT NULL, mod_seq INTEGER NOT NULL,
  flags INTEGER NOT NULL, keywords TEXT, internal_date INTEGER NOT NULL, bytes INTEGER NOT NULL,
  saved INTEGER NOT NULL, first_flags INTEGER NOT NULL, first_keywords TEXT,
  PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;
CREATE TABLE expunged (
  mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, mail INTEGER NOT NULL,
  mod_seq INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
  flags INTEGER NOT NULL, keywords TEXT, internal_date INTEGER NOT NULL, bytes INTEGER NOT NULL,
  saved INTEGER NOT NULL, first_flags INTEGER NOT NULL, first_keywords TEXT,
  next_mailbox INTEGER, next_uid INTEGER, PRIMARY KEY (mailbox, uid)) WITHOUT ROWID;
CREATE INDEX expunged_mod_seq ON expunged (mailbox, mod_seq);
CREATE TABLE act (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind INTEGER NOT NULL, owner INTEGER NOT NULL,
  mailbox INTEGER NOT NULL, other INTEGER NOT NULL, subject TEXT NOT NULL,
  actor INTEGER NOT NULL, session INTEGER NOT NULL, ip TEXT, via INTEGER, messages INTEGER NOT NULL,
  segment INTEGER NOT NULL, place INTEGER NOT NULL, undone INTEGER, undoes INTEGER, before BLOB);
CREATE INDEX act_mailbox ON act (mailbox, seq);
CREATE INDEX act_thing ON act (mailbox, kind, owner, subject, seq)
  WHERE undone IS NULL AND kind NOT IN (7, 8, 9, 10, 11, 12);
CREATE TABLE act_run (
  session INTEGER NOT NULL, ip TEXT NOT NULL, run INTEGER NOT NULL,
  PRIMARY KEY (session, ip, run)) WITHOUT ROWID;
CREATE INDEX act_run_ip ON act_run (ip, run);
CREATE TABLE queue (
  custody INTEGER PRIMARY KEY, mail INTEGER NOT NULL, destination TEXT NOT NULL,
  account INTEGER NOT NULL, priority INTEGER NOT NULL, again INTEGER NOT NULL,
  due INTEGER NOT NULL, attempts INTEGER NOT NULL, begun INTEGER NOT NULL,
  uncertain INTEGER NOT NULL, delay_told INTEGER NOT NULL, accepted INTEGER NOT NULL,
  recipient TEXT, relay TEXT, give_back TEXT);
CREATE INDEX queue_lane ON queue (destination, relay, account, priority, again, due, custody);
CREATE TABLE held (
  custody INTEGER PRIMARY KEY, mail INTEGER NOT NULL, destination TEXT NOT NULL,
  account INTEGER NOT NULL, priority INTEGER NOT NULL, again INTEGER NOT NULL,
  due INTEGER NOT NULL, attempts INTEGER NOT NULL,
  uncertain INTEGER NOT NULL, delay_told INTEGER NOT NULL, accepted INTEGER NOT NULL,
  recipient TEXT, relay TEXT, give_back TEXT,
  since INTEGER NOT NULL, held_by TEXT NOT NULL, reason TEXT NOT NULL, purge_at INTEGER,
  was_queued INTEGER NOT NULL, release_at INTEGER);
CREATE TABLE released (
  custody INTEGER PRIMARY KEY, mail INTEGER NOT NULL, destination TEXT NOT NULL,
  account INTEGER NOT NULL, priority INTEGER NOT NULL, again INTEGER NOT NULL,
  due INTEGER NOT NULL, attempts INTEGER NOT NULL,
  uncertain INTEGER NOT NULL, delay_told INTEGER NOT NULL, accepted INTEGER NOT NULL,
  recipient TEXT, relay TEXT, give_back TEXT, since INTEGER NOT NULL);
CREATE INDEX held_purge ON held (purge_at);
CREATE INDEX held_release ON held (release_at);
CREATE TABLE queue_change (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, items INTEGER NOT NULL,
  undoes INTEGER, undone INTEGER NOT NULL);
CREATE TABLE queue_change_part (
  id INTEGER NOT NULL, seq INTEGER NOT NULL, segment INTEGER NOT NULL, place INTEGER NOT NULL,
  PRIMARY KEY (id, seq)) WITHOUT ROWID;
CREATE TABLE pause (destination TEXT PRIMARY KEY, since INTEGER NOT NULL, reason TEXT) WITHOUT ROWID;
CREATE TABLE sent (
  host TEXT NOT NULL, minute INTEGER NOT NULL, messages INTEGER NOT NULL,
  PRIMARY KEY (minute, host)) WITHOUT ROWID;
CREATE TABLE sent_daily (
  source TEXT NOT NULL, day INTEGER NOT NULL, messages INTEGER NOT NULL,
  PRIMARY KEY (source, day)) WITHOUT ROWID;
CREATE TABLE lookup (
  fingerprint INTEGER NOT NULL, mail INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, mail)) WITHOUT ROWID;
CREATE TABLE story (
  mail INTEGER NOT NULL, seq INTEGER NOT NULL, segment INTEGER NOT NULL, place INTEGER NOT NULL,
  PRIMARY KEY (mail, seq)) WITHOUT ROWID;
CREATE TABLE url_key (
  account INTEGER NOT NULL, mailbox INTEGER NOT NULL, key BLOB NOT NULL,
  PRIMARY KEY (account, mailbox)) WITHOUT ROWID;
CREATE TABLE srs_key (
  place INTEGER PRIMARY KEY, key BLOB NOT NULL, since INTEGER NOT NULL);
CREATE TABLE dkim_key (
  domain TEXT NOT NULL, selector TEXT NOT NULL, key BLOB NOT NULL, since INTEGER NOT NULL,
  PRIMARY KEY (domain, selector)) WITHOUT ROWID;
CREATE TABLE token (
  id INTEGER PRIMARY KEY, account INTEGER NOT NULL, label TEXT NOT NULL, hash BLOB NOT NULL,
  added INTEGER NOT NULL, removed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE send_key (
  account INTEGER NOT NULL, key BLOB NOT NULL, request BLOB NOT NULL, mail INTEGER NOT NULL,
  used INTEGER NOT NULL, PRIMARY KEY (account, key)) WITHOUT ROWID;
CREATE INDEX send_key_used ON send_key (used);
CREATE TABLE imported (key BLOB PRIMARY KEY, mail INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE hook (
  id INTEGER PRIMARY KEY, url TEXT NOT NULL, secret BLOB NOT NULL, kinds TEXT NOT NULL,
  head BLOB NOT NULL, removed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE hook_log (
  hook INTEGER NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL, at INTEGER NOT NULL,
  event TEXT NOT NULL, kind TEXT NOT NULL, said TEXT NOT NULL, told INTEGER NOT NULL,
  PRIMARY KEY (hook, seq, place)) WITHOUT ROWID;
CREATE TABLE report (
  kind INTEGER NOT NULL, about TEXT NOT NULL, begins INTEGER NOT NULL, dest TEXT NOT NULL,
  at INTEGER NOT NULL, mail INTEGER, report BLOB NOT NULL,
  PRIMARY KEY (kind, about, begins, dest)) WITHOUT ROWID;
CREATE INDEX report_at ON report (at);
CREATE INDEX report_mail ON report (mail);
CREATE TABLE report_span (
  place INTEGER PRIMARY KEY, begins INTEGER NOT NULL, ends INTEGER, head BLOB NOT NULL);
CREATE TABLE tls_policy (
  domain TEXT NOT NULL, host TEXT NOT NULL, at INTEGER NOT NULL, policy BLOB NOT NULL,
  PRIMARY KEY (domain, host)) WITHOUT ROWID;
CREATE INDEX tls_policy_at ON tls_policy (at);
CREATE TABLE operator (
  id INTEGER PRIMARY KEY, kept BLOB NOT NULL, token_last INTEGER NOT NULL,
  removed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, who TEXT NOT NULL, segment INTEGER NOT NULL,
  place INTEGER NOT NULL);
CREATE INDEX audit_who ON audit (who, seq);
CREATE TABLE promotion (
  seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, epoch INTEGER NOT NULL, after BLOB NOT NULL,
  reason TEXT) WITHOUT ROWID;
CREATE TABLE flow (
  minute INTEGER NOT NULL, kind INTEGER NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (minute, kind)) WITHOUT ROWID;
CREATE TABLE body_file (
  serial INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (serial, hash)) WITHOUT ROWID;
";

/// Every table with its columns in the order of its key: what two indexes are compared by (I13).
pub const TABLES: [(&str, &str); 49] = [
    ("domain", "SELECT name FROM domain ORDER BY name"),
    ("account", "SELECT id, address, credentials, removed FROM account ORDER BY id"),
    ("alias", "SELECT address, targets FROM alias ORDER BY address"),
    ("route", "SELECT domain, host, port FROM route ORDER BY domain"),
    ("relay_login", "SELECT relay, name, password FROM relay_login ORDER BY relay"),
    (
        "mailbox",
        "SELECT id, account, name, uid_validity, special_use, uid_next, mod_seq, messages, unseen, \
         bytes, deleted FROM mailbox ORDER BY id",
    ),
    ("subscription", "SELECT account, name FROM subscription ORDER BY account, name"),
    (
        "acl",
        "SELECT mailbox, account, negative, rights FROM acl ORDER BY mailbox, account, negative",
    ),
    (
        "metadata",
        "SELECT mailbox, account, entry, value FROM metadata ORDER BY mailbox, account, entry",
    ),
    ("quota", "SELECT account, storage, messages FROM quota ORDER BY account"),
    (
        "mail",
        "SELECT id, accepted, receipt_check, segment, place, body_segment, body_place, body_bytes, \
         purged FROM mail ORDER BY id",
    ),
    ("purge", "SELECT seq, at, segment, place, done FROM purge ORDER BY seq"),
    (
        "retention",
        "SELECT domain, account, keep, spam, seq FROM retention ORDER BY domain, account",
    ),
    (
        "legal_hold",
        "SELECT seq, since, name, account, from_at, until_at, reason, ended, ended_seq, \
         ended_reason FROM legal_hold ORDER BY seq",
    ),
    ("tls_required", "SELECT mail FROM tls_required ORDER BY mail"),
    ("tls_optional", "SELECT mail FROM tls_optional ORDER BY mail"),
    ("future_release", "SELECT mail, until, asked_secs FROM future_release ORDER BY mail"),
    (
        "deliver_by",
        "SELECT mail, until, asked_secs, comes_back, trace FROM deliver_by ORDER BY mail",
    ),
    ("custody", "SELECT id, mail, recipient, state, mailbox, uid, report FROM custody ORDER BY id"),
    (
        "message",
        "SELECT mailbox, uid, mail, mod_seq, flags, keywords, internal_date, bytes, saved, \
         first_flags, first_keywords FROM message ORDER BY mailbox, uid",
    ),
    (
        "expunged",
        "SELECT mailbox, uid, mail, mod_seq, seq, at, flags, keywords, internal_date, bytes, saved, \
         first_flags, first_keywords, next_mailbox, next_uid FROM expunged ORDER BY mailbox, uid",
    ),
    (
        "act",
        "SELECT seq, at, kind, owner, mailbox, other, subject, actor, session, ip, via, messages, \
         segment, place, before, undone, undoes FROM act ORDER BY seq",
    ),
    ("act_run", "SELECT session, ip, run FROM act_run ORDER BY session, ip, run"),
    (
        "queue",
        "SELECT custody, mail, destination, account, priority, again, due, attempts, begun, \
         uncertain, delay_told, accepted, recipient, relay, give_back FROM queue ORDER BY custody",
    ),
    (
        "held",
        "SELECT custody, mail, destination, account, priority, again, due, attempts, uncertain, \
         delay_told, accepted, recipient, relay, give_back, since, held_by, reason, purge_at, \
         was_queued, release_at FROM held ORDER BY custody",
    ),
    (
        "released",
        "SELECT custody, mail, destination, account, priority, again, due, attempts, uncertain, \
         delay_told, accepted, recipient, relay, give_back, since FROM released ORDER BY custody",
    ),
    ("queue_change", "SELECT id, at, kind, items, undoes, undone FROM queue_change ORDER BY id"),
    ("queue_change_part", "SELECT id, seq, segment, place FROM queue_change_part ORDER BY id, seq"),
    ("pause", "SELECT destination, since, reason FROM pause ORDER BY destination"),
    ("sent", "SELECT host, minute, messages FROM sent ORDER BY minute, host"),
    ("sent_daily", "SELECT source, day, messages FROM sent_daily ORDER BY source, day"),
    ("lookup", "SELECT fingerprint, mail FROM lookup ORDER BY fingerprint, mail"),
    ("story", "SELECT mail, seq, segment, place FROM story ORDER BY mail, seq"),
    ("url_key", "SELECT account, mailbox, key FROM url_key ORDER BY account, mailbox"),
    ("srs_key", "SELECT place, key, since FROM srs_key ORDER BY place"),
    ("dkim_key", "SELECT domain, selector, key, since FROM dkim_key ORDER BY domain, selector"),
    ("token", "SELECT id, account, label, hash, added, removed FROM token ORDER BY id"),
    ("send_key", "SELECT account, key, request, mail, used FROM send_key ORDER BY account, key"),
    ("imported", "SELECT key, mail FROM imported ORDER BY key"),
    ("hook", "SELECT id, url, secret, kinds, head, removed FROM hook ORDER BY id"),
    (
        "hook_log",
        "SELECT hook, seq, place, at, event, kind, said, told FROM hook_log \
         ORDER BY hook, seq, place",
    ),
    (
        "report",
        "SELECT kind, about, begins, dest, at, mail, report FROM report \
         ORDER BY kind, about, begins, dest",
    ),
    ("report_span", "SELECT place, begins, ends, head FROM report_span ORDER BY place"),
    ("tls_policy", "SELECT domain, host, at, policy FROM tls_policy ORDER BY domain, host"),
    ("operator", "SELECT id, kept, token_last, removed FROM operator ORDER BY id"),
    ("audit", "SELECT seq, at, who, segment, place FROM audit ORDER BY seq"),
    ("promotion", "SELECT seq, at, epoch, after, reason FROM promotion ORDER BY seq"),
    ("flow", "SELECT minute, kind, count FROM flow ORDER BY minute, kind"),
    ("body_file", "SELECT serial, hash FROM body_file ORDER BY serial, hash"),
];
