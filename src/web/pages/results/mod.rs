//! Results: the list, the page of one experiment, and what can be done with it.

mod bundle;
pub mod compared;
mod costs;
mod index;
mod observer;
pub mod show;

use std::collections::HashMap;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use sha2::Digest as _;
use sha2::Sha256;
use sqlx::PgPool;

use crate::experiment::service::Experiments;
use crate::model::filing::Filed;
use crate::model::ids::ExperimentId;
use crate::report::data::ReportData;
use crate::report::document::STYLE;
use crate::report::export;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Path;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::form::Form;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment::Hx;
use crate::web::pages::chart::ChartParams;
use crate::web::pages::sharing;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/results", get(index::index))
        .route("/results/{id}", get(show::show))
        .route("/results/{id}/table", get(show::show_table))
        .route("/results/{id}/stop", post(stop))
        .route("/results/{id}/rerun", post(rerun))
        .route("/results/{id}/bundle.zip", get(bundle::bundle))
        .route("/results/{id}/{export}", get(download))
}

/// POST /results/{id}/stop
async fn stop(
    State(pool): State<PgPool>,
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<ExperimentId>,
) -> PageResult<Response> {
    sharing::require_own(&mut *pool.acquire().await?, viewer, Filed::Experiment(id)).await?;
    experiments.stop(viewer, id).await?;
    Ok(hx.redirect(&urls::result(id)))
}

/// A file to take away, or to be read in the browser.
pub struct FileAnswer<'a> {
    /// As it is saved.
    pub name: &'a str,
    pub media_type: &'static str,
    pub is_read: bool,
}

impl FileAnswer<'_> {
    pub fn with(&self, bytes: Vec<u8>) -> PageResult<Response> {
        let how = if self.is_read { "inline" } else { "attachment" };
        let disposition = format!("{how}; filename=\"{}\"", self.name);
        let disposition = HeaderValue::from_str(&disposition).map_err(anyhow::Error::new)?;
        let policy = HeaderValue::from_str(&report_policy()).map_err(anyhow::Error::new)?;
        let headers = [
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::CONTENT_TYPE, HeaderValue::from_static(self.media_type)),
            (header::CONTENT_DISPOSITION, disposition),
            (header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
        ];
        Ok((headers, bytes).into_response())
    }
}

/// What a file may do in a browser: show the report's own style and the pictures in it, and nothing else.
fn report_policy() -> String {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

#[derive(Debug, Deserialize)]
struct RerunForm {
    #[serde(default)]
    request_id: String,
}

/// POST /results/{id}/rerun
async fn rerun(
    State(experiments): State<Experiments>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<ExperimentId>,
    Form(form): Form<RerunForm>,
) -> PageResult<Response> {
    let request_id = view::request_id_or(form.request_id)?;
    let id = experiments.rerun(viewer, id, &request_id).await?;
    Ok(hx.redirect(&urls::result(id)))
}

/// GET /results/{id}/export.csv, and so on: one for each exporter
async fn download(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path((id, name)): Path<(String, String)>,
    UrlQuery(params): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let exporter = export::find(&name).ok_or(Error::NotFound("file"))?;
    let id: ExperimentId = id.parse().map_err(|_| Error::NotFound("experiment"))?;
    let mut conn = pool.acquire().await?;
    let data = ReportData::load_whole(&mut conn, viewer, id, ChartParams::read(&params).base_idx)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    let trials = store::trials::list(&mut conn, viewer, id, None).await?;
    drop(conn);
    let file_name = export::file_name(exporter, &data);
    let bytes = tokio::task::spawn_blocking(move || exporter.write(&data, &trials))
        .await
        .map_err(anyhow::Error::new)??;
    let file = FileAnswer {
        name: &file_name,
        media_type: exporter.media_type(),
        is_read: exporter.is_read(),
    };
    file.with(bytes)
}
