//! Budget: the smallest statistics target of each column after which the plans and estimates of a workload stop moving.
//!
//! Everything is analyzed once at each target. Then, column by column, the statistics of the largest target are mixed with
//! those that this one column has at a smaller one: what moves then moves because of it. Each query is run once.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context as _;

use crate::instrument::bisect;
use crate::instrument::look::Look;
use crate::instrument::look::Seen;
use crate::instrument::stand::Stand;
use crate::instrument::work::Notebook;
use crate::model::instrument::Bill;
use crate::model::instrument::BudgetColumn;
use crate::model::instrument::BudgetFindings;
use crate::model::instrument::BudgetStep;
use crate::model::instrument::BudgetTask;
use crate::model::instrument::ColumnName;
use crate::model::instrument::DrawnPlan;
use crate::model::instrument::Findings;
use crate::model::instrument::Moved;
use crate::model::snapshot::Piece;
use crate::model::snapshot::Snapshot;
use crate::model::units::counted;
use crate::model::units::three_digits;
use crate::plan;
use crate::snapshot::capture;
use crate::snapshot::mixture::Parked;
use crate::snapshot::sampling;
use crate::sql::ident;
use crate::store::instruments;
use crate::target::trouble::Trouble;

/// The target that PostgreSQL comes with, for columns that have none of their own.
pub const DEFAULT_TARGET: u32 = 100;

/// Tries every column at every target, and returns what was found with a sentence.
pub async fn run(notebook: &Notebook<'_>, stand: &mut Stand, task: &BudgetTask) -> Result<(Findings, String), Trouble> {
    let mut work = Work {
        notebook,
        stand,
        task,
        steps: notebook.steps().await?,
        ladder: Vec::new(),
        references: Vec::new(),
        ancestors: Vec::new(),
    };
    work.gather().await?;
    work.refer().await?;
    let mut findings = BudgetFindings::default();
    let (columns, n_untouched) = work.candidates()?;
    findings.n_untouched = n_untouched;
    findings.n_touched = columns.len();
    for (idx, (name, piece)) in columns.iter().enumerate() {
        let detail = format!("{name}, column {} of {}", idx + 1, columns.len());
        notebook.stage("lowering targets", idx, columns.len(), &detail).await?;
        findings.columns.push(work.lower(name, piece).await?);
        notebook.note(&Findings::Budget(findings.clone())).await?;
    }
    notebook.stage("checking all of them together", 0, 0, "").await?;
    let moved = work.check(&findings).await?;
    let headline = headline(task, &findings, &moved);
    Ok((Findings::Budget(findings), headline))
}

struct Work<'a> {
    notebook: &'a Notebook<'a>,
    stand: &'a mut Stand,
    task: &'a BudgetTask,
    steps: Vec<BudgetStep>,
    /// The statistics at each target, parked in this order, and behind them none at all.
    ladder: Vec<(u32, Snapshot)>,
    references: Vec<Reference>,
    /// Tables with the tables that they inherit from.
    ancestors: Vec<(String, String)>,
}

/// A query under the statistics of the largest target.
struct Reference {
    fingerprint: Option<String>,
    /// The names of the tables and indexes in its plan.
    tables: BTreeSet<String>,
    /// As it ran once; none where it did not finish.
    analyzed: Option<Box<Seen>>,
    worst: Option<f64>,
}

impl Work<'_> {
    /// Stores a step, with the plans seen in it and the statistics gathered in it.
    async fn record(
        &mut self,
        step: BudgetStep,
        looks: &[(i32, &Look)],
        drawn: Option<&Snapshot>,
    ) -> Result<(), Trouble> {
        self.notebook.record(self.steps.len(), &step, looks, drawn).await?;
        self.steps.push(step);
        Ok(())
    }

    /// Analyzes everything at each target, or writes back what was gathered before an interruption.
    async fn gather(&mut self) -> Result<(), Trouble> {
        let n_targets = self.task.targets.len();
        for (place, target) in self.task.targets.iter().copied().enumerate() {
            let detail = format!("target {target}");
            self.notebook.stage("analyzing", place, n_targets, &detail).await?;
            let snapshot = match self.gathered_before(target).await? {
                Some(snapshot) => self.stand.park(place, &snapshot).await?.0,
                None => self.gather_at(place, target).await?,
            };
            self.ladder.push((target, snapshot));
        }
        let nothing = self.stand.park_nothing(n_targets).await?;
        self.ladder.push((0, nothing));
        Ok(())
    }

    async fn gathered_before(&self, wanted: u32) -> Result<Option<Snapshot>, Trouble> {
        let is_wanted = |step: &BudgetStep| matches!(step, BudgetStep::Gathered { target, .. } if *target == wanted);
        let Some(step_idx) = self.steps.iter().position(is_wanted) else {
            return Ok(None);
        };
        let mut conn = self.notebook.job.conn().await?;
        Ok(instruments::get_snapshot(&mut conn, self.notebook.instrument.id, step_idx).await?)
    }

    async fn gather_at(&mut self, place: usize, target: u32) -> Result<Snapshot, Trouble> {
        // For all columns: one that kept a target of its own would be the same at every target.
        let stop = self.notebook.job.stop_token();
        let took = self.stand.draw_with(&BTreeMap::new(), target, stop).await?;
        let snapshot = capture::capture(&mut self.stand.admin).await?;
        self.stand.lot.park(&mut self.stand.admin, place).await?;
        let bill = self.bill(took.as_secs_f64() * 1000.0).await?;
        let looks = self.look_at_all().await?;
        let plans = looks.iter().map(|look| DrawnPlan {
            fingerprint: look.fingerprint().map(str::to_owned),
            cost: look.cost(),
            message: look.message().map(str::to_owned),
        });
        let step = BudgetStep::Gathered {
            target,
            bill,
            plans: plans.collect(),
        };
        let looks: Vec<(i32, &Look)> = (0_i32..).zip(&looks).collect();
        self.record(step, &looks, Some(&snapshot)).await?;
        Ok(snapshot)
    }

    /// What the statistics in force cost.
    async fn bill(&mut self, analyze_ms: f64) -> Result<Bill, Trouble> {
        let mut planning_ms = 0.0;
        for query in &self.task.queries {
            let ms = self
                .stand
                .planning_ms(&query.sql, self.notebook.job.stop_token())
                .await?;
            planning_ms += ms.unwrap_or(0.0);
        }
        Ok(Bill {
            analyze_ms,
            statistics_bytes: sampling::statistics_bytes(&mut self.stand.admin).await?,
            planning_ms,
        })
    }

    async fn look_at_all(&mut self) -> Result<Vec<Look>, Trouble> {
        let mut looks = Vec::new();
        for query in &self.task.queries {
            looks.push(self.stand.look(&query.sql, self.notebook.job.stop_token()).await?);
        }
        Ok(looks)
    }

    /// The largest target's place.
    fn top(&self) -> usize {
        self.task.targets.len() - 1
    }

    /// Puts the statistics of the largest target in force, with `taken` as it is at `place`.
    async fn mix(&mut self, place: usize, taken: &[&Piece]) -> Result<(), Trouble> {
        let parked = |place: usize| Parked {
            source_idx: place,
            snapshot: &self.ladder[place].1,
        };
        let top = self.task.targets.len() - 1;
        self.stand.mix(parked(top), parked(place), taken).await?;
        Ok(())
    }

    /// Runs every query once under the statistics of the largest target.
    async fn refer(&mut self) -> Result<(), Trouble> {
        self.mix(self.top(), &[]).await?;
        self.ancestors = sampling::ancestors(&mut self.stand.admin).await?;
        let n_queries = self.task.queries.len();
        for (idx, query) in self.task.queries.iter().enumerate() {
            self.notebook
                .stage("running every query once", idx, n_queries, &query.label)
                .await?;
            let stop = self.notebook.job.stop_token();
            let look = self.stand.look(&query.sql, stop).await?;
            let ran = self.stand.run_once(&query.sql, stop).await?;
            let analyzed = match ran {
                Look::Plan(seen) => Some(seen),
                Look::None { .. } => None,
            };
            self.references.push(Reference {
                fingerprint: look.fingerprint().map(str::to_owned),
                tables: match &look {
                    Look::Plan(seen) => self.with_ancestors(bisect::tables_of(&seen.plan)),
                    Look::None { .. } => BTreeSet::new(),
                },
                worst: analyzed.as_ref().and_then(|seen| plan::q_error(&seen.plan).worst),
                analyzed,
            });
        }
        Ok(())
    }

    /// A plan names partitions and not their table, whose own statistics count as well.
    fn with_ancestors(&self, mut tables: BTreeSet<String>) -> BTreeSet<String> {
        let above = self.ancestors.iter().filter(|(child, _)| tables.contains(child));
        let above: Vec<String> = above.map(|(_, ancestor)| ancestor.clone()).collect();
        tables.extend(above);
        tables
    }

    /// The columns of tables that some plan touches, and how many others have statistics.
    fn candidates(&self) -> Result<(Vec<(ColumnName, Piece)>, usize), Trouble> {
        let (_, top) = self.ladder.get(self.top()).context("the largest target")?;
        let is_table = |relation: &str, schema: &str| {
            let mut relations = top.relations.iter();
            relations.any(|known| known.relation == relation && known.schema == schema && !known.is_index)
        };
        let mut columns = BTreeMap::new();
        let mut n_untouched = 0;
        for column in &top.columns {
            if !is_table(&column.relation, &column.schema) {
                continue;
            }
            if !self
                .references
                .iter()
                .any(|reference| reference.tables.contains(&column.relation))
            {
                n_untouched += 1;
                continue;
            }
            let name = ColumnName {
                schema: column.schema.clone(),
                table: column.relation.clone(),
                column: column.column.clone(),
            };
            let piece = Piece::Column {
                schema: column.schema.clone(),
                relation: column.relation.clone(),
                column_number: column.column_number,
                column: column.column.clone(),
            };
            columns.insert(name, piece);
        }
        Ok((columns.into_iter().collect(), n_untouched))
    }

    /// Goes down from the largest target until something moves.
    async fn lower(&mut self, name: &ColumnName, piece: &Piece) -> Result<BudgetColumn, Trouble> {
        let mut column = BudgetColumn {
            name: name.clone(),
            target: self.ladder[self.top()].0,
            moved: Vec::new(),
            statement: None,
        };
        // From the next to the largest down to the smallest, then none at all.
        let below: Vec<usize> = (0..self.top()).rev().chain([self.top() + 1]).collect();
        for place in below {
            let target = self.ladder[place].0;
            let moved = match self.tried_before(name, target) {
                Some(moved) => moved,
                None => self.attempt(name, piece, place).await?,
            };
            if !moved.is_empty() {
                column.moved = moved;
                break;
            }
            column.target = target;
        }
        let is_parent = self.ancestors.iter().any(|(_, ancestor)| *ancestor == name.table);
        column.statement = statement(&column, self.usual_target(name), is_parent);
        Ok(column)
    }

    /// The target that a column has as long as nobody sets another.
    fn usual_target(&self, name: &ColumnName) -> u32 {
        self.stand.own_targets().get(name).copied().unwrap_or(DEFAULT_TARGET)
    }

    fn tried_before(&self, name: &ColumnName, wanted: u32) -> Option<Vec<Moved>> {
        self.steps.iter().find_map(|step| match step {
            BudgetStep::Tried { column, target, moved } if column == name && *target == wanted => Some(moved.clone()),
            _ => None,
        })
    }

    async fn attempt(&mut self, name: &ColumnName, piece: &Piece, place: usize) -> Result<Vec<Moved>, Trouble> {
        self.mix(place, &[piece]).await?;
        let mut moved = Vec::new();
        let mut looks = Vec::new();
        for (query_idx, query) in (0_i32..).zip(&self.task.queries) {
            let Some(reference) = self.references.get(looks.len()) else {
                break;
            };
            if !reference.tables.contains(&name.table) {
                looks.push(None);
                continue;
            }
            let look = self.stand.look(&query.sql, self.notebook.job.stop_token()).await?;
            if let Some(what) = reference.moved(&look, self.task.tolerance) {
                moved.push(Moved { query_idx, what });
            }
            looks.push(Some(look));
        }
        let step = BudgetStep::Tried {
            column: name.clone(),
            target: self.ladder[place].0,
            moved: moved.clone(),
        };
        let looks = (0_i32..).zip(&looks);
        let looks: Vec<(i32, &Look)> = looks.filter_map(|(idx, look)| Some((idx, look.as_ref()?))).collect();
        self.record(step, &looks, None).await?;
        Ok(moved)
    }

    /// Analyzes with the targets that were found, and looks at every query again.
    async fn check(&mut self, findings: &BudgetFindings) -> Result<Vec<Moved>, Trouble> {
        let before = self.steps.iter().find_map(|step| match step {
            BudgetStep::Checked { moved, .. } => Some(moved.clone()),
            _ => None,
        });
        if let Some(moved) = before {
            return Ok(moved);
        }
        let columns = findings.columns.iter();
        let set = columns.filter(|column| column.statement.is_some());
        let mut targets = self.stand.own_targets();
        targets.extend(set.map(|column| (column.name.clone(), column.target)));
        let stop = self.notebook.job.stop_token();
        let took = self.stand.draw_with(&targets, DEFAULT_TARGET, stop).await?;
        let bill = self.bill(took.as_secs_f64() * 1000.0).await?;
        let looks = self.look_at_all().await?;
        let mut moved = Vec::new();
        for ((query_idx, look), reference) in (0_i32..).zip(&looks).zip(&self.references) {
            if let Some(what) = reference.moved(look, self.task.tolerance) {
                moved.push(Moved { query_idx, what });
            }
        }
        let step = BudgetStep::Checked {
            bill,
            moved: moved.clone(),
        };
        let looks: Vec<(i32, &Look)> = (0_i32..).zip(&looks).collect();
        self.record(step, &looks, None).await?;
        Ok(moved)
    }
}

impl Reference {
    /// What is other than under the largest target; none where nothing is.
    fn moved(&self, look: &Look, tolerance: f64) -> Option<String> {
        if look.fingerprint() != self.fingerprint.as_deref() {
            return Some(match look.message() {
                None => "another plan".to_owned(),
                Some(message) => format!("no plan: {message}"),
            });
        }
        let (Look::Plan(seen), Some(analyzed)) = (look, &self.analyzed) else {
            return None;
        };
        let counted = plan::with_counts(&seen.plan, &analyzed.plan)?;
        let (worst, reference) = (plan::q_error(&counted).worst?, self.worst?);
        let is_moved = worst > reference * tolerance || reference > worst * tolerance;
        is_moved.then(|| {
            format!(
                "worst estimate {}× off instead of {}×",
                three_digits(worst),
                three_digits(reference)
            )
        })
    }
}

/// What gives the column its target, if it is not the one it has. Where these queries need no statistics of it, others may.
/// What inherits from a table has targets of its own.
fn statement(column: &BudgetColumn, usual_target: u32, is_parent: bool) -> Option<String> {
    let ColumnName {
        schema,
        table,
        column: name,
    } = &column.name;
    (column.target > 0 && column.target != usual_target).then(|| {
        format!(
            "ALTER TABLE {}{} ALTER COLUMN {} SET STATISTICS {};",
            if is_parent { "ONLY " } else { "" },
            ident::quote_qualified(schema, table),
            ident::quote(name),
            column.target
        )
    })
}

fn headline(task: &BudgetTask, findings: &BudgetFindings, moved: &[Moved]) -> String {
    let n_same = task.queries.len() - moved.len();
    format!(
        "{} Analyzed once more with these targets, {n_same} of {} keep plan and estimates of target {}.",
        in_columns(task, findings),
        counted(task.queries.len() as u64, "query", "queries"),
        task.targets.last().copied().unwrap_or_default(),
    )
}

/// What the columns that were tried could do with, in a sentence.
pub fn in_columns(task: &BudgetTask, findings: &BudgetFindings) -> String {
    let n_columns = findings.columns.len() as u64;
    let count = |is_meant: &dyn Fn(u32) -> bool| {
        let columns = findings.columns.iter();
        columns.filter(|column| is_meant(column.target)).count()
    };
    // The next smaller target was not enough; of targets that were not tried nobody knows.
    let is_too_little = |target: u32| {
        task.targets
            .iter()
            .any(|tried| *tried >= DEFAULT_TARGET && *tried < target)
    };
    let (n_less, n_more) = (count(&|target| target < DEFAULT_TARGET), count(&is_too_little));
    format!(
        "Of {} that the plans touch, {n_less} could do with a target below {DEFAULT_TARGET} and {n_more} need a higher one.",
        counted(n_columns, "column", "columns"),
    )
}
