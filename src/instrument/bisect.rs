//! Bisect: which statistics of one source, put into those of another, turn a query's plan into the other plan?
//!
//! The effect looked for is the second source's own plan, not just any other. Nothing is executed, only planned.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde_json::Value;

use crate::instrument::ddmin;
use crate::instrument::ddmin::Next;
use crate::instrument::look::Look;
use crate::instrument::saying::said;
use crate::instrument::stand::Stand;
use crate::instrument::work::Notebook;
use crate::model::instrument::BisectFindings;
use crate::model::instrument::BisectStep;
use crate::model::instrument::BisectTask;
use crate::model::instrument::Findings;
use crate::model::instrument::TaskQuery;
use crate::model::snapshot::Piece;
use crate::model::snapshot::Snapshot;
use crate::model::units::counted;
use crate::plan::Node;
use crate::plan::Plan;
use crate::snapshot::mixture;
use crate::snapshot::mixture::Parked;
use crate::store::sources;
use crate::target::trouble::Trouble;

/// The only query of a bisect.
const QUERY: i32 = 0;
/// The parking places of both snapshots.
const FROM: usize = 0;
const TO: usize = 1;

/// Runs the search to its end, and returns what it has found with a sentence.
pub async fn run(notebook: &Notebook<'_>, stand: &mut Stand, task: &BisectTask) -> Result<(Findings, String), Trouble> {
    let (from, to) = snapshots(notebook, task).await?;
    notebook
        .stage("writing both sources' statistics", 0, 0, &task.query.label)
        .await?;
    let (pair, mut findings) = Pair::park(stand, &from, &to, &task.query).await?;
    notebook.note(&Findings::Bisect(findings.clone())).await?;
    let steps: Vec<BisectStep> = notebook.steps().await?;
    let mut trail = Trail {
        notebook,
        query_idx: QUERY,
        next_step: steps.len(),
        known: known(steps),
        written: |_, step| Ok(serde_json::to_value(step)?),
    };
    search(&mut trail, stand, &pair, &mut findings).await?;
    let headline = headline(task, &findings);
    Ok((Findings::Bisect(findings), headline))
}

/// Both snapshots, what differs, and the query that is planned under their mixtures.
pub struct Pair<'a> {
    pub from: Snapshot,
    pub to: Snapshot,
    pub pieces: Vec<Piece>,
    pub label: &'a str,
    pub sql: &'a str,
}

impl<'a> Pair<'a> {
    /// Writes both into the clone, and says what could not be written.
    pub async fn park(
        stand: &mut Stand,
        from: &Snapshot,
        to: &Snapshot,
        query: &'a TaskQuery,
    ) -> Result<(Self, BisectFindings), Trouble> {
        let (from, from_left_out) = stand.park(FROM, from).await?;
        let (to, to_left_out) = stand.park(TO, to).await?;
        let pair = Self {
            pieces: mixture::differences(&from, &to),
            from,
            to,
            label: &query.label,
            sql: &query.sql,
        };
        let left_out = from_left_out.into_iter().chain(to_left_out);
        let mut left_out: Vec<String> = left_out
            .map(|left| format!("{}: {}", left.column, left.reason))
            .collect();
        left_out.sort();
        left_out.dedup();
        let findings = BisectFindings {
            pieces: pair.pieces.clone(),
            left_out,
            ..BisectFindings::default()
        };
        Ok((pair, findings))
    }
}

async fn snapshots(notebook: &Notebook<'_>, task: &BisectTask) -> Result<(Snapshot, Snapshot), Trouble> {
    let mut conn = notebook.job.conn().await?;
    let mut all = sources::list_snapshots(&mut conn, task.experiment_id).await?;
    let mut take = |source_idx: i32| {
        let found = usize::try_from(source_idx)
            .ok()
            .and_then(|idx| all.get_mut(idx)?.take());
        found.map(|(snapshot, _)| snapshot).ok_or_else(|| {
            Trouble::Sentence(format!(
                "Experiment {} holds no statistics of one of these sources any more.",
                task.experiment_id
            ))
        })
    };
    Ok((take(task.from.source_idx)?, take(task.to.source_idx)?))
}

/// What was tried so far, and where the next step goes.
pub struct Trail<'a> {
    pub notebook: &'a Notebook<'a>,
    pub query_idx: i32,
    pub next_step: usize,
    /// The plan of each mixture, by what was taken.
    pub known: BTreeMap<Vec<usize>, Option<String>>,
    /// A step as the instrument stores it.
    pub written: fn(i32, BisectStep) -> anyhow::Result<Value>,
}

/// What stored steps have shown.
pub fn known(steps: impl IntoIterator<Item = BisectStep>) -> BTreeMap<Vec<usize>, Option<String>> {
    let steps = steps.into_iter();
    steps.map(|step| (step.taken, step.fingerprint)).collect()
}

impl Trail<'_> {
    /// Plans the query under a mixture and writes down what comes out, unless that is known.
    async fn go(&mut self, stand: &mut Stand, pair: &Pair<'_>, items: &[usize], why: &str) -> Result<(), Trouble> {
        if self.known.contains_key(items) {
            return Ok(());
        }
        let look = look(stand, self.notebook, pair, items).await?;
        self.record(items, why, &look).await
    }

    async fn record(&mut self, items: &[usize], why: &str, look: &Look) -> Result<(), Trouble> {
        let step = BisectStep {
            taken: items.to_vec(),
            why: why.to_owned(),
            fingerprint: look.fingerprint().map(str::to_owned),
            cost: look.cost(),
            message: look.message().map(str::to_owned),
        };
        self.known.insert(step.taken.clone(), step.fingerprint.clone());
        let step = (self.written)(self.query_idx, step)?;
        let looks = [(self.query_idx, look)];
        self.notebook.record(self.next_step, &step, &looks, None).await?;
        self.next_step += 1;
        Ok(())
    }

    fn plan_of(&self, items: &[usize]) -> Option<String> {
        self.known.get(items).cloned().flatten()
    }
}

/// Searches from where the trail ends, and fills in what is found.
pub async fn search(
    trail: &mut Trail<'_>,
    stand: &mut Stand,
    pair: &Pair<'_>,
    findings: &mut BisectFindings,
) -> Result<(), Trouble> {
    let n_pieces = pair.pieces.len();
    let ends = [Vec::new(), (0..n_pieces).collect()];
    let mut tables = BTreeSet::new();
    for (items, why) in ends.iter().zip(["nothing taken", "everything taken"]) {
        // Asked again when a run goes on: its plan says which tables count.
        let look = look(stand, trail.notebook, pair, items).await?;
        if let Look::Plan(seen) = &look {
            tables.extend(tables_of(&seen.plan));
        }
        if let Some(message) = look.message() {
            return Err(Trouble::Sentence(format!("The query has no plan: {message}.")));
        }
        if !trail.known.contains_key(items) {
            trail.record(items, why, &look).await?;
        }
    }
    findings.plan_from = trail.plan_of(&ends[0]);
    findings.plan_to = trail.plan_of(&ends[1]);
    let favourites: Vec<usize> = (0..n_pieces)
        .filter(|idx| belongs_to(&pair.pieces[*idx], &tables))
        .collect();
    let minimal = loop {
        let next = ddmin::next(n_pieces, &favourites, &|items| {
            trail.known.get(items).map(|plan| *plan == findings.plan_to)
        });
        match next {
            Next::Try { items, why } => {
                let n = trail.known.len();
                let tried = counted(items.len() as u64, "piece", "pieces");
                let detail = format!("{} under {tried} of {n_pieces}", pair.label);
                trail
                    .notebook
                    .stage(&format!("trying step {}", n + 1), 0, 0, &detail)
                    .await?;
                trail.go(stand, pair, &items, &why).await?;
            }
            Next::Nothing => return Ok(()),
            Next::Found(minimal) => break minimal,
        }
    };
    // The search has left out each of them already, where more than two are left; whatever it has not is done now.
    for left_out in &minimal {
        let rest: Vec<usize> = minimal.iter().copied().filter(|item| item != left_out).collect();
        trail.go(stand, pair, &rest, "to verify").await?;
        findings.without.push(trail.plan_of(&rest));
        findings.said.push(said(&pair.pieces[*left_out], &pair.from, &pair.to));
    }
    findings.minimal = Some(minimal);
    Ok(())
}

async fn look(stand: &mut Stand, notebook: &Notebook<'_>, pair: &Pair<'_>, items: &[usize]) -> Result<Look, Trouble> {
    let taken: Vec<&Piece> = items.iter().filter_map(|idx| pair.pieces.get(*idx)).collect();
    let parked = |source_idx, snapshot| Parked { source_idx, snapshot };
    stand
        .mix(parked(FROM, &pair.from), parked(TO, &pair.to), &taken)
        .await?;
    stand.look(pair.sql, notebook.job.stop_token()).await
}

/// The names of the tables and indexes in a plan, without their schemas, which EXPLAIN does not tell.
pub fn tables_of(plan: &Plan) -> BTreeSet<String> {
    fn collect(node: &Node, names: &mut BTreeSet<String>) {
        names.extend(node.relation.iter().chain(&node.index).cloned());
        node.children.iter().for_each(|child| collect(child, names));
    }
    let mut names = BTreeSet::new();
    collect(&plan.root, &mut names);
    names
}

/// Objects name no table in a snapshot, so each of them may count.
fn belongs_to(piece: &Piece, tables: &BTreeSet<String>) -> bool {
    match piece {
        Piece::Column { relation, .. } | Piece::Sizes { relation, .. } => tables.contains(relation),
        Piece::Object { .. } => true,
    }
}

fn headline(task: &BisectTask, findings: &BisectFindings) -> String {
    let BisectTask { query, from, to, .. } = task;
    let Some(minimal) = &findings.minimal else {
        return format!(
            "{} has the same plan under {} and {}: there is no difference to explain.",
            query.label, from.label, to.label
        );
    };
    let names: Vec<String> = minimal
        .iter()
        .filter_map(|idx| findings.pieces.get(*idx))
        .map(Piece::to_string)
        .collect();
    let what = match names.as_slice() {
        [only] => only.clone(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
        [] => String::new(),
    };
    let verb = if minimal.len() == 1 { "turns" } else { "together turn" };
    format!(
        "{what} {verb} the plan of {} under {} into the one under {}; {} differ in all.",
        query.label,
        from.label,
        to.label,
        counted(
            findings.pieces.len() as u64,
            "piece of statistics",
            "pieces of statistics"
        ),
    )
}
