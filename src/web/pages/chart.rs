//! Charts: what an address asks for, and the pictures, drawn when they are asked for.

use std::collections::HashMap;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;

use crate::model::ids::ExperimentId;
use crate::model::trial::RecordedTrial;
use crate::report::chart::ChartError;
use crate::report::chart::Scale;
use crate::report::charts;
use crate::report::charts::Metric;
use crate::report::data::ReportData;
use crate::report::estimates;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment::Hx;
use crate::web::pages::chart_view::revision;
use crate::web::pages::picture::CanvasWish;
use crate::web::pages::picture::Picture;
use crate::web::pages::results::show;
use crate::web::state::AppState;
use crate::web::urls;

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/results/{id}/chart", get(block))
        .route("/results/{id}/chart.png", get(picture))
}

/// What kind of chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChartType {
    /// Every query.
    #[default]
    Bar,
    /// One query over the rounds.
    Line,
    /// One query, the middle and the ends of its trials.
    Box,
    /// One query, the share of its trials that had finished after so long.
    Cdf,
    /// Every query, its cost against its time.
    Scatter,
    /// Every query, how often its row estimates are far off.
    Estimates,
}

impl ChartType {
    pub const ALL: [Self; 6] = [
        Self::Bar,
        Self::Line,
        Self::Box,
        Self::Cdf,
        Self::Scatter,
        Self::Estimates,
    ];

    /// The word in addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Bar => "bar",
            Self::Line => "line",
            Self::Box => "box",
            Self::Cdf => "cdf",
            Self::Scatter => "scatter",
            Self::Estimates => "estimates",
        }
    }

    /// Whether it shows the trials of one query.
    pub fn is_of_one_query(self) -> bool {
        match self {
            Self::Line | Self::Box | Self::Cdf => true,
            Self::Bar | Self::Scatter | Self::Estimates => false,
        }
    }
}

/// What the address of results asks for; whatever it does not say, or says wrongly, is as usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChartParams {
    pub chart_type: ChartType,
    pub metric: Option<Metric>,
    pub is_log: Option<bool>,
    pub query_idx: i32,
    /// The source that the others are compared with.
    pub base_idx: i32,
    /// Comparisons without a difference are shown, too.
    pub shows_all: bool,
    /// However many rows the table of times has.
    pub has_all_rows: bool,
}

impl ChartParams {
    /// Out of an address.
    pub fn read(params: &HashMap<String, String>) -> Self {
        let get = |name: &str| params.get(name).map(String::as_str);
        Self {
            chart_type: ChartType::ALL
                .into_iter()
                .find(|chart_type| get("type") == Some(chart_type.word()))
                .unwrap_or_default(),
            metric: Metric::ALL
                .into_iter()
                .find(|metric| get("metric") == Some(metric.word())),
            is_log: match get("scale") {
                Some("log") => Some(true),
                Some("linear") => Some(false),
                _ => None,
            },
            query_idx: get("query").and_then(|text| text.parse().ok()).unwrap_or(0),
            base_idx: get("base").and_then(|text| text.parse().ok()).unwrap_or(0),
            shows_all: get("show") == Some("all"),
            has_all_rows: get("rows") == Some("all"),
        }
    }

    pub fn metric(self) -> Metric {
        self.metric.unwrap_or(Metric::Median)
    }

    /// As the end of a page's address.
    pub fn to_query(self) -> String {
        let mut query = self.to_picture_query();
        if self.base_idx != 0 {
            query.extend(["&base=", &self.base_idx.to_string()]);
        }
        if self.shows_all {
            query.push_str("&show=all");
        }
        if self.has_all_rows {
            query.push_str("&rows=all");
        }
        query
    }

    /// As the end of a picture's address: what is drawn, and nothing else.
    pub fn to_picture_query(self) -> String {
        let mut query = format!("type={}", self.chart_type.word());
        match self.chart_type {
            ChartType::Bar => query.extend(["&metric=", self.metric().word()]),
            ChartType::Line | ChartType::Box | ChartType::Cdf => {
                query.extend(["&query=", &self.query_idx.to_string()]);
            }
            ChartType::Scatter | ChartType::Estimates => {}
        }
        match self.is_log {
            Some(true) => query.push_str("&scale=log"),
            Some(false) => query.push_str("&scale=linear"),
            None => {}
        }
        query
    }
}

/// GET /results/{id}/chart: the section alone, for the switches.
async fn block(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    hx: Hx,
    Id(id): Id<ExperimentId>,
    UrlQuery(params): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let params = ChartParams::read(&params);
    hx.require_fragment_of(&format!("{}?{}", urls::result(id), params.to_query()))?;
    show::chart_block(&state, viewer, id, &params).await
}

/// GET /results/{id}/chart.png
async fn picture(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
    headers: HeaderMap,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let params = ChartParams::read(&given);
    let wish = CanvasWish::read(&given);
    let mut conn = state.pool.acquire().await?;
    let experiment = store::experiments::get(&mut conn, viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    let what = format!("{id} {} {}", params.to_picture_query(), revision(&experiment));
    let picture = Picture::new(&what, wish, experiment.job.status.is_settled())?;
    if let Some(answer) = picture.kept(&headers, &state.charts) {
        return Ok(answer);
    }
    let mut data = ReportData::load_rest(&mut conn, viewer, experiment, 0).await?;
    let trials = if params.chart_type.is_of_one_query() {
        store::trials::list(&mut conn, viewer, id, Some(params.query_idx)).await?
    } else {
        Vec::new()
    };
    if params.chart_type == ChartType::Line {
        data.load_looks(&mut conn, viewer).await?;
    }
    drop(conn);
    picture
        .draw(&state.charts, move || draw(&data, params, &trials, wish))
        .await
}

fn draw(
    data: &ReportData,
    params: ChartParams,
    trials: &[RecordedTrial],
    wish: CanvasWish,
) -> Result<Vec<u8>, ChartError> {
    let axis = if params.is_log == Some(true) {
        Scale::Log
    } else {
        Scale::Linear
    };
    match params.chart_type {
        ChartType::Bar => {
            let chart = charts::bars(data, params.metric(), axis);
            chart.draw(&wish.canvas(chart.default_size()?))
        }
        ChartType::Line => {
            let chart = charts::lines(data, params.query_idx, trials, axis);
            chart.draw(&wish.canvas(chart.default_size()?))
        }
        ChartType::Box => {
            let chart = charts::boxes(data, params.query_idx, trials, axis);
            chart.draw(&wish.canvas(chart.default_size()?))
        }
        ChartType::Cdf => {
            let chart = charts::shares(data, params.query_idx, trials, axis);
            chart.draw(&wish.canvas(chart.default_size()?))
        }
        ChartType::Scatter => {
            let chart = charts::costs(data);
            chart.draw(&wish.canvas(chart.default_size()?))
        }
        ChartType::Estimates => {
            let chart = estimates::chart(data);
            chart.draw(&wish.canvas(chart.default_size()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_chart_is_meant_and_nonsense_means_the_usual_one() {
        let read = |text: &str| {
            let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
            ChartParams::read(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        };
        for address in [
            "type=bar&metric=cost&scale=log",
            "type=line&query=3&scale=linear",
            "type=bar&metric=median",
            "type=box&query=2&scale=log",
            "type=cdf&query=0",
            "type=scatter",
            "type=line&query=3&base=2&show=all&rows=all",
            "type=estimates",
        ] {
            assert_eq!(read(address).to_query(), address);
        }
        assert_eq!(
            read("type=pie&metric=beauty&query=x&scale=golden"),
            ChartParams::default()
        );
    }
}
