//! One plan on a page of its own, as a tree or as the server sent it, and to be taken away.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::response::Response;
use serde::Deserialize;
use sqlx::PgPool;

use crate::model::dataset::Setting;
use crate::model::experiment::PlanOutline;
use crate::model::ids::ExperimentId;
use crate::model::units::ms_in_words;
use crate::model::user::Viewer;
use crate::plan;
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
use crate::web::pages::plans::view::Measure;
use crate::web::pages::plans::view::PlanView;
use crate::web::urls;

type Address = Path<(String, String, String)>;

#[derive(Debug, Default, Deserialize)]
pub(super) struct ShowParams {
    #[serde(default)]
    bars: String,
}

/// What the pages of one plan have in common.
struct Head {
    id: ExperimentId,
    query: String,
    query_address: String,
    source: String,
    plan_address: String,
    /// The plans of the same query under the other sources.
    sources: Vec<(String, Choice)>,
    diff_action: String,
    source_idx: i32,
    /// Where the form for a comparison begins: another plan, if there is one.
    other_idx: i32,
}

#[derive(Template)]
#[template(path = "plans/show.html")]
struct ShowPage {
    head: Head,
    plan: PlanView,
    bars: Vec<Choice>,
    facts: Vec<Setting>,
    /// The kinds of nodes in it, each with a sentence.
    words: Vec<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "plans/raw.html")]
struct RawPage {
    head: Head,
    letter: String,
    message: String,
    analyzed: String,
    explain: String,
    text: String,
    text_address: String,
    json_address: String,
}

/// One plan as it is stored.
struct Stored {
    plans: QueryPlans,
    outline: PlanOutline,
    source_idx: i32,
}

impl Stored {
    async fn load(pool: &PgPool, viewer: Viewer, (id, n, source): &(String, String, String)) -> Result<Self, Error> {
        let id: ExperimentId = number(id, "experiment")?;
        let (query_idx, source_idx) = (number(n, "query")?, number(source, "plan")?);
        let plans = QueryPlans::load(pool, viewer, id, query_idx).await?;
        let outline = plans.data.plan(query_idx, source_idx).ok_or(Error::NotFound("plan"))?;
        Ok(Self {
            outline: outline.clone(),
            plans,
            source_idx,
        })
    }

    fn text(&self) -> Option<&str> {
        self.plans.text(self.source_idx)
    }

    /// The lines of EXPLAIN; none when there is no plan.
    fn in_explains_manner(&self) -> anyhow::Result<Option<String>> {
        let plan = self.text().map(plan::parse).transpose()?;
        Ok(plan.as_ref().map(plan::text))
    }

    /// `part` is what stands behind the address of each plan.
    fn head(&self, part: &str) -> Head {
        let (data, query) = (&self.plans.data, &self.plans.query);
        let id = data.experiment.id;
        let letters = view::letters(data, query.query_idx);
        let own = view::letter(data, query.query_idx, self.source_idx);
        let other = letters
            .iter()
            .find(|(_, letter)| *letter != own && !letter.is_empty())
            .or(letters.iter().find(|(source_idx, _)| *source_idx != self.source_idx));
        let choice = |source_idx: i32| Choice {
            label: data.source_label(source_idx).to_owned(),
            address: format!("{}{part}", urls::plan(id, query.query_idx, source_idx)),
            is_current: source_idx == self.source_idx,
        };
        Head {
            id,
            query: query.label.clone(),
            query_address: urls::result_query(id, query.query_idx),
            source: data.source_label(self.source_idx).to_owned(),
            plan_address: urls::plan(id, query.query_idx, self.source_idx),
            diff_action: urls::plan_diff_form(id, query.query_idx),
            source_idx: self.source_idx,
            other_idx: other.map_or(self.source_idx, |(source_idx, _)| *source_idx),
            sources: letters
                .into_iter()
                .map(|(source_idx, letter)| (letter, choice(source_idx)))
                .collect(),
        }
    }
}

impl ShowPage {
    fn new(stored: &Stored, params: &ShowParams) -> anyhow::Result<Self> {
        let wish = Measure::of_word(&params.bars);
        let plan = PlanView::new(&stored.plans.data, &stored.outline, stored.text(), wish)?;
        let bars = plan.measures.iter().map(|measure| Choice {
            label: measure.title().to_owned(),
            address: format!("{}?bars={}", plan.address, measure.word()),
            is_current: *measure == plan.measure,
        });
        let bars = bars.collect();
        let (mut facts, mut words) = (Vec::new(), Vec::new());
        if let Some(text) = stored.text() {
            let parsed = plan::parse(text)?;
            facts = self::facts(stored, &parsed);
            let mut node_types: Vec<String> = plan::rows(&parsed).into_iter().map(|row| row.node_type).collect();
            node_types.sort();
            node_types.dedup();
            words = node_types
                .into_iter()
                .filter_map(|node_type| plan::about(&node_type).map(|about| (node_type, about)))
                .collect();
        }
        Ok(Self {
            head: stored.head(""),
            plan,
            bars,
            facts,
            words,
        })
    }
}

impl RawPage {
    fn new(stored: &Stored) -> anyhow::Result<Self> {
        let mut texts = stored.plans.texts.iter();
        let texts = texts.find(|text| text.source_idx == stored.source_idx);
        let head = stored.head("/raw");
        Ok(Self {
            letter: view::letter(&stored.plans.data, stored.plans.query.query_idx, stored.source_idx),
            message: stored.outline.message.clone().unwrap_or_default(),
            analyzed: texts.and_then(|text| text.analyzed.clone()).unwrap_or_default(),
            explain: texts.and_then(|text| text.explain.clone()).unwrap_or_default(),
            text: stored.in_explains_manner()?.unwrap_or_default(),
            text_address: format!("{}/plan.txt", head.plan_address),
            json_address: format!("{}/plan.json", head.plan_address),
            head,
        })
    }
}

fn facts(stored: &Stored, plan: &plan::Plan) -> Vec<Setting> {
    let fact = |name: &str, value: String| Setting {
        name: name.to_owned(),
        value,
    };
    let mut facts = Vec::new();
    let (query_idx, source_idx) = (stored.plans.query.query_idx, stored.source_idx);
    if let Some(summary) = stored.plans.data.summary(query_idx, source_idx) {
        let median = table::median_in_words(&stored.plans.data, summary);
        facts.push(fact("Median of its trials", median));
    }
    if let Some(ms) = plan.planning_ms {
        facts.push(fact("Planning, this once", ms_in_words(ms)));
    }
    facts.push(fact("Nodes", plan.root.n_nodes().to_string()));
    facts.push(fact(
        "Estimates compared",
        format!("{} nodes", plan::q_error(plan).nodes.len()),
    ));
    if let Some(fingerprint) = &stored.outline.fingerprint {
        facts.push(fact("Fingerprint", fingerprint.clone()));
    }
    if !plan.settings.is_empty() {
        let settings: Vec<String> = plan
            .settings
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        facts.push(fact(
            "Planner settings that are not the usual ones",
            settings.join(", "),
        ));
    }
    facts
}

/// GET /results/{id}/queries/{n}/plans/{source}
pub(super) async fn show(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path(address): Address,
    UrlQuery(params): UrlQuery<ShowParams>,
) -> PageResult<Response> {
    let stored = Stored::load(&pool, viewer, &address).await?;
    // A large plan takes milliseconds to read.
    let page = tokio::task::spawn_blocking(move || ShowPage::new(&stored, &params));
    fragment::page(&page.await.map_err(anyhow::Error::new)??)
}

/// GET /results/{id}/queries/{n}/plans/{source}/raw
pub(super) async fn raw(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path(address): Address,
) -> PageResult<Response> {
    let stored = Stored::load(&pool, viewer, &address).await?;
    let page = tokio::task::spawn_blocking(move || RawPage::new(&stored));
    fragment::page(&page.await.map_err(anyhow::Error::new)??)
}

/// GET /results/{id}/queries/{n}/plans/{source}/plan.txt
pub(super) async fn as_text(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path(address): Address,
) -> PageResult<Response> {
    let stored = Stored::load(&pool, viewer, &address).await?;
    let text = tokio::task::spawn_blocking(move || stored.in_explains_manner());
    let text = text
        .await
        .map_err(anyhow::Error::new)??
        .ok_or(Error::NotFound("plan"))?;
    Ok((headers("text/plain; charset=utf-8"), text).into_response())
}

/// GET /results/{id}/queries/{n}/plans/{source}/plan.json, to the byte as the server sent it.
pub(super) async fn as_json(
    State(pool): State<PgPool>,
    CurrentUser(viewer): CurrentUser,
    Path(address): Address,
) -> PageResult<Response> {
    let stored = Stored::load(&pool, viewer, &address).await?;
    let text = stored.text().ok_or(Error::NotFound("plan"))?;
    Ok((headers("application/json"), text.to_owned()).into_response())
}

fn headers(media_type: &'static str) -> [(HeaderName, &'static str); 2] {
    [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "private, no-cache"),
    ]
}
