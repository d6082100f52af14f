//! Two plans of one query, side by side, with the differences in words on top.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::model::ids::ExperimentId;
use crate::plan;
use crate::plan::Aligned;
use crate::plan::Judged;
use crate::plan::Plan;
use crate::plan::Row;
use crate::report::data::ReportData;
use crate::report::table;
use crate::web::error::Error;
use crate::web::error::PageResult;
use crate::web::extract::address::Path;
use crate::web::extract::address::Query as UrlQuery;
use crate::web::extract::user::CurrentUser;
use crate::web::fragment;
use crate::web::pages::plans::Choice;
use crate::web::pages::plans::QueryPlans;
use crate::web::pages::plans::number;
use crate::web::pages::plans::view;
use crate::web::urls;

/// What the address asks for: positions of sources.
#[derive(Debug, Default, Deserialize)]
pub(super) struct DiffParams {
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

#[derive(Template)]
#[template(path = "plans/diff.html")]
struct DiffPage {
    id: ExperimentId,
    query: String,
    query_address: String,
    action: String,
    /// The sources to choose from, the current one of each side marked.
    from_choices: Vec<(i32, Choice)>,
    to_choices: Vec<(i32, Choice)>,
    swap_address: String,
    from: String,
    to: String,
    sides: [Side; 2],
    is_same: bool,
    sentences: Vec<String>,
    /// Why there is nothing to compare.
    missing: Vec<String>,
    rows: Vec<DiffRow>,
    /// How many nodes are alike, changed, moved, removed and added.
    counts: String,
}

/// One of the two plans as a whole.
struct Side {
    label: String,
    letter: String,
    address: String,
    median: String,
    cost: String,
    buffers: String,
    q_error: String,
}

/// A node of both plans or of one.
struct DiffRow {
    /// Levels below the root.
    depth: usize,
    mark: &'static str,
    class: &'static str,
    title: String,
    /// What it is in the second plan, where that is something else.
    becomes: String,
    from: Cells,
    to: Cells,
}

/// The numbers of a node in one plan; all empty where it is not.
#[derive(Default)]
struct Cells {
    expected: String,
    found: String,
    factor: String,
    excluded: &'static str,
    is_off: bool,
    cost: String,
    buffers: String,
}

impl Cells {
    fn new(row: &Row) -> Self {
        let (factor, excluded) = match row.estimate {
            Judged::Compared(estimate) => (view::short_factor(&estimate), ""),
            Judged::Excluded(exclusion) => ("–".to_owned(), exclusion.words()),
        };
        Self {
            expected: view::count(row.plan_rows),
            found: view::found(row),
            factor,
            excluded,
            is_off: row.estimate.factor().is_some_and(|estimate| estimate.is_far_off()),
            cost: table::cost(Some(row.total_cost)).shown,
            buffers: view::buffers(row),
        }
    }
}

impl DiffRow {
    fn new(aligned: &Aligned, from_rows: &[Row], to_rows: &[Row]) -> Self {
        let from = aligned.from.and_then(|idx| from_rows.get(idx));
        let to = aligned.to.and_then(|idx| to_rows.get(idx));
        let (mark, class) = match (from, to) {
            (Some(_), None) => ("removed", "removed"),
            (None, _) => ("added", "added"),
            _ => match (aligned.is_changed, aligned.is_moved) {
                (true, true) => ("changed, moved", "changed"),
                (true, false) => ("changed", "changed"),
                (false, true) => ("moved", "moved"),
                (false, false) => ("same", "same"),
            },
        };
        let title = |row: &Row| match &row.subplan {
            Some(name) => format!("{name}: {}", row.title),
            None => row.title.clone(),
        };
        let becomes = match (from, to) {
            (Some(from), Some(to)) if title(from) != title(to) => title(to),
            _ => String::new(),
        };
        Self {
            depth: to.or(from).map_or(0, |row| row.depth),
            mark,
            class,
            title: from.or(to).map(title).unwrap_or_default(),
            becomes,
            from: from.map(Cells::new).unwrap_or_default(),
            to: to.map(Cells::new).unwrap_or_default(),
        }
    }
}

impl Side {
    fn new(data: &ReportData, query_idx: i32, source_idx: i32) -> Self {
        let plan = data.plan(query_idx, source_idx);
        let summary = data.summary(query_idx, source_idx);
        Self {
            label: data.source_label(source_idx).to_owned(),
            letter: view::letter(data, query_idx, source_idx),
            address: urls::plan(data.experiment.id, query_idx, source_idx),
            median: summary.map_or("–".to_owned(), |summary| table::median_in_words(data, summary)),
            cost: table::cost(plan.and_then(|plan| plan.cost)).shown,
            buffers: plan
                .and_then(|plan| u64::try_from(plan.buffers?).ok())
                .map_or("–".to_owned(), crate::model::units::grouped),
            q_error: plan
                .and_then(|plan| plan.worst_q_error)
                .map_or("–".to_owned(), |worst| format!("{}×", view::times(worst))),
        }
    }
}

impl DiffPage {
    fn new(plans: &QueryPlans, (from_idx, to_idx): (i32, i32)) -> anyhow::Result<Self> {
        let (data, query) = (&plans.data, &plans.query);
        let (id, query_idx) = (data.experiment.id, query.query_idx);
        let (from, to) = (Side::new(data, query_idx, from_idx), Side::new(data, query_idx, to_idx));
        let read = |source_idx: i32| plans.text(source_idx).map(plan::parse).transpose();
        let (from_plan, to_plan) = (read(from_idx)?, read(to_idx)?);
        let missing = |plan: &Option<Plan>, source_idx: i32| {
            let label = data.source_label(source_idx);
            let message = data
                .plan(query_idx, source_idx)
                .and_then(|plan| plan.message.clone())
                .unwrap_or_else(|| "it was not looked at yet".to_owned());
            plan.is_none()
                .then(|| format!("There is no plan under {label}: {message}."))
        };
        let missing = [missing(&from_plan, from_idx), missing(&to_plan, to_idx)];
        let (mut rows, mut sentences, mut is_same, mut counts) = (Vec::new(), Vec::new(), false, String::new());
        if let (Some(a), Some(b)) = (&from_plan, &to_plan) {
            let diff = plan::diff(a, b);
            let (from_rows, to_rows) = (plan::rows(a), plan::rows(b));
            is_same = diff.is_empty();
            counts = self::counts(&diff.aligned);
            sentences = diff
                .findings
                .iter()
                .map(|finding| finding.words(&from.label, &to.label))
                .collect();
            rows = diff
                .aligned
                .iter()
                .map(|aligned| DiffRow::new(aligned, &from_rows, &to_rows))
                .collect();
        }
        let choices = |current: i32| {
            let choice = |(source_idx, letter): (i32, String)| {
                let letter = if letter.is_empty() {
                    "no plan".to_owned()
                } else {
                    format!("plan {letter}")
                };
                let choice = Choice {
                    label: format!("{} ({letter})", data.source_label(source_idx)),
                    address: urls::plan(id, query_idx, source_idx),
                    is_current: source_idx == current,
                };
                (source_idx, choice)
            };
            view::letters(data, query_idx).into_iter().map(choice).collect()
        };
        Ok(Self {
            id,
            query: query.label.clone(),
            query_address: urls::result_query(id, query_idx),
            action: urls::plan_diff_form(id, query_idx),
            from_choices: choices(from_idx),
            to_choices: choices(to_idx),
            swap_address: urls::plan_diff(id, query_idx, to_idx, from_idx),
            from: from.label.clone(),
            to: to.label.clone(),
            sides: [from, to],
            is_same,
            sentences,
            missing: missing.into_iter().flatten().collect(),
            rows,
            counts,
        })
    }
}

/// `Nodes: 8 the same, 2 changed, 3 moved, 1 removed, 2 added.`
fn counts(aligned: &[Aligned]) -> String {
    let n = |is_counted: &dyn Fn(&Aligned) -> bool| aligned.iter().filter(|pair| is_counted(pair)).count();
    format!(
        "Nodes: {} the same, {} changed, {} moved, {} removed, {} added.",
        n(&Aligned::is_same),
        n(&|pair| pair.is_changed),
        n(&|pair| pair.is_moved),
        n(&|pair| pair.to.is_none()),
        n(&|pair| pair.from.is_none()),
    )
}

/// The sources to compare: what the address says, else the first one and the first with another plan.
fn sides(data: &ReportData, query_idx: i32, params: &DiffParams) -> Result<(i32, i32), Error> {
    let letters = view::letters(data, query_idx);
    let read = |text: &str| -> Result<Option<i32>, Error> {
        if text.is_empty() {
            return Ok(None);
        }
        let source_idx = number(text, "source")?;
        let is_there = letters.iter().any(|(known, _)| *known == source_idx);
        if is_there {
            Ok(Some(source_idx))
        } else {
            Err(Error::NotFound("source"))
        }
    };
    let from = read(&params.from)?.unwrap_or(0);
    let letter_of = |source_idx: i32| {
        let found = letters.iter().find(|(known, _)| *known == source_idx);
        found.map_or("", |(_, letter)| letter.as_str())
    };
    let other = letters
        .iter()
        .find(|(_, letter)| !letter.is_empty() && letter != letter_of(from))
        .or(letters.iter().find(|(source_idx, _)| *source_idx != from));
    let to = read(&params.to)?
        .or(other.map(|(source_idx, _)| *source_idx))
        .unwrap_or(from);
    Ok((from, to))
}

/// GET /results/{id}/queries/{n}/diff
pub(super) async fn diff(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path((id, n)): Path<(String, String)>,
    UrlQuery(params): UrlQuery<DiffParams>,
) -> PageResult<Response> {
    let query_idx = number(&n, "query")?;
    let plans = QueryPlans::load(&pool, viewer, number(&id, "experiment")?, query_idx).await?;
    let sides = sides(&plans.data, query_idx, &params)?;
    // Large plans take milliseconds to read.
    let page = tokio::task::spawn_blocking(move || DiffPage::new(&plans, sides));
    fragment::page(&page.await.map_err(anyhow::Error::new)??)
}
