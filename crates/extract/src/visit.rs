use std::io;

/// Bytes read at a time where spans lie near each other: what stays in a core's cache between the
/// read and the look at it. A larger span is read alone, whole.
const WINDOW_BYTES: usize = 256 << 10;
/// Bytes between two spans that are rather read than passed over.
const GAP_BYTES: u64 = 16 << 10;

/// Bytes in one of several numbered files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSpan {
    /// Number of the file.
    pub file: u32,
    /// Bytes from its beginning.
    pub offset: u64,
    /// Bytes.
    pub bytes: usize,
}

impl FileSpan {
    const fn end(&self) -> u64 {
        self.offset + self.bytes as u64
    }
}

/// Whether a visit goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// To the next.
    GoOn,
    /// This was the last.
    Stop,
}

/// Numbered files that can be read.
pub trait ReadAt {
    /// Reads until `buffer` is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, file: u32, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// Reads spans in the order given, those near each other with one call, and shows each with its
/// place; `None` for one that is no span, or cannot be read whole. It stops where `each` says so.
pub fn visit(
    spans: impl Iterator<Item = Option<FileSpan>>,
    files: &impl ReadAt,
    mut each: impl FnMut(usize, Option<&[u8]>) -> Visit,
) {
    let mut spans = spans.enumerate().peekable();
    let mut window = Vec::new();
    // Spans that one read covers, with their places; gaps are of those that are none.
    let mut run: Vec<(usize, Option<FileSpan>)> = Vec::new();
    while let Some((at, first)) = spans.next() {
        let Some(first) = first else {
            if each(at, None) == Visit::Stop {
                return;
            }
            continue;
        };
        run.clear();
        run.push((at, Some(first)));
        let mut end = first.end();
        while let Some((at, next)) = spans.next_if(|(_, next)| joins(&first, end, next.as_ref())) {
            end = next.map_or(end, |next| next.end());
            run.push((at, next));
        }
        let read = read_run(&mut window, files, &first, end);
        for &(at, span) in &run {
            let bytes = span.and_then(|span| {
                let start = (span.offset - first.offset) as usize;
                window[..read].get(start..start + span.bytes)
            });
            if each(at, bytes) == Visit::Stop {
                return;
            }
        }
    }
}

fn joins(first: &FileSpan, end: u64, next: Option<&FileSpan>) -> bool {
    next.is_none_or(|next| {
        next.file == first.file
            && next.offset >= end
            && next.offset - end <= GAP_BYTES
            && next.end() - first.offset <= WINDOW_BYTES as u64
    })
}

/// Reads from the first span to `end`; the bytes that were read stand at the window's begin.
fn read_run(window: &mut Vec<u8>, files: &impl ReadAt, first: &FileSpan, end: u64) -> usize {
    let want = (end - first.offset) as usize;
    if window.len() < want {
        window.resize(want, 0);
    }
    let read = files.read_at(first.file, first.offset, &mut window[..want]);
    read.unwrap_or_else(|error| {
        // A file that is not there is the ordinary case of nothing kept.
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(%error, file = first.file, "what is kept of messages cannot be read");
        }
        0
    })
}
