//! Looks at the plan of every (query, source) once before anything is timed.

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::experiment::lab::Lab;
use crate::experiment::writers;
use crate::model::experiment::PlanRecord;
use crate::model::job::Progress;
use crate::plan;
use crate::plan::Plan;
use crate::store::held::HeldJob;
use crate::store::plans;
use crate::target::execute::Health;
use crate::target::execute::Ran;
use crate::target::explain::READ_ONLY;
use crate::target::room::Watch;
use crate::target::session::Session;
use crate::target::trouble::Trouble;

/// No clock that PostgreSQL runs on makes a query slower than this by being read for every row of every node.
const CLOCK_SLOWDOWN: f64 = 4.0;

/// Explains every pair that has not been explained yet, plainly and with ANALYZE, and keeps what it saw.
pub async fn explain_all(job: &HeldJob, lab: &mut Lab) -> Result<(), Trouble> {
    let done = {
        let mut conn = job.conn().await?;
        plans::list_done(&mut conn, lab.experiment_id).await?
    };
    let (n_sources, n_queries) = (lab.spec.sources.len(), lab.queries.len());
    let mut progress = Progress {
        total: (n_sources * n_queries) as u64,
        unit: "plans".to_owned(),
        ..Progress::default()
    };
    for source_idx in 0..n_sources {
        for query_idx in 0..n_queries {
            let pair = (
                i32::try_from(source_idx).context("few sources")?,
                i32::try_from(query_idx).context("few queries")?,
            );
            progress.done = (source_idx * n_queries + query_idx) as u64;
            if done.contains(&pair) {
                continue;
            }
            progress.detail = format!(
                "{} under {}",
                lab.queries[query_idx].label, lab.spec.sources[source_idx].label
            );
            job.set_progress("looking at plans", &progress).await?;
            let record = explain(lab, source_idx, query_idx, job.stop_token()).await?;
            let Some(record) = record else {
                return Err(Trouble::Stopped);
            };
            let mut conn = job.conn().await?;
            plans::upsert(
                &mut conn,
                &job.lease,
                lab.experiment_id,
                &PlanRecord {
                    source_idx: pair.0,
                    query_idx: pair.1,
                    ..record
                },
            )
            .await?;
        }
    }
    Ok(())
}

/// None when it was interrupted.
async fn explain(
    lab: &mut Lab,
    source_idx: usize,
    query_idx: usize,
    cancel: &CancellationToken,
) -> Result<Option<PlanRecord>, Trouble> {
    lab.swap_in(source_idx).await?;
    let (mut plain, mut analyzed) = look_under(lab, source_idx, query_idx, cancel).await?;
    if tried_to_write(&plain) || analyzed.as_ref().is_some_and(tried_to_write) {
        // A function in it writes: from now on it runs in clones of its own.
        lab.note_writer(query_idx);
        lab.swap_in(source_idx).await?;
        (plain, analyzed) = look_under(lab, source_idx, query_idx, cancel).await?;
    }
    let mut record = PlanRecord::default();
    match plain {
        Ran::Done(text) => record.explain = Some(text),
        Ran::Failed(error) => record.message = Some(error.message),
        Ran::TimedOut => record.message = Some("planning alone took longer than the timeout".to_owned()),
        Ran::Interrupted => return Ok(None),
    }
    match analyzed {
        None => {}
        Some(Ran::Done(text)) => record.analyzed = Some(text),
        Some(Ran::Failed(error)) => record.message = Some(error.message),
        Some(Ran::TimedOut) => {
            record.message = Some("it was cut off at the timeout, so its actual rows are not known".to_owned());
        }
        Some(Ran::Interrupted) => return Ok(None),
    }
    let record = with_numbers(record).context("reading the server's EXPLAIN")?;
    Ok(Some(record))
}

/// The same record with the numbers that follow from its texts. A pure function, so that anybody can compute them again.
pub fn with_numbers(record: PlanRecord) -> anyhow::Result<PlanRecord> {
    let plain = record.explain.as_deref().map(plan::parse).transpose()?;
    let analyzed = record.analyzed.as_deref().map(plan::parse).transpose()?;
    let errors = analyzed.as_ref().map(plan::q_error);
    Ok(PlanRecord {
        fingerprint: plain.as_ref().map(plan::fingerprint),
        cost: plain.as_ref().map(plan::Plan::cost).filter(|cost| cost.is_finite()),
        worst_q_error: errors.as_ref().and_then(|errors| errors.worst),
        mean_q_error: errors.as_ref().and_then(|errors| errors.mean),
        buffers: analyzed
            .as_ref()
            .and_then(plan::Plan::buffers)
            .and_then(|n| i64::try_from(n).ok()),
        estimates: errors.map(|errors| errors.nodes).unwrap_or_default(),
        ..record
    })
}

/// In a function that the query calls, or that is called already while it is planned.
fn tried_to_write(looked: &Ran<String>) -> bool {
    matches!(looked, Ran::Failed(error) if error.sqlstate == READ_ONLY)
}

/// Looks at one query in the clone that is right for it.
async fn look_under(
    lab: &mut Lab,
    source_idx: usize,
    query_idx: usize,
    cancel: &CancellationToken,
) -> Result<(Ran<String>, Option<Ran<String>>), Trouble> {
    let sql = lab
        .queries
        .get(query_idx)
        .context("a query of the experiment")?
        .sql
        .clone();
    let limit = lab.limit();
    let (plain, analyzed, health) = if lab.is_writer(query_idx) {
        let mut session = writers::open(lab, source_idx).await?;
        let watch = writers::watch(lab).await?;
        let looked = look(&mut session, watch, &sql, limit, cancel).await?;
        session.close().await;
        if looked.2 != Health::Stuck {
            writers::drop_writer(lab).await?;
        }
        looked
    } else {
        let watch = Watch::of_reading(&lab.sandbox()?.room);
        let looked = look(lab.session().await?, watch, &sql, limit, cancel).await?;
        clock_nodes(lab, &sql, cancel, looked).await?
    };
    if !matches!(analyzed, Some(Ran::Done(_))) {
        lab.doubt_statistics();
    }
    lab.recover(health).await?;
    Ok((plain, analyzed))
}

/// What one look gave: the plain plan, the analyzed one, and how the session is.
type Looked = (Ran<String>, Option<Ran<String>>, Health);

/// Taking the time of every node slows a query down, so it is done in a run of its own, and only when the query left
/// enough of its time limit. When it fails, the plan without times is kept.
async fn clock_nodes(lab: &mut Lab, sql: &str, cancel: &CancellationToken, looked: Looked) -> anyhow::Result<Looked> {
    let (plain, Some(Ran::Done(analyzed)), Health::Alive) = looked else {
        return Ok(looked);
    };
    let limit = lab.limit();
    let plan = plan::parse(&analyzed).context("reading the server's EXPLAIN")?;
    let has_time = plan
        .execution_ms
        .is_some_and(|ms| ms * CLOCK_SLOWDOWN <= limit.as_secs_f64() * 1000.0);
    if !has_time {
        return Ok((plain, Some(Ran::Done(analyzed)), Health::Alive));
    }
    let stop = cancel.child_token();
    let mut watch = Watch::of_reading(&lab.sandbox()?.room);
    let session = lab.session().await?;
    let clocked = watch.over(&stop, session.explain_clocked(sql, limit, &stop)).await?;
    let health = session.health;
    let kept = match clocked {
        (Ran::Done(clocked), _) if is_same_plan(&plan, &clocked) => clocked,
        (Ran::Interrupted, None) => return Ok((plain, Some(Ran::Interrupted), health)),
        _ => {
            lab.doubt_statistics();
            analyzed
        }
    };
    Ok((plain, Some(Ran::Done(kept)), health))
}

/// The planner decides anew each time; a function may have changed what it knows.
fn is_same_plan(plan: &Plan, text: &str) -> bool {
    plan::parse(text).is_ok_and(|other| plan::fingerprint(&other) == plan::fingerprint(plan))
}

/// Plainly first: a query that times out has a plan too.
async fn look(
    session: &mut Session,
    mut watch: Watch,
    sql: &str,
    limit: std::time::Duration,
    cancel: &CancellationToken,
) -> anyhow::Result<Looked> {
    let plain = session.explain(sql, limit, cancel).await?;
    if !matches!(plain, Ran::Done(_)) {
        return Ok((plain, None, session.health));
    }
    let stop = cancel.child_token();
    let analyzed = match watch.over(&stop, session.explain_analyzed(sql, limit, &stop)).await? {
        (Ran::Interrupted, Some(shortage)) => Ran::Failed(shortage.as_server_error()),
        (analyzed, _) => analyzed,
    };
    Ok((plain, Some(analyzed), session.health))
}

#[cfg(test)]
mod tests {
    use crate::model::estimate::Direction;
    use crate::model::experiment::PlanRecord;
    use crate::model::ids::ExperimentId;
    use crate::plan;
    use crate::plan::Plan;
    use crate::testing::bench::Bench;

    /// One column is planted: nearly all rows of `orders` have one status, which only statistics can tell. `customer` is
    /// read whole, whatever is known.
    const PLANTED: &str = "
create table customer (id integer primary key, name text);
insert into customer select g, 'customer ' || g from generate_series(1, 50) g;
create table orders (id integer primary key, customer_id integer, status text, note text);
insert into orders select g, g % 50 + 1, case when g % 1000 = 0 then 'disputed' else 'done' end, repeat('x', 100)
from generate_series(1, 20000) g;
create index orders_status on orders (status);
";

    /// Statements, and what EXPLAIN says of them.
    const STATEMENTS: &str = "
create table statement (id integer, sql text);
insert into statement values (1, 'select c.name, count(*) from orders o left join customer c on c.id = o.customer_id
    where o.id < 900 group by c.name order by 2 limit 3');
insert into statement values (2, 'with late as materialized (select * from orders where id > 19000)
    select *, (select max(id) from late) from late where status not in (select name from customer) and note = ''y''');
insert into statement values (3, 'select id from orders where status = ''disputed'' or id = 7
    union select id from customer order by id desc');
create function explained(statement_id integer, format text) returns text language plpgsql set search_path = public as $$
declare line text; lines text := '';
begin
    for line in execute (select 'explain (format ' || format || ') ' || sql from statement where id = statement_id)
    loop lines := lines || line || E'\\n'; end loop;
    return lines;
end $$;
";

    const BY_STATUS: &str = "-- name: by_status\nselect c.name, count(*) from orders o join customer c on c.id = o.customer_id \
                             where o.status = 'done' group by c.name;\n";

    async fn plans(bench: &Bench, id: ExperimentId) -> Vec<(PlanRecord, Plan)> {
        let records = bench.plans(id).await;
        let read = |record: PlanRecord| {
            let plan = plan::parse(record.analyzed.as_deref().unwrap()).unwrap();
            (record, plan)
        };
        records.into_iter().map(read).collect()
    }

    #[tokio::test]
    async fn a_planted_column_changes_the_plan_and_the_difference_names_its_relation() {
        let bench = Bench::open().await;
        let dataset_id = bench.restored(PLANTED).await;
        let id = bench.launch(dataset_id, BY_STATUS, &["built_in", "none"], |_| {}).await;
        bench.finished(id).await;
        let plans = plans(&bench, id).await;
        let [(informed, with), (blind, without)] = plans.as_slice() else {
            panic!("{plans:?}");
        };
        assert_ne!(informed.fingerprint, blind.fingerprint);
        let said: Vec<String> = plan::diff(with, without)
            .findings
            .iter()
            .map(|finding| finding.words("built_in", "none"))
            .collect();
        assert_eq!(
            said[0],
            "reads orders o by sequential scan under built_in, by a bitmap of index orders_status under none"
        );
        assert!(said.iter().all(|words| !words.contains("reads customer")), "{said:?}");

        // Without statistics an equality is taken for one row in 200 (DEFAULT_NUM_DISTINCT): 100 of 20 000; 19 980 are.
        let scan = blind
            .estimates
            .iter()
            .filter(|node| node.n_joins == 0)
            .map(|node| node.estimate)
            .reduce(|a, b| if a.factor >= b.factor { a } else { b })
            .unwrap();
        assert_eq!(scan.direction, Direction::Under);
        assert!((scan.factor - 199.8).abs() < 1e-9, "{scan:?}");
        assert!(blind.worst_q_error.unwrap() >= scan.factor && informed.worst_q_error.unwrap() < 2.0);
        bench.close().await;
    }

    #[tokio::test]
    async fn a_query_with_time_to_spare_has_the_times_of_its_nodes_and_others_do_without() {
        let bench = Bench::open().await;
        let dataset_id = bench.restored(PLANTED).await;
        let queries = "-- name: quick\nselect count(*) from customer;\n-- name: slow\nselect pg_sleep(0.3);\n";
        let id = bench
            .launch(dataset_id, queries, &["built_in"], |form| {
                form.timeout = "1 s".to_owned();
            })
            .await;
        bench.finished(id).await;
        let plans = plans(&bench, id).await;
        let times: Vec<bool> = plans
            .iter()
            .map(|(_, plan)| plan::rows(plan).iter().all(|row| row.own.time_ms.is_some()))
            .collect();
        assert_eq!(times, [true, false]);
        bench.close().await;
    }

    #[tokio::test]
    async fn the_text_of_a_plan_is_the_servers_own() {
        let bench = Bench::open().await;
        let dataset_id = bench.restored(&format!("{PLANTED}{STATEMENTS}")).await;
        for (as_json, as_text) in [
            (
                "select public.explained(1, 'json')",
                "select public.explained(1, 'text')",
            ),
            (
                "select public.explained(2, 'json')",
                "select public.explained(2, 'text')",
            ),
            (
                "select public.explained(3, 'json')",
                "select public.explained(3, 'text')",
            ),
        ] {
            let json = bench.ask(dataset_id, as_json).await.unwrap();
            let text = bench.ask(dataset_id, as_text).await.unwrap();
            assert_eq!(plan::text(&plan::parse(&json).unwrap()), text);
        }
        bench.close().await;
    }
}
