//! How far each standby is.

use standby::StandbyView;

use super::family::{Family, Numbers, by};
use super::seconds;

/// None where no standby is invited.
pub fn families(standbys: &[StandbyView]) -> Vec<Family> {
    if standbys.is_empty() {
        return Vec::new();
    }
    let of = |value: fn(&StandbyView) -> Option<f64>| {
        let each = standbys.iter().filter_map(|one| Some((one.name.clone(), value(one)?)));
        Numbers::Gauge(by("standby", each))
    };
    vec![
        Family {
            name: "restante_standby_linked",
            help: "1 while a standby is linked.",
            numbers: of(|one| Some(f64::from(u8::from(one.linked)))),
        },
        Family {
            name: "restante_standby_lag_records",
            help: "Records that a standby does not have.",
            numbers: of(|one| Some(one.lag_records as f64)),
        },
        Family {
            name: "restante_standby_lag_bytes",
            help: "Bytes of the journal that a standby does not have.",
            numbers: of(|one| Some(one.lag_bytes as f64)),
        },
        Family {
            name: "restante_standby_lag_seconds",
            help: "For so long a standby has not had everything.",
            numbers: of(|one| Some(one.lag_secs)),
        },
        Family {
            name: "restante_standby_seen_seconds",
            help: "When a standby was last heard of, since 1970.",
            numbers: of(|one| one.seen.map(seconds)),
        },
    ]
}
