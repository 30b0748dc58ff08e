//! Numbers with a name and words, in the forms that others read.

use std::fmt::Write;

use serde_json::{Value, json};

/// All samples of one name.
pub struct Family {
    /// As Prometheus names it: the unit at the end, `_total` behind what only grows.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// What kind of number it is, and the numbers.
    pub numbers: Numbers,
}

/// The samples.
pub enum Numbers {
    /// What only grows, until the server starts anew.
    Counter(Vec<Sample>),
    /// What goes up and down.
    Gauge(Vec<Sample>),
    /// How many were how large.
    Histogram {
        /// Upper bounds, in the unit of the name.
        bounds: Vec<f64>,
        /// How many fell to each bound and not to the one before; the last: above all.
        counts: Vec<u64>,
        /// What they come to together.
        sum: f64,
    },
}

/// One number, and what it is of.
pub struct Sample {
    /// At most one label: its name and value.
    pub label: Option<(&'static str, String)>,
    /// The number.
    pub value: f64,
}

/// A number of the whole.
pub fn one(value: f64) -> Vec<Sample> {
    vec![Sample { label: None, value }]
}

/// Numbers that have a label each.
pub fn by(label: &'static str, numbers: impl IntoIterator<Item = (String, f64)>) -> Vec<Sample> {
    let sample = |(of, value)| Sample { label: Some((label, of)), value };
    numbers.into_iter().map(sample).collect()
}

/// The text format of Prometheus, version 0.0.4.
pub fn text(families: &[Family]) -> String {
    let mut out = String::new();
    for family in families {
        // Writing to a String does not fail.
        write_family(&mut out, family).ok();
    }
    out
}

/// Its media type.
pub const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

fn write_family(out: &mut String, family: &Family) -> std::fmt::Result {
    let Family { name, help, numbers } = family;
    let kind = match numbers {
        Numbers::Counter(_) => "counter",
        Numbers::Gauge(_) => "gauge",
        Numbers::Histogram { .. } => "histogram",
    };
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
    match numbers {
        Numbers::Counter(samples) | Numbers::Gauge(samples) => {
            for Sample { label, value } in samples {
                match label {
                    Some((label, of)) => {
                        writeln!(out, "{name}{{{label}=\"{}\"}} {value}", quoted(of))?
                    }
                    None => writeln!(out, "{name} {value}")?,
                }
            }
        }
        Numbers::Histogram { bounds, counts, sum } => {
            let mut below = 0;
            for (bound, count) in bounds.iter().zip(counts) {
                below += count;
                writeln!(out, "{name}_bucket{{le=\"{bound}\"}} {below}")?;
            }
            let all: u64 = counts.iter().sum();
            writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {all}")?;
            writeln!(out, "{name}_sum {sum}\n{name}_count {all}")?;
        }
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// What OTLP calls AGGREGATION_TEMPORALITY_CUMULATIVE: since the start.
const SINCE_START: u8 = 2;

/// The JSON of an OTLP `ExportMetricsServiceRequest`; times in nanoseconds since 1970.
pub fn otlp(families: &[Family], host: &str, started: i128, now: i128) -> Value {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let points = |samples: &[Sample]| -> Vec<Value> {
        let point = |Sample { label, value }: &Sample| {
            let attributes: Vec<Value> = label.iter().map(|(key, of)| text(key, of)).collect();
            json!({
                "attributes": attributes,
                "startTimeUnixNano": started.to_string(),
                "timeUnixNano": now.to_string(),
                "asDouble": value,
            })
        };
        samples.iter().map(point).collect()
    };
    let metric = |Family { name, help, numbers }: &Family| {
        let mut metric = json!({ "name": name, "description": help });
        match numbers {
            Numbers::Counter(samples) => {
                metric["sum"] = json!({
                    "aggregationTemporality": SINCE_START,
                    "isMonotonic": true,
                    "dataPoints": points(samples),
                });
            }
            Numbers::Gauge(samples) => metric["gauge"] = json!({ "dataPoints": points(samples) }),
            Numbers::Histogram { bounds, counts, sum } => {
                let as_text: Vec<String> = counts.iter().map(u64::to_string).collect();
                metric["histogram"] = json!({
                    "aggregationTemporality": SINCE_START,
                    "dataPoints": [{
                        "startTimeUnixNano": started.to_string(),
                        "timeUnixNano": now.to_string(),
                        "count": counts.iter().sum::<u64>().to_string(),
                        "sum": sum,
                        "bucketCounts": as_text,
                        "explicitBounds": bounds,
                    }],
                });
            }
        }
        metric
    };
    let metrics: Vec<Value> = families.iter().map(metric).collect();
    json!({ "resourceMetrics": [{
        "resource": { "attributes": [
            text("service.name", "restante"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("host.name", host),
        ] },
        "scopeMetrics": [{
            "scope": { "name": "restante", "version": env!("CARGO_PKG_VERSION") },
            "metrics": metrics,
        }],
    }] })
}
