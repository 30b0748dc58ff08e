use mail_types::Domain;

/// Domains that many people write to, and so mistype: those of large mailbox providers.
const WELL_KNOWN: &[&str] = &[
    "126.com",
    "163.com",
    "aliyun.com",
    "aol.com",
    "arcor.de",
    "att.net",
    "bigpond.com",
    "bluewin.ch",
    "bol.com.br",
    "btinternet.com",
    "comcast.net",
    "cox.net",
    "daum.net",
    "earthlink.net",
    "fastmail.com",
    "foxmail.com",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "gmx.at",
    "gmx.ch",
    "gmx.de",
    "gmx.net",
    "googlemail.com",
    "hanmail.net",
    "hey.com",
    "hotmail.co.uk",
    "hotmail.com",
    "hotmail.de",
    "hotmail.fr",
    "hotmail.it",
    "icloud.com",
    "inbox.lv",
    "interia.pl",
    "laposte.net",
    "libero.it",
    "live.com",
    "live.de",
    "mac.com",
    "mail.com",
    "mail.ru",
    "mailbox.org",
    "me.com",
    "msn.com",
    "naver.com",
    "o2.pl",
    "onet.pl",
    "orange.fr",
    "outlook.com",
    "outlook.de",
    "posteo.de",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rambler.ru",
    "rediffmail.com",
    "rocketmail.com",
    "sbcglobal.net",
    "seznam.cz",
    "sfr.fr",
    "sina.com",
    "sohu.com",
    "t-online.de",
    "telenet.be",
    "terra.com.br",
    "tiscali.it",
    "tuta.com",
    "uol.com.br",
    "verizon.net",
    "virgilio.it",
    "vodafone.de",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
    "yahoo.co.in",
    "yahoo.co.jp",
    "yahoo.co.uk",
    "yahoo.com",
    "yahoo.com.br",
    "yahoo.de",
    "yahoo.es",
    "yahoo.fr",
    "yahoo.it",
    "yandex.com",
    "yandex.ru",
    "yeah.net",
    "ymail.com",
    "zoho.com",
];

/// Octets of a name that one slip may be in, and from which on there may be two.
const ONE_SLIP_OCTETS_MIN: usize = 6;
const TWO_SLIPS_OCTETS_MIN: usize = 10;

/// The domain that was probably meant where this one failed: the nearest of the well-known ones and
/// of `familiar`, the ones that mail reaches. `None` where it is one of them, or near to none.
#[must_use]
pub fn meant<'a>(
    written: &Domain,
    familiar: impl IntoIterator<Item = &'a Domain>,
) -> Option<Domain> {
    let written = written.as_str();
    let familiar = familiar.into_iter().map(Domain::as_str);
    let mut nearest: Option<(usize, &str)> = None;
    for name in familiar.chain(WELL_KNOWN.iter().copied()) {
        if name == written {
            return None;
        }
        let slips_max = match name.len() {
            ..ONE_SLIP_OCTETS_MIN => continue,
            ONE_SLIP_OCTETS_MIN..TWO_SLIPS_OCTETS_MIN => 1,
            TWO_SLIPS_OCTETS_MIN.. => 2,
        };
        if name.len().abs_diff(written.len()) > slips_max {
            continue;
        }
        let slips = distance(written.as_bytes(), name.as_bytes());
        // Of equally near ones the first: where mail went before comes before what is well known.
        if slips <= slips_max && nearest.is_none_or(|(fewest, _)| slips < fewest) {
            nearest = Some((slips, name));
        }
    }
    nearest.and_then(|(_, name)| Domain::new(name).ok())
}

/// Letters to add, drop, change, or to swap with their neighbours (optimal string alignment).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}
