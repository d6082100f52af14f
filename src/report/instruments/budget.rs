//! A budget, ready to be shown: each column's target with what it saves, and the statements that set it.

use std::fmt::Write as _;

use crate::model::instrument::Bill;
use crate::model::instrument::BudgetFindings;
use crate::model::instrument::BudgetStep;
use crate::model::instrument::Moved;
use crate::model::instrument::Task;
use crate::report::instruments::InstrumentData;
use crate::report::instruments::Sheet;

/// What a budget has found.
pub struct BudgetReport {
    /// The largest that was tried.
    pub top: u32,
    pub tolerance: f64,
    pub columns: Vec<ColumnRow>,
    pub n_untouched: usize,
    /// What statistics cost at each target, and last, where it is known, with the targets found.
    pub bills: Vec<BillRow>,
    /// Queries that moved when all targets were set together; none where that was not checked.
    pub moved_together: Option<Vec<String>>,
    pub n_queries: usize,
    pub left_out: Vec<String>,
}

/// One column.
pub struct ColumnRow {
    pub name: String,
    pub target: u32,
    /// The next smaller target, at which something moves, and what; none where nothing ever did.
    pub moves_at: Option<u32>,
    pub moved: Vec<String>,
    pub statement: Option<String>,
}

/// What statistics cost.
pub struct BillRow {
    pub what: String,
    pub bill: Bill,
    /// Queries with another plan than at the largest target; none where that is not counted.
    pub n_other_plans: Option<usize>,
}

impl BudgetReport {
    /// Puts the stored pieces together.
    pub fn new(data: &InstrumentData, findings: &BudgetFindings) -> anyhow::Result<Self> {
        let Task::Budget(task) = &data.instrument.spec.task else {
            anyhow::bail!("the findings of a budget belong to another task");
        };
        let steps: Vec<BudgetStep> = data.read_steps()?;
        let in_words = |moved: &Moved| {
            let idx = usize::try_from(moved.query_idx).unwrap_or(usize::MAX);
            let label = task.queries.get(idx).map_or("", |query| query.label.as_str());
            format!("{label}: {}", moved.what)
        };
        let columns = findings.columns.iter().map(|column| {
            let below = task.targets.iter().rev().chain([&0]);
            let next = below.copied().find(|target| *target < column.target);
            ColumnRow {
                name: column.name.to_string(),
                target: column.target,
                moves_at: next.filter(|_| !column.moved.is_empty()),
                moved: column.moved.iter().map(in_words).collect(),
                statement: column.statement.clone(),
            }
        });
        let moved_together = steps.iter().find_map(|step| match step {
            BudgetStep::Checked { moved, .. } => Some(moved.iter().map(in_words).collect()),
            BudgetStep::Gathered { .. } | BudgetStep::Tried { .. } => None,
        });
        Ok(Self {
            top: task.targets.last().copied().unwrap_or_default(),
            tolerance: task.tolerance,
            columns: columns.collect(),
            n_untouched: findings.n_untouched,
            bills: bills(&steps),
            moved_together,
            n_queries: task.queries.len(),
            left_out: task.left_out.clone(),
        })
    }

    /// Statements that set the targets, each on a line.
    pub fn script(&self) -> String {
        let mut script = String::new();
        for statement in self.columns.iter().filter_map(|column| column.statement.as_ref()) {
            writeln!(script, "{statement}").expect("writing to a String cannot fail");
        }
        script
    }

    /// The columns, one a row.
    pub fn sheet(&self) -> Sheet {
        let rows = self.columns.iter().map(|column| {
            vec![
                column.name.clone(),
                column.target.to_string(),
                column.moves_at.map(|target| target.to_string()).unwrap_or_default(),
                column.moved.join("; "),
                column.statement.clone().unwrap_or_default(),
            ]
        });
        Sheet {
            heads: vec!["column", "target", "moves_at", "what_moves", "statement"],
            rows: rows.collect(),
        }
    }
}

fn bills(steps: &[BudgetStep]) -> Vec<BillRow> {
    let reference = steps.iter().rev().find_map(|step| match step {
        BudgetStep::Gathered { plans, .. } => Some(plans),
        BudgetStep::Tried { .. } | BudgetStep::Checked { .. } => None,
    });
    let rows = steps.iter().filter_map(|step| match step {
        BudgetStep::Gathered { target, bill, plans } => {
            let pairs = reference.map(|reference| plans.iter().zip(reference));
            Some(BillRow {
                what: format!("target {target} for all"),
                bill: *bill,
                n_other_plans: pairs.map(|pairs| pairs.filter(|(a, b)| a.fingerprint != b.fingerprint).count()),
            })
        }
        BudgetStep::Checked { bill, .. } => Some(BillRow {
            what: "the targets found".to_owned(),
            bill: *bill,
            n_other_plans: None,
        }),
        BudgetStep::Tried { .. } => None,
    });
    rows.collect()
}
