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
    needed: Vec<ColumnRow>,
    /// Columns without whose statistics the queries plan the same.
    needless: Vec<ColumnRow>,
    script: String,
}

impl BudgetPage {
    pub fn new(frame: Frame, data: &InstrumentData, findings: &BudgetFindings) -> anyhow::Result<Self> {
        let mut report = BudgetReport::new(data, findings)?;
        let script = report.script();
        let columns = std::mem::take(&mut report.columns).into_iter();
        let (needed, needless) = columns.partition(|column| column.target > 0);
        Ok(Self {
            frame,
            needed,
            needless,
            script,
            report,
        })
    }

    fn without(&self) -> String {
        counted(
            self.needless.len() as u64,
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
