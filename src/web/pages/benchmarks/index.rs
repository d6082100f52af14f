//! The list of benchmarks.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sqlx::PgPool;

use crate::analysis::sweep;
use crate::model::benchmark::Benchmark;
use crate::model::filing::Filed;
use crate::model::ids::BenchmarkId;
use crate::model::job::JobStatus;
use crate::report::benchmark::figures;
use crate::report::benchmark::trend;
use crate::report::benchmark::trend::Spark;
use crate::report::table::Figure;
use crate::store;
use crate::store::finding::ListOrder;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::benchmarks::sparkline::Sparkline;
use crate::web::pages::lists::Known;
use crate::web::pages::lists::ListParams;
use crate::web::pages::lists::ListView;
use crate::web::pages::lists::Offer;
use crate::web::pages::lists::TagLink;
use crate::web::pages::sharing;
use crate::web::pages::sharing::Owners;
use crate::web::urls;
use crate::web::view;

/// Runs of a configuration that its line goes back.
const RUNS: i64 = 12;

#[derive(Template)]
#[template(path = "benchmarks/index.html")]
struct IndexPage {
    list: ListView,
    rows: Vec<IndexRow>,
    previous: Option<String>,
    next: Option<String>,
}

/// One benchmark in the list.
struct IndexRow {
    id: BenchmarkId,
    address: String,
    status: &'static str,
    class: &'static str,
    target: String,
    load: String,
    headline: String,
    /// A word and the class of its mark; none where there is no objective, or before the end.
    objective: Option<(&'static str, &'static str)>,
    is_quick: bool,
    against: Option<Against>,
    line: Option<Sparkline>,
    trend: String,
    /// Of what is somebody else's.
    owner: Option<String>,
    tags: Vec<TagLink>,
    date: String,
    datetime: String,
}

/// The best level beside that of the run before.
struct Against {
    /// `+3.2 %`.
    change: Figure,
    id: BenchmarkId,
    address: String,
}

impl IndexRow {
    fn new(benchmark: &Benchmark, spark: &Spark, owners: &Owners, params: &ListParams) -> Self {
        let job = &benchmark.job;
        let said = benchmark.headline.clone().or_else(|| job.message.clone());
        Self {
            id: benchmark.id,
            address: urls::benchmark(benchmark.id),
            status: job.status.word(),
            class: view::status_class(job.status),
            target: benchmark.target_name.clone(),
            load: load(benchmark),
            headline: said.unwrap_or_else(|| format!("See benchmark {}", benchmark.id)),
            objective: benchmark
                .is_met
                .map(|is_met| if is_met { ("met", "good") } else { ("not met", "bad") }),
            is_quick: benchmark.spec.is_quick,
            against: against(benchmark.id, spark),
            line: Sparkline::new(&spark.throughputs),
            trend: urls::benchmark_part(benchmark.id, "trend"),
            owner: owners.get(&Filed::Benchmark(benchmark.id)).cloned(),
            tags: params.tag_links(&benchmark.filing),
            date: view::date(benchmark.created_at),
            datetime: view::rfc3339(benchmark.created_at),
        }
    }
}

/// `point reads, 20, 40, 80 clients`.
pub(super) fn load(benchmark: &Benchmark) -> String {
    let spec = &benchmark.spec;
    let clients: Vec<String> = spec.n_clients.iter().map(u32::to_string).collect();
    format!(
        "{}, {} {}",
        spec.mix.operation.in_words(),
        clients.join(", "),
        if spec.n_clients == [1] { "client" } else { "clients" }
    )
}

/// None before a benchmark has a number, and for the first of its configuration.
fn against(id: BenchmarkId, spark: &Spark) -> Option<Against> {
    let before = spark.before?;
    let pair = [("base", before.to_string()), ("run", id.to_string())];
    let pair = pair.iter().map(|(name, value)| (*name, value.as_str()));
    Some(Against {
        change: figures::signed(spark.delta()?, sweep::percent_in_words),
        id: before,
        address: urls::with_query(urls::BENCHMARKS_COMPARE, pair),
    })
}

/// What the list can be narrowed down by.
const OFFER: Offer = Offer {
    address: urls::BENCHMARKS,
    nouns: ("benchmark", "benchmarks"),
    state: Some(JobStatus::word),
    place: Some("Target"),
    has_workload: false,
    has_kind: false,
    orders: &[ListOrder::Newest],
};

/// GET /benchmarks
pub(super) async fn index(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> PageResult<Response> {
    let params = ListParams::read(OFFER, pairs);
    let mut conn = pool.acquire().await?;
    let found = store::finding::benchmarks(&mut conn, viewer, &params.filter, params.stretch()).await?;
    let found = params.narrow(found);
    let benchmarks = store::benchmarks::list_by_ids(&mut conn, viewer, &found.ids).await?;
    let sparks = trend::sparks(&mut conn, viewer, &benchmarks, RUNS).await?;
    let owners = sharing::owners(&mut conn, viewer, &benchmarks, |benchmark| {
        Filed::Benchmark(benchmark.id)
    })
    .await?;
    let known = Known {
        tags: store::filing::tags_of_benchmarks(&mut conn, viewer).await?,
        datasets: store::finding::places_of_benchmarks(&mut conn, viewer).await?,
        workloads: Vec::new(),
    };
    drop(conn);
    let (previous, next) = params.neighbours(found.n_matching);
    fragment::page(&IndexPage {
        list: ListView::new(&params, known, &found),
        previous,
        next,
        rows: benchmarks
            .iter()
            .zip(&sparks)
            .map(|(benchmark, spark)| IndexRow::new(benchmark, spark, &owners, &params))
            .collect(),
    })
}
