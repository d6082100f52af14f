//! How a connection comes about: the host's addresses one after the other, TLS or not as the mode has it, and who we
//! are.
//!
//! The order of attempts in the modes `allow` and `prefer` is that of libpq (`PQconnectPoll` in `fe-connect.c`).

use std::io;
use std::sync::Arc;

use postgres_protocol::authentication;
use postgres_protocol::authentication::sasl;
use postgres_protocol::authentication::sasl::ChannelBinding;
use postgres_protocol::authentication::sasl::ScramSha256;
use postgres_protocol::message::frontend;

use crate::target::ServerError;
use crate::target::wire::Lost;
use crate::target::wire::TransactionStatus;
use crate::target::wire::Wire;
use crate::target::wire::answer::Answer;
use crate::target::wire::cancel::Canceller;
use crate::target::wire::cancel::Key;
use crate::target::wire::dial::Dial;
use crate::target::wire::dial::Place;
use crate::target::wire::incoming::Incoming;
use crate::target::wire::outgoing::Outgoing;
use crate::target::wire::said;
use crate::target::wire::stream::Spot;
use crate::target::wire::stream::Stream;
use crate::target::wire::tls;
use crate::target::wire::tls::Binding;
use crate::target::wire::tls::TlsMode;

/// Why there is no connection. Sentences without a full stop, in which no password stands.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server does not let us in: too many clients (53300), a wrong password (28P01), and more.
    #[error("{0}")]
    Refused(ServerError),
    /// There is nobody, or nobody who answers.
    #[error("{place} cannot be reached: {error}")]
    Away { place: String, error: io::Error },
    /// Something answers, and does not keep to the protocol or stops in the middle.
    #[error("{place}: {lost}")]
    Lost { place: String, lost: Lost },
    /// It lets us in, and is of no use then.
    #[error("{place} lets us in, and then: {sentence}")]
    Silent { place: String, sentence: String },
    /// What one side asks for the other does not have: TLS, a certificate that is trusted, a password.
    #[error("{0}")]
    Unmet(String),
}

impl ConnectError {
    pub(super) fn away(dial: &Dial, error: io::Error) -> Self {
        Self::Away {
            place: dial.place.to_string(),
            error,
        }
    }

    pub(super) fn too_slow(dial: &Dial) -> Self {
        let sentence = format!("no answer within {} s", dial.connect_timeout.as_secs_f64());
        Self::away(dial, io::Error::new(io::ErrorKind::TimedOut, sentence))
    }

    fn not_listed(dial: &Dial) -> Self {
        Self::Unmet(format!(
            "{} is not among the servers that may be reached from here; whoever runs pgassay lists them in \
             PGASSAY_SERVER_HOSTS",
            dial.place
        ))
    }

    fn lost(dial: &Dial, lost: Lost) -> Self {
        Self::Lost {
            place: dial.place.to_string(),
            lost,
        }
    }
}

/// Whether an attempt uses TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    Plain,
    /// If the server offers it.
    MaybeTls,
    Tls,
}

/// Why an attempt failed, and what the next one has to know of it.
struct Failure {
    error: ConnectError,
    /// The attempt ended before the server knew who we are.
    is_before_admission: bool,
    used_tls: bool,
}

/// Refuses a place that may not be reached, as far as that can be said without going there: a listed name may have no
/// address just now, and whether it may be reached is asked again whenever it is.
pub(super) async fn check(dial: &Dial) -> Result<(), ConnectError> {
    let resolving = tokio::time::timeout(dial.connect_timeout, dial.place.spots(&dial.destinations));
    let is_listed = match (resolving.await, &dial.place) {
        (Ok(Ok(spots)), _) => spots.is_some(),
        (_, Place::Unix { .. }) => dial.destinations.admit_sockets(),
        (_, Place::Tcp { host, port }) => dial.destinations.list(host, *port),
    };
    is_listed.then_some(()).ok_or_else(|| ConnectError::not_listed(dial))
}

/// Tries the addresses of the host in order, until something answers.
pub(super) async fn connect(dial: &Dial) -> Result<Wire, ConnectError> {
    let password = dial.password.get().await.map_err(ConnectError::Unmet)?;
    let password = password.as_deref();
    let resolving = tokio::time::timeout(dial.connect_timeout, dial.place.spots(&dial.destinations)).await;
    let spots = resolving
        .map_err(|_| ConnectError::too_slow(dial))?
        .map_err(|error| ConnectError::away(dial, error))?
        .ok_or_else(|| ConnectError::not_listed(dial))?;
    let mut last = None;
    for spot in spots {
        let trying = tokio::time::timeout(dial.connect_timeout, try_spot(dial, password, &spot));
        match trying.await.unwrap_or_else(|_| Err(ConnectError::too_slow(dial))) {
            Err(error @ ConnectError::Away { .. }) => last = Some(error),
            settled => return settled,
        }
    }
    Err(last.expect("a place has at least one spot"))
}

/// Makes the one or two attempts that the TLS mode means.
async fn try_spot(dial: &Dial, password: Option<&str>, spot: &Spot) -> Result<Wire, ConnectError> {
    let mode = match spot {
        Spot::Unix(_) => TlsMode::Disable,
        Spot::Tcp(_) => dial.tls.mode,
    };
    let (first, second) = match mode {
        TlsMode::Disable => (Means::Plain, None),
        TlsMode::Allow => (Means::Plain, Some(Means::Tls)),
        TlsMode::Prefer => (Means::MaybeTls, Some(Means::Plain)),
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => (Means::Tls, None),
    };
    let failure = match attempt(dial, password, spot, first).await {
        Ok(wire) => return Ok(wire),
        Err(failure) => failure,
    };
    let is_for_another_try = failure.is_before_admission
        && match first {
            Means::Plain => matches!(failure.error, ConnectError::Refused(_)),
            Means::MaybeTls => failure.used_tls,
            Means::Tls => false,
        };
    let Some(second) = second.filter(|_| is_for_another_try) else {
        return Err(failure.error);
    };
    match attempt(dial, password, spot, second).await {
        Ok(wire) => Ok(wire),
        // What was said over TLS is said to those who may come in; the other says that one has to use it.
        Err(again) => Err(match (&failure.error, &again.error) {
            (ConnectError::Refused(_), ConnectError::Refused(_)) if failure.used_tls => failure.error,
            (ConnectError::Refused(_), error) if !matches!(error, ConnectError::Refused(_)) => failure.error,
            _ => again.error,
        }),
    }
}

/// Opens the way to a server, which then still knows nothing of us.
pub(super) async fn reach(dial: &Dial, spot: &Spot, means: Means) -> Result<Stream, ConnectError> {
    let mut stream = Stream::open(spot)
        .await
        .map_err(|error| ConnectError::away(dial, error))?;
    if means == Means::Plain {
        return Ok(stream);
    }
    let mut out = Outgoing::new();
    frontend::ssl_request(out.start());
    let asked = stream.send(out.bytes()).await;
    asked.map_err(|error| ConnectError::lost(dial, Lost::Broke(error)))?;
    // One byte and no more: what comes behind it is TLS, or an intruder's.
    let mut answer = [0];
    let n_bytes = stream.receive(&mut answer).await;
    let n_bytes = n_bytes.map_err(|error| ConnectError::lost(dial, Lost::Broke(error)))?;
    match (n_bytes, answer, stream, &dial.place) {
        (0, ..) => Err(ConnectError::lost(dial, Lost::Closed)),
        (_, [b'S'], Stream::Tcp(stream), Place::Tcp { host, .. }) => {
            let wrapped = dial.tls.wrap(stream, host).await.map_err(ConnectError::Unmet)?;
            Ok(Stream::Tls(Box::new(wrapped)))
        }
        (_, [b'N'], stream, _) if means == Means::MaybeTls => Ok(stream),
        (_, [b'N'], ..) => {
            let sentence = format!("{} does not offer TLS, which is asked for", dial.place);
            Err(ConnectError::Unmet(sentence))
        }
        _ => {
            let lost = Lost::Garbage("it answers a request for TLS with neither yes nor no");
            Err(ConnectError::lost(dial, lost))
        }
    }
}

async fn attempt(dial: &Dial, password: Option<&str>, spot: &Spot, means: Means) -> Result<Wire, Failure> {
    let stream = reach(dial, spot, means).await.map_err(|error| Failure {
        // A handshake that fails: `prefer` then goes without TLS.
        is_before_admission: true,
        used_tls: matches!(error, ConnectError::Unmet(_)),
        error,
    })?;
    let used_tls = matches!(stream, Stream::Tls(_));
    let mut entrance = Entrance {
        dial,
        password,
        stream,
        incoming: Incoming::new(),
        outgoing: Outgoing::new(),
        scram: None,
        is_bound: false,
        is_admitted: false,
        key: None,
    };
    match entrance.enter().await {
        Ok(status) => {
            let Entrance { key, stream, .. } = entrance;
            let canceller = Canceller {
                dial: dial.clone(),
                spot: spot.clone(),
                means: if used_tls { Means::Tls } else { Means::Plain },
                key,
            };
            Ok(Wire {
                stream,
                incoming: entrance.incoming,
                outgoing: entrance.outgoing,
                answer: Answer::default(),
                status,
                is_usable: true,
                canceller: Arc::new(canceller),
            })
        }
        Err(error) => Err(Failure {
            error,
            is_before_admission: !entrance.is_admitted,
            used_tls,
        }),
    }
}

/// A session that is not ready yet.
struct Entrance<'a> {
    dial: &'a Dial,
    password: Option<&'a str>,
    stream: Stream,
    incoming: Incoming,
    outgoing: Outgoing,
    scram: Option<Scram>,
    /// The password is proved in a way that holds for this TLS session only.
    is_bound: bool,
    is_admitted: bool,
    key: Option<Key>,
}

/// How far the proof of the password has come.
enum Scram {
    Begun(Box<ScramSha256>),
    Continued(Box<ScramSha256>),
    /// The server has proved that it knows the password, too.
    Finished,
}

/// What a message asks for while a session begins.
enum Ask {
    Nothing,
    Send,
    Ready(TransactionStatus),
}

impl Entrance<'_> {
    async fn enter(&mut self) -> Result<TransactionStatus, ConnectError> {
        self.put_startup()?;
        self.send().await?;
        loop {
            match self.next()? {
                Some(Ask::Nothing) => {}
                Some(Ask::Send) => self.send().await?,
                Some(Ask::Ready(status)) => return Ok(status),
                None => {
                    let filled = self.incoming.fill(&mut self.stream).await;
                    filled.map_err(|lost| ConnectError::lost(self.dial, lost))?;
                }
            }
        }
    }

    fn put_startup(&mut self) -> Result<(), ConnectError> {
        let dial = self.dial;
        let own = [
            ("user", &*dial.user),
            ("database", &dial.database),
            ("application_name", &dial.application_name),
            ("client_encoding", "UTF8"),
        ];
        let settings = dial.settings.iter().map(|(name, value)| (&**name, &**value));
        let put = frontend::startup_message(own.into_iter().chain(settings), self.outgoing.start());
        put.map_err(|_| {
            ConnectError::Unmet(
                "no name and no setting of a connection can hold the character with the number 0".into(),
            )
        })
    }

    async fn send(&mut self) -> Result<(), ConnectError> {
        let sent = self.stream.send(self.outgoing.bytes()).await;
        sent.map_err(|error| ConnectError::lost(self.dial, Lost::Broke(error)))
    }

    /// Takes one message, if one has arrived.
    fn next(&mut self) -> Result<Option<Ask>, ConnectError> {
        let dial = self.dial;
        let garbage = |what| ConnectError::lost(dial, Lost::Garbage(what));
        let message = self
            .incoming
            .next(false)
            .map_err(|lost| ConnectError::lost(dial, lost))?;
        let Some(message) = message else {
            return Ok(None);
        };
        let ask = match message.tag {
            b'E' => return Err(ConnectError::Refused(said::server_error(message.body))),
            b'N' | b'S' => Ask::Nothing,
            b'R' if !self.is_admitted => {
                let body = message.body.to_vec();
                let (request, data) = body
                    .split_first_chunk()
                    .ok_or_else(|| garbage("it asks for a password in no known way"))?;
                return self.authenticate(u32::from_be_bytes(*request), data).map(Some);
            }
            b'K' if self.is_admitted => {
                let mut numbers = message.body.chunks_exact(4).filter_map(<[u8]>::first_chunk);
                let mut number = || numbers.next().map(|bytes| i32::from_be_bytes(*bytes));
                self.key = number()
                    .zip(number())
                    .map(|(process_id, secret)| Key { process_id, secret });
                Ask::Nothing
            }
            b'Z' if self.is_admitted => {
                let status = TransactionStatus::read(message.body);
                Ask::Ready(status.ok_or_else(|| garbage("it is ready in no known state"))?)
            }
            _ => return Err(garbage("it does not begin a session as a server does")),
        };
        Ok(Some(ask))
    }

    /// Answers one request of "Start-up" in PostgreSQL's chapter on message flow; the numbers are those of "Message
    /// Formats".
    fn authenticate(&mut self, request: u32, data: &[u8]) -> Result<Ask, ConnectError> {
        let dial = self.dial;
        let garbage = || {
            ConnectError::lost(
                dial,
                Lost::Garbage("it breaks off in the middle of asking for a password"),
            )
        };
        if matches!(request, 0 | 3 | 5) && dial.tls.binding == Binding::Required && !self.is_bound {
            return Err(self.not_bound());
        }
        match (request, self.scram.take()) {
            (0, None | Some(Scram::Finished)) => {
                self.is_admitted = true;
                Ok(Ask::Nothing)
            }
            (3, None) => self.answer_with(<[u8]>::to_vec),
            (5, None) => {
                let salt = *data.first_chunk().ok_or_else(garbage)?;
                let user = dial.user.as_bytes();
                self.answer_with(|password| authentication::md5_hash(user, password, salt).into_bytes())
            }
            (10, None) => self.begin_scram(data),
            (11, Some(Scram::Begun(mut scram))) => {
                scram.update(data).map_err(|_| garbage())?;
                let put = frontend::sasl_response(scram.message(), self.outgoing.start());
                put.map_err(|_| garbage())?;
                self.scram = Some(Scram::Continued(scram));
                Ok(Ask::Send)
            }
            (12, Some(Scram::Continued(mut scram))) => {
                scram.finish(data).map_err(|_| {
                    ConnectError::Unmet(format!("{} does not prove that it knows the password", dial.place))
                })?;
                self.scram = Some(Scram::Finished);
                Ok(Ask::Nothing)
            }
            (2 | 6..=9, None) => Err(ConnectError::Unmet(format!(
                "{} asks for Kerberos, GSSAPI or SSPI, which pgassay does not know; it knows passwords",
                dial.place
            ))),
            _ => Err(garbage()),
        }
    }

    fn not_bound(&self) -> ConnectError {
        ConnectError::Unmet(format!(
            "{} does not bind the password to its certificate, which channel_binding=require asks for",
            self.dial.place
        ))
    }

    fn password(&self) -> Result<&[u8], ConnectError> {
        let dial = self.dial;
        self.password.map(str::as_bytes).ok_or_else(|| {
            ConnectError::Unmet(format!(
                "{} asks for the password of {}, and there is none",
                dial.place, dial.user
            ))
        })
    }

    fn answer_with(&mut self, proof: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<Ask, ConnectError> {
        let proof = proof(self.password()?);
        let put = frontend::password_message(&proof, self.outgoing.start());
        put.map_err(|_| ConnectError::Unmet("no password can hold the character with the number 0".to_owned()))?;
        Ok(Ask::Send)
    }

    fn begin_scram(&mut self, mechanisms: &[u8]) -> Result<Ask, ConnectError> {
        let offers = |name: &str| {
            mechanisms
                .split(|byte| *byte == 0)
                .any(|offered| offered == name.as_bytes())
        };
        let end_point = match &self.stream {
            Stream::Tls(stream) => tls::end_point(stream),
            Stream::Unix(_) | Stream::Tcp(_) => None,
        };
        let end_point = end_point.filter(|_| self.dial.tls.binding != Binding::Never);
        let (mechanism, binding) = match end_point {
            Some(end_point) if offers(sasl::SCRAM_SHA_256_PLUS) => {
                self.is_bound = true;
                (
                    sasl::SCRAM_SHA_256_PLUS,
                    ChannelBinding::tls_server_end_point(end_point),
                )
            }
            _ if self.dial.tls.binding == Binding::Required => return Err(self.not_bound()),
            Some(_) if offers(sasl::SCRAM_SHA_256) => (sasl::SCRAM_SHA_256, ChannelBinding::unrequested()),
            None if offers(sasl::SCRAM_SHA_256) => (sasl::SCRAM_SHA_256, ChannelBinding::unsupported()),
            _ => {
                let sentence = format!("{} takes passwords in no way that pgassay knows", self.dial.place);
                return Err(ConnectError::Unmet(sentence));
            }
        };
        let scram = ScramSha256::new(self.password()?, binding);
        let put = frontend::sasl_initial_response(mechanism, scram.message(), self.outgoing.start());
        put.expect("names of mechanisms hold no zero byte");
        self.scram = Some(Scram::Begun(Box::new(scram)));
        Ok(Ask::Send)
    }
}
