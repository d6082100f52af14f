//! Bisect: which statistics of one source, put into those of another, turn a query's plan into the other plan?
//!
//! The effect looked for is the second source's own plan, not just any other. Nothing is executed, only planned.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::experiment::work::Trouble;
use crate::instrument::ddmin;
use crate::instrument::ddmin::Next;
use crate::instrument::saying::said;
use crate::instrument::stand::Look;
use crate::instrument::stand::Stand;
use crate::instrument::work::Notebook;
use crate::model::instrument::BisectFindings;
use crate::model::instrument::BisectStep;
use crate::model::instrument::BisectTask;
use crate::model::instrument::Findings;
use crate::model::snapshot::Piece;
use crate::model::snapshot::Snapshot;
use crate::model::units::counted;
use crate::plan::Node;
use crate::plan::Plan;
use crate::snapshot::mixture;
use crate::snapshot::mixture::Parked;
use crate::store::sources;

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
    let (from, from_left_out) = stand.park(FROM, &from).await?;
    let (to, to_left_out) = stand.park(TO, &to).await?;
    let pair = Pair {
        pieces: mixture::differences(&from, &to),
        from,
        to,
        sql: &task.query.sql,
    };
    let mut left_out: Vec<String> = from_left_out
        .into_iter()
        .chain(to_left_out)
        .map(|left| format!("{}: {}", left.column, left.reason))
        .collect();
    left_out.sort();
    left_out.dedup();
    let mut findings = BisectFindings {
        pieces: pair.pieces.clone(),
        left_out,
        ..BisectFindings::default()
    };
    notebook.note(&Findings::Bisect(findings.clone())).await?;
    search(notebook, stand, &pair, &mut findings).await?;
    let headline = headline(task, &findings);
    Ok((Findings::Bisect(findings), headline))
}

/// Both snapshots, what differs, and the query that is planned under their mixtures.
pub struct Pair<'a> {
    pub from: Snapshot,
    pub to: Snapshot,
    pub pieces: Vec<Piece>,
    pub sql: &'a str,
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

async fn search(
    notebook: &Notebook<'_>,
    stand: &mut Stand,
    pair: &Pair<'_>,
    findings: &mut BisectFindings,
) -> Result<(), Trouble> {
    let steps: Vec<BisectStep> = notebook.steps().await?;
    let mut known: BTreeMap<Vec<usize>, Option<String>> =
        steps.into_iter().map(|step| (step.taken, step.fingerprint)).collect();
    let all: Vec<usize> = (0..pair.pieces.len()).collect();
    let ends = [Vec::new(), all];
    let mut tables = BTreeSet::new();
    for (items, why) in ends.iter().zip(["nothing taken", "everything taken"]) {
        // Asked again when a run goes on: its plan says which tables count.
        let look = look(stand, notebook, pair, items).await?;
        if let Look::Plan(seen) = &look {
            tables.extend(tables_of(&seen.plan));
        }
        if let Some(message) = look.message() {
            return Err(Trouble::Sentence(format!("The query has no plan: {message}.")));
        }
        if !known.contains_key(items) {
            record(notebook, &mut known, items, why, &look).await?;
        }
    }
    findings.plan_from = known.get(&ends[0]).cloned().flatten();
    findings.plan_to = known.get(&ends[1]).cloned().flatten();
    let favourites: Vec<usize> = (0..pair.pieces.len())
        .filter(|idx| belongs_to(&pair.pieces[*idx], &tables))
        .collect();
    let wanted = findings.plan_to.clone();
    loop {
        let next = ddmin::next(pair.pieces.len(), &favourites, &|items| {
            known.get(items).map(|fingerprint| *fingerprint == wanted)
        });
        let (items, why) = match next {
            Next::Try { items, why } => (items, why),
            Next::Nothing => return Ok(()),
            Next::Found(minimal) => {
                findings.minimal = Some(minimal);
                break;
            }
        };
        let n = known.len();
        let tried = counted(items.len() as u64, "piece", "pieces");
        let detail = format!("{tried} of {}", pair.pieces.len());
        notebook.stage(&format!("step {}", n + 1), n, 0, &detail).await?;
        let look = look(stand, notebook, pair, &items).await?;
        record(notebook, &mut known, &items, &why, &look).await?;
    }
    verify(notebook, stand, pair, &mut known, findings).await
}

/// Leaves out each of the found pieces in turn. The search has done that already, where more than two are left; whatever
/// it has not is done now.
async fn verify(
    notebook: &Notebook<'_>,
    stand: &mut Stand,
    pair: &Pair<'_>,
    known: &mut BTreeMap<Vec<usize>, Option<String>>,
    findings: &mut BisectFindings,
) -> Result<(), Trouble> {
    let minimal = findings.minimal.clone().unwrap_or_default();
    for left_out in &minimal {
        let rest: Vec<usize> = minimal.iter().copied().filter(|item| item != left_out).collect();
        if !known.contains_key(&rest) {
            let look = look(stand, notebook, pair, &rest).await?;
            record(notebook, known, &rest, "to verify", &look).await?;
        }
        findings.without.push(known.get(&rest).cloned().flatten());
        findings.said.push(said(&pair.pieces[*left_out], &pair.from, &pair.to));
    }
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

async fn record(
    notebook: &Notebook<'_>,
    known: &mut BTreeMap<Vec<usize>, Option<String>>,
    items: &[usize],
    why: &str,
    look: &Look,
) -> Result<(), Trouble> {
    // The plan first: a step that is stored has its plan.
    notebook.keep(QUERY, look, None).await?;
    let step = BisectStep {
        taken: items.to_vec(),
        why: why.to_owned(),
        fingerprint: look.fingerprint().map(str::to_owned),
        cost: look.cost(),
        message: look.message().map(str::to_owned),
    };
    notebook.record(known.len(), &step).await?;
    known.insert(step.taken, step.fingerprint);
    Ok(())
}

/// The names of the tables and indexes in a plan, without their schemas, which EXPLAIN does not tell.
fn tables_of(plan: &Plan) -> BTreeSet<String> {
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
