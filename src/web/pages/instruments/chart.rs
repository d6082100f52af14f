//! The picture of a run, where its instrument has one.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::model::ids::InstrumentId;
use crate::model::instrument::Findings;
use crate::report::chart::OddsChart;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::lottery::LotteryReport;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::pages::picture::CanvasWish;
use crate::web::pages::picture::Picture;
use crate::web::state::AppState;
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
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<InstrumentId>,
    headers: HeaderMap,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let data = InstrumentData::load(&mut *state.pool.acquire().await?, viewer, id).await?;
    let data = data.ok_or(Error::NotFound("instrument"))?;
    let chart = match &data.instrument.result {
        Some(Findings::Lottery(findings)) => LotteryReport::new(&data, findings)?.chart(),
        Some(Findings::Bisect(_) | Findings::Budget(_) | Findings::Regret(_)) | None => {
            return Err(Error::NotFound("picture"));
        }
    };
    let wish = CanvasWish::read(&given);
    let what = format!("instrument {id} {}", data.instrument.job.status.word());
    let picture = Picture::new(&what, wish, data.instrument.job.status.is_settled())?;
    if let Some(answer) = picture.kept(&headers, &state.charts) {
        return Ok(answer);
    }
    picture
        .draw(&state.charts, move || chart.draw(&wish.canvas(chart.default_size()?)))
        .await
}
