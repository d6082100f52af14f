//! A plan as its tree is shown: on the page of its query and on its own.

use crate::model::estimate::Direction;
use crate::model::estimate::EstimateFactor;
use crate::model::experiment::PlanOutline;
use crate::model::units::grouped;
use crate::model::units::ms_in_words;
use crate::model::units::three_digits;
use crate::plan;
use crate::plan::Judged;
use crate::plan::Plan;
use crate::plan::Row;
use crate::report::data::ReportData;
use crate::report::table;
use crate::web::urls;

/// What the bars of a tree are as long as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Time,
    Rows,
    Cost,
    Buffers,
}

impl Measure {
    /// In the order in which they are offered; the first that a plan has is the usual one.
    const ALL: [Self; 4] = [Self::Time, Self::Rows, Self::Cost, Self::Buffers];

    /// The word in addresses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Rows => "rows",
            Self::Cost => "cost",
            Self::Buffers => "buffers",
        }
    }

    /// The measure of this word, if it is one.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.word() == word)
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Time => "Own time",
            Self::Rows => "Rows passed on",
            Self::Cost => "Own cost",
            Self::Buffers => "Own buffers",
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "shown as the length of a bar")]
    fn of(self, row: &Row) -> Option<f64> {
        match self {
            Self::Time => row.own.time_ms,
            Self::Rows => row.own.rows,
            Self::Cost => row.own.cost,
            Self::Buffers => row.own.buffers.map(|blocks| blocks as f64),
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::Time => ms_in_words(value),
            Self::Rows | Self::Buffers => count(value),
            Self::Cost => table::cost(Some(value)).shown,
        }
    }
}

/// One plan with its tree.
pub struct PlanView {
    /// Its page.
    pub address: String,
    /// What it looks like elsewhere: `plan.txt` and `plan.json` below its page.
    pub text_address: String,
    pub json_address: String,
    pub letter: String,
    /// The sources that chose it.
    pub sources: String,
    pub message: String,
    pub facts: String,
    /// What its bars show, and what they could show.
    pub measure: Measure,
    pub measures: Vec<Measure>,
    pub rows: Vec<NodeView>,
}

/// One node, and how the list around it opens and closes.
pub struct NodeView {
    pub title: String,
    pub details: Vec<String>,
    pub expected: String,
    pub found: String,
    /// How far off the estimate is, or why that is not said.
    pub factor: String,
    pub excluded: &'static str,
    pub is_off: bool,
    pub cost: String,
    pub buffers: String,
    pub own: String,
    /// Length of the bar in percent of the longest.
    pub bar: u32,
    pub opens: bool,
    pub closes: usize,
}

impl PlanView {
    /// The plan that `outline` is of, from its text if there is one.
    pub fn new(
        data: &ReportData,
        outline: &PlanOutline,
        text: Option<&str>,
        wish: Option<Measure>,
    ) -> anyhow::Result<Self> {
        let address = urls::plan(data.experiment.id, outline.query_idx, outline.source_idx);
        let plan = text.map(plan::parse).transpose()?;
        let rows = plan.as_ref().map(plan::rows).unwrap_or_default();
        let measures: Vec<Measure> = Measure::ALL
            .into_iter()
            .filter(|measure| rows.iter().any(|row| measure.of(row).is_some()))
            .collect();
        let measure = wish
            .filter(|wish| measures.contains(wish))
            .or(measures.first().copied())
            .unwrap_or(Measure::Cost);
        let chosen_by: Vec<&str> = data
            .plans
            .iter()
            .filter(|other| other.query_idx == outline.query_idx)
            .filter(|other| {
                other.source_idx == outline.source_idx
                    || (other.fingerprint.is_some() && other.fingerprint == outline.fingerprint)
            })
            .map(|other| data.source_label(other.source_idx))
            .collect();
        Ok(Self {
            text_address: format!("{address}/plan.txt"),
            json_address: format!("{address}/plan.json"),
            address,
            letter: letter(data, outline.query_idx, outline.source_idx),
            sources: chosen_by.join(", "),
            message: outline.message.clone().unwrap_or_default(),
            facts: plan.as_ref().map(|plan| facts(plan, outline)).unwrap_or_default(),
            measure,
            measures,
            rows: node_views(&rows, measure),
        })
    }
}

/// The letter of a query's plan under a source; empty while there is none.
pub fn letter(data: &ReportData, query_idx: i32, source_idx: i32) -> String {
    letters(data, query_idx)
        .into_iter()
        .find(|(of_source, _)| *of_source == source_idx)
        .map(|(_, letter)| letter)
        .unwrap_or_default()
}

/// The letters of a query's plans by source, as the table of results has them.
pub fn letters(data: &ReportData, query_idx: i32) -> Vec<(i32, String)> {
    let fingerprints: Vec<Option<&str>> = data
        .sources()
        .map(|(source_idx, _)| data.plan(query_idx, source_idx)?.fingerprint.as_deref())
        .collect();
    let letters = crate::analysis::letters(&fingerprints);
    (0_i32..)
        .zip(letters.into_iter().map(Option::unwrap_or_default))
        .collect()
}

fn facts(plan: &Plan, outline: &PlanOutline) -> String {
    let mut facts = vec![format!("cost {}", table::cost(Some(plan.cost())).shown)];
    if let Some(buffers) = plan.buffers() {
        facts.push(format!("{} buffers", grouped(buffers)));
    }
    if let (Some(worst), Some(mean)) = (outline.worst_q_error, outline.mean_q_error) {
        facts.push(format!(
            "estimates off by {}× on average and {}× at worst",
            times(mean),
            times(worst)
        ));
    }
    facts.join(", ")
}

fn node_views(rows: &[Row], measure: Measure) -> Vec<NodeView> {
    let longest = rows.iter().filter_map(|row| measure.of(row)).fold(0.0, f64::max);
    let depth_after = |idx: usize| rows.get(idx + 1).map_or(0, |next| next.depth);
    rows.iter()
        .enumerate()
        .map(|(idx, row)| {
            let after = depth_after(idx);
            NodeView {
                opens: after > row.depth,
                closes: row.depth.saturating_sub(after),
                ..node_view(row, measure, longest)
            }
        })
        .collect()
}

fn node_view(row: &Row, measure: Measure, longest: f64) -> NodeView {
    let own = measure.of(row);
    let (factor, excluded) = match row.estimate {
        Judged::Compared(estimate) => (factor(&estimate), ""),
        Judged::Excluded(exclusion) => (String::new(), exclusion.words()),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of at most 100"
    )]
    let bar = own
        .filter(|_| longest > 0.0)
        .map_or(0, |own| (own / longest * 100.0).ceil().clamp(0.0, 100.0) as u32);
    NodeView {
        title: match &row.subplan {
            Some(name) => format!("{name}: {}", row.title),
            None => row.title.clone(),
        },
        details: row.details.clone(),
        expected: count(row.plan_rows),
        found: found(row),
        factor,
        excluded,
        is_off: row.estimate.factor().is_some_and(|estimate| estimate.is_far_off()),
        cost: table::cost(Some(row.total_cost)).shown,
        buffers: buffers(row),
        own: own.map(|own| measure.shown(own)).unwrap_or_default(),
        bar,
        opens: false,
        closes: 0,
    }
}

/// `900`, `0.4 × 2 000`; empty when the plan was not run.
pub fn found(row: &Row) -> String {
    match (row.actual_rows, row.actual_loops) {
        (_, Some(0.0)) => "never ran".to_owned(),
        (Some(actual), Some(n_loops)) if n_loops > 1.0 => format!("{} × {}", count(actual), count(n_loops)),
        (Some(actual), _) => count(actual),
        (None, _) => String::new(),
    }
}

/// Shared blocks with the children's, and temporary ones where there were any.
pub fn buffers(row: &Row) -> String {
    let Some(shared) = row.shared_hit_blocks.zip(row.shared_read_blocks) else {
        return String::new();
    };
    let temporary = row.temp_read_blocks.unwrap_or(0) + row.temp_written_blocks.unwrap_or(0);
    let shared = grouped(shared.0 + shared.1);
    match temporary {
        0 => shared,
        n => format!("{shared} + {} temporary", grouped(n)),
    }
}

/// A number of rows.
pub fn count(rows: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "row counts are not negative"
    )]
    if rows.is_finite() && rows.fract() == 0.0 && rows < 1e15 {
        grouped(rows as u64)
    } else if rows.is_finite() && rows >= 1e15 {
        format!("{rows:.2e}")
    } else {
        three_digits(rows)
    }
}

/// The factor with its direction.
pub fn factor(estimate: &EstimateFactor) -> String {
    let times = times(estimate.factor);
    match estimate.direction {
        Direction::Over => format!("↑ {times}× too many"),
        Direction::Under => format!("↓ {times}× too few"),
        Direction::Exact => "exact".to_owned(),
    }
}

/// The factor with an arrow for its direction.
pub fn short_factor(estimate: &EstimateFactor) -> String {
    let times = times(estimate.factor);
    match estimate.direction {
        Direction::Over => format!("↑ {times}×"),
        Direction::Under => format!("↓ {times}×"),
        Direction::Exact => "exact".to_owned(),
    }
}

/// A factor, without a long row of digits.
pub fn times(factor: f64) -> String {
    if factor >= 1e6 {
        format!("{factor:.2e}")
    } else {
        three_digits(factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<NodeView> {
        node_views(&plan::rows(&plan::parse(text).unwrap()), Measure::Cost)
    }

    #[test]
    fn every_list_that_opens_is_closed() {
        let deep = r#"[{"Plan": {"Plans": [{"Plans": [{}, {"Plans": [{}]}]}, {}]}}]"#;
        let rows = rows(deep);
        let n_opened = rows.iter().filter(|row| row.opens).count();
        assert_eq!(n_opened, 3);
        assert_eq!(rows.iter().map(|row| row.closes).sum::<usize>(), n_opened);
    }

    #[test]
    fn the_longest_bar_is_whole_and_none_is_longer() {
        let text = r#"[{"Plan": {"Total Cost": 100, "Plans": [{"Total Cost": 75}, {"Total Cost": 0}]}}]"#;
        let bars: Vec<u32> = rows(text).iter().map(|row| row.bar).collect();
        assert_eq!(bars, [34, 100, 0]);
    }

    #[test]
    fn numbers_of_rows_are_said_with_their_loops_and_the_direction_of_their_error() {
        let text = r#"[{"Plan": {"Plan Rows": 500, "Actual Rows": 25, "Actual Loops": 2000, "Plans": [
            {"Plan Rows": 1, "Actual Rows": 0, "Actual Loops": 0},
            {"Plan Rows": 1, "Actual Rows": 2.5, "Actual Loops": 1}]}}]"#;
        let rows = rows(text);
        let said: Vec<(&str, &str, &str, &str)> = rows
            .iter()
            .map(|row| {
                (
                    row.expected.as_str(),
                    row.found.as_str(),
                    row.factor.as_str(),
                    row.excluded,
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                ("500", "25 × 2\u{2009}000", "↑ 20.0× too many", ""),
                ("1", "never ran", "", "it never ran"),
                ("1", "2.50", "↓ 2.50× too few", ""),
            ]
        );
        assert!(rows[0].is_off && !rows[2].is_off);
        assert_eq!(count(9.9e99), "9.90e99");
    }
}
