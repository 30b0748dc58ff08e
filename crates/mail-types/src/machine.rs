use crate::Timestamp;

/// What a machine wants next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<Question> {
    /// Everything fed in is handled: feed more bytes, deliver an event, or wait for the deadline.
    NeedInput,
    /// The service must answer this through [`Machine::answer`] before the machine goes on. The
    /// driver may send output and read (not feed) meanwhile.
    Ask(Question),
    /// Send all output, then begin the TLS handshake. Bytes fed in but not yet handled are already
    /// forgotten (RFC 3207 §4.2: nothing read before the handshake may count after it).
    StartTls,
    /// Send all output; from then on everything in both directions is one DEFLATE stream each
    /// (RFC 1951, RFC 4978). Asked for once at most.
    StartCompression,
    /// Send all output, then close the connection.
    Close,
}

/// What the driver knows of a TLS session once it stands.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TlsFacts {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// Cipher suite by its IANA name.
    pub cipher: String,
    /// The name the client asked for (SNI), or the server's name we checked.
    pub server_name: Option<String>,
    /// What a sign-in can be bound to.
    pub bindings: ChannelBindings,
}

/// What is the same at both ends of a TLS session, and nowhere else (RFC 5056): a sign-in that
/// covers it cannot be passed on by somebody between.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266); only with TLS 1.3.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of the server's certificate.
    pub server_end_point: Option<Box<[u8]>>,
}

impl ChannelBindings {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.server_end_point.is_none()
    }

    /// The one of this name (IANA registry of channel bindings), if there is one.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            "tls-server-end-point" => self.server_end_point.as_deref(),
            _ => None,
        }
    }
}

/// Prints which there are, not what they are.
impl std::fmt::Debug for ChannelBindings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelBindings")
            .field("exporter", &self.exporter.is_some())
            .field("server_end_point", &self.server_end_point.is_some())
            .finish()
    }
}

/// A protocol as a pure machine: in go bytes, answers, events and the time; out come bytes,
/// questions and the next deadline. It holds no socket, clock, lock or log, and every buffer in it
/// has a limit. The driver in `net` runs all of them:
///
/// 1. `step` until it returns something other than `Ask`; on `Ask`, have the service answer.
/// 2. After each `step`, send what `output` holds (also while it is large and steps go on).
/// 3. On `NeedInput`, wait for bytes, an event or the deadline, and feed it.
pub trait Machine {
    /// What the machine asks of its service.
    type Question;
    /// What the service answers, one answer to each question.
    type Answer;
    /// What the service may tell it unasked (a push); `()` where there is none.
    type Event;

    /// Takes bytes from the peer; returns how many were taken (0 while a question is open or the
    /// buffer is full: step first).
    fn input(&mut self, bytes: &[u8], now: Timestamp) -> usize;

    /// Handles what is there, up to the next point where somebody else must act.
    fn step(&mut self, now: Timestamp) -> Step<Self::Question>;

    /// Takes the answer to the question of the last `Ask`.
    fn answer(&mut self, answer: Self::Answer, now: Timestamp);

    /// Takes something that happened elsewhere.
    fn event(&mut self, event: Self::Event, now: Timestamp);

    /// The bytes to send; the driver takes from its front, clearing what it has sent.
    fn output(&mut self) -> &mut Vec<u8>;

    /// The TLS handshake asked for by `StartTls` (or done at connect) stands.
    fn tls_started(&mut self, tls: TlsFacts, now: Timestamp);

    /// When to call `deadline_passed` if nothing else happens first.
    fn deadline(&self) -> Option<Timestamp>;

    /// The deadline went by: the machine says goodbye and closes, or does what its protocol wants.
    fn deadline_passed(&mut self, now: Timestamp);

    /// The peer closed its side: no more bytes will come.
    fn peer_closed(&mut self, now: Timestamp);

    /// The server is stopping: finish what is under way, then say goodbye (SMTP 421, IMAP BYE).
    fn shut_down(&mut self, now: Timestamp);
}
