//! Plots, drawn on the server.

use maud::{Markup, html};
use serde_json::Value;

use super::phrases::Phrase;
use super::visit::Visit;
use super::words::count;

/// The picture's units.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 40.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 12.0;
const MINUTE_MS: i64 = 60_000;
/// Minutes between two marks below.
const MARK_MINUTES: usize = 15;

struct Series {
    class: &'static str,
    phrase: Phrase,
    counts: Vec<u64>,
}

/// Mail per minute: three lines, a legend, and the same as a table.
pub(super) fn flow(visit: &Visit<'_>, flow: &Value) -> Markup {
    let minutes = &flow["minutes"];
    let of = |names: &[&str]| {
        let mut sum: Vec<u64> = Vec::new();
        for name in names {
            let counts = minutes[*name].as_array().map(Vec::as_slice).unwrap_or_default();
            sum.resize(sum.len().max(counts.len()), 0);
            for (all, count) in sum.iter_mut().zip(counts) {
                *all += count.as_u64().unwrap_or(0);
            }
        }
        sum
    };
    let all = [
        Series { class: "in", phrase: Phrase::SeriesIn, counts: of(&["taken"]) },
        Series { class: "out", phrase: Phrase::SeriesOut, counts: of(&["delivered", "relayed"]) },
        Series {
            class: "trouble",
            phrase: Phrase::SeriesTrouble,
            counts: of(&["deferred", "returned"]),
        },
    ];
    let begins = flow["begins_ms"].as_i64().unwrap_or(0);
    let most = all.iter().flat_map(|series| &series.counts).copied().max().unwrap_or(0);
    html! {
        ul.legend {
            @for series in &all {
                li {
                    svg class={ "key " (series.class) } viewBox="0 0 24 8" aria-hidden="true" {
                        line x1="0" y1="4" x2="24" y2="4" {}
                    }
                    (visit.t(series.phrase))
                }
            }
        }
        @if most == 0 { p.quiet { (visit.t(Phrase::NoFlow)) } }
        (picture(visit, &all, begins, most))
        (numbers(visit, &all, begins))
    }
}

fn picture(visit: &Visit<'_>, all: &[Series], begins: i64, most: u64) -> Markup {
    let top = nice(most);
    let points = all.iter().map(|series| series.counts.len()).max().unwrap_or(0);
    let x = |at: usize| LEFT + (WIDTH - LEFT) * share(at as u64, points.saturating_sub(1) as u64);
    let y = |value: u64| HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share(value, top);
    let line = |series: &Series| {
        let points: Vec<String> = series
            .counts
            .iter()
            .enumerate()
            .map(|(at, value)| format!("{:.1},{:.1}", x(at), y(*value)))
            .collect();
        points.join(" ")
    };
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(visit.t(Phrase::Flow)) {
            @for value in [0, top / 2, top] {
                line.grid x1=(LEFT) x2=(WIDTH) y1=(y(value)) y2=(y(value)) {}
                text.axis x=(LEFT - 6.0) y=(y(value) + 4.0) text-anchor="end" { (count(value)) }
            }
            @for at in (0..points).step_by(MARK_MINUTES) {
                text.axis x=(x(at)) y=(HEIGHT - 6.0) text-anchor="middle" {
                    (clock(begins + at as i64 * MINUTE_MS))
                }
            }
            @for series in all {
                polyline class={ "series " (series.class) } points=(line(series)) fill="none" {}
            }
        }
    }
}

fn numbers(visit: &Visit<'_>, all: &[Series], begins: i64) -> Markup {
    let points = all.iter().map(|series| series.counts.len()).max().unwrap_or(0);
    let value = |series: &Series, at: usize| series.counts.get(at).copied().unwrap_or(0);
    let busy: Vec<usize> =
        (0..points).rev().filter(|at| all.iter().any(|series| value(series, *at) > 0)).collect();
    html! {
        @if !busy.is_empty() {
            details {
                summary { (visit.t(Phrase::FlowNumbers)) }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { (visit.t(Phrase::Minute)) }
                        @for series in all { th.number scope="col" { (visit.t(series.phrase)) } }
                    } }
                    tbody {
                        @for at in busy {
                            tr {
                                th scope="row" { (clock(begins + at as i64 * MINUTE_MS)) }
                                @for series in all { td.number { (count(value(series, at))) } }
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// How much of something is used up.
pub(super) fn bar(used: u64, whole: u64, label: &str) -> Markup {
    let width = 100.0 * share(used, whole);
    html! {
        svg.bar viewBox="0 0 100 4" preserveAspectRatio="none" role="img"
            aria-label={ (label) ": " (format!("{width:.0}")) " %" } {
            rect.whole width="100" height="4" {}
            rect.used width=(format!("{width:.2}")) height="4" {}
        }
    }
}

/// A number for the top of the picture that divides well.
fn nice(most: u64) -> u64 {
    let mut step = 1_u64;
    loop {
        for times in [2, 4, 10] {
            if most <= step.saturating_mul(times) {
                return step.saturating_mul(times);
            }
        }
        step = match step.checked_mul(10) {
            Some(step) => step,
            None => return u64::MAX,
        };
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn clock(at_ms: i64) -> String {
    let minute = at_ms.div_euclid(MINUTE_MS);
    format!("{:02}:{:02}", minute.div_euclid(60).rem_euclid(24), minute.rem_euclid(60))
}
