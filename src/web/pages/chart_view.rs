//! The chart section of a page: its switches, its picture's addresses, and the same numbers in words and as a table.

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::model::trial::RecordedTrial;
use crate::model::units::ms_in_words;
use crate::model::user::Viewer;
use crate::report::chart::Scale;
use crate::report::charts;
use crate::report::charts::Metric;
use crate::report::data::ReportData;
use crate::report::table;
use crate::store;
use crate::web::pages::chart::ChartParams;
use crate::web::pages::chart::ChartType;
use crate::web::urls;

/// One position of a switch.
pub struct Switch {
    pub id: String,
    pub label: String,
    /// The page with this chart.
    pub address: String,
    /// The block alone.
    pub fragment: String,
    pub is_current: bool,
}

/// The chart section, ready to be shown.
pub struct ChartView {
    pub types: Vec<Switch>,
    pub metrics: Vec<Switch>,
    pub scales: Vec<Switch>,
    /// For a line chart: which query.
    pub queries: Vec<Switch>,
    pub caption: String,
    pub alt: String,
    pub width: u32,
    pub height: u32,
    pub light: String,
    pub light_2x: String,
    pub dark: String,
    pub dark_2x: String,
    /// The same numbers as a table.
    pub heads: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub note: &'static str,
}

impl ChartView {
    /// For the page of an experiment.
    pub async fn load(
        conn: &mut PgConnection,
        viewer: Viewer,
        data: &ReportData,
        params: &ChartParams,
    ) -> store::Result<Self> {
        let id = data.experiment.id;
        let wants_log = charts::wants_log(data, params.metric());
        let usual_scale = (params.chart_type == ChartType::Bar && wants_log).then_some(true);
        let is_there = data.queries.iter().any(|query| query.query_idx == params.query_idx);
        let params = ChartParams {
            query_idx: if is_there { params.query_idx } else { 0 },
            is_log: params.is_log.or(usual_scale),
            ..*params
        };
        let (trials, size) = match params.chart_type {
            ChartType::Bar => (
                Vec::new(),
                charts::bars(data, params.metric(), Scale::Linear).default_size(),
            ),
            ChartType::Line => {
                let trials = store::trials::list(conn, viewer, id, Some(params.query_idx)).await?;
                let size = charts::lines(data, params.query_idx, &trials, Scale::Linear).default_size();
                (trials, size)
            }
        };
        // The page stands without its picture; the picture's own address then says what is wrong.
        let (width, height) = size.unwrap_or((880, 420));
        let revision = revision(data);
        let png = |theme: &str, dpr: u32| {
            let wish = params.to_picture_query();
            format!(
                "{}?{wish}&theme={theme}&dpr={dpr}&v={revision}",
                urls::result_part(id, "chart.png")
            )
        };
        let (heads, rows) = match params.chart_type {
            ChartType::Bar => bar_table(data, params.metric()),
            ChartType::Line => line_table(data, &trials),
        };
        Ok(Self {
            types: type_switches(data, params),
            metrics: metric_switches(data, params),
            scales: scale_switches(data, params, wants_log),
            queries: query_switches(data, params),
            caption: caption(data, params),
            alt: alt(data, params),
            width,
            height,
            light: png("light", 1),
            light_2x: png("light", 2),
            dark: png("dark", 1),
            dark_2x: png("dark", 2),
            heads,
            rows,
            note: note(params),
        })
    }
}

fn switch(data: &ReportData, key: &str, label: &str, to: ChartParams, is_current: bool) -> Switch {
    let id = data.experiment.id;
    Switch {
        id: format!("chart-{key}"),
        label: label.to_owned(),
        address: format!("{}?{}", urls::result(id), to.to_query()),
        fragment: format!("{}?{}", urls::result_part(id, "chart"), to.to_query()),
        is_current,
    }
}

fn type_switches(data: &ReportData, params: ChartParams) -> Vec<Switch> {
    [("bar", "Bars", ChartType::Bar), ("line", "Lines", ChartType::Line)]
        .map(|(key, label, chart_type)| {
            let to = ChartParams {
                chart_type,
                is_log: None,
                ..params
            };
            switch(data, key, label, to, chart_type == params.chart_type)
        })
        .into()
}

/// What the bars show; lines always show trials.
fn metric_switches(data: &ReportData, params: ChartParams) -> Vec<Switch> {
    let of_metric = |metric: Metric| {
        let to = ChartParams {
            metric: Some(metric),
            is_log: None,
            ..params
        };
        switch(data, metric.word(), metric.title(), to, metric == params.metric())
    };
    match params.chart_type {
        ChartType::Bar => Metric::ALL.into_iter().map(of_metric).collect(),
        ChartType::Line => Vec::new(),
    }
}

fn scale_switches(data: &ReportData, params: ChartParams, wants_log: bool) -> Vec<Switch> {
    if params.chart_type == ChartType::Bar && !wants_log {
        return Vec::new();
    }
    [("linear", "Linear", false), ("log", "Logarithmic", true)]
        .map(|(key, label, is_log)| {
            let to = ChartParams {
                is_log: Some(is_log),
                ..params
            };
            switch(data, key, label, to, is_log == (params.is_log == Some(true)))
        })
        .into()
}

/// Which query the lines are of.
fn query_switches(data: &ReportData, params: ChartParams) -> Vec<Switch> {
    let of_query = |query: &crate::model::experiment::ExperimentQuery| {
        let to = ChartParams {
            query_idx: query.query_idx,
            ..params
        };
        let key = format!("query-{}", query.query_idx);
        switch(data, &key, &query.label, to, query.query_idx == params.query_idx)
    };
    match params.chart_type {
        ChartType::Bar => Vec::new(),
        ChartType::Line => data.queries.iter().map(of_query).collect(),
    }
}

/// How the picture is to be read.
fn note(params: ChartParams) -> &'static str {
    match (params.chart_type, params.metric()) {
        (ChartType::Bar, Metric::Cost) => {
            "Costs are the planner's guesses in units of its own. A lower cost under other statistics does not mean a \
             faster query."
        }
        (ChartType::Bar, Metric::Median | Metric::Mean) => {
            "A bar for each source; whiskers reach one standard deviation of the finished trials up and down. A \
             hatched bar ends at the timeout: the true value lies above."
        }
        (ChartType::Line, _) => {
            "Each point is one trial; points of one round were measured close together. Crosses are trials that ran \
             into the timeout."
        }
    }
}

fn caption(data: &ReportData, params: ChartParams) -> String {
    match params.chart_type {
        ChartType::Bar => format!("{} by query and source", params.metric().title()),
        ChartType::Line => format!("Execution time of {} in each round", data.query_label(params.query_idx)),
    }
}

/// What a person sees in the picture, said in a sentence.
fn alt(data: &ReportData, params: ChartParams) -> String {
    match params.chart_type {
        ChartType::Bar => {
            let has_finished = data.summaries.iter().any(|summary| summary.n_finished > 0);
            let nothing = if has_finished {
                ""
            } else {
                "There are no finished trials yet."
            };
            let finding = data.experiment.headline.as_deref().unwrap_or(nothing);
            match params.metric() {
                Metric::Cost => format!("{}.", caption(data, params)),
                Metric::Median | Metric::Mean => format!("{}. {finding}", caption(data, params)),
            }
        }
        ChartType::Line => {
            let medians: Vec<String> = data
                .sources()
                .filter_map(|(source_idx, source)| {
                    let summary = data.summary(params.query_idx, source_idx)?;
                    let median = table::time_in_words(summary.median_ms, summary.median_is_above);
                    Some(format!("{median} under {}", source.label))
                })
                .collect();
            format!("{}. The medians are {}.", caption(data, params), medians.join(", "))
        }
    }
}

fn bar_table(data: &ReportData, metric: Metric) -> (Vec<String>, Vec<Vec<String>>) {
    let heads = std::iter::once("Query".to_owned()).chain(data.sources().map(|(_, source)| source.label.clone()));
    let cell = |query_idx: i32, source_idx: i32| {
        let Some(summary) = data.summary(query_idx, source_idx) else {
            return "–".to_owned();
        };
        let deviation = summary
            .stddev_ms
            .map(|ms| format!(" ± {}", ms_in_words(ms)))
            .unwrap_or_default();
        match metric {
            Metric::Median => format!(
                "{}{deviation}",
                table::time_in_words(summary.median_ms, summary.median_is_above)
            ),
            Metric::Mean => format!("{}{deviation}", table::time_in_words(summary.mean_ms, false)),
            Metric::Cost => table::cost(summary.cost).shown,
        }
    };
    let rows = data.queries.iter().map(|query| {
        let cells = data.sources().map(|(source_idx, _)| cell(query.query_idx, source_idx));
        std::iter::once(query.label.clone()).chain(cells).collect()
    });
    (heads.collect(), rows.collect())
}

fn line_table(data: &ReportData, trials: &[RecordedTrial]) -> (Vec<String>, Vec<Vec<String>>) {
    let heads = std::iter::once("Round".to_owned()).chain(data.sources().map(|(_, source)| source.label.clone()));
    let measured: HashMap<(i32, i32), &RecordedTrial> = trials
        .iter()
        .filter(|trial| trial.kind == crate::model::trial::TrialKind::Measured)
        .map(|trial| ((trial.round, trial.source_idx), trial))
        .collect();
    let cell = |round: i32, source_idx: i32| match measured.get(&(round, source_idx)) {
        None => "–".to_owned(),
        Some(trial) => match (trial.outcome, trial.execution_ms) {
            (crate::model::trial::OutcomeWord::Finished, Some(ms)) => ms_in_words(ms),
            (outcome, _) => outcome.word().to_owned(),
        },
    };
    let n_rounds = i32::try_from(data.experiment.spec.iterations).unwrap_or(0);
    let rows = (1..=n_rounds).map(|round| {
        let cells = data.sources().map(|(source_idx, _)| cell(round, source_idx));
        std::iter::once(round.to_string()).chain(cells).collect()
    });
    (heads.collect(), rows.collect())
}

/// Changes whenever the picture might.
pub fn revision(data: &ReportData) -> String {
    let experiment = &data.experiment;
    format!(
        "{}-{}-{}-{}",
        experiment.job.status.word(),
        experiment.n_recorded,
        experiment.created_at.timestamp_micros(),
        env!("CARGO_PKG_VERSION"),
    )
}
