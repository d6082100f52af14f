//! Instruments: the list with what each is for, the form, the page of one run, and its files.

mod bisect;
mod budget;
mod chart;
mod index;
mod lottery;
mod new;
mod place;
mod regret;
mod show;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use sqlx::PgPool;

use crate::instrument::service::Instruments;
use crate::model::filing::Filed;
use crate::model::ids::InstrumentId;
use crate::model::instrument::Findings;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::budget::BudgetReport;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Path;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment::Hx;
use crate::web::pages::sharing;
use crate::web::state::AppState;
use crate::web::urls;

pub fn router() -> Router<AppState> {
    Router::new()
        .route(urls::INSTRUMENTS, get(index::index).post(new::create))
        .route("/instruments/new", get(new::new))
        .route("/instruments/{id}", get(show::show))
        .route("/instruments/{id}/progress", get(show::progress))
        .route("/instruments/{id}/stop", post(stop))
        .route("/instruments/{id}/chart.png", get(chart::png))
        .route("/instruments/{id}/{export}", get(download))
}

/// POST /instruments/{id}/stop
async fn stop(
    State(pool): State<PgPool>,
    State(instruments): State<Instruments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<InstrumentId>,
) -> PageResult<Response> {
    sharing::require_own(&mut *pool.acquire().await?, viewer, Filed::Instrument(id)).await?;
    instruments.stop(viewer, id).await?;
    Ok(hx.redirect(&urls::instrument(id)))
}

/// GET /instruments/{id}/export.json, export.csv, targets.sql
async fn download(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path((id, name)): Path<(String, String)>,
) -> PageResult<Response> {
    let id: InstrumentId = id.parse().map_err(|_| Error::NotFound("instrument"))?;
    let (ending, media_type) = match name.as_str() {
        "export.json" => ("json", "application/json"),
        "export.csv" => ("csv", "text/csv; charset=utf-8"),
        "targets.sql" => ("sql", "text/plain; charset=utf-8"),
        _ => return Err(Error::NotFound("file")),
    };
    let data = InstrumentData::load(&mut *pool.acquire().await?, viewer, id).await?;
    let data = data.ok_or(Error::NotFound("instrument"))?;
    let file_name = data.file_name(ending);
    let bytes = match ending {
        "json" => data.to_json()?,
        "sql" => match &data.instrument.result {
            Some(Findings::Budget(findings)) => BudgetReport::new(&data, findings)?.script().into_bytes(),
            _ => return Err(Error::NotFound("file")),
        },
        _ => data.to_csv()?,
    };
    let disposition =
        HeaderValue::from_str(&format!("attachment; filename=\"{file_name}\"")).map_err(anyhow::Error::new)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_DISPOSITION, disposition),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    Ok((headers, bytes).into_response())
}
