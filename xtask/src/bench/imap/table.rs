//! The figures as a table: first and warm, CPU, the goal, and the peer's.

use std::fmt::Write as _;

use super::{Figure, Goal, Results};

/// All servers' figures side by side, by the order of the first.
pub(in crate::bench) fn table(all: &[Results]) -> String {
    let mut text = String::new();
    let Some(ours) = all.first() else { return text };
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        text.write_fmt(arguments).ok();
        text.push('\n');
    };
    line(format_args!(
        "\n{:<54} {:>4} {:>8} {:>8} {:>11} {:>8}  {:<22}",
        ours.server, "", "first", "CPU ms", "warm", "CPU ms", "goal"
    ));
    for figure in &ours.figures {
        line(format_args!("{}", self::line(figure)));
        for peer in all.iter().skip(1) {
            if let Some(figure) = peer.figures.iter().find(|theirs| theirs.what == figure.what) {
                let mut figure = figure.clone();
                figure.what = format!("    {}", peer.server);
                figure.goals.clear();
                line(format_args!("{}", self::line(&figure)));
            }
        }
    }
    text
}

/// One figure as a line.
pub(super) fn line(figure: &Figure) -> String {
    let number = |value: Option<f64>| value.map_or(String::new(), rounded);
    let value = figure.value.map_or_else(|| "not offered".to_owned(), rounded);
    let goals: Vec<String> = figure.goals.iter().map(|goal| held_against(figure, *goal)).collect();
    format!(
        "{:<54} {:>4} {:>8} {:>8} {:>11} {:>8}  {:<22} {}",
        figure.what,
        figure.unit,
        number(figure.first),
        number(figure.first_cpu),
        value,
        number(figure.cpu),
        goals.join(", "),
        figure.note,
    )
}

fn rounded(value: f64) -> String {
    match value.abs() {
        0.0..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn held_against(figure: &Figure, goal: Goal) -> String {
    let (text, measured, met) = match goal {
        Goal::AtMost(most) => {
            (format!("≤ {most}"), figure.value, figure.value.is_some_and(|value| value <= most))
        }
        Goal::AtLeast(least) => {
            (format!("≥ {least}"), figure.value, figure.value.is_some_and(|value| value >= least))
        }
        Goal::CpuAtMost(most) => {
            // Where there is a first time, that is the dear one.
            let cpu = figure.first_cpu.or(figure.cpu);
            (format!("CPU ≤ {most}"), cpu, cpu.is_some_and(|cpu| cpu <= most))
        }
    };
    let verdict = match measured {
        None => "",
        Some(_) if met => " met",
        Some(_) => " MISSED",
    };
    format!("{text}{verdict}")
}
