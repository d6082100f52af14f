//! The bundle of an experiment, written while it is sent.

use std::io;
use std::io::BufWriter;
use std::io::Write;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future;
use futures_util::stream;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tracing::error;

use crate::bundle::Draft;
use crate::model::ids::ExperimentId;
use crate::report::export;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::pages::chart_view::revision;

/// Bytes sent at a time.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for a slow reader; then the writer waits, too.
const PIECES_AHEAD: usize = 4;

/// GET /results/{id}/bundle.zip
pub(super) async fn bundle(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
    headers: HeaderMap,
) -> PageResult<Response> {
    let draft = Draft::load(&pool, viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    let name = export::file_name_of("bundle.zip", draft.data());
    let header_value = |text: String| HeaderValue::from_str(&text).map_err(anyhow::Error::new);
    let etag = header_value(format!("\"bundle-{id}-{}\"", revision(&draft.data().experiment)))?;
    let cached = [
        (header::ETAG, etag.clone()),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, max-age=31536000, immutable"),
        ),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == etag) {
        return Ok((StatusCode::NOT_MODIFIED, cached).into_response());
    }
    let (send, pieces) = mpsc::channel(PIECES_AHEAD);
    let writing = draft.write(BufWriter::with_capacity(PIECE_BYTES, Sending(send)));
    // Driven by whoever reads: when they are gone, so is the writing. An error ends the answer before its end.
    let failing = stream::once(writing).filter_map(move |written| {
        let failed = written.err().map(|reason| {
            error!(experiment.id = %id, "The bundle of experiment {id} could not be written: {reason:#}");
            Err(io::Error::other(reason))
        });
        future::ready(failed)
    });
    let body = Body::from_stream(stream::select(ReceiverStream::new(pieces).map(Ok), failing));
    let about = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (
            header::CONTENT_DISPOSITION,
            header_value(format!("attachment; filename=\"{name}\""))?,
        ),
    ];
    Ok((cached, about, body).into_response())
}

/// Sends what is written to whoever reads the answer.
struct Sending(mpsc::Sender<Bytes>);

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(bytes));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
