//! What a budget has found, as a page.

use askama::Template;

use crate::model::instrument::BudgetFindings;
use crate::model::units::bytes_in_words;
use crate::model::units::counted;
use crate::model::units::ms_in_words;
use crate::model::units::three_digits;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::budget::BillRow;
use crate::report::instruments::budget::BudgetReport;
use crate::report::instruments::budget::ColumnRow;
use crate::web::pages::instruments::show::Frame;

#[derive(Template)]
#[template(path = "instruments/budget.html")]
pub(super) struct BudgetPage {
    frame: Frame,
    report: BudgetReport,
    script: String,
}

impl BudgetPage {
    pub fn new(frame: Frame, data: &InstrumentData, findings: &BudgetFindings) -> anyhow::Result<Self> {
        let report = BudgetReport::new(data, findings)?;
        Ok(Self {
            frame,
            script: report.script(),
            report,
        })
    }

    /// Columns whose statistics the queries need.
    fn needed(&self) -> impl Iterator<Item = &ColumnRow> {
        self.report.columns.iter().filter(|column| column.target > 0)
    }

    /// Columns without whose statistics the queries plan the same.
    fn needless(&self) -> impl Iterator<Item = &ColumnRow> {
        self.report.columns.iter().filter(|column| column.target == 0)
    }

    fn without(&self) -> String {
        counted(
            self.needless().count() as u64,
            "column of these tables makes no difference to these queries",
            "columns of these tables make no difference to these queries",
        )
    }

    fn analyze(row: &BillRow) -> String {
        ms_in_words(row.bill.analyze_ms)
    }

    fn bytes(row: &BillRow) -> String {
        bytes_in_words(row.bill.statistics_bytes)
    }

    fn planning(row: &BillRow) -> String {
        ms_in_words(row.bill.planning_ms)
    }

    fn untouched(&self) -> String {
        counted(self.report.n_untouched as u64, "column of a table", "columns of tables")
    }

    fn tolerance(&self) -> String {
        three_digits(self.report.tolerance)
    }
}
