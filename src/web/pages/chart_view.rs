//! The chart section of a page: its switches, its picture's addresses, and the same numbers in words and as a table.

use sqlx::PgConnection;

use crate::model::experiment::Experiment;
use crate::model::trial::RecordedTrial;
use crate::model::user::Viewer;
use crate::report::chart::Scale;
use crate::report::charts;
use crate::report::charts::Metric;
use crate::report::costs;
use crate::report::data::ReportData;
use crate::report::estimates;
use crate::report::estimates::SourceEstimates;
use crate::report::table;
use crate::store;
use crate::web::pages::chart::ChartParams;
use crate::web::pages::chart::ChartType;
use crate::web::pages::chart_tables as tables;
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
    pub note: String,
}

impl ChartView {
    /// For the page of an experiment.
    pub async fn load(
        conn: &mut PgConnection,
        viewer: Viewer,
        data: &ReportData,
        params: &ChartParams,
    ) -> store::Result<Self> {
        let query_idx = query_there_is(data, params.query_idx);
        let trials = if params.chart_type.is_of_one_query() {
            store::trials::list(conn, viewer, data.experiment.id, Some(query_idx)).await?
        } else {
            Vec::new()
        };
        Ok(Self::new(data, params, &trials))
    }

    /// The same with the trials of the query in question, where it is of one.
    pub fn new(data: &ReportData, params: &ChartParams, trials: &[RecordedTrial]) -> Self {
        let id = data.experiment.id;
        let wants_log = charts::wants_log(data, params.metric());
        let usual_scale = (params.chart_type == ChartType::Bar && wants_log).then_some(true);
        let params = ChartParams {
            query_idx: query_there_is(data, params.query_idx),
            is_log: params.is_log.or(usual_scale),
            ..*params
        };
        let query_idx = params.query_idx;
        let size = match params.chart_type {
            ChartType::Bar => charts::bars(data, params.metric(), Scale::Linear).default_size(),
            ChartType::Line => charts::lines(data, query_idx, trials, Scale::Linear).default_size(),
            ChartType::Box => charts::boxes(data, query_idx, trials, Scale::Linear).default_size(),
            ChartType::Cdf => charts::shares(data, query_idx, trials, Scale::Linear).default_size(),
            ChartType::Scatter => charts::costs(data).default_size(),
            ChartType::Estimates => estimates::chart(data).default_size(),
        };
        // The page stands without its picture; the picture's own address then says what is wrong.
        let (width, height) = size.unwrap_or((880, 420));
        let revision = revision(&data.experiment);
        let png = |theme: &str, dpr: u32| {
            let wish = params.to_picture_query();
            format!(
                "{}?{wish}&theme={theme}&dpr={dpr}&v={revision}",
                urls::result_part(id, "chart.png")
            )
        };
        let (heads, rows) = match params.chart_type {
            ChartType::Bar => tables::bars(data, params.metric()),
            ChartType::Line => tables::rounds(data, trials),
            ChartType::Box => tables::boxes(data, query_idx, trials),
            ChartType::Cdf => tables::shares(data, query_idx, trials),
            ChartType::Scatter => tables::costs(data),
            ChartType::Estimates => tables::estimates(data),
        };
        Self {
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
            note: note(data, params),
        }
    }
}

/// The query that is asked for, or the first where there is no such query.
fn query_there_is(data: &ReportData, query_idx: i32) -> i32 {
    data.query(query_idx).map_or(0, |query| query.query_idx)
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
    ChartType::ALL
        .map(|chart_type| {
            let label = match chart_type {
                ChartType::Bar => "Bars",
                ChartType::Line => "Lines",
                ChartType::Box => "Boxes",
                ChartType::Cdf => "Shares",
                ChartType::Scatter => "Cost against time",
                ChartType::Estimates => "Estimates",
            };
            let to = ChartParams {
                chart_type,
                is_log: None,
                ..params
            };
            switch(data, chart_type.word(), label, to, chart_type == params.chart_type)
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
        ChartType::Line | ChartType::Box | ChartType::Cdf | ChartType::Scatter | ChartType::Estimates => Vec::new(),
    }
}

fn scale_switches(data: &ReportData, params: ChartParams, wants_log: bool) -> Vec<Switch> {
    match params.chart_type {
        ChartType::Bar if !wants_log => return Vec::new(),
        // Costs and times go over many decades, shares over none.
        ChartType::Scatter | ChartType::Estimates => return Vec::new(),
        ChartType::Bar | ChartType::Line | ChartType::Box | ChartType::Cdf => {}
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
    if params.chart_type.is_of_one_query() {
        data.queries.iter().map(of_query).collect()
    } else {
        Vec::new()
    }
}

/// How the picture is to be read.
fn note(data: &ReportData, params: ChartParams) -> String {
    let of_type = match (params.chart_type, params.metric()) {
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
             into the timeout. An arrow's head at the foot says that something else was seen at work during that round's \
             visit; the table below says what."
        }
        (ChartType::Box, _) => {
            "A box holds the middle half of the trials, the line in it is the median; whiskers reach to the furthest trial \
             within one and a half boxes (Tukey 1977). Trials beyond are points, timeouts are crosses at the limit."
        }
        (ChartType::Cdf, _) => {
            "How many of the trials had finished after so long: the line that rises further to the left is faster. Trials \
             that timed out never finish, so their line ends below 100 %."
        }
        (ChartType::Scatter, _) => {
            "A point for each query under each source. If cost foretold time, the points of one source would rise from left \
             to right in a narrow band."
        }
        (ChartType::Estimates, _) => {
            "For each number of joins at and below a node and each source, the share of nodes whose row estimate is at \
             least 10 times too high (upwards) or too low (downwards), over all queries."
        }
    };
    let is_of_times = match params.chart_type {
        ChartType::Bar => params.metric() != Metric::Cost,
        ChartType::Line | ChartType::Box | ChartType::Cdf | ChartType::Scatter => true,
        ChartType::Estimates => false,
    };
    if is_of_times && data.summaries.iter().any(|summary| summary.same_plan_as.is_some()) {
        format!("{of_type} A draw whose plan is that of an earlier draw was not timed again and has no mark here.")
    } else {
        of_type.to_owned()
    }
}

fn caption(data: &ReportData, params: ChartParams) -> String {
    match params.chart_type {
        ChartType::Bar => format!("{} by query and source", params.metric().title()),
        ChartType::Line => format!("Execution time of {} in each round", data.query_label(params.query_idx)),
        ChartType::Box => format!("Execution times of {} by source", data.query_label(params.query_idx)),
        ChartType::Cdf => format!("How soon {} finishes by source", data.query_label(params.query_idx)),
        ChartType::Scatter => "The planner's cost against the median time of each query".to_owned(),
        ChartType::Estimates => "Far-off estimates by the number of joins".to_owned(),
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
        ChartType::Scatter => {
            let correlation = |agreement: costs::Agreement| {
                let rho = agreement.correlation?;
                Some(format!("{rho:.2} under {}", data.source_label(agreement.source_idx)))
            };
            let found: Vec<String> = costs::agreements(data).into_iter().filter_map(correlation).collect();
            format!(
                "{}. Their ranks correlate by {}.",
                caption(data, params),
                found.join(", ")
            )
        }
        ChartType::Line | ChartType::Box | ChartType::Cdf => {
            let medians: Vec<String> = data
                .sources()
                .filter_map(|(source_idx, source)| {
                    let summary = data.summary(params.query_idx, source_idx)?;
                    let median = table::median_in_words(data, summary);
                    Some(format!("{median} under {}", source.label))
                })
                .collect();
            format!("{}. The medians are {}.", caption(data, params), medians.join(", "))
        }
        ChartType::Estimates => {
            let of_source = |source: &SourceEstimates| {
                let total = source.total();
                let n_far_off = total.n_over + total.n_under;
                let label = data.source_label(source.source_idx);
                format!("{n_far_off} of {} under {label}", total.n_nodes)
            };
            let counts: Vec<String> = estimates::by_source(data).iter().map(of_source).collect();
            format!("{}: {}.", caption(data, params), counts.join(", "))
        }
    }
}

/// Changes whenever the picture might.
pub fn revision(experiment: &Experiment) -> String {
    format!(
        "{}-{}-{}-{}",
        experiment.job.status.word(),
        experiment.n_recorded,
        experiment.created_at.timestamp_micros(),
        env!("CARGO_PKG_VERSION"),
    )
}
