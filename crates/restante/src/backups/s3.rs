//! A bucket of an S3-compatible store as a place for backups.
//!
//! Every request is signed with the hash of its body, so that the store itself refuses what was
//! changed on the way; large files go up in parts, of which one at a time is in memory, and are not
//! there before the last request says that they are whole.

use std::any::Any;
use std::fmt;
use std::io::{self, Read};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use net::{HttpClient, HttpLimits, HttpRequest, HttpResponse, Reach};
use tokio::runtime::Runtime;

use super::signature::{self, Keys, Signed};

/// Bytes of a part; what is no more goes up in one request. Stores want 5 MiB at least.
const PART_BYTES: usize = 8 << 20;
/// Parts of one file at most, as stores have it.
const PARTS_MAX: u32 = 10_000;
/// Tries of one request, and the wait before the second, which grows fourfold.
const TRIES_MAX: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// One request takes at most so long.
const REQUEST_MAX: Duration = Duration::from_secs(300);
/// Octets of an answer besides a file's.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Pages of a list: each names a thousand files.
const PAGES_MAX: usize = 10_000;

/// Where it is and who asks.
pub struct Bucket {
    /// `https://host[:port]`.
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    /// In front of all names, without slashes around it; may be empty.
    pub prefix: String,
    pub keys: Keys,
}

/// The place.
pub struct S3Place {
    at: Bucket,
    host: String,
    client: HttpClient,
    /// Waits for answers; an `Option` for the end, which may come within another runtime.
    runtime: Option<Runtime>,
    /// One request at a time.
    turn: Mutex<()>,
}

impl fmt::Debug for S3Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Place({}/{})", self.at.bucket, self.at.prefix)
    }
}

impl Drop for S3Place {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What is asked.
struct Ask<'a> {
    method: Method,
    /// Of the file; empty for the bucket itself.
    key: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    range: Option<(u64, u64)>,
    answer_bytes_max: usize,
}

impl<'a> Ask<'a> {
    const fn of(method: Method, key: &'a str) -> Self {
        let answer_bytes_max = ANSWER_BYTES_MAX;
        Self { method, key, query: &[], body: &[], range: None, answer_bytes_max }
    }
}

impl S3Place {
    /// `make` makes the client; it runs within the runtime that is used.
    pub fn new(
        at: Bucket,
        make: impl FnOnce() -> anyhow::Result<HttpClient>,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = {
            let _inside = runtime.enter();
            make()?
        };
        let url: http::Uri = at.endpoint.parse().context("backup.s3_endpoint is no URL")?;
        let host = url.authority().context("backup.s3_endpoint names no host")?.to_string();
        let turn = Mutex::default();
        Ok(Self { at, host, client, runtime: Some(runtime), turn })
    }

    fn key(&self, name: &str) -> String {
        let prefix = &self.at.prefix;
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
    }

    /// Asks until there is an answer that says something.
    fn ask(&self, ask: &Ask<'_>) -> io::Result<HttpResponse> {
        let mut wait = FIRST_WAIT;
        let mut trouble = io::Error::other("it was not asked");
        for tried in 0..TRIES_MAX {
            if tried > 0 {
                std::thread::sleep(wait);
                wait *= 4;
            }
            match self.once(ask) {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => {
                    trouble = refused(&self.at, &answer);
                    let passing = answer.status.is_server_error()
                        || matches!(answer.status.as_u16(), 408 | 429);
                    if !passing {
                        return Err(trouble);
                    }
                }
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }

    fn once(&self, ask: &Ask<'_>) -> io::Result<HttpResponse> {
        let path = match ask.key {
            "" => format!("/{}", signature::encoded(&self.at.bucket, false)),
            key => format!("/{}/{}", self.at.bucket, signature::encoded(&self.key(key), true)),
        };
        let signed = Signed {
            method: ask.method.as_str(),
            host: &self.host,
            path: &path,
            query: ask.query,
            body: ask.body,
            region: &self.at.region,
            now: net::now(),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in signature::fields(&signed, &self.at.keys) {
            let value = HeaderValue::from_str(&value).map_err(io::Error::other)?;
            headers.insert(HeaderName::from_static(name), value);
        }
        if let Some((first, last)) = ask.range {
            let value = HeaderValue::from_str(&format!("bytes={first}-{last}"));
            headers.insert(http::header::RANGE, value.map_err(io::Error::other)?);
        }
        let query = match signature::query(ask.query) {
            query if query.is_empty() => query,
            query => format!("?{query}"),
        };
        let url = format!("{}{path}{query}", self.at.endpoint);
        let (method, body) = (ask.method.clone(), ask.body.to_vec());
        let request = HttpRequest { method, url, headers, body };
        let limits = HttpLimits {
            time: REQUEST_MAX,
            body_octets_max: ask.answer_bytes_max,
            redirects_max: 0,
            reach: Reach::Anywhere,
            may_be_plain: self.at.endpoint.starts_with("http://"),
        };
        let Some(runtime) = &self.runtime else { return Err(io::ErrorKind::NotConnected.into()) };
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        runtime.block_on(self.client.send(request, &limits)).map_err(io::Error::other)
    }

    /// A file in parts, none of it there before the last request.
    fn put_in_parts(&self, name: &str, from: &mut dyn Read, first: &[u8]) -> io::Result<u64> {
        let begin = Ask { query: &[("uploads", "")], ..Ask::of(Method::POST, name) };
        let answer = text(&self.ask(&begin)?);
        let upload =
            between(&answer, "UploadId").ok_or_else(|| io::Error::other(answer.clone()))?;
        let put = self.put_parts(name, from, first, &upload);
        if put.is_err() {
            let end = Ask { query: &[("uploadId", &upload)], ..Ask::of(Method::DELETE, name) };
            if let Err(error) = self.ask(&end) {
                tracing::warn!(%error, name, "an upload that was given up is still in the bucket");
            }
        }
        put
    }

    fn put_parts(
        &self,
        name: &str,
        from: &mut dyn Read,
        first: &[u8],
        upload: &str,
    ) -> io::Result<u64> {
        let mut parts = String::from("<CompleteMultipartUpload>");
        let (mut part, mut bytes) = (first.to_vec(), 0);
        for number in 1..=PARTS_MAX {
            let shown = number.to_string();
            let query = [("partNumber", shown.as_str()), ("uploadId", upload)];
            let put = Ask { query: &query, body: &part, ..Ask::of(Method::PUT, name) };
            let answer = self.ask(&put)?;
            let tag = answer.headers.get(http::header::ETAG).and_then(|tag| tag.to_str().ok());
            let tag = tag.ok_or_else(|| io::Error::other("the store does not name the part"))?;
            parts.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            ));
            bytes += part.len() as u64;
            part.clear();
            from.take(PART_BYTES as u64).read_to_end(&mut part)?;
            if part.is_empty() {
                break;
            }
        }
        if !part.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        parts.push_str("</CompleteMultipartUpload>");
        let query = [("uploadId", upload)];
        let end = Ask { query: &query, body: parts.as_bytes(), ..Ask::of(Method::POST, name) };
        let answer = text(&self.ask(&end)?);
        // What goes wrong late is told in an answer that began as a good one.
        if answer.contains("<Error>") {
            return Err(io::Error::other(told(&answer)));
        }
        Ok(bytes)
    }
}

impl backup::Place for S3Place {
    fn name(&self) -> String {
        let slash = if self.at.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{}", self.at.bucket, self.at.prefix)
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let range = Some((offset, offset + buffer.len() as u64 - 1));
        let answer_bytes_max = buffer.len().max(ANSWER_BYTES_MAX);
        let ask = Ask { range, answer_bytes_max, ..Ask::of(Method::GET, name) };
        let answer = match self.ask(&ask) {
            // RFC 9110 §15.5.17: there is nothing from there on.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(0),
            answer => answer?,
        };
        // RFC 9110 §14.2: a server may send all of it instead.
        let skip = match answer.status {
            StatusCode::PARTIAL_CONTENT => 0,
            _ => usize::try_from(offset).unwrap_or(usize::MAX),
        };
        let body = answer.body.get(skip..).unwrap_or_default();
        let take = body.len().min(buffer.len());
        buffer[..take].copy_from_slice(&body[..take]);
        Ok(take)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        let answer = self.ask(&Ask::of(Method::HEAD, name))?;
        let length = answer.headers.get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        length.ok_or_else(|| io::Error::other("the store does not say how long it is"))
    }

    fn put(&self, name: &str, from: &mut dyn Read, bytes: u64) -> io::Result<()> {
        let mut first = Vec::new();
        from.take(PART_BYTES as u64).read_to_end(&mut first)?;
        let put = if (first.len() as u64) < bytes && first.len() == PART_BYTES {
            self.put_in_parts(name, &mut from.take(bytes - PART_BYTES as u64), &first)?
        } else if first.len() as u64 == bytes {
            self.ask(&Ask { body: &first, ..Ask::of(Method::PUT, name) })?;
            bytes
        } else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let there = self.size(name)?;
        if put != bytes || there != bytes {
            self.remove(name)?;
            return Err(io::Error::other(format!("{there} of {bytes} bytes arrived")));
        }
        Ok(())
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        let prefix = self.key(&format!("{dir}/"));
        let (mut names, mut page) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let mut query = vec![("list-type", "2"), ("prefix", prefix.as_str())];
            if let Some(page) = &page {
                query.push(("continuation-token", page));
            }
            let answer = text(&self.ask(&Ask { query: &query, ..Ask::of(Method::GET, "") })?);
            let keys = answer.split("<Key>").skip(1);
            let keys = keys.filter_map(|rest| rest.split("</Key>").next());
            names.extend(
                keys.filter_map(|key| unescaped(key).strip_prefix(&prefix).map(str::to_owned)),
            );
            page = between(&answer, "NextContinuationToken");
            if between(&answer, "IsTruncated").as_deref() != Some("true") || page.is_none() {
                names.sort_unstable();
                return Ok(names);
            }
        }
        Err(io::Error::other("the bucket holds too many files below it"))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.ask(&Ask::of(Method::DELETE, name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn settle(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    /// Each request was signed with the hash of its body.
    fn wants_reading_back(&self) -> bool {
        false
    }

    /// Not every store has locks: that the manifest is still the same is looked at before it is
    /// replaced.
    fn lock(&self) -> io::Result<Box<dyn Any>> {
        Ok(Box::new(()))
    }
}

fn text(answer: &HttpResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// What stands in the first element of this name.
fn between(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(unescaped(rest.split_once(&format!("</{name}>"))?.0))
}

fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The words of an error's document.
fn told(answer: &str) -> String {
    let code = between(answer, "Code").unwrap_or_default();
    let message = between(answer, "Message").unwrap_or_default();
    format!("{code}: {message}")
}

fn refused(at: &Bucket, answer: &HttpResponse) -> io::Error {
    let (status, said) = (answer.status.as_u16(), told(&text(answer)));
    let bucket = &at.bucket;
    let mend = match (status, said.split(':').next().unwrap_or_default()) {
        (404, "NoSuchBucket") => format!("; make the bucket {bucket} first"),
        (404, _) => return io::ErrorKind::NotFound.into(),
        (416, _) => return io::ErrorKind::InvalidInput.into(),
        (301 | 307 | 400, "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
            format!("; {} is not its region: set backup.s3_region", at.region)
        }
        (403, "RequestTimeTooSkewed") => "; the clock of this machine is wrong".to_owned(),
        (401 | 403, _) => {
            "; look at backup.s3_key_id and backup.s3_secret_file (or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY), and at what that key may do with the bucket"
                .to_owned()
        }
        _ => String::new(),
    };
    io::Error::other(format!("{} answered {status} {said}{mend}", at.endpoint))
}
