//! GET /ws: tells programs by WebSocket how benchmarks go on.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::WebSocketUpgrade;
use axum::extract::ws::CloseFrame;
use axum::extract::ws::Message;
use axum::extract::ws::WebSocket;
use axum::extract::ws::close_code;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::http::uri::Authority;
use axum::response::Response;
use axum::routing::get;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::web::api::updates::Listener;
use crate::web::api::updates::Updates;
use crate::web::error;
use crate::web::error::Error;
use crate::web::extract::user::CurrentUser;
use crate::web::middleware::streams::Streams;
use crate::web::state::AppState;
use crate::web::state::Gate;
use crate::web::urls;

/// Nothing that a listener says is of interest, so it may not say much.
const MOST_HEARD_BYTES: usize = 4096;

/// Why a listener hears no more; one that still may can come again, and hears at once how everything stands.
const STOPS: &str = "pgassay stops";
const ENDS: &str = "listen again: who listens is looked at again now and then";

/// How long we wait for a listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Who does not take a message within this time is gone.
    pub send_within: Duration,
    /// Who has not said a word between two pings is gone.
    pub ping_every: Duration,
}

impl Default for Patience {
    /// Proxies in between take a connection for dead after a minute of silence.
    fn default() -> Self {
        Self {
            send_within: Duration::from_secs(10),
            ping_every: Duration::from_secs(15),
        }
    }
}

pub(super) fn router() -> Router<AppState> {
    Router::new().route(urls::UPDATES, get(listen))
}

/// GET /ws
async fn listen(
    State(updates): State<Updates>,
    State(shutdown): State<CancellationToken>,
    State(gate): State<Gate>,
    State(streams): State<Streams>,
    CurrentUser(viewer): CurrentUser,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Error> {
    // Browsers let any page open a socket to anywhere; all that protects is that they say whose page it is.
    if !is_ours(&headers, &gate) {
        return Err(error::foreign());
    }
    let upgrade = upgrade.map_err(|rejection| Error::Refused {
        status: rejection.status(),
        message: format!("This address is for WebSockets. {rejection}."),
    })?;
    let listener = updates.listen(viewer).ok_or_else(|| Error::Refused {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "As many programs as possible listen already. Try again later.".to_owned(),
    })?;
    let upgrade = upgrade
        .max_message_size(MOST_HEARD_BYTES)
        .max_frame_size(MOST_HEARD_BYTES);
    // From here on, and not from the end of the handshake, which is the listener's business.
    let end = streams.end();
    Ok(upgrade.on_upgrade(async move |socket| tell(socket, listener, Patience::default(), end, &shutdown).await))
}

/// Whether a request comes from a page of ours, or from no page at all. A proxy may have put another name into `Host` than
/// the one under which people know our pages.
fn is_ours(headers: &HeaderMap, gate: &Gate) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok();
    if origin.is_some() && origin == gate.public_origin.as_deref() {
        return true;
    }
    let origin = origin.and_then(|origin| origin.parse::<Uri>().ok());
    let origin = origin.as_ref().and_then(Uri::authority).map(Authority::as_str);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    origin.is_some() && origin == host
}

/// Tells a listener everything until it is gone, it has listened for so long that it has to say anew who it is, or we are
/// going.
pub(super) async fn tell(
    mut socket: WebSocket,
    mut listener: Listener,
    patience: Patience,
    end: impl Future<Output = ()>,
    shutdown: &CancellationToken,
) {
    let mut pings = tokio::time::interval(patience.ping_every);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, and there is nothing to ask yet.
    pings.reset();
    let mut is_silent = false;
    let mut end = pin!(end);
    let reason = loop {
        let messages = tokio::select! {
            // An answer that has arrived is heard before anybody is taken for silent.
            biased;
            () = shutdown.cancelled() => break STOPS,
            () = &mut end => break ENDS,
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {
                    is_silent = false;
                    Vec::new()
                }
            },
            news = listener.next() => match news {
                Some(texts) => texts.into_iter().map(Message::Text).collect(),
                None => break STOPS,
            },
            _ = pings.tick() => {
                if is_silent {
                    return;
                }
                is_silent = true;
                vec![Message::Ping(Bytes::new())]
            }
        };
        for message in messages {
            if !send(&mut socket, message, patience).await {
                return;
            }
        }
    };
    let farewell = CloseFrame {
        code: close_code::AWAY,
        reason: reason.into(),
    };
    // Whether it hears that or not, this is the end.
    let _ = send(&mut socket, Message::Close(Some(farewell)), patience).await;
}

/// False when the listener is gone or takes too long.
async fn send(socket: &mut WebSocket, message: Message, patience: Patience) -> bool {
    let sent = tokio::time::timeout(patience.send_within, socket.send(message)).await;
    matches!(sent, Ok(Ok(())))
}
