//! Benchmarks for programs: check, start, list, look.

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use serde::Serialize;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;
use sqlx::PgPool;
use utoipa::OpenApi;
use utoipa::ToSchema;

use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::service::Benchmarks;
use crate::experiment::fields::FieldError;
use crate::experiment::service::LaunchError;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::LevelRecord;
use crate::model::ids::BenchmarkId;
use crate::model::job::JobStatus;
use crate::model::user::Viewer;
use crate::report::benchmark::percentiles::Percentiles;
use crate::store;
use crate::web::api::answers;
use crate::web::api::answers::BenchmarkBody;
use crate::web::api::answers::ResultBody;
use crate::web::api::body;
use crate::web::api::idempotency;
use crate::web::api::paging::Stretch;
use crate::web::api::paging::StretchParams;
use crate::web::api::wishes::BenchmarkWish;
use crate::web::error::Envelope;
use crate::web::error::Error;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::object::Object;
use crate::web::extract::user::CurrentUser;
use crate::web::state::AppState;
use crate::web::urls;
use crate::web::view;

/// Room for a mix of many programs; other bodies are small.
const BODY_BYTES: usize = 4 << 20;

pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/api/benchmarks/start", post(start_benchmark))
        .route("/api/benchmarks/configure", post(configure_benchmark))
        .route(urls::API_BENCHMARKS, get(list_benchmarks))
        .route("/api/benchmarks/", get(list_benchmarks))
        .route("/api/benchmarks/{id}", get(get_benchmark))
        .route("/api/benchmarks/{id}/results", get(get_benchmark_results))
        .route(urls::API_RESULTS, get(list_results))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
}

#[derive(OpenApi)]
#[openapi(
    paths(
        start_benchmark,
        configure_benchmark,
        list_benchmarks,
        get_benchmark,
        get_benchmark_results,
        list_results
    ),
    tags((name = "benchmarks", description = "Load tests: how many operations a second, and how fast each, with how many clients."))
)]
pub(super) struct BenchmarksDoc;

/// What a benchmark would be.
#[derive(Serialize, ToSchema)]
struct ConfiguredBody {
    /// Always true; what is not valid is refused.
    valid: bool,
    /// How long it would take, all levels and the loading together.
    #[schema(value_type = f64)]
    estimated_time_seconds: Number,
    /// The clients of all levels, added up.
    total_threads: u64,
    /// The body that asks for the same in full.
    #[schema(value_type = Object)]
    configuration: Map<String, Value>,
    /// How many levels there would be.
    levels: usize,
    /// How large the generated tables would be.
    estimated_size_bytes: Option<u64>,
    /// What a person should know before.
    warnings: Vec<String>,
}

/// Starts a benchmark
///
/// It waits its turn behind whatever else this machine measures. The answer does not wait for it.
#[utoipa::path(
    post,
    path = "/api/benchmarks/start",
    tag = "benchmarks",
    params(("Idempotency-Key" = Option<String>, Header)),
    request_body = BenchmarkWish,
    responses(
        (status = 200, description = "The benchmark, which waits or runs.", body = BenchmarkBody),
        (status = 400, description = "The body is no JSON object, or some of its fields cannot be.", body = Envelope),
    )
)]
async fn start_benchmark(
    State(benchmarks): State<Benchmarks>,
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    headers: HeaderMap,
    Object(body): Object,
) -> Result<Json<BenchmarkBody>, Error> {
    let (mut form, mut wrong) = body::read(&body);
    match idempotency::key(&headers) {
        Ok(Some(key)) => form.request_id = key,
        Ok(None) => form.request_id = view::request_id_or(form.request_id)?,
        Err(error) => wrong.push(error),
    }
    if !wrong.is_empty() {
        return Err(refusal(&benchmarks, viewer, &form, wrong).await);
    }
    let launched = benchmarks.launch(viewer, &form).await;
    let id = launched.map_err(in_their_words)?;
    one(&pool, viewer, id).await
}

/// Says what a benchmark would be
///
/// Checks the body that `start_benchmark` takes, fills in what it leaves out, and starts nothing.
#[utoipa::path(
    post,
    path = "/api/benchmarks/configure",
    tag = "benchmarks",
    request_body = BenchmarkWish,
    responses(
        (status = 200, description = "What it would be.", body = ConfiguredBody),
        (status = 400, description = "The body is no JSON object, or some of its fields cannot be.", body = Envelope),
    )
)]
async fn configure_benchmark(
    State(benchmarks): State<Benchmarks>,
    CurrentUser(viewer): CurrentUser,
    Object(body): Object,
) -> Result<Json<ConfiguredBody>, Error> {
    let (form, wrong) = body::read(&body);
    if !wrong.is_empty() {
        return Err(refusal(&benchmarks, viewer, &form, wrong).await);
    }
    let estimate = benchmarks.check(viewer, &form).await.map_err(in_their_words)?;
    Ok(Json(ConfiguredBody {
        valid: true,
        estimated_time_seconds: body::seconds_of(estimate.estimated_ms),
        total_threads: estimate.total_clients,
        configuration: body::configuration(&form, &estimate.spec),
        levels: estimate.n_levels,
        estimated_size_bytes: estimate.size_bytes,
        warnings: estimate.warnings,
    }))
}

/// Lists benchmarks
///
/// Newest first, whatever their state.
#[utoipa::path(
    get,
    path = "/api/benchmarks",
    tag = "benchmarks",
    params(StretchParams),
    responses(
        (status = 200, description = "A stretch of the list.", body = [BenchmarkBody],
         headers(("Link" = String, description = "Where the next stretch is, if there is one: `<address>; rel=\"next\"`."))),
        (status = 400, description = "A parameter cannot be.", body = Envelope),
    )
)]
async fn list_benchmarks(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, Error> {
    list(&pool, viewer, urls::API_BENCHMARKS, &pairs, None).await
}

/// Lists the benchmarks that came to their end
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/results",
    tag = "benchmarks",
    params(StretchParams),
    responses(
        (status = 200, description = "A stretch of the list.", body = [BenchmarkBody],
         headers(("Link" = String, description = "Where the next stretch is, if there is one: `<address>; rel=\"next\"`."))),
        (status = 400, description = "A parameter cannot be.", body = Envelope),
    )
)]
async fn list_results(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Response, Error> {
    list(&pool, viewer, urls::API_RESULTS, &pairs, Some(JobStatus::Completed)).await
}

/// Shows a benchmark
///
/// With the results of those of its levels that are over.
#[utoipa::path(
    get,
    path = "/api/benchmarks/{id}",
    tag = "benchmarks",
    params(("id" = i64, Path, description = "Of the benchmark.", minimum = 1)),
    responses(
        (status = 200, description = "The benchmark.", body = BenchmarkBody),
        (status = 404, description = "There is no such benchmark.", body = Envelope),
    )
)]
async fn get_benchmark(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<BenchmarkId>,
) -> Result<Json<BenchmarkBody>, Error> {
    one(&pool, viewer, id).await
}

/// Shows the results of a benchmark
///
/// One for each level that is over, in the order in which they ran.
#[utoipa::path(
    get,
    path = "/api/benchmarks/{id}/results",
    tag = "benchmarks",
    params(
        ("id" = i64, Path, description = "Of the benchmark.", minimum = 1),
        ("percentiles" = Option<String>, Query, description = "Further percentiles, like `50,99.9`.", example = "50,99.9",
         pattern = "^(([1-9][0-9]?([.][0-9]{1,4})?|0[.]([1-9][0-9]{0,3}|0[1-9][0-9]{0,2}|00[1-9][0-9]?|000[1-9]))(,|$)){0,8}$"),
    ),
    responses(
        (status = 200, description = "The results.", body = [ResultBody]),
        (status = 400, description = "A parameter cannot be.", body = Envelope),
        (status = 404, description = "There is no such benchmark.", body = Envelope),
    )
)]
async fn get_benchmark_results(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<BenchmarkId>,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> Result<Json<Vec<ResultBody>>, Error> {
    let wished = pairs.iter().rfind(|(name, _)| name == "percentiles");
    let wished = wished.map(|(_, text)| Percentiles::parse(text)).transpose();
    let wished = wished.map_err(|message| Error::Invalid(vec![FieldError::new("percentiles", message)]))?;
    let (benchmark, levels) = load(&pool, viewer, id).await?;
    Ok(Json(answers::results(&benchmark.spec, &levels, wished.as_ref())?))
}

async fn one(pool: &PgPool, viewer: Viewer, id: BenchmarkId) -> Result<Json<BenchmarkBody>, Error> {
    let (benchmark, levels) = load(pool, viewer, id).await?;
    Ok(Json(BenchmarkBody::new(&benchmark, &levels)?))
}

async fn load(pool: &PgPool, viewer: Viewer, id: BenchmarkId) -> Result<(Benchmark, Vec<LevelRecord>), Error> {
    let mut conn = pool.acquire().await?;
    let benchmark = store::benchmarks::get(&mut conn, viewer, id).await?;
    let benchmark = benchmark.ok_or(Error::NotFound("benchmark"))?;
    let levels = store::levels::list(&mut conn, viewer, id).await?;
    Ok((benchmark, levels))
}

async fn list(
    pool: &PgPool,
    viewer: Viewer,
    address: &str,
    pairs: &[(String, String)],
    status: Option<JobStatus>,
) -> Result<Response, Error> {
    let stretch = Stretch::read(pairs, "a benchmark")?;
    let mut conn = pool.acquire().await?;
    let (before, n_rows) = (stretch.before, stretch.n_rows());
    let mut benchmarks = store::benchmarks::list_before(&mut conn, viewer, before, status, n_rows).await?;
    let next = stretch.cut(address, &mut benchmarks, |benchmark| benchmark.id);
    let ids: Vec<BenchmarkId> = benchmarks.iter().map(|benchmark| benchmark.id).collect();
    let levels = store::levels::list_of_several(&mut conn, viewer, &ids).await?;
    drop(conn);
    let mut bodies = Vec::with_capacity(benchmarks.len());
    for benchmark in &benchmarks {
        let own = levels.iter().filter(|(id, _)| *id == benchmark.id);
        let own: Vec<LevelRecord> = own.map(|(_, level)| level.clone()).collect();
        bodies.push(BenchmarkBody::new(benchmark, &own)?);
    }
    let mut response = Json(bodies).into_response();
    response.headers_mut().extend(next);
    Ok(response)
}

/// What is wrong with a body: what could not be read, and with the rest what the service says of it.
async fn refusal(benchmarks: &Benchmarks, viewer: Viewer, form: &BenchmarkForm, mut wrong: Vec<FieldError>) -> Error {
    match benchmarks.check(viewer, form).await.map_err(in_their_words) {
        Ok(_) => {}
        Err(Error::Invalid(more)) => {
            let news = more
                .into_iter()
                .filter(|error| wrong.iter().all(|known| known.field != error.field));
            let news: Vec<FieldError> = news.collect();
            wrong.extend(news);
        }
        Err(error) => return error,
    }
    Error::Invalid(wrong)
}

/// Fields by the names that programs gave them.
fn in_their_words(error: LaunchError) -> Error {
    match error {
        LaunchError::Refused(fields) => Error::Invalid(fields.into_iter().map(body::field_name).collect()),
        error @ LaunchError::Fault(_) => error.into(),
    }
}
