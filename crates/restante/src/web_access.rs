//! Wires the HTTP API.

use std::sync::Arc;

use config::{Config, Service};

use crate::serve::Running;

/// Serves HTTPS on its port.
pub fn listen_https(
    running: &mut Running,
    config: &Config,
    pages: Vec<web::PageSource>,
) -> anyhow::Result<()> {
    let shared = Arc::new(web::Shared {
        limits: web_limits(config),
        pages,
        room: web::Shared::room(config.web.body_bytes_held_max),
    });
    let stop = running.stop();
    running.listen(config, Service::Https, web::TOO_MANY_CONNECTIONS, move |link| {
        web::serve(Arc::clone(&shared), link, stop.clone())
    })
}

/// Serves pages in clear where the settings name a port for it.
pub fn listen_http(
    running: &mut Running,
    config: &Config,
    pages: Vec<web::PageSource>,
) -> anyhow::Result<()> {
    let (pages, limits) = (Arc::<[web::PageSource]>::from(pages), web_limits(config));
    let stop = running.stop();
    running.listen(config, Service::Http, web::TOO_MANY_CONNECTIONS, move |link| {
        web::serve_pages(Arc::clone(&pages), limits.clone(), link, stop.clone())
    })
}

fn web_limits(config: &Config) -> web::Limits {
    let settings = &config.web;
    web::Limits {
        header_wait: settings.header_timeout,
        body_wait: settings.request_timeout,
        header_bytes_max: settings.header_bytes_max,
        streams_max: settings.streams_max,
        message_bytes_max: config.limits.message_bytes_max,
        recipients_max: config.limits.recipients_max,
    }
}
