//! A search on the control socket: a line for each message as it is found, and one at the end.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context;
use archive_search::{
    Asked, Found, Pace, Query, Search, SearchError, Sight, TIME_MAX, Told, search_path,
};
use serde_json::{Value, json};
use store::{Store, Visit};

use crate::control::told;
use crate::data_dir::DataDir;
use crate::heads::Heads;
use crate::heads::command::prove;
use crate::jobs;
use crate::request::{Failure, Request};
use crate::search::{OwnSight, SearchRequest, reader, view};

/// Between two lines about how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long whoever asks may take to read what was found.
const WRITE_TIME: Duration = Duration::from_secs(300);

/// Serves a search. What goes wrong is told; that nobody listens any more ends it.
///
/// # Errors
/// Where nobody listens.
pub fn serve(
    store: &Store,
    search: Option<&Search>,
    heads: Option<&Heads>,
    request: &SearchRequest,
    stream: UnixStream,
) -> std::io::Result<()> {
    stream.set_write_timeout(Some(WRITE_TIME))?;
    let mut out = BufWriter::new(stream);
    let answer = match search {
        Some(search) => find(store, search, heads, request, &mut out),
        None => Err(Ending::Told(super::off())),
    };
    match answer {
        Ok(end) => line(&mut out, &json!({ "ok": { "end": end } }))?,
        Err(Ending::Told(failure)) => line(&mut out, &json!({ "error": failure }))?,
        Err(Ending::Gone(error)) => return Err(error),
    }
    out.flush()
}

enum Ending {
    Told(Failure),
    Gone(std::io::Error),
}

impl From<SearchError> for Ending {
    fn from(error: SearchError) -> Self {
        Self::Told(Failure { what: error.to_string(), mend: None })
    }
}

fn line(out: &mut impl Write, value: &Value) -> std::io::Result<()> {
    writeln!(out, "{value}")
}

fn find(
    store: &Store,
    search: &Search,
    heads: Option<&Heads>,
    request: &SearchRequest,
    out: &mut BufWriter<UnixStream>,
) -> Result<Value, Ending> {
    let began = Instant::now();
    let Some(text) = &request.query else {
        return Ok(view::overview(search, store)?);
    };
    let query = Query::parse(text, net::now())
        .map_err(|error| Ending::Told(Failure { what: error.to_string(), mend: None }))?;
    let count_max = request.count_max.unwrap_or(usize::MAX);
    let directory = store.directory();
    let own = match &request.account {
        Some(address) => {
            let account = crate::history::account(&directory, address).map_err(Ending::Told)?;
            Some(OwnSight::new(store, account).map_err(SearchError::Store)?)
        }
        None => None,
    };
    let sight = own.as_ref().map(|own| own as &dyn Sight);
    let excerpts = request.excerpts;
    let asked = Asked { query: &query, sight, count_max, excerpts, time: TIME_MAX };
    let mut gone = None;
    let mut first = None;
    let ended = search.find(store, &asked, &mut |told| {
        if !matches!(told, Told::Looking) {
            first.get_or_insert_with(|| began.elapsed());
        }
        let told = match told {
            Told::Found(found) => {
                let mut hit = view::hit(&found, &directory);
                if request.bodies {
                    hit["inclusion_proof"] = proof(heads, &found, sight.is_some());
                }
                tell(store, hit, &found, request.bodies, out)
            }
            Told::Lost(lost) => line(out, &json!({ "ok": { "hit": view::lost(&lost) } })),
            // By this it is noticed that whoever asked is gone.
            Told::Looking => {
                line(out, &json!({ "ok": { "looking": true } })).and_then(|()| out.flush())
            }
        };
        // Whoever waits sees it at once; an export is only taken.
        match told.and_then(|()| if request.bodies { Ok(()) } else { out.flush() }) {
            Ok(()) => Visit::GoOn,
            Err(error) => {
                gone = Some(error);
                Visit::Stop
            }
        }
    })?;
    match gone {
        Some(error) => Err(Ending::Gone(error)),
        None => Ok(view::end(&ended, first, began.elapsed())),
    }
}

/// The proof that the journal has the record of its acceptance, where heads are signed; without what
/// the record says where that is not for everybody.
pub fn proof(heads: Option<&Heads>, found: &Found, hash_only: bool) -> Value {
    let receipt = found.story.facts.receipt;
    let made = heads.map(|heads| prove(heads, receipt.mail.0, Some(receipt.check), hash_only));
    match made {
        Some(Ok(made)) => made["proof"].clone(),
        Some(Err(error)) => {
            tracing::warn!(%error, %receipt, "an exported message has no proof");
            Value::Null
        }
        None => Value::Null,
    }
}

fn tell(
    store: &Store,
    mut hit: Value,
    found: &Found,
    with_body: bool,
    out: &mut BufWriter<UnixStream>,
) -> std::io::Result<()> {
    if !with_body {
        return line(out, &json!({ "ok": { "hit": hit } }));
    }
    match store.body(&found.story.facts) {
        Ok(body) => {
            line(out, &json!({ "ok": { "hit": hit, "follow": body.len() } }))?;
            out.write_all(&body)
        }
        Err(error) => {
            hit["lost"] = json!(error.to_string());
            line(out, &json!({ "ok": { "hit": hit, "follow": 0 } }))
        }
    }
}

/// Whoever asks.
pub struct Client {
    reader: BufReader<UnixStream>,
    /// Where no server runs: the opened store and the thread that serves it.
    own: Option<(Store, std::thread::JoinHandle<()>)>,
}

/// Called with each message and, where they were asked for, its bytes.
pub type OnHit<'a> = &'a mut dyn FnMut(&Value, Vec<u8>) -> anyhow::Result<()>;

impl Client {
    /// Asks the server that runs, or the store itself.
    pub fn open(data: &DataDir, request: &SearchRequest) -> anyhow::Result<Self> {
        match UnixStream::connect(data.control_path()) {
            Ok(mut stream) => {
                let request = Request::Search(request.clone());
                writeln!(stream, "{}", serde_json::to_string(&request)?)?;
                Ok(Self { reader: BufReader::new(stream), own: None })
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
                ) =>
            {
                Self::on_the_store(data, request)
            }
            Err(error) => Err(error).with_context(|| {
                format!("cannot reach the server at {}", data.control_path().display())
            }),
        }
    }

    /// Nobody else makes messages searchable now: it is done first.
    fn on_the_store(data: &DataDir, request: &SearchRequest) -> anyhow::Result<Self> {
        let config = data.config()?;
        let (store, _) = Store::open(data.path(), DataDir::store_options(&config))
            .with_context(|| format!("cannot open the store in {}", data.path().display()))?;
        let (here, there) = UnixStream::pair()?;
        let (served, request, data) = (store.clone(), request.clone(), data.clone());
        let path = search_path(data.path());
        let enabled = config.search.enabled;
        let thread = std::thread::Builder::new().name("search".to_owned()).spawn(move || {
            let search = enabled.then(|| {
                let mut reader = reader::reader(&config);
                caught_up(&served, path, &mut *reader, &there)
            });
            let result = match search.transpose() {
                Ok(search) => {
                    let heads = request.bodies.then(|| Heads::open(&data, &config, &served));
                    let heads = heads.transpose().inspect_err(|error| {
                        tracing::warn!(%error, "exported messages have no proofs");
                    });
                    let heads = heads.ok().flatten();
                    serve(&served, search.as_ref(), heads.as_deref(), &request, there)
                }
                Err(error) => line(
                    &mut &there,
                    &json!({
                        "error": Failure { what: error.to_string(), mend: None }
                    }),
                ),
            };
            if let Err(error) = result {
                tracing::debug!(%error, "nobody listens to a search any more");
            }
        })?;
        Ok(Self { reader: BufReader::new(here), own: Some((store, thread)) })
    }

    /// Reads everything; answers the end.
    pub fn each(&mut self, on_hit: OnHit<'_>) -> anyhow::Result<Value> {
        loop {
            let mut answer = String::new();
            self.reader.read_line(&mut answer).context("the server went away")?;
            if answer.is_empty() {
                anyhow::bail!("the server went away before the search was over");
            }
            let mut answer: Value = serde_json::from_str(&answer)
                .context("the server's answer cannot be read; is it of another version?")?;
            if let Some(failure) = answer.get_mut("error") {
                return Err(told(serde_json::from_value(failure.take())?));
            }
            let ok = &mut answer["ok"];
            if ok.get("end").is_some() {
                return Ok(ok["end"].take());
            }
            if let Some(progress) = ok.get("progress") {
                view::show_progress(progress);
                continue;
            }
            if ok.get("looking").is_some() {
                continue;
            }
            let mut body =
                vec![0; ok["follow"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0)];
            self.reader.read_exact(&mut body).context("the server went away")?;
            on_hit(&ok["hit"], body)?;
        }
    }

    /// Ends the session; an own store is closed in order.
    pub fn close(self) -> anyhow::Result<()> {
        drop(self.reader);
        if let Some((store, thread)) = self.own {
            thread.join().map_err(|_| anyhow::anyhow!("the search ended by a bug"))?;
            store.close();
        }
        Ok(())
    }
}

/// Does a request that may need the search, where no server runs: what is not searchable yet is made
/// so first.
pub fn perform_alone(
    data: &DataDir,
    config: &config::Config,
    store: &Store,
    request: Request,
    actor: &store::Actor,
) -> Result<Value, Failure> {
    let wants = matches!(&request, Request::RestoreFound(ask) if ask.query.is_some());
    let search = (wants && config.search.enabled).then(|| {
        let mut reader = reader::reader(config);
        Search::caught_up(store, search_path(data.path()), &mut *reader, &mut |_| {
            Pace::After(Duration::ZERO)
        })
    });
    let search =
        search.transpose().map_err(|error| Failure { what: error.to_string(), mend: None })?;
    jobs::perform(store, search.as_ref(), request, actor, &jobs::Watch::default())
}

fn caught_up(
    store: &Store,
    path: std::path::PathBuf,
    reader: &mut dyn archive_search::Reader,
    out: &UnixStream,
) -> Result<Search, SearchError> {
    let mut told = Instant::now();
    Search::caught_up(store, path, reader, &mut |progress| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let progress = json!({ "ok": { "progress": view::progress(&progress) } });
            if line(&mut &*out, &progress).is_err() {
                return Pace::Stop;
            }
        }
        Pace::After(Duration::ZERO)
    })
}
