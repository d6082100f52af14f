//! The trials of an experiment, one by one, as they are read from the store: however many there are, only a few of them are
//! in memory at a time, and the store is asked for more when the client has taken those.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use sqlx::PgPool;
use tracing::error;
use utoipa::ToSchema;

use crate::experiment::fields::FieldError;
use crate::experiment::fields::choice;
use crate::experiment::fields::number;
use crate::model::ids::ExperimentId;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::model::user::Viewer;
use crate::report::bodies;
use crate::report::bodies::TrialBody;
use crate::report::data::ReportData;
use crate::report::export::csv;
use crate::store;
use crate::web::api::paging::last;
use crate::web::api::refusals;
use crate::web::error::Error;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;

/// So many are read at once.
const AT_ONCE: u32 = 1000;

/// How trials are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
enum TrialsFormat {
    /// An object a line.
    Jsonl,
    /// Rows behind a line of names.
    Csv,
}

/// A line of the trials.
#[derive(Serialize, ToSchema)]
#[schema(as = TrialLine)]
pub(super) struct TrialLine<'a> {
    kind: TrialKind,
    #[serde(flatten)]
    trial: TrialBody<'a>,
}

impl TrialsFormat {
    const ALL: [Self; 2] = [Self::Jsonl, Self::Csv];

    fn word(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/jsonl",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// What a client would rather have. Who accepts neither gets lines of JSON all the same.
    fn preferred(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter();
        let accepted: Vec<&str> = accepted
            .filter_map(|accept| accept.to_str().ok())
            .flat_map(|accept| accept.split(','))
            .collect();
        let wish_for = |format: Self| {
            let wishes = accepted.iter().filter_map(|kind| format.wish_in(kind));
            wishes.fold(0.0, f64::max)
        };
        if wish_for(Self::Csv) > wish_for(Self::Jsonl) {
            Self::Csv
        } else {
            Self::Jsonl
        }
    }

    /// How much an entry of the header Accept wishes for it, from 0 to 1; none where it is about something else.
    fn wish_in(self, kind: &str) -> Option<f64> {
        let (kind, parameters) = kind.split_once(';').unwrap_or((kind, ""));
        let kind = kind.trim().to_ascii_lowercase();
        let is_its = match self {
            Self::Jsonl => matches!(
                kind.as_str(),
                "application/jsonl" | "application/x-ndjson" | "application/*" | "*/*"
            ),
            Self::Csv => matches!(kind.as_str(), "text/csv" | "text/*"),
        };
        let mut parameters = parameters.split(';').map(str::trim);
        let wish = match parameters.find_map(|parameter| parameter.strip_prefix("q=")) {
            Some(wish) => wish.trim().parse().ok()?,
            None => 1.0,
        };
        is_its.then_some(wish)
    }
}

/// The trials of an experiment in the order of its schedule, warm-ups included, as far as they are stored.
#[utoipa::path(
    get, path = "/api/experiments/{id}/trials", tag = "experiments",
    params(
        ("id" = i64, Path, description = "Of the experiment.", minimum = 1),
        ("format" = inline(Option<TrialsFormat>), Query, description = "Left out: what the header Accept prefers."),
        (
            "after" = Option<u32>, Query, minimum = 0, maximum = 2_147_483_647,
            description = "Only trials behind this one: the number in the last line that was read.",
        ),
        (
            "limit" = Option<u32>, Query, minimum = 1, maximum = 2_147_483_647,
            description = "At most so many. Left out: all.",
        ),
    ),
    responses(
        (
            status = 200, description = "Lines, each a trial. An answer that breaks off was not whole.",
            content((TrialLine = "application/jsonl"), (String = "text/csv")),
        ),
        refusals::OfParameters, refusals::OfOne, refusals::Any,
    ),
)]
pub(super) async fn list_trials(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let mut reading = Reading::of(pool, viewer, id, &pairs, &headers).await?;
    let media_type = HeaderValue::from_static(reading.format.media_type());
    // What cannot be read at all is still said in the envelope.
    let first = reading.next().await.map_err(in_words)?;
    let rest = futures_util::stream::try_unfold(reading, |mut reading| async move {
        match reading.next().await {
            Ok(bytes) => Ok(bytes.map(|bytes| (bytes, reading))),
            Err(error) => {
                error!("The trials of experiment {} broke off: {error:#}", reading.id);
                Err(error)
            }
        }
    });
    let first = futures_util::stream::iter(first.map(Ok));
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let vary = (header::VARY, HeaderValue::from_static("accept"));
    Ok(([(header::CONTENT_TYPE, media_type), vary], body).into_response())
}

fn in_words(error: anyhow::Error) -> Error {
    match error.downcast::<sqlx::Error>() {
        Ok(error) => error.into(),
        Err(error) => Error::Fault(error),
    }
}

/// How far the trials have been read.
struct Reading {
    pool: PgPool,
    viewer: Viewer,
    id: ExperimentId,
    format: TrialsFormat,
    /// What they are called by, and what else went on during those that were read last.
    data: ReportData,
    /// The last one that was read.
    after: i32,
    /// How many more are wanted; none for all.
    left: Option<u32>,
    is_begun: bool,
}

impl Reading {
    async fn of(
        pool: PgPool,
        viewer: Viewer,
        id: ExperimentId,
        pairs: &[(String, String)],
        headers: &HeaderMap,
    ) -> Result<Self, Error> {
        let mut errors: Vec<FieldError> = Vec::new();
        let mut keep = |error: FieldError| errors.push(error);
        let format = last(pairs, "format").map(|text| choice(text, "format", &TrialsFormat::ALL, TrialsFormat::word));
        let format = format.transpose().map_err(&mut keep);
        let most = u64::from(i32::MAX.unsigned_abs());
        let after = last(pairs, "after").map(|text| number(text, "after", 0, most));
        let after = after.transpose().map_err(&mut keep);
        let limit = last(pairs, "limit").map(|text| number(text, "limit", 1, most));
        let limit = limit.transpose().map_err(&mut keep);
        let (Ok(format), Ok(after), Ok(limit)) = (format, after, limit) else {
            return Err(Error::Invalid(errors));
        };
        let mut conn = pool.acquire().await?;
        let data = ReportData::load(&mut conn, viewer, id).await?;
        drop(conn);
        Ok(Self {
            pool,
            viewer,
            id,
            format: format.unwrap_or_else(|| TrialsFormat::preferred(headers)),
            data: data.ok_or(Error::NotFound("experiment"))?,
            // People count from 1.
            after: after.and_then(|after| i32::try_from(after).ok()).unwrap_or(0) - 1,
            left: limit.and_then(|limit| u32::try_from(limit).ok()),
            is_begun: false,
        })
    }

    /// The next lines; none when there are no more.
    async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        let n_wanted = self.left.unwrap_or(AT_ONCE).min(AT_ONCE);
        let trials = match n_wanted {
            0 => Vec::new(),
            n_wanted => self.read(n_wanted).await?,
        };
        let n_read = u32::try_from(trials.len()).unwrap_or(u32::MAX);
        self.left = self.left.map(|left| left.saturating_sub(n_read));
        let mut bytes = match self.format {
            TrialsFormat::Csv if !self.is_begun => csv::trials_head()?,
            TrialsFormat::Csv | TrialsFormat::Jsonl => Vec::new(),
        };
        self.is_begun = true;
        match self.format {
            TrialsFormat::Csv => bytes.extend(csv::trials_rows(&self.data, &trials)?),
            TrialsFormat::Jsonl => {
                for trial in &trials {
                    let line = TrialLine {
                        kind: trial.kind,
                        trial: bodies::trial(&self.data, trial),
                    };
                    serde_json::to_writer(&mut bytes, &line)?;
                    bytes.push(b'\n');
                }
            }
        }
        Ok((!bytes.is_empty()).then(|| bytes.into()))
    }

    async fn read(&mut self, limit: u32) -> store::Result<Vec<RecordedTrial>> {
        let mut conn = self.pool.acquire().await?;
        let trials = store::trials::list_after(&mut conn, self.viewer, self.id, self.after, limit).await?;
        if let (Some(first), Some(last)) = (trials.first(), trials.last()) {
            let (first, last) = (first.trial_idx, last.trial_idx);
            self.data.looks = store::looks::list_between(&mut conn, self.viewer, self.id, first, last).await?;
            self.after = last;
        }
        Ok(trials)
    }
}
