//! Experiments beside each other. The whole choice is in the address: `/compare?base=1.0&run=2.0&run=2.1`, each an
//! experiment and a source of it.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use sqlx::PgPool;

use crate::analysis::family::Judgement;
use crate::analysis::family::Verdict;
use crate::analysis::unpaired::Ratio;
use crate::model::ids::ExperimentId;
use crate::model::units::counted;
use crate::model::user::Viewer;
use crate::report::beside;
use crate::report::beside::Difference;
use crate::report::beside::LeftOut;
use crate::report::beside::Line;
use crate::report::beside::Lines;
use crate::report::beside::Side;
use crate::report::chart::Canvas;
use crate::report::chart::Scale;
use crate::report::chart::Theme;
use crate::report::compared;
use crate::report::data::ReportData;
use crate::report::made;
use crate::report::table::Figure;
use crate::store;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::lists::TagLink;
use crate::web::pages::results::compared::VERDICTS;
use crate::web::pages::results::compared::class;
use crate::web::urls;
use crate::web::view;

pub fn router() -> Router<crate::web::state::AppState> {
    Router::new()
        .route("/compare", get(show))
        .route("/compare/chart.png", get(picture))
}

/// Experiments compared with the baseline at a time.
const MOST_RUNS: usize = 7;
/// Experiments offered in the form, the newest.
const OFFERED: u32 = 25;

/// What an address asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wish {
    base: Option<(ExperimentId, i32)>,
    runs: Vec<(ExperimentId, i32)>,
    shows_all: bool,
    is_dark: bool,
}

impl Wish {
    /// Whatever is no experiment and source is left out.
    fn read(pairs: &[(String, String)]) -> Self {
        let mut wish = Self::default();
        for (name, value) in pairs {
            match (name.as_str(), side(value)) {
                ("base", Some(side)) => wish.base = Some(side),
                ("run", Some(side)) if !wish.runs.contains(&side) && wish.runs.len() < MOST_RUNS => {
                    wish.runs.push(side);
                }
                ("show", _) => wish.shows_all = value == "all",
                ("theme", _) => wish.is_dark = value == "dark",
                _ => {}
            }
        }
        wish.runs.retain(|run| Some(*run) != wish.base);
        wish
    }

    fn to_query(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.base.map(|side| format!("base={}", word(side))));
        parts.extend(self.runs.iter().map(|side| format!("run={}", word(*side))));
        if self.shows_all {
            parts.push("show=all".to_owned());
        }
        parts.join("&")
    }
}

/// `7.1`: the second source of experiment 7; `7` is its first.
fn side(text: &str) -> Option<(ExperimentId, i32)> {
    let (id, source_idx) = text.split_once('.').unwrap_or((text, "0"));
    let source_idx: i32 = source_idx.parse().ok()?;
    Some((id.parse().ok()?, source_idx)).filter(|_| source_idx >= 0)
}

fn word((id, source_idx): (ExperimentId, i32)) -> String {
    format!("{id}.{source_idx}")
}

#[derive(Template)]
#[template(path = "compare/show.html")]
struct ComparePage {
    choices: Vec<Choice>,
    /// Those that are compared with the baseline, to be ticked off.
    chosen: Vec<Choice>,
    beside: Option<BesideView>,
}

struct Choice {
    word: String,
    label: String,
    is_base: bool,
}

/// The comparison, once there are two sides.
struct BesideView {
    sides: Vec<SideView>,
    warnings: Vec<String>,
    different: Vec<Difference>,
    n_same: String,
    tallies: Vec<Tally>,
    rows: Vec<RowView>,
    left_out: Vec<LeftOutView>,
    hidden: String,
    shows_all: bool,
    other_address: String,
    light: String,
    dark: String,
    width: u32,
    height: u32,
}

struct SideView {
    label: String,
    address: String,
    about: String,
    tags: Vec<TagLink>,
    memo: String,
    colour: usize,
}

/// One word over all comparisons.
struct Tally {
    n: usize,
    word: &'static str,
    class: &'static str,
    range: String,
}

struct RowView {
    query: String,
    address: String,
    colour: usize,
    side: String,
    word: &'static str,
    class: &'static str,
    ratio: Figure,
    interval: Figure,
    p: Figure,
    detectable: Figure,
    n_trials: String,
    plan: &'static str,
}

/// A query that is not compared with one of the sides.
struct LeftOutView {
    query: String,
    side: String,
    colour: usize,
    why: &'static str,
}

/// Everything of every side, the baseline first; an experiment that stands on several sides is read once for each.
async fn load(pool: &PgPool, viewer: Viewer, wish: &Wish) -> Result<Vec<Side>, Error> {
    let mut sides = Vec::new();
    let mut conn = pool.acquire().await?;
    for (id, source_idx) in wish.base.iter().chain(&wish.runs).copied() {
        let data = ReportData::load(&mut conn, viewer, id)
            .await?
            .ok_or(Error::NotFound("experiment"))?;
        if usize::try_from(source_idx).is_ok_and(|idx| idx >= data.experiment.spec.sources.len()) {
            return Err(Error::NotFound("source"));
        }
        if !data.experiment.job.status.is_settled() {
            return Err(Error::refused(format!(
                "Experiment {id} is not finished yet. It can be compared when it is."
            )));
        }
        let trials = store::trials::list(&mut conn, viewer, id, None).await?;
        sides.push(Side {
            data,
            source_idx,
            trials,
        });
    }
    Ok(sides)
}

/// GET /compare
async fn show(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> PageResult<Response> {
    let wish = Wish::read(&pairs);
    let mut conn = pool.acquire().await?;
    let experiments = store::experiments::list_newest(&mut conn, viewer, OFFERED).await?;
    drop(conn);
    let settled = experiments
        .iter()
        .filter(|experiment| experiment.job.status.is_settled());
    let choices: Vec<Choice> = settled
        .flat_map(|experiment| {
            (0_i32..)
                .zip(&experiment.spec.sources)
                .map(|(source_idx, source)| Choice {
                    word: word((experiment.id, source_idx)),
                    label: format!(
                        "{}: {}, {} on {}",
                        experiment.id, source.label, experiment.workload_name, experiment.dataset_name
                    ),
                    is_base: wish.base == Some((experiment.id, source_idx)),
                })
        })
        .collect();
    let sides = load(&pool, viewer, &wish).await?;
    let chosen = wish
        .runs
        .iter()
        .zip(sides.iter().skip(usize::from(wish.base.is_some())));
    let chosen = chosen.map(|(run, side)| Choice {
        word: word(*run),
        label: side.label(),
        is_base: false,
    });
    let chosen: Vec<Choice> = chosen.collect();
    let is_complete = wish.base.is_some() && !wish.runs.is_empty();
    let beside = if is_complete {
        let made = tokio::task::spawn_blocking(move || BesideView::new(&sides, &wish));
        Some(made.await.map_err(anyhow::Error::new)??)
    } else {
        None
    };
    fragment::page(&ComparePage {
        choices,
        chosen,
        beside,
    })
}

impl BesideView {
    fn new(sides: &[Side], wish: &Wish) -> anyhow::Result<Self> {
        let Lines { compared, left_out } = beside::lines(sides);
        let (different, n_same) = beside::differences(sides);
        let shown: Vec<&(Line, Judgement)> = compared
            .iter()
            .filter(|(_, judgement)| wish.shows_all || judgement.verdict.is_difference())
            .collect();
        let other = Wish {
            shows_all: !wish.shows_all,
            ..wish.clone()
        };
        let (width, height) = beside::bars(sides, Scale::Linear).default_size()?;
        let png = |theme: &str| format!("{}/chart.png?{}&theme={theme}", urls::COMPARE, wish.to_query());
        Ok(Self {
            warnings: beside::warnings(sides, &different),
            different,
            n_same: counted(n_same as u64, "other fact is the same", "other facts are the same"),
            tallies: tallies(&compared),
            hidden: match compared.len() - shown.len() {
                0 => String::new(),
                n => counted(
                    n as u64,
                    "comparison that shows no difference is hidden",
                    "comparisons that show no difference are hidden",
                ),
            },
            rows: shown
                .into_iter()
                .map(|(line, judgement)| row(sides, line, judgement))
                .collect(),
            left_out: left_out.into_iter().map(|left| left_out_view(sides, left)).collect(),
            sides: sides.iter().enumerate().map(side_view).collect(),
            shows_all: wish.shows_all,
            other_address: format!("{}?{}#queries", urls::COMPARE, other.to_query()),
            light: png("light"),
            dark: png("dark"),
            width,
            height,
        })
    }
}

fn side_view((colour, side): (usize, &Side)) -> SideView {
    let experiment = &side.data.experiment;
    SideView {
        label: side.label(),
        address: urls::result(experiment.id),
        about: format!(
            "{} on {}, {}",
            experiment.workload_name,
            experiment.dataset_name,
            view::date(experiment.created_at)
        ),
        tags: TagLink::all(urls::RESULTS, &experiment.filing),
        memo: experiment.filing.memo.as_str().to_owned(),
        colour,
    }
}

fn tallies(compared: &[(Line, Judgement)]) -> Vec<Tally> {
    let tally = |verdict: Verdict| {
        let of_word = compared.iter().filter(|(_, judgement)| judgement.verdict == verdict);
        let ratios: Vec<Ratio> = of_word.map(|(line, _)| line.shift.ratio).collect();
        let least = ratios.iter().map(|ratio| ratio.low).fold(f64::INFINITY, f64::min);
        let most = ratios.iter().map(|ratio| ratio.high).fold(0.0, f64::max);
        Tally {
            n: ratios.len(),
            word: verdict.word(),
            class: class(verdict),
            range: match ratios.len() {
                0 => String::new(),
                _ => compared::between(Ratio { low: least, high: most }).shown,
            },
        }
    };
    VERDICTS.iter().map(|verdict| tally(*verdict)).collect()
}

fn left_out_view(sides: &[Side], left: LeftOut) -> LeftOutView {
    LeftOutView {
        query: left.label,
        side: label(sides, left.side),
        colour: left.side,
        why: left.why,
    }
}

fn label(sides: &[Side], place: usize) -> String {
    sides.get(place).map(Side::label).unwrap_or_default()
}

fn row(sides: &[Side], line: &Line, judgement: &Judgement) -> RowView {
    let base = sides.first().map(|side| side.data.experiment.id);
    RowView {
        query: line.label.clone(),
        address: base
            .map(|id| urls::result_query(id, line.query_idx))
            .unwrap_or_default(),
        colour: line.side,
        side: label(sides, line.side),
        word: judgement.verdict.word(),
        class: class(judgement.verdict),
        ratio: compared::between(line.shift.ratio),
        interval: compared::interval(line.shift.interval),
        p: compared::p_value(judgement.adjusted_p),
        detectable: compared::detectable(judgement.detectable),
        n_trials: format!("{} / {}", line.shift.n_trials.0, line.shift.n_trials.1),
        plan: match line.is_other_plan {
            Some(true) => "another",
            Some(false) => "the same",
            None => "unknown",
        },
    }
}

/// GET /compare/chart.png
async fn picture(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    UrlQuery(pairs): UrlQuery<Vec<(String, String)>>,
) -> PageResult<Response> {
    let wish = Wish::read(&pairs);
    let sides = load(&pool, viewer, &wish).await?;
    let drawing = tokio::task::spawn_blocking(move || {
        let chart = beside::bars(&sides, Scale::Linear);
        let (width, height) = chart.default_size()?;
        chart.draw(&Canvas {
            width,
            height,
            scale: 2,
            theme: if wish.is_dark { Theme::Dark } else { Theme::Light },
        })
    });
    let png = drawing.await.map_err(anyhow::Error::new)?.map_err(anyhow::Error::new)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/png")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600")),
    ];
    Ok((headers, png).into_response())
}

#[cfg(test)]
mod tests;
