//! `restante report balance`: of everything accepted in a time, where it went; and that nothing is
//! unaccounted for.

use std::collections::BTreeMap;

use anyhow::bail;
use clap::Args;
use jiff::tz::TimeZone;
use mail_types::{Domain, SpecialUse, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{CustodyState, CustodyStory, Source, Store, Visit};

use crate::cli::parse_time;
use crate::request::Failure;
use crate::show;

pub const EXAMPLES: &str = "\
Examples:
  restante report balance                       today so far (UTC)
  restante report balance --day 2026-11-20
  restante report balance --since 7d --domain example.org --json

Counted are recipients of messages that were accepted in the time, where they are now: delivered to an
inbox, to the folder for junk, to another mailbox; held, returned, relayed; still open; purged. What
people moved afterwards counts where it was delivered. An alias counts as those it goes on to.";

/// Of which time.
#[derive(Debug, Args)]
pub struct BalanceArgs {
    /// A day (UTC): 2026-11-20 [default: today]
    #[arg(long, conflicts_with = "since")]
    day: Option<String>,
    /// From this time on instead: 2026-11-21T15:00Z, or 7d (ago)
    #[arg(long)]
    since: Option<String>,
    /// Before this time
    #[arg(long, requires = "since")]
    until: Option<String>,
    /// Only recipients of this domain
    #[arg(long)]
    domain: Option<Domain>,
}

/// What is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    from: i64,
    to: i64,
    domain: Option<Domain>,
}

impl BalanceArgs {
    pub fn ask(self) -> anyhow::Result<Ask> {
        const DAY: i64 = 86_400_000;
        let (from, to) = match (&self.day, &self.since) {
            (None, Some(since)) => {
                let until = self.until.as_deref().map(parse_time).transpose()?;
                (parse_time(since)?, until.unwrap_or(i64::MAX))
            }
            (Some(day), _) => {
                let Ok(day) = day.parse::<jiff::civil::Date>() else {
                    bail!("“{day}” is no day: write 2026-11-20");
                };
                let begin = day.to_zoned(TimeZone::UTC)?.timestamp().as_millisecond();
                (begin, begin + DAY)
            }
            (None, None) => {
                let begin = net::now().millis().div_euclid(DAY) * DAY;
                (begin, begin + DAY)
            }
        };
        Ok(Ask { from, to, domain: self.domain })
    }
}

/// Where recipients are.
const PLACES: [&str; 8] =
    ["inbox", "junk", "other_mailbox", "held", "returned", "relayed", "open", "purged"];

#[derive(Default)]
struct Sum {
    accepted: u64,
    places: BTreeMap<&'static str, u64>,
}

impl Sum {
    fn view(&self) -> Value {
        let per_100 = |count: u64| match self.accepted {
            0 => 0.0,
            all => (count as f64 * 10_000.0 / all as f64).round() / 100.0,
        };
        let of = |place: &str| self.places.get(place).copied().unwrap_or_default();
        let counts: BTreeMap<_, _> = PLACES.map(|place| (place, of(place))).into();
        let rates: BTreeMap<_, _> = PLACES.map(|place| (place, per_100(of(place)))).into();
        json!({
            "accepted": self.accepted,
            "accounted": self.places.values().sum::<u64>(),
            "counts": counts,
            "of_100": rates,
        })
    }
}

/// Adds it up.
pub fn balance(store: &Store, ask: &Ask) -> Result<Value, Failure> {
    let junk = store.mailboxes_for(SpecialUse::Junk)?;
    let place = |custody: &CustodyStory| match (custody.state, &custody.delivered) {
        (CustodyState::Delivered, Some((mailbox, ..))) if junk.contains(mailbox) => Some("junk"),
        (CustodyState::Delivered, Some((_, name, _))) if name == store::INBOX => Some("inbox"),
        (CustodyState::Delivered, _) => Some("other_mailbox"),
        (CustodyState::Held, _) => Some("held"),
        (CustodyState::Returned, _) => Some("returned"),
        (CustodyState::Relayed, _) => Some("relayed"),
        (CustodyState::Queued, _) => Some("open"),
        (CustodyState::Purged, _) => Some("purged"),
        (CustodyState::Expanded, _) => None,
    };
    let (mut messages, mut wrong) = (0_u64, Vec::new());
    let (mut outside, mut own) = (Sum::default(), Sum::default());
    let span = Timestamp(ask.from)..Timestamp(ask.to);
    store.accepted_between(span, |accepted, custodies| {
        messages += 1;
        let from_outside = matches!(accepted.source, Source::Smtp { .. } | Source::Lmtp { .. });
        let sum = if from_outside { &mut outside } else { &mut own };
        // What the journal's record says was accepted; where it went says the index.
        let mut missing = 0;
        for new in &accepted.custodies {
            if ask.domain.as_ref().is_some_and(|of| new.recipient.domain() != Some(of)) {
                continue;
            }
            let now = custodies.iter().find(|known| known.custody == new.custody);
            match now.map(place) {
                Some(None) => {}
                Some(Some(place)) => {
                    sum.accepted += 1;
                    *sum.places.entry(place).or_default() += 1;
                }
                None => {
                    sum.accepted += 1;
                    missing += 1;
                }
            }
        }
        if missing > 0 && wrong.len() < 100 {
            wrong.push(crate::story::short_receipt(accepted.mail));
        }
        Visit::GoOn
    })?;
    let mut all = Sum { accepted: outside.accepted + own.accepted, places: outside.places.clone() };
    for (place, count) in &own.places {
        *all.places.entry(place).or_default() += count;
    }
    let accounted: u64 = all.places.values().sum();
    Ok(json!({
        "from": Timestamp(ask.from).to_string(),
        "to": (ask.to != i64::MAX).then(|| Timestamp(ask.to).to_string()),
        "domain": ask.domain,
        "messages": messages,
        "balanced": accounted == all.accepted,
        "unaccounted": all.accepted - accounted,
        "unaccounted_in": wrong,
        "all": all.view(),
        "from_outside": outside.view(),
        "from_here": own.view(),
    }))
}

/// For people.
pub fn show(answer: &Value) {
    let until = answer["to"].as_str().map(|to| format!(" to {to}")).unwrap_or_default();
    show::line(&format!(
        "{} messages accepted from {}{until}",
        answer["messages"],
        answer["from"].as_str().unwrap_or_default()
    ));
    for (name, title) in
        [("from_outside", "From outside"), ("from_here", "From accounts and this server")]
    {
        let sum = &answer[name];
        if sum["accepted"] == 0 {
            continue;
        }
        show::heading(&format!("{title}: {} recipients", sum["accepted"]));
        for place in PLACES.iter().filter(|place| sum["counts"][**place] != 0) {
            let (count, rate) = (&sum["counts"][*place], sum["of_100"][*place].as_f64());
            let title = place.replace('_', " ");
            show::line(&format!("{:>8.2} of 100  {count:>9}  {title}", rate.unwrap_or_default()));
        }
    }
    if answer["balanced"] == true {
        show::line(&format!(
            "\nThe balance is right: all {} recipients are accounted for.",
            answer["all"]["accepted"]
        ));
    } else {
        let which: Vec<&str> = answer["unaccounted_in"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        show::line(&format!(
            "\nTHE BALANCE IS WRONG: {} recipients are unaccounted for, in {}.\n\
             What to do: restante verify",
            answer["unaccounted"],
            which.join(", ")
        ));
    }
}
