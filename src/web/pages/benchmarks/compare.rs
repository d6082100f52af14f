//! Benchmarks beside each other.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sqlx::PgConnection;
use sqlx::PgPool;

use crate::model::benchmark::Benchmark;
use crate::model::ids::BenchmarkId;
use crate::model::units::counted;
use crate::model::user::Viewer;
use crate::report::benchmark::BenchmarkData;
use crate::report::benchmark::Detail;
use crate::report::benchmark::Percentiles;
use crate::report::benchmark::compare;
use crate::report::benchmark::compare::Difference;
use crate::report::benchmark::compare::LineRow;
use crate::report::benchmark::made;
use crate::report::benchmark::readings::Measure;
use crate::report::chart::Scale;
use crate::store;
use crate::store::finding::Filter;
use crate::store::finding::Stretch;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::benchmarks::index;
use crate::web::pages::benchmarks::measure;
use crate::web::pages::benchmarks::measure::MeasureView;
use crate::web::pages::picture::CanvasWish;
use crate::web::pages::picture::Picture;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view::Choice;

/// Benchmarks beside each other at most, the baseline among them.
const MOST: usize = 6;
/// Benchmarks on offer: the newest.
const OFFERED: u32 = 100;

#[derive(Template)]
#[template(path = "benchmarks/compare.html")]
struct ComparePage {
    bases: Vec<Choice>,
    others: Vec<Choice>,
    chosen: Vec<Choice>,
    percentiles: String,
    /// What could not be done as asked, in sentences.
    problems: Vec<String>,
    /// None before there are two.
    beside: Option<BesideView>,
}

/// What is beside each other.
struct BesideView {
    sides: Vec<Side>,
    warnings: Vec<String>,
    different: Vec<Difference>,
    n_same: String,
    chart: MeasureView,
    lines: Vec<LineView>,
    left_out: Vec<String>,
}

struct Side {
    colour: usize,
    address: String,
    label: String,
    about: String,
}

struct LineView {
    side: String,
    class: &'static str,
    row: LineRow,
}

/// What an address asks for.
struct CompareParams {
    base: Option<BenchmarkId>,
    /// Without the baseline.
    runs: Vec<BenchmarkId>,
    percentiles: Percentiles,
    measure: Measure,
    problems: Vec<String>,
}

impl CompareParams {
    fn read(pairs: &[(String, String)]) -> Self {
        let of = |name: &'static str| pairs.iter().filter(move |(known, _)| known == name);
        let get = |name| {
            of(name)
                .next_back()
                .map(|(_, value)| value.as_str())
                .unwrap_or_default()
        };
        let mut runs: Vec<BenchmarkId> = of("run").filter_map(|(_, value)| value.parse().ok()).collect();
        runs.sort_unstable_by_key(|id| id.0);
        runs.dedup();
        // Ticks in a list name no baseline: the oldest is the one that others are compared with.
        let base = get("base").parse().ok().or_else(|| runs.first().copied());
        runs.retain(|id| Some(*id) != base);
        let (percentiles, problem) = measure::percentiles(get("p"));
        let mut problems: Vec<String> = problem.into_iter().collect();
        if runs.len() >= MOST {
            problems.push(format!(
                "{} can be compared at once; these are the first of them.",
                counted(MOST as u64, "benchmark", "benchmarks")
            ));
            runs.truncate(MOST - 1);
        }
        Self {
            base,
            measure: measure::read(get("measure"), &percentiles),
            runs,
            percentiles,
            problems,
        }
    }

    fn ids(&self) -> Vec<BenchmarkId> {
        self.base.iter().chain(&self.runs).copied().collect()
    }

    /// As the end of an address, without the measure.
    fn to_query(&self) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        pairs.extend(self.base.map(|id| ("base", id.to_string())));
        pairs.extend(self.runs.iter().map(|id| ("run", id.to_string())));
        if !measure::go_without_saying(&self.percentiles) {
            pairs.push(("p", self.percentiles.to_text()));
        }
        let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
        urls::with_query("", pairs)
    }
}

/// GET /benchmarks/compare?base=&run=&run=
pub(super) async fn show(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> PageResult<Response> {
    let mut params = CompareParams::read(&pairs);
    let mut conn = pool.acquire().await?;
    let offered = offered(&mut conn, viewer).await?;
    let sides = load(&mut conn, viewer, &params.ids(), Detail::Whole).await?;
    drop(conn);
    let is_there = |id: &BenchmarkId| sides.iter().any(|side| side.benchmark.id == *id);
    for id in params.ids().iter().filter(|id| !is_there(id)) {
        params.problems.push(format!("There is no benchmark {id}."));
    }
    let beside = match sides.len() {
        0 | 1 => None,
        _ => Some(beside(&sides, &params)?),
    };
    let choice = |benchmark: &Benchmark, is_chosen| Choice {
        value: benchmark.id.to_string(),
        text: in_words(benchmark),
        is_chosen,
    };
    fragment::page(&ComparePage {
        bases: offered
            .iter()
            .map(|one| choice(one, params.base == Some(one.id)))
            .collect(),
        others: offered
            .iter()
            .filter(|one| !params.ids().contains(&one.id))
            .map(|one| choice(one, false))
            .collect(),
        chosen: sides
            .iter()
            .map(|side| &side.benchmark)
            .filter(|one| params.runs.contains(&one.id))
            .map(|one| choice(one, true))
            .collect(),
        percentiles: params.percentiles.to_text(),
        problems: params.problems,
        beside,
    })
}

fn in_words(benchmark: &Benchmark) -> String {
    format!(
        "Benchmark {}: {} on {}",
        benchmark.id,
        index::load(benchmark),
        benchmark.target_name
    )
}

async fn offered(conn: &mut PgConnection, viewer: Viewer) -> PageResult<Vec<Benchmark>> {
    let stretch = Stretch {
        limit: OFFERED,
        offset: 0,
    };
    let newest = store::finding::benchmarks(&mut *conn, viewer, &Filter::default(), stretch).await?;
    Ok(store::benchmarks::list_by_ids(conn, viewer, &newest.ids).await?)
}

/// Those that there are, in this order.
async fn load(
    conn: &mut PgConnection,
    viewer: Viewer,
    ids: &[BenchmarkId],
    detail: Detail,
) -> anyhow::Result<Vec<BenchmarkData>> {
    let mut sides = Vec::with_capacity(ids.len());
    for id in ids {
        sides.extend(BenchmarkData::load_with(&mut *conn, viewer, *id, detail).await?);
    }
    Ok(sides)
}

fn beside(sides: &[BenchmarkData], params: &CompareParams) -> anyhow::Result<BesideView> {
    let (different, n_same) = compare::differences(sides);
    let found = compare::compare(sides, &params.percentiles)?;
    let name = |side: usize| {
        sides
            .get(side)
            .map(|side| in_short(&side.benchmark))
            .unwrap_or_default()
    };
    let query = params.to_query();
    let addresses = (
        format!("{}{query}", urls::BENCHMARKS_COMPARE),
        format!("{}{query}", urls::BENCHMARKS_COMPARE_CHART),
    );
    let alt = format!("{} over clients, a line for each benchmark.", params.measure.title());
    Ok(BesideView {
        warnings: compare::warnings(sides, &different),
        n_same: format!("{} the same", counted(n_same as u64, "fact is", "facts are")),
        chart: MeasureView::new(
            &compare::chart(sides, params.measure, Scale::Linear),
            params.measure,
            &params.percentiles,
            (&addresses.0, &addresses.1),
            (
                alt,
                "Numbers of clients from left to right; a line for each benchmark by its number.",
            ),
        ),
        lines: found
            .lines
            .iter()
            .map(|line| LineView {
                side: name(line.side),
                class: measure::class(line.judgement.verdict),
                row: LineRow::from(line),
            })
            .collect(),
        left_out: found
            .left_out
            .iter()
            .map(|left_out| format!("{}, {}: {}", left_out.level, name(left_out.side), left_out.why))
            .collect(),
        different,
        sides: sides
            .iter()
            .enumerate()
            .map(|(colour, side)| Side {
                colour,
                address: urls::benchmark(side.benchmark.id),
                label: in_short(&side.benchmark),
                about: side.benchmark.headline.clone().unwrap_or_default(),
            })
            .collect(),
    })
}

fn in_short(benchmark: &Benchmark) -> String {
    format!("Benchmark {}", benchmark.id)
}

/// GET /benchmarks/compare/chart.png
pub(super) async fn png(
    State(state): State<AppState>,
    CurrentUser(viewer): CurrentUser,
    headers: HeaderMap,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> PageResult<Response> {
    let params = CompareParams::read(&pairs);
    let sides = load(
        &mut *state.pool.acquire().await?,
        viewer,
        &params.ids(),
        Detail::InShort,
    )
    .await?;
    if sides.is_empty() {
        return Err(Error::NotFound("picture"));
    }
    let wish = CanvasWish::read(&pairs.into_iter().collect());
    let revisions: Vec<String> = sides
        .iter()
        .map(|side| super::chart::revision(&side.benchmark))
        .collect();
    let what = format!(
        "benchmarks {} {} {}",
        params.to_query(),
        params.measure.title(),
        revisions.join(" ")
    );
    let is_settled = sides.iter().all(|side| side.benchmark.job.status.is_settled());
    let picture = Picture::new(&what, wish, is_settled)?;
    if let Some(answer) = picture.kept(&headers, &state.charts) {
        return Ok(answer);
    }
    let chart = compare::chart(&sides, params.measure, Scale::Linear);
    picture
        .draw(&state.charts, move || chart.draw(&wish.canvas(chart.default_size()?)))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> CompareParams {
        CompareParams::read(
            &form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn of_ticks_the_oldest_is_the_baseline_and_a_baseline_is_not_compared_with_itself() {
        let ids = |query: &str| read(query).ids().iter().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(ids("run=7&run=3&run=5"), [3, 5, 7]);
        assert_eq!(ids("base=5&run=7&run=5&run=7"), [5, 7]);
        assert_eq!(ids("base=x&run="), [] as [i64; 0]);
        assert_eq!(read("base=5&run=7&p=99&measure=p99").to_query(), "?base=5&run=7&p=99");
        let many = read("run=1&run=2&run=3&run=4&run=5&run=6&run=7");
        assert_eq!(many.ids().len(), MOST);
        assert!(many.problems[0].starts_with("6 benchmarks can be compared at once"));
    }
}
