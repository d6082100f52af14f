//! The numbers of an experiment, stored once when it settles.

use serde::Serialize;
use utoipa::ToSchema;

/// The stored numbers of one (source, query).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "every quantile may be a limit, and is stored with a column that says so"
)]
pub struct SummaryRecord {
    pub source_idx: i32,
    pub query_idx: i32,
    pub n: i32,
    pub n_finished: i32,
    pub n_timed_out: i32,
    pub n_failed: i32,
    pub mean_ms: Option<f64>,
    pub stddev_ms: Option<f64>,
    pub median_ms: Option<f64>,
    /// The median lies above `median_ms`, which is then the timeout.
    pub median_is_above: bool,
    pub min_ms: Option<f64>,
    pub min_is_above: bool,
    pub p95_ms: Option<f64>,
    pub p95_is_above: bool,
    /// The 95 percent interval of the median; like the median, its ends may lie above a timeout.
    pub low_ms: Option<f64>,
    pub low_is_above: bool,
    pub high_ms: Option<f64>,
    pub high_is_above: bool,
    /// The robust standard deviation as a share of the median.
    pub relative_deviation: Option<f64>,
    pub noise: Option<NoiseGrade>,
    pub n_outliers: i32,
    pub planning_ms: Option<f64>,
    pub cost: Option<f64>,
    pub plan_letter: Option<String>,
    pub message: Option<String>,
    /// Where nothing was timed (`n` is 0): the source with the same plan whose times stand for it.
    pub same_plan_as: Option<i32>,
}

/// How much the trials of a sample differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "noise_grade", rename_all = "snake_case")]
pub enum NoiseGrade {
    Quiet,
    Fair,
    Noisy,
    VeryNoisy,
}

impl NoiseGrade {
    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Fair => "fair",
            Self::Noisy => "noisy",
            Self::VeryNoisy => "very noisy",
        }
    }
}

/// The stored numbers of one query under a source beside an earlier source. Seen from the other side, ratios are turned
/// over and the rest stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonRecord {
    pub query_idx: i32,
    /// The earlier of the two sources.
    pub base_idx: i32,
    pub source_idx: i32,
    pub n_rounds: i32,
    pub n_censored: i32,
    pub ratio: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub log_error: Option<f64>,
    pub p_value: f64,
}

/// The stored numbers of all queries together under a source beside an earlier source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverallRecord {
    pub base_idx: i32,
    pub source_idx: i32,
    pub n_queries: i32,
    pub n_rounds: i32,
    pub ratio: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
}

/// What measuring one query costs. All times are medians over the rounds; all ratios are to the plain query in the same
/// round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaxRecord {
    pub query_idx: i32,
    pub n_rounds: i32,
    /// The query as it is, by the client's clock.
    pub plain_ms: f64,
    /// By EXPLAIN ANALYZE with TIMING OFF: the client's clock, the server's own, and the tax with its 95 percent interval.
    pub off_ms: f64,
    pub off_server_ms: f64,
    pub off_ratio: f64,
    pub off_low: Option<f64>,
    pub off_high: Option<f64>,
    /// The same with TIMING ON.
    pub on_ms: f64,
    pub on_server_ms: f64,
    pub on_ratio: f64,
    pub on_low: Option<f64>,
    pub on_high: Option<f64>,
}
