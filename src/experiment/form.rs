//! From what a person typed, in a form or on the command line, to a validated spec.

pub mod like;
pub mod twins;

use std::collections::BTreeMap;

use crate::experiment::fields::FieldError;
use crate::experiment::fields::choice;
use crate::experiment::fields::id;
use crate::experiment::fields::number;
use crate::experiment::fields::settings;
use crate::experiment::fields::timeout_ms;
use crate::model::experiment::ClockKind;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::Order;
use crate::model::experiment::Params;
use crate::model::experiment::SourceSpec;
use crate::model::ids::DatasetId;
use crate::model::ids::WorkloadId;
use crate::source;
use crate::source::parameter::AND;

pub const MAX_ITERATIONS: u32 = 1000;
pub const MAX_WARM_UP: u32 = 100;
pub const MAX_SOURCES: usize = 32;
pub const MAX_TRIALS: u64 = 1_000_000;

/// The session settings of every trial unless somebody says otherwise: what makes times comparable.
pub const DEFAULT_SETTINGS: &str = "\
jit = off
max_parallel_workers_per_gather = 0
synchronize_seqscans = off
plan_cache_mode = force_custom_plan";

/// What a person gave, as text. Fields are named as in the browser's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExperimentForm {
    pub request_id: String,
    pub dataset: String,
    pub workload: String,
    /// Positions of the chosen queries; none means all that can run.
    pub queries: Vec<String>,
    /// The tick boxes of the queries were shown, so that no tick means none.
    pub queries_listed: bool,
    /// `name`, or `name:parameter=value,...` as on the command line, or `name:{"parameter":"value",...}`.
    pub stats_source: Vec<String>,
    /// Parameters of sources, as `source.parameter`; several values apart by commas make several sources.
    pub params: BTreeMap<String, String>,
    /// Measure the first source twice.
    pub control: bool,
    /// Ask what measuring costs.
    pub observer: bool,
    pub iterations: String,
    pub warm_up: String,
    pub seed: String,
    pub clock: String,
    pub timeout: String,
    pub order: String,
    pub settings: String,
}

impl Default for ExperimentForm {
    fn default() -> Self {
        Self {
            request_id: String::new(),
            dataset: String::new(),
            workload: String::new(),
            queries: Vec::new(),
            queries_listed: false,
            stats_source: vec!["built_in".to_owned()],
            params: BTreeMap::new(),
            control: false,
            observer: false,
            iterations: "10".to_owned(),
            warm_up: "1".to_owned(),
            seed: String::new(),
            clock: ClockKind::Server.word().to_owned(),
            timeout: "60s".to_owned(),
            order: Order::Randomized.word().to_owned(),
            settings: DEFAULT_SETTINGS.to_owned(),
        }
    }
}

impl ExperimentForm {
    /// Reads the pairs of a posted form.
    pub fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let mut form = Self {
            stats_source: Vec::new(),
            ..Self::default()
        };
        for (name, value) in pairs {
            match name.as_str() {
                "request_id" => form.request_id = value,
                "dataset" => form.dataset = value,
                "workload" => form.workload = value,
                "query" => form.queries.push(value),
                "queries_listed" => form.queries_listed = true,
                "stats_source" => form.stats_source.push(value),
                "control" => form.control = true,
                "observer" => form.observer = true,
                "iterations" => form.iterations = value,
                "warm_up" => form.warm_up = value,
                "seed" => form.seed = value,
                "clock" => form.clock = value,
                "timeout" => form.timeout = value,
                "order" => form.order = value,
                "settings" => form.settings = value,
                // Every tick of several is a pair of its own, and there is an empty one for none.
                _ if name.contains('.') => {
                    let given = form.params.entry(name).or_default();
                    if !given.is_empty() && !value.is_empty() {
                        given.push(AND);
                    }
                    given.push_str(&value);
                }
                _ => {}
            }
        }
        form
    }

    /// The spec that the form asks for, or everything that is wrong with it. `fresh_seed` is used when none was given.
    pub fn parse(&self, fresh_seed: u64) -> Result<ExperimentSpec, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut keep = |error: FieldError| errors.push(error);
        let dataset_id = id(&self.dataset, "dataset", "Choose a dataset.")
            .map_err(&mut keep)
            .ok();
        let workload_id = id(&self.workload, "workload", "Choose a workload.")
            .map_err(&mut keep)
            .ok();
        let sources = self
            .sources()
            .map_err(|wrong| wrong.into_iter().for_each(&mut keep))
            .ok();
        let iterations = number(&self.iterations, "iterations", 1, MAX_ITERATIONS.into())
            .map_err(&mut keep)
            .ok();
        let warm_up = number(&self.warm_up, "warm_up", 0, MAX_WARM_UP.into())
            .map_err(&mut keep)
            .ok();
        let seed = match self.seed.trim() {
            "" => Some(fresh_seed),
            text => number(text, "seed", 0, u64::MAX).map_err(&mut keep).ok(),
        };
        let clock = choice(&self.clock, "clock", &ClockKind::ALL, ClockKind::word)
            .map_err(&mut keep)
            .ok();
        let order = choice(&self.order, "order", &Order::ALL, Order::word)
            .map_err(&mut keep)
            .ok();
        let timeout_ms = timeout_ms(&self.timeout).map_err(&mut keep).ok();
        let settings = settings(&self.settings).map_err(&mut keep).ok();
        let query_positions: Option<Vec<i32>> = self.queries.iter().map(|text| text.parse().ok()).collect();
        if self.queries_listed && self.queries.is_empty() {
            keep(FieldError::new("query", "Choose at least one query."));
        } else if query_positions.is_none() {
            keep(FieldError::new("query", "There is no such query."));
        }
        let spec = (|| {
            Some(ExperimentSpec {
                dataset_id: DatasetId(dataset_id?),
                workload_id: WorkloadId(workload_id?),
                query_positions: query_positions?,
                sources: sources?,
                has_control: self.control,
                has_observer: self.observer,
                iterations: u32::try_from(iterations?).ok()?,
                warm_up: u32::try_from(warm_up?).ok()?,
                seed: seed?,
                clock: clock?,
                timeout_ms: timeout_ms?,
                order: order?,
                settings: settings?,
                repeats: None,
            })
        })();
        match spec {
            Some(spec) if errors.is_empty() => Ok(spec),
            _ => Err(errors),
        }
    }

    /// The sources that were chosen, validated, draws each on its own; none twice.
    pub fn chosen_sources(&self) -> Result<Vec<SourceSpec>, Vec<FieldError>> {
        let mut sources: Vec<SourceSpec> = Vec::new();
        let mut errors: Vec<FieldError> = Vec::new();
        for chosen in self.stats_source.iter().map(|given| self.chosen(given)) {
            match chosen {
                Ok(chosen) => sources.extend(chosen),
                Err(wrong) => errors.extend(wrong),
            }
        }
        for (idx, spec) in sources.iter().enumerate() {
            if sources[..idx].iter().any(|other| other.label == spec.label) {
                errors.push(FieldError::new(
                    "stats_source",
                    format!("{} is chosen twice with the same parameters.", spec.label),
                ));
            }
        }
        if sources.len() > MAX_SOURCES {
            errors.push(too_many(sources.len()));
        }
        if errors.is_empty() { Ok(sources) } else { Err(errors) }
    }

    /// The same as an experiment measures them: with the first source once more beside each script, and as the control.
    pub fn sources(&self) -> Result<Vec<SourceSpec>, Vec<FieldError>> {
        let chosen = self.chosen_sources()?;
        let mut sources = twins::with_twins(chosen).map_err(|error| vec![error])?;
        if let Some(base) = sources.first().filter(|_| self.control) {
            sources.push(SourceSpec {
                label: format!("{} again (control)", base.label),
                // Timed whatever its plan is.
                draw: None,
                ..base.clone()
            });
        }
        match sources.len() {
            0 => Err(vec![FieldError::new(
                "stats_source",
                "Choose at least one source of statistics.",
            )]),
            n if n > MAX_SOURCES => Err(vec![too_many(n)]),
            _ => Ok(sources),
        }
    }

    /// The sources that one chosen entry stands for, or everything that is wrong with it, each thing once.
    fn chosen(&self, given: &str) -> Result<Vec<SourceSpec>, Vec<FieldError>> {
        let mut sources = Vec::new();
        let mut errors: Vec<FieldError> = Vec::new();
        for (name, params) in self.expand(given).map_err(|error| vec![error])? {
            match source::parse(&name, &params) {
                Ok(spec) => sources.extend(source::draws(spec)),
                Err(wrong) => {
                    let wrong = wrong.into_iter().map(|error| {
                        let field = match error.field.as_str() {
                            "" => "stats_source".to_owned(),
                            parameter => format!("{name}.{parameter}"),
                        };
                        FieldError::new(&field, error.message)
                    });
                    errors.extend(wrong);
                }
            }
        }
        // The same wrong value stands in every combination with others.
        let mut once: Vec<FieldError> = Vec::new();
        for error in errors {
            if !once.contains(&error) {
                once.push(error);
            }
        }
        if once.is_empty() { Ok(sources) } else { Err(once) }
    }

    /// One chosen source, or several when a parameter lists several values.
    fn expand(&self, given: &str) -> Result<Vec<(String, Params)>, FieldError> {
        let given = given.trim();
        if let Some(inline) = inline(given)? {
            return Ok(vec![inline]);
        }
        let mut expanded = vec![Params::new()];
        let prefix = format!("{given}.");
        for (key, values) in self
            .params
            .iter()
            .filter_map(|(key, values)| Some((key.strip_prefix(&prefix)?, values)))
        {
            let values = source::values(given, key, values)
                .map_err(|error| FieldError::new(&format!("{given}.{}", error.field), error.message))?;
            expanded = expanded
                .iter()
                .flat_map(|params| {
                    values.iter().map(move |value| {
                        let mut params = params.clone();
                        params.insert(key.to_owned(), value.clone());
                        params
                    })
                })
                .take(MAX_SOURCES + 1)
                .collect();
        }
        Ok(expanded.into_iter().map(|params| (given.to_owned(), params)).collect())
    }
}

fn too_many(n_sources: usize) -> FieldError {
    let message = format!("{n_sources} sources are more than the {MAX_SOURCES} allowed.");
    FieldError::new("stats_source", message)
}

/// The name and the parameters of a source that is given with both; none for a mere name.
pub fn inline(given: &str) -> Result<Option<(String, Params)>, FieldError> {
    let Some((name, inline)) = given.split_once(':') else {
        return Ok(None);
    };
    let wrong = |what: &str| {
        FieldError::new(
            "stats_source",
            format!("{what} is not parameter=value, as in {name}:seed=7."),
        )
    };
    let params = if inline.trim_start().starts_with('{') {
        serde_json::from_str(inline).map_err(|_| wrong(inline))?
    } else {
        let pairs = inline.split(',').filter(|pair| !pair.trim().is_empty());
        let read = pairs.map(|pair| match pair.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
            None => Err(wrong(&format!("{pair:?}"))),
        });
        read.collect::<Result<Params, FieldError>>()?
    };
    Ok(Some((name.trim().to_owned(), params)))
}

#[cfg(test)]
mod tests;
