//! Sends the numbers to an OTLP collector.

use std::sync::Arc;

use config::Config;
use net::{HttpClient, HttpLimits, HttpRequest, Reach, Stop};

use super::{Metrics, family};

/// Sends them over HTTP as JSON (OTLP/HTTP) until the stop, where the settings name a collector.
/// One that does not answer misses what was then: the numbers are totals, and nothing is kept.
pub async fn push(metrics: Arc<Metrics>, config: Config, http: HttpClient, mut stop: Stop) {
    let Some(url) = config.metrics.otlp_url else { return };
    let every = config.metrics.otlp_every;
    let limits = HttpLimits {
        time: every,
        reach: Reach::Anywhere,
        may_be_plain: true,
        ..HttpLimits::default()
    };
    let mut well = true;
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            () = stop.requested() => return,
        }
        let (from, host) = (Arc::clone(&metrics), config.hostname.to_string());
        let body = tokio::task::spawn_blocking(move || from.otlp(&host)).await;
        let Ok(body) = body else {
            tracing::error!("the numbers for OTLP could not be read: a bug");
            continue;
        };
        let request = HttpRequest::post(url.clone(), "application/json", body);
        let trouble = match http.send(request, &limits).await {
            Ok(response) if response.status.is_success() => None,
            Ok(response) => Some(format!("it answered {}", response.status)),
            Err(error) => Some(error.to_string()),
        };
        match &trouble {
            // Said once, not each minute.
            Some(why) if well => tracing::warn!(url, why, "OTLP is not taken"),
            None if !well => tracing::info!(url, "OTLP is taken again"),
            Some(_) | None => {}
        }
        well = trouble.is_none();
    }
}

impl Metrics {
    fn otlp(&self, host: &str) -> Vec<u8> {
        let nanos = |at: mail_types::Timestamp| i128::from(at.0) * 1_000_000;
        let (started, now) = (nanos(self.started), nanos(net::now()));
        family::otlp(&self.families(), host, started, now).to_string().into_bytes()
    }
}
