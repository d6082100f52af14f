//! The charts of an experiment, built from the same stored numbers as its table.

use crate::analysis::summary::Observed;
use crate::analysis::summary::five_numbers;
use crate::model::look::disturbances_of;
use crate::model::trial::OutcomeWord;
use crate::model::trial::RecordedTrial;
use crate::model::trial::TrialKind;
use crate::report::chart::Bar;
use crate::report::chart::BarChart;
use crate::report::chart::BarGroup;
use crate::report::chart::BoxChart;
use crate::report::chart::BoxOf;
use crate::report::chart::BoxShape;
use crate::report::chart::LineChart;
use crate::report::chart::Numbers;
use crate::report::chart::Scale;
use crate::report::chart::Series;
use crate::report::chart::Shape;
use crate::report::chart::SourceKey;
use crate::report::chart::Unit;
use crate::report::chart::XyChart;
use crate::report::chart::XySeries;
use crate::report::costs;
use crate::report::data::ReportData;
use crate::report::table;

/// What the bars are as high as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Median,
    Mean,
    Cost,
}

impl Metric {
    pub const ALL: [Self; 3] = [Self::Median, Self::Mean, Self::Cost];

    /// The word in addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Median => "median",
            Self::Mean => "mean",
            Self::Cost => "cost",
        }
    }

    /// What the axis says.
    pub fn title(self) -> &'static str {
        match self {
            Self::Median => "Median execution time",
            Self::Mean => "Mean execution time",
            Self::Cost => "The planner's estimated cost",
        }
    }
}

/// Beyond this range of heights a logarithmic scale is offered.
const LOG_BEYOND: f64 = 50.0;

/// A bar for each source under each query. Sources keep their colours whatever is shown.
pub fn bars(data: &ReportData, metric: Metric, scale: Scale) -> BarChart {
    let groups = data.queries.iter().map(|query| BarGroup {
        label: query.label.clone(),
        bars: data
            .sources()
            .map(|(source_idx, _)| bar(data, metric, query.query_idx, source_idx))
            .collect(),
    });
    BarChart {
        y_title: metric.title().to_owned(),
        unit: if metric == Metric::Cost {
            Unit::Cost
        } else {
            Unit::Milliseconds
        },
        scale,
        sources: keys(data),
        groups: groups.collect(),
    }
}

fn bar(data: &ReportData, metric: Metric, query_idx: i32, source_idx: i32) -> Option<Bar> {
    let summary = data.summary(query_idx, source_idx)?;
    let (height, whisker, censored) = match metric {
        Metric::Median => (summary.median_ms?, summary.stddev_ms, summary.median_is_above),
        Metric::Mean => {
            let (mean_ms, is_above) = table::mean_of_all(summary);
            (mean_ms?, summary.stddev_ms, is_above)
        }
        Metric::Cost => (summary.cost?, None, false),
    };
    // The deviation is of the finished trials; around a limit it would say nothing.
    Some(Bar {
        height,
        whisker: whisker.filter(|_| !censored),
        censored,
    })
}

/// The measured trials of one (query, source), in their order.
fn measured(trials: &[RecordedTrial], query_idx: i32, source_idx: i32) -> impl Iterator<Item = &RecordedTrial> {
    trials.iter().filter(move |trial| {
        trial.kind == TrialKind::Measured && trial.query_idx == query_idx && trial.source_idx == source_idx
    })
}

/// The same as analysis takes them.
pub fn sample(trials: &[RecordedTrial], query_idx: i32, source_idx: i32) -> Vec<Observed> {
    measured(trials, query_idx, source_idx).map(Observed::from).collect()
}

/// A box for each source of one query.
pub fn boxes(data: &ReportData, query_idx: i32, trials: &[RecordedTrial], scale: Scale) -> BoxChart {
    let of_source = |(source, source_idx): (SourceKey, i32)| {
        let sample = sample(trials, query_idx, source_idx);
        let five = five_numbers(&sample);
        let is_outside = |ms: &f64| five.is_none_or(|five| *ms < five.low_ms || *ms > five.high_ms);
        BoxOf {
            source,
            shape: five.map(|five| BoxShape {
                low: five.low_ms,
                first_quartile: five.first_quartile_ms,
                median: five.median_ms,
                third_quartile: five.third_quartile_ms,
                high: five.high_ms,
            }),
            points: finished(&sample).filter(is_outside).collect(),
            timeouts: sample
                .iter()
                .filter_map(|trial| match trial {
                    Observed::TimedOut { limit_ms } => Some(*limit_ms),
                    Observed::Finished { .. } | Observed::Failed => None,
                })
                .collect(),
        }
    };
    BoxChart {
        title: "Execution time of the trials".to_owned(),
        unit: Unit::Milliseconds,
        scale,
        boxes: keys(data).into_iter().zip(0_i32..).map(of_source).collect(),
    }
}

/// For each source of one query: which share of its trials had finished after so long. Those that never did count.
pub fn shares(data: &ReportData, query_idx: i32, trials: &[RecordedTrial], scale: Scale) -> XyChart {
    let of_source = |(source, source_idx): (SourceKey, i32)| {
        let sample = sample(trials, query_idx, source_idx);
        let mut times: Vec<f64> = finished(&sample).collect();
        times.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "a share of the trials")]
        let share = |n: usize| n as f64 / sample.len() as f64;
        let foot = times.first().map(|fastest| (*fastest, 0.0));
        let steps = times.iter().zip(1..).map(|(ms, n)| (*ms, share(n)));
        XySeries {
            source,
            points: foot.into_iter().chain(steps).collect(),
        }
    };
    XyChart {
        x: Numbers {
            title: "Execution time".to_owned(),
            unit: Some(Unit::Milliseconds),
            scale,
        },
        y: Numbers {
            title: "Share of the trials that had finished".to_owned(),
            unit: None,
            scale: Scale::Linear,
        },
        shape: Shape::Steps,
        series: keys(data).into_iter().zip(0_i32..).map(of_source).collect(),
        marks: Vec::new(),
    }
}

/// The planner's cost of every query against the time that it took, under each source.
pub fn costs(data: &ReportData) -> XyChart {
    let of_source = |(source, source_idx): (SourceKey, i32)| XySeries {
        source,
        points: costs::pairs(data, source_idx),
    };
    XyChart {
        x: Numbers {
            title: Metric::Cost.title().to_owned(),
            unit: Some(Unit::Cost),
            scale: Scale::Log,
        },
        y: Numbers {
            title: Metric::Median.title().to_owned(),
            unit: Some(Unit::Milliseconds),
            scale: Scale::Log,
        },
        shape: Shape::Points,
        series: keys(data).into_iter().zip(0_i32..).map(of_source).collect(),
        marks: Vec::new(),
    }
}

fn finished(sample: &[Observed]) -> impl Iterator<Item = f64> {
    sample.iter().filter_map(|trial| match trial {
        Observed::Finished { ms } => Some(*ms),
        Observed::TimedOut { .. } | Observed::Failed => None,
    })
}

/// The measured times of one query over the rounds, a line for each source.
pub fn lines(data: &ReportData, query_idx: i32, trials: &[RecordedTrial], scale: Scale) -> LineChart {
    let series = keys(data).into_iter().zip(0_i32..).map(|(source, source_idx)| Series {
        source,
        points: measured(trials, query_idx, source_idx)
            .filter(|trial| trial.outcome == OutcomeWord::Finished)
            .filter_map(|trial| Some((u32::try_from(trial.round).ok()?, trial.execution_ms?)))
            .collect(),
        timeouts: measured(trials, query_idx, source_idx)
            .filter(|trial| trial.outcome == OutcomeWord::TimedOut)
            .filter_map(|trial| u32::try_from(trial.round).ok())
            .collect(),
        disturbed: measured(trials, query_idx, source_idx)
            .filter(|trial| !disturbances_of(&data.looks, trial).is_empty())
            .filter_map(|trial| u32::try_from(trial.round).ok())
            .collect(),
    });
    #[expect(clippy::cast_precision_loss, reason = "a timeout is at most an hour")]
    let limit_ms = data.experiment.spec.timeout_ms as f64;
    LineChart {
        y_title: "Execution time of each trial".to_owned(),
        unit: Unit::Milliseconds,
        scale,
        x_title: "Round".to_owned(),
        series: series.collect(),
        limit_ms: Some(limit_ms),
    }
}

/// Whether heights differ so much that small ones vanish on a linear scale.
pub fn wants_log(data: &ReportData, metric: Metric) -> bool {
    let heights: Vec<f64> = data
        .queries
        .iter()
        .flat_map(|query| {
            data.sources()
                .filter_map(|(source_idx, _)| bar(data, metric, query.query_idx, source_idx))
        })
        .map(|bar| bar.height)
        .filter(|height| *height > 0.0)
        .collect();
    let largest = heights.iter().copied().fold(0.0, f64::max);
    heights.iter().any(|height| largest / height > LOG_BEYOND)
}

/// The sources as legends show them.
pub fn keys(data: &ReportData) -> Vec<SourceKey> {
    data.experiment
        .spec
        .sources
        .iter()
        .enumerate()
        .map(|(colour, source)| SourceKey {
            label: source.label.clone(),
            colour,
        })
        .collect()
}
