//! The charts of a benchmark: what an address asks for, the switches between them, and the pictures.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::benchmark::service::Benchmarks;
use crate::model::benchmark::Benchmark;
use crate::model::ids::BenchmarkId;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::Detail;
use crate::report::benchmark::Percentiles;
use crate::report::benchmark::chart;
use crate::report::benchmark::chart::ChartKind;
use crate::report::benchmark::chart::ChartWish;
use crate::report::chart::ChartError;
use crate::report::chart::Scale;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::pages::benchmarks::measure;
use crate::web::pages::chart_view::Switch;
use crate::web::pages::picture::CanvasWish;
use crate::web::pages::picture::Picture;
use crate::web::pages::picture::Sources;
use crate::web::state::AppState;
use crate::web::urls;

/// What the address of a benchmark asks for; whatever it does not say, or says wrongly, is as usual.
#[derive(Clone, Debug)]
pub(super) struct ViewParams {
    pub kind: ChartKind,
    pub percentiles: Percentiles,
    /// Why the percentiles are not those of the address.
    pub problem: Option<String>,
    /// None for all levels.
    pub level_idx: Option<i32>,
    pub scale: Option<Scale>,
}

impl ViewParams {
    pub fn read(given: &HashMap<String, String>) -> Self {
        let get = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
        let (percentiles, problem) = measure::percentiles(get("p"));
        Self {
            kind: ChartKind::parse(get("type")).unwrap_or(ChartKind::Throughput),
            percentiles,
            problem,
            level_idx: get("level").parse().ok(),
            scale: match get("scale") {
                "log" => Some(Scale::Log),
                "linear" => Some(Scale::Linear),
                _ => None,
            },
        }
    }

    /// As the end of an address.
    pub fn to_query(&self) -> String {
        let mut query = format!("type={}", self.kind.word());
        if !measure::go_without_saying(&self.percentiles) {
            query.extend(["&p=", &self.percentiles.to_text()]);
        }
        if let Some(level_idx) = self.level_idx {
            query.extend(["&level=", &level_idx.to_string()]);
        }
        match self.scale {
            Some(Scale::Log) => query.push_str("&scale=log"),
            Some(Scale::Linear) => query.push_str("&scale=linear"),
            None => {}
        }
        query
    }

    /// How much of a benchmark its page, with this chart, shows.
    pub fn detail(&self) -> Detail {
        if self.kind.is_of_seconds() {
            Detail::Whole
        } else {
            Detail::InShort
        }
    }

    fn wish(&self) -> ChartWish {
        ChartWish {
            percentiles: self.percentiles.clone(),
            level_idx: self.level_idx.filter(|_| self.kind.is_of_levels()),
            scale: self.scale,
        }
    }
}

/// The chart section of the page.
pub(super) struct ChartView {
    pub kinds: Vec<Switch>,
    pub levels: Vec<Switch>,
    pub scales: Vec<Switch>,
    pub caption: String,
    pub alt: String,
    pub note: String,
    pub width: u32,
    pub height: u32,
    pub light: String,
    pub light_2x: String,
    pub dark: String,
    pub dark_2x: String,
}

impl ChartView {
    /// None where nothing can be drawn.
    pub fn new(data: &BenchmarkData, params: &ViewParams) -> anyhow::Result<Option<Self>> {
        let kinds: Vec<ChartKind> = ChartKind::ALL.into_iter().filter(|kind| kind.has_data(data)).collect();
        let Some(first) = kinds.first() else { return Ok(None) };
        let kind = if kinds.contains(&params.kind) {
            params.kind
        } else {
            *first
        };
        let params = &ViewParams {
            kind,
            level_idx: params.level_idx.filter(|idx| data.level(*idx).is_some()),
            ..params.clone()
        };
        let drawn = chart::chart(data, kind, &params.wish())?;
        // The page stands without its picture; the picture's own address then says what is wrong.
        let (width, height) = drawn.default_size().unwrap_or((880, 420));
        let id = data.benchmark.id;
        let address = format!(
            "{}?{}&v={}",
            urls::benchmark_part(id, "chart.png"),
            params.to_query(),
            revision(&data.benchmark)
        );
        let Sources {
            light,
            light_2x,
            dark,
            dark_2x,
        } = Sources::new(&address);
        let caption = caption(data, params);
        let said = data.benchmark.headline.as_deref().unwrap_or_default();
        Ok(Some(Self {
            kinds: kinds.iter().map(|to| kind_switch(id, params, *to)).collect(),
            levels: level_switches(data, params),
            scales: scale_switches(id, params),
            alt: format!("{caption}. {said}").trim().to_owned(),
            note: note(kind).to_owned(),
            caption,
            width,
            height,
            light,
            light_2x,
            dark,
            dark_2x,
        }))
    }
}

fn caption(data: &BenchmarkData, params: &ViewParams) -> String {
    let level = params.level_idx.filter(|_| params.kind.is_of_levels());
    match level.and_then(|idx| data.level(idx)) {
        Some(level) => format!("{}, {}", params.kind.title(), level.label()),
        None => params.kind.title().to_owned(),
    }
}

/// How a picture is to be read.
fn note(kind: ChartKind) -> &'static str {
    match kind {
        ChartKind::Throughput => "Transactions a second over how many clients were at work at once.",
        ChartKind::Latency => "The chosen percentiles over how many clients were at work at once.",
        ChartKind::ThroughputOverTime | ChartKind::LatencyOverTime | ChartKind::ErrorsOverTime => {
            "A point for each second, warm-ups included; lines break between levels, and marks say what happened."
        }
        ChartKind::Cdf => {
            "The line that rises further to the left is faster. Its last piece is what percentiles are about."
        }
        ChartKind::Histogram => "Times on a logarithmic axis; each step has the same width there.",
        ChartKind::Waits => "Sessions that waited when they were looked at, once a second; those at work are CPU.",
        ChartKind::CacheHits => "Of the blocks that were asked for, those that PostgreSQL itself had in memory.",
        ChartKind::Wal => "What the whole server wrote to its write-ahead log.",
        ChartKind::Cpu => "Processor time of all processes of the server, by the second.",
    }
}

fn switch(id: BenchmarkId, key: &str, label: &str, to: &ViewParams, is_current: bool) -> Switch {
    let query = to.to_query();
    Switch {
        id: format!("chart-{key}"),
        label: label.to_owned(),
        address: format!("{}?{query}", urls::benchmark(id)),
        fragment: format!("{}?{query}", urls::benchmark_part(id, "chart")),
        is_current,
    }
}

fn kind_switch(id: BenchmarkId, params: &ViewParams, kind: ChartKind) -> Switch {
    let to = ViewParams {
        kind,
        scale: None,
        ..params.clone()
    };
    switch(id, kind.word(), short_title(kind), &to, kind == params.kind)
}

/// As one of many in a row.
fn short_title(kind: ChartKind) -> &'static str {
    match kind {
        ChartKind::Throughput => "Throughput",
        ChartKind::Latency => "Latency",
        ChartKind::ThroughputOverTime => "Throughput by second",
        ChartKind::LatencyOverTime => "Latency by second",
        ChartKind::ErrorsOverTime => "Errors by second",
        ChartKind::Cdf => "Shares",
        ChartKind::Histogram => "Histogram",
        ChartKind::Waits => "Waits",
        ChartKind::CacheHits => "Cache hits",
        ChartKind::Wal => "WAL",
        ChartKind::Cpu => "Processors",
    }
}

/// All levels, or one of them; none where there is no choice.
fn level_switches(data: &BenchmarkData, params: &ViewParams) -> Vec<Switch> {
    if !params.kind.is_of_levels() || data.levels.len() < 2 {
        return Vec::new();
    }
    let of = |level_idx: Option<i32>, key: &str, label: &str| {
        let to = ViewParams {
            level_idx,
            ..params.clone()
        };
        switch(data.benchmark.id, key, label, &to, level_idx == params.level_idx)
    };
    let mut switches = vec![of(None, "level-all", "All levels")];
    for level in &data.levels {
        let idx = level.record.level.level_idx;
        switches.push(of(Some(idx), &format!("level-{idx}"), &level.label()));
    }
    switches
}

fn scale_switches(id: BenchmarkId, params: &ViewParams) -> Vec<Switch> {
    match params.kind {
        ChartKind::Latency | ChartKind::LatencyOverTime | ChartKind::ThroughputOverTime => {}
        ChartKind::Throughput
        | ChartKind::ErrorsOverTime
        | ChartKind::Cdf
        | ChartKind::Histogram
        | ChartKind::Waits
        | ChartKind::CacheHits
        | ChartKind::Wal
        | ChartKind::Cpu => return Vec::new(),
    }
    [
        ("scale-auto", "As it suits", None),
        ("linear", "Linear", Some(Scale::Linear)),
        ("log", "Logarithmic", Some(Scale::Log)),
    ]
    .map(|(key, label, scale)| {
        let to = ViewParams {
            scale,
            ..params.clone()
        };
        switch(id, key, label, &to, scale == params.scale)
    })
    .into()
}

/// Changes whenever a picture might.
pub(super) fn revision(benchmark: &Benchmark) -> String {
    let job = &benchmark.job;
    let at = job.finished_at.unwrap_or(job.read_at);
    format!("{}-{}", at.timestamp_micros(), env!("CARGO_PKG_VERSION"))
}

/// GET /benchmarks/{id}/chart.png
pub(super) async fn png(
    State(state): State<AppState>,
    State(benchmarks): State<Benchmarks>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<BenchmarkId>,
    headers: HeaderMap,
    UrlQuery(given): UrlQuery<HashMap<String, String>>,
) -> PageResult<Response> {
    let params = ViewParams::read(&given);
    let benchmark = benchmarks.get(viewer, id).await?.ok_or(Error::NotFound("benchmark"))?;
    let wish = CanvasWish::read(&given);
    let what = format!("benchmark {id} {} {}", params.to_query(), revision(&benchmark));
    let picture = Picture::new(&what, wish, benchmark.job.status.is_settled())?;
    if let Some(answer) = picture.kept(&headers, &state.charts) {
        return Ok(answer);
    }
    let data = BenchmarkData::load_with(&mut *state.pool.acquire().await?, viewer, id, params.detail()).await?;
    let data = data.ok_or(Error::NotFound("benchmark"))?;
    if !params.kind.has_data(&data) {
        return Err(Error::NotFound("picture"));
    }
    let chart = chart::chart(&data, params.kind, &params.wish())?;
    let draw = move || -> Result<Vec<u8>, ChartError> { chart.draw(&wish.canvas(chart.default_size()?)) };
    picture.draw(&state.charts, draw).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_is_to_be_seen_and_nonsense_means_the_usual() {
        let read = |text: &str| {
            let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
            ViewParams::read(&pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        };
        for address in [
            "type=throughput",
            "type=latency&p=50,99.99&scale=log",
            "type=cdf&level=3",
            "type=latency_time&p=99&level=0&scale=linear",
        ] {
            assert_eq!(read(address).to_query(), address);
        }
        let odd = read("type=pie&p=120&level=x&scale=golden");
        assert_eq!(odd.to_query(), "type=throughput");
        assert!(odd.problem.is_some_and(|problem| problem.contains("120")));
    }
}
