//! Style, script and htmx, embedded in the binary. Their addresses carry a hash, so browsers keep them for good.

use std::sync::LazyLock;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use sha2::Digest as _;
use sha2::Sha256;

use crate::web::error::Error;
use crate::web::extract::address::Path;
use crate::web::state::AppState;

struct Asset {
    /// As templates ask for it: `app.css`.
    name: &'static str,
    kind: &'static str,
    body: &'static [u8],
    hash: String,
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |name, kind, body: &'static [u8]| {
        let hash = hex::encode(&Sha256::digest(body)[..8]);
        Asset { name, kind, body, hash }
    };
    vec![
        asset("app.css", CSS, include_bytes!("../../static/app.css")),
        asset("app.js", JS, include_bytes!("../../static/app.js")),
        asset("icon.svg", SVG, include_bytes!("../../static/icon.svg")),
        asset(
            "htmx.js",
            JS,
            include_bytes!("../../node_modules/htmx.org/dist/htmx.min.js"),
        ),
        asset(
            "sse.js",
            JS,
            include_bytes!("../../node_modules/htmx-ext-sse/dist/sse.min.js"),
        ),
    ]
});

pub fn router() -> Router<AppState> {
    Router::new().route("/assets/{file}", get(show))
}

/// The address of an asset, for templates. An unknown name gives an address that answers 404.
pub fn url(name: &str) -> String {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => format!("/assets/{}-{}", asset.hash, asset.name),
        None => format!("/assets/{name}"),
    }
}

/// GET /assets/{hash}-{name}
async fn show(Path(file): Path<String>, headers: HeaderMap) -> Result<Response, Error> {
    let (hash, name) = file.split_once('-').ok_or(Error::NotFound("file"))?;
    let found = ASSETS.iter().find(|asset| asset.name == name && asset.hash == hash);
    let asset = found.ok_or(Error::NotFound("file"))?;
    let etag = format!("\"{}\"", asset.hash);
    let cached = [
        (header::ETAG, etag.as_str()),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known == etag.as_str())
    {
        return Ok((StatusCode::NOT_MODIFIED, cached).into_response());
    }
    Ok((cached, [(header::CONTENT_TYPE, asset.kind)], asset.body).into_response())
}
