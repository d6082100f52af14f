//! The picture of a run, where its instrument has one.

use std::collections::HashMap;

use axum::extract::Query as UrlQuery;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use sqlx::PgPool;

use crate::model::ids::InstrumentId;
use crate::model::instrument::Findings;
use crate::report::chart::Canvas;
use crate::report::chart::ChartError;
use crate::report::chart::OddsChart;
use crate::report::chart::Theme;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::lottery::LotteryReport;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::urls;

/// A picture as a page shows it: in both themes, at the screen's own resolution.
pub(super) struct PictureView {
    pub width: u32,
    pub height: u32,
    pub light: String,
    pub light_2x: String,
    pub dark: String,
    pub dark_2x: String,
}

impl PictureView {
    pub fn new(id: InstrumentId, chart: &OddsChart) -> Self {
        // The page stands without its picture; the picture's own address then says what is wrong.
        let (width, height) = chart.default_size().unwrap_or((880, 420));
        let address =
            |theme: &str, dpr: u32| format!("{}?theme={theme}&dpr={dpr}", urls::instrument_part(id, "chart.png"));
        Self {
            width,
            height,
            light: address("light", 1),
            light_2x: address("light", 2),
            dark: address("dark", 1),
            dark_2x: address("dark", 2),
        }
    }
}

/// GET /instruments/{id}/chart.png?theme=&dpr=&w=&h=
pub(super) async fn png(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<InstrumentId>,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let data = InstrumentData::load(&mut *pool.acquire().await?, viewer, id).await?;
    let data = data.ok_or(Error::NotFound("instrument"))?;
    let chart = match &data.instrument.result {
        Some(Findings::Lottery(findings)) => LotteryReport::new(&data, findings)?.chart(),
        Some(Findings::Bisect(_) | Findings::Budget(_) | Findings::Regret(_)) | None => {
            return Err(Error::NotFound("picture"));
        }
    };
    // A settled run never changes.
    let caching = if data.instrument.job.status.is_settled() {
        "private, max-age=31536000, immutable"
    } else {
        "private, no-cache"
    };
    let number = |name: &str| given.get(name).and_then(|text| text.parse::<u32>().ok());
    let (scale, width, height) = (number("dpr").unwrap_or(1), number("w"), number("h"));
    let theme = match given.get("theme").map(String::as_str) {
        Some("dark") => Theme::Dark,
        _ => Theme::Light,
    };
    let drawing = tokio::task::spawn_blocking(move || {
        let usual = chart.default_size()?;
        chart.draw(&Canvas {
            width: width.unwrap_or(usual.0),
            height: height.unwrap_or(usual.1),
            scale,
            theme,
        })
    });
    match drawing.await.map_err(anyhow::Error::new)? {
        Ok(png) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("image/png")),
                (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
            ];
            Ok((headers, png).into_response())
        }
        Err(error @ ChartError::Size { .. }) => Err(Error::refused(error.to_string())),
        Err(error) => Err(Error::Fault(error.into())),
    }
}
