//! Instruments on a real sandbox, from the form to the stored answer.

mod bisect;
mod budget;
mod lottery;
mod regret;

use sqlx::AssertSqlSafe;

use crate::experiment::service::LaunchError;
use crate::instrument::form::InstrumentForm;
use crate::model::ids::InstrumentId;
use crate::model::instrument::Instrument;
use crate::model::job::JobStatus;
use crate::report::instruments::InstrumentData;
use crate::testing::bench::Bench;

pub fn form(kind: &str, request_id: &str, fields: &[(&str, &str)]) -> InstrumentForm {
    let pairs = [("kind", kind), ("request_id", request_id)];
    let pairs = pairs.iter().chain(fields);
    InstrumentForm::from_pairs(pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

pub async fn launch(bench: &Bench, form: &InstrumentForm) -> Result<InstrumentId, String> {
    match bench.house.instruments.launch(bench.house.viewer, form).await {
        Ok(id) => Ok(id),
        Err(LaunchError::Refused(errors)) => Err(errors[0].message.clone()),
        Err(LaunchError::Fault(error)) => panic!("{error:#}"),
    }
}

pub async fn finished(bench: &Bench, id: InstrumentId) -> Instrument {
    bench.work().await;
    let instrument = bench
        .house
        .instruments
        .get(bench.house.viewer, id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        instrument.job.status,
        JobStatus::Completed,
        "{:?}",
        instrument.job.message
    );
    instrument
}

/// What is stored of a run.
async fn stored(bench: &Bench, id: InstrumentId) -> InstrumentData {
    let mut conn = bench.house.pool.acquire().await.unwrap();
    let data = InstrumentData::load(&mut conn, bench.house.viewer, id).await.unwrap();
    data.unwrap()
}

/// As if pgassay had died when so many steps of the only run were stored.
async fn die_behind(bench: &Bench, n_steps: usize) {
    for sql in [
        format!("delete from instrument_steps where step_idx >= {n_steps}"),
        format!("delete from instrument_snapshots where step_idx >= {n_steps}"),
        "update instruments set result = null, headline = null".to_owned(),
        format!(
            "update jobs set status = 'queued', finished_at = null, n_recorded = {n_steps} where kind = 'instrument'"
        ),
    ] {
        sqlx::query(AssertSqlSafe(sql))
            .execute(&bench.house.pool)
            .await
            .unwrap();
    }
}
