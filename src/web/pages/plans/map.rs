//! The plan map: every query under every source, a letter for each different plan.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::model::experiment::ExperimentQuery;
use crate::model::ids::ExperimentId;
use crate::model::units::counted;
use crate::report::data::ReportData;
use crate::report::table;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::id::Id;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::plans::view;
use crate::web::urls;

/// What the address asks for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MapParams {
    /// `all`, or whatever else for the queries whose plan changes.
    #[serde(default)]
    show: String,
    /// Part of a query's label.
    #[serde(default)]
    find: String,
}

#[derive(Template)]
#[template(path = "plans/map.html")]
struct MapPage {
    id: ExperimentId,
    sources: Vec<SourceHead>,
    rows: Vec<MapRow>,
    headline: String,
    find: String,
    shows_all: bool,
    /// What is left out, in words; empty when nothing is.
    hidden: String,
    all_address: String,
    is_settled: bool,
    /// Whether anything happened while a plan that is shown was looked at.
    has_remarks: bool,
}

struct SourceHead {
    label: String,
    colour: usize,
    /// Queries whose plan is another than under the first source.
    n_other: usize,
}

struct MapRow {
    label: String,
    address: String,
    cells: Vec<Cell>,
    /// Two sources with different plans, side by side; empty when there is one plan only.
    diff_address: String,
    n_plans: usize,
}

/// The plan of one query under one source.
struct Cell {
    letter: String,
    address: String,
    /// For those who do not see the letter in its column, and on hover.
    title: String,
    /// Why there is no letter, or what else happened.
    message: String,
}

impl MapRow {
    fn new(data: &ReportData, query: &ExperimentQuery) -> Self {
        let id = data.experiment.id;
        let letters = view::letters(data, query.query_idx);
        let first = letters.iter().find(|(_, letter)| !letter.is_empty());
        let other =
            first.and_then(|(_, first)| letters.iter().find(|(_, letter)| !letter.is_empty() && letter != first));
        let mut known: Vec<&str> = letters.iter().map(|(_, letter)| letter.as_str()).collect();
        known.retain(|letter| !letter.is_empty());
        known.sort_unstable();
        known.dedup();
        Self {
            label: query.label.clone(),
            address: urls::result_query(id, query.query_idx),
            n_plans: known.len(),
            diff_address: match (first, other) {
                (Some((from, _)), Some((to, _))) => urls::plan_diff(id, query.query_idx, *from, *to),
                _ => String::new(),
            },
            cells: letters
                .iter()
                .map(|(source_idx, letter)| Cell::new(data, query, *source_idx, letter))
                .collect(),
        }
    }
}

impl Cell {
    fn new(data: &ReportData, query: &ExperimentQuery, source_idx: i32, letter: &str) -> Self {
        let plan = data.plan(query.query_idx, source_idx);
        let mut title = vec![format!("{} under {}", query.label, data.source_label(source_idx))];
        if let Some(cost) = plan.and_then(|plan| plan.cost) {
            title.push(format!("cost {}", table::cost(Some(cost)).shown));
        }
        if let Some(worst) = plan.and_then(|plan| plan.worst_q_error) {
            title.push(format!("worst estimate {}× off", view::times(worst)));
        }
        let message = plan.and_then(|plan| plan.message.clone());
        title.extend(message.clone());
        Self {
            letter: letter.to_owned(),
            address: urls::plan(data.experiment.id, query.query_idx, source_idx),
            title: title.join(", "),
            message: message.unwrap_or_default(),
        }
    }
}

impl MapPage {
    fn new(data: &ReportData, params: &MapParams) -> Self {
        let id = data.experiment.id;
        let rows: Vec<MapRow> = data.queries.iter().map(|query| MapRow::new(data, query)).collect();
        let shows_all = params.show == "all";
        let find = params.find.trim().to_lowercase();
        let n_changed = rows.iter().filter(|row| row.n_plans > 1).count();
        let n_all = rows.len();
        let headline = match (n_changed, n_all) {
            (0, _) => "No query changes its plan between these sources.".to_owned(),
            (1, 1) => "The query changes its plan with the source.".to_owned(),
            (n, all) if n == all => format!("All {} change their plan with the source.", queries(all)),
            (1, all) => format!("1 of {} changes its plan with the source.", queries(all)),
            (n, all) => format!("{n} of {} change their plan with the source.", queries(all)),
        };
        let sources = data
            .sources()
            .zip(0_usize..)
            .map(|((_, source), colour)| SourceHead {
                label: source.label.clone(),
                colour,
                n_other: rows.iter().filter(|row| row.is_other(colour)).count(),
            })
            .collect();
        let (mut n_same, mut n_unnamed) = (0, 0);
        let rows: Vec<MapRow> = rows
            .into_iter()
            .filter(|row| {
                let is_named = row.label.to_lowercase().contains(&find);
                let is_shown = shows_all || row.n_plans > 1;
                n_unnamed += usize::from(!is_named);
                n_same += usize::from(is_named && !is_shown);
                is_named && is_shown
            })
            .collect();
        Self {
            id,
            sources,
            has_remarks: rows
                .iter()
                .flat_map(|row| &row.cells)
                .any(|cell| !cell.letter.is_empty() && !cell.message.is_empty()),
            rows,
            headline,
            find: params.find.trim().to_owned(),
            shows_all,
            hidden: hidden(n_same, n_unnamed),
            all_address: format!("{}?show=all", urls::plans(id)),
            is_settled: data.experiment.job.status.is_settled(),
        }
    }
}

impl MapRow {
    /// Whether the plan under this source is known and another than under the first.
    fn is_other(&self, source: usize) -> bool {
        let letter = |source: usize| self.cells.get(source).map_or("", |cell| cell.letter.as_str());
        !letter(0).is_empty() && !letter(source).is_empty() && letter(source) != letter(0)
    }
}

fn queries(n: usize) -> String {
    counted(n as u64, "query", "queries")
}

fn hidden(n_same: usize, n_unnamed: usize) -> String {
    let mut hidden = Vec::new();
    if n_same > 0 {
        hidden.push(format!("{} with the same plan everywhere", queries(n_same)));
    }
    if n_unnamed > 0 {
        hidden.push(format!("{} of other names", queries(n_unnamed)));
    }
    hidden.join(" and ")
}

/// GET /results/{id}/plans
pub(super) async fn map(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Id(id): Id<ExperimentId>,
    UrlQuery(params): UrlQuery<MapParams>,
) -> PageResult<Response> {
    let mut conn = pool.acquire().await?;
    let data = ReportData::load(&mut conn, viewer, id)
        .await?
        .ok_or(Error::NotFound("experiment"))?;
    drop(conn);
    fragment::page(&MapPage::new(&data, &params))
}
