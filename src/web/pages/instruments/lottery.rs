//! What a lottery has found, as a page.

use askama::Template;

use crate::analysis::lottery::Tally;
use crate::model::instrument::LotteryFindings;
use crate::model::units::grouped;
use crate::model::units::ms_in_words;
use crate::model::units::three_digits;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::lottery::LotteryReport;
use crate::report::instruments::lottery::PlanLot;
use crate::report::instruments::lottery::RareRow;
use crate::web::pages::instruments::chart::PictureView;
use crate::web::pages::instruments::show::Frame;

#[derive(Template)]
#[template(path = "instruments/lottery.html")]
pub(super) struct LotteryPage {
    frame: Frame,
    report: LotteryReport,
    /// None where nothing was drawn.
    picture: Option<PictureView>,
    /// What ANALYZE took, in the order of the targets.
    analyze: Vec<String>,
}

impl LotteryPage {
    pub fn new(frame: Frame, data: &InstrumentData, findings: &LotteryFindings) -> anyhow::Result<Self> {
        let report = LotteryReport::new(data, findings)?;
        let is_drawn = report.analyze_ms.iter().any(Option::is_some);
        Ok(Self {
            picture: is_drawn.then(|| PictureView::new(frame.id, &report.chart())),
            analyze: report
                .analyze_ms
                .iter()
                .map(|ms| ms.map_or_else(|| "–".to_owned(), ms_in_words))
                .collect(),
            frame,
            report,
        })
    }

    /// How many draws there are, where a run was stopped at each target by itself.
    fn drawn(&self) -> String {
        if !self.frame.is_part {
            return format!("{} draws at each target", self.report.n_draws);
        }
        let at_each = self.report.n_drawn.iter().zip(&self.report.targets);
        let at_each: Vec<String> = at_each.map(|(n, target)| format!("{n} at target {target}")).collect();
        format!(
            "Draws of the {} planned at each: {}",
            self.report.n_draws,
            at_each.join(", ")
        )
    }

    /// A flip probability with its interval.
    fn flips(tally: &Tally) -> String {
        if tally.n_draws == 0 {
            return "–".to_owned();
        }
        format!(
            "{} ({} to {})",
            percent(tally.flips),
            percent(tally.low),
            percent(tally.high)
        )
    }

    fn cost(plan: &PlanLot) -> String {
        match plan.cost {
            None => "–".to_owned(),
            Some((low, high)) if three_digits(low) == three_digits(high) => three_digits(low),
            Some((low, high)) => format!("{} to {}", three_digits(low), three_digits(high)),
        }
    }

    /// What running it once took, or why that is not known.
    fn time(plan: &PlanLot) -> String {
        match plan.execution_ms {
            Some(ms) => ms_in_words(ms),
            None if plan.message.is_empty() => "–".to_owned(),
            None => plan.message.clone(),
        }
    }

    /// Of a table: so many rows have a value.
    fn values(row: &RareRow) -> String {
        format!("{} of {}", grouped(row.n_values), grouped(row.n_rows))
    }

    fn sampled(row: &RareRow) -> String {
        grouped(row.n_sampled)
    }

    fn exact(row: &RareRow) -> String {
        percent(row.exact)
    }

    fn limit(row: &RareRow) -> String {
        percent(row.limit)
    }

    fn seen(row: &RareRow) -> String {
        let share = f64::from(row.n_seen) / f64::from(row.n_draws.max(1));
        with_interval(share, row.low, row.high)
    }
}

/// `12.0 % (5–24)`.
fn with_interval(share: f64, low: f64, high: f64) -> String {
    format!("{} ({:.0}–{:.0})", percent(share), low * 100.0, high * 100.0)
}

/// A share in percent; near zero it says so instead of rounding it away.
fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        small if small < 0.01 => "< 0.01 %".to_owned(),
        small if small < 1.0 => format!("{small:.2} %"),
        share => format!("{share:.1} %"),
    }
}
