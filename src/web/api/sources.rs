//! The statistics sources on offer, for programs: the list in the code, with everything that can be set.

use axum::Json;
use axum::Router;
use axum::routing::get;
use serde::Serialize;
use utoipa::ToSchema;

use crate::source;
use crate::source::StatsSource;
use crate::source::parameter;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::web::api::refusals;
use crate::web::state::AppState;
use crate::web::urls;

pub(super) fn router() -> Router<AppState> {
    Router::new().route(urls::API_SOURCES, get(list_sources))
}

/// A statistics source on offer.
#[derive(Serialize, ToSchema)]
pub(super) struct SourceOffer {
    /// By which experiments ask for it. It never changes.
    name: &'static str,
    title: &'static str,
    /// What it does.
    about: &'static str,
    /// What the sources of its group have in common.
    group: &'static str,
    /// Whether it changes more than statistics, and so is measured in a clone of its own, beside the first source once more.
    has_own_clone: bool,
    parameters: Vec<ParameterOffer>,
}

/// What can be set about a source.
#[derive(Serialize, ToSchema)]
struct ParameterOffer {
    name: &'static str,
    label: &'static str,
    about: &'static str,
    kind: KindOffer,
    /// Taken where nothing is given. Null: it has to be given.
    default: Option<ParamValue>,
    /// Of an integer.
    minimum: Option<u64>,
    maximum: Option<u64>,
    /// What there is to choose from.
    choices: Option<&'static [&'static str]>,
    /// Of a script.
    max_bytes: Option<usize>,
    /// What one looks like.
    example: Option<&'static str>,
}

/// What values a parameter takes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KindOffer {
    Integer,
    /// One of the choices.
    Choice,
    /// An array of at least one of the choices.
    Several,
    /// The name of a statistics file of the dataset.
    StatisticsFile,
    /// Statements, each ended by a semicolon.
    Script,
}

/// The value of a parameter of a source.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum ParamValue {
    Integer(u64),
    Text(String),
    Several(Vec<String>),
}

impl ParamValue {
    /// A value in its normal form as the type that its kind has in JSON.
    pub fn new(kind: ParameterKind, value: &str) -> Self {
        match kind {
            ParameterKind::Integer { .. } => value
                .parse()
                .map_or_else(|_| Self::Text(value.to_owned()), Self::Integer),
            ParameterKind::Several(_) => Self::Several(parameter::chosen(value).map(str::to_owned).collect()),
            ParameterKind::Choice(_) | ParameterKind::StatisticsFile | ParameterKind::Script { .. } => {
                Self::Text(value.to_owned())
            }
        }
    }
}

impl SourceOffer {
    fn new(source: &dyn StatsSource) -> Self {
        Self {
            name: source.name(),
            title: source.title(),
            about: source.about(),
            group: source.group().title(),
            has_own_clone: source.needs_annex(),
            parameters: source.parameters().iter().map(ParameterOffer::new).collect(),
        }
    }
}

impl ParameterOffer {
    fn new(parameter: &Parameter) -> Self {
        let is_given = parameter.parse(parameter.default).is_ok();
        let mut offer = Self {
            name: parameter.name,
            label: parameter.label,
            about: parameter.about,
            kind: KindOffer::Integer,
            default: is_given.then(|| ParamValue::new(parameter.kind, parameter.default)),
            minimum: None,
            maximum: None,
            choices: None,
            max_bytes: None,
            example: None,
        };
        match parameter.kind {
            ParameterKind::Integer { min, max } => (offer.minimum, offer.maximum) = (Some(min), Some(max)),
            ParameterKind::Choice(choices) => (offer.kind, offer.choices) = (KindOffer::Choice, Some(choices)),
            ParameterKind::Several(choices) => (offer.kind, offer.choices) = (KindOffer::Several, Some(choices)),
            ParameterKind::StatisticsFile => offer.kind = KindOffer::StatisticsFile,
            ParameterKind::Script { max_bytes, example } => {
                offer.kind = KindOffer::Script;
                (offer.max_bytes, offer.example) = (Some(max_bytes), Some(example));
            }
        }
        offer
    }
}

/// The statistics sources that experiments can be asked for, with everything that can be set about them.
#[utoipa::path(
    get, path = "/api/sources", tag = "sources",
    responses((status = 200, description = "All of them, in the order of the page.", body = [SourceOffer]), refusals::Any),
)]
async fn list_sources() -> Json<Vec<SourceOffer>> {
    Json(source::ALL.iter().map(|source| SourceOffer::new(*source)).collect())
}
