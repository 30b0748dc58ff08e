//! HTTP in clear, for what must be there: pages alone, never the API.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use net::{Link, Stop};

use crate::{Limits, PageSource, Problem, reply};

/// Serves one connection with pages alone, one request each.
pub async fn serve_pages(pages: Arc<[PageSource]>, limits: Limits, link: Link, mut stop: Stop) {
    let peer = link.peer();
    let wire = match link.into_wire().await {
        Ok(wire) => wire,
        Err(error) => {
            tracing::debug!(%peer, %error, "no connection stands");
            return;
        }
    };
    let answers = service_fn(move |request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(answer(&pages, &request)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_wait)
        .max_buf_size(limits.header_bytes_max)
        .keep_alive(false)
        .serve_connection(TokioIo::new(wire), answers);
    let served = tokio::select! {
        served = connection => served,
        () = stop.requested() => return,
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "an HTTP connection ended early");
    }
}

fn answer(pages: &[PageSource], request: &Request<Incoming>) -> reply::Reply {
    let host = request.headers().get(hyper::header::HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or_default().to_ascii_lowercase();
    let host = host.rsplit_once(':').map_or(host.as_str(), |(host, _)| host);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let found = reads.then(|| pages.iter().find_map(|source| source(host, request.uri().path())));
    match found.flatten() {
        Some(page) => reply::page(page),
        None => reply::problem(&Problem::not_found("Nothing is here in clear; try https")),
    }
}
