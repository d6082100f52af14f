//! What people can do with instruments: launch, look, stop.

use sqlx::PgPool;

use crate::auth::quota::QuotaKeeper;
use crate::experiment::service::LaunchError;
use crate::instrument::form::InstrumentForm;
use crate::instrument::wish::Wish;
use crate::instrument::wish::refused;
use crate::model::ids::InstrumentId;
use crate::model::instrument::Instrument;
use crate::model::job::JobKind;
use crate::model::quota::Quota;
use crate::model::user::Viewer;
use crate::store;
use crate::store::instruments::NewInstrument;

/// The door to instruments.
#[derive(Clone)]
pub struct Instruments {
    pub pool: PgPool,
    pub quotas: QuotaKeeper,
}

impl Instruments {
    /// Launches what the form asks for. The same form sent twice launches once.
    pub async fn launch(&self, viewer: Viewer, form: &InstrumentForm) -> Result<InstrumentId, LaunchError> {
        if form.request_id.is_empty() {
            return Err(refused("request_id", "The form came without its number."));
        }
        let mut conn = self.pool.acquire().await?;
        if let Some(id) = store::instruments::find_by_request(&mut conn, viewer, &form.request_id).await? {
            return Ok(id);
        }
        let wish = Wish::of(&mut conn, viewer, form).await?;
        drop(conn);
        let new = NewInstrument {
            request_id: form.request_id.clone(),
            dataset_id: wish.dataset_id,
            dataset_name: wish.dataset_name,
            experiment_id: wish.experiment_id,
            spec: wish.spec,
        };
        let mut transaction = self.pool.begin().await?;
        let taken = self
            .quotas
            .may_take(&mut transaction, viewer.user_id, Quota::Waiting, 1);
        if let Err(refusal) = taken.await {
            // The same form, sent at the same moment, may have had the last place.
            let earlier = store::instruments::find_by_request(&mut transaction, viewer, &form.request_id).await?;
            return earlier.ok_or_else(|| refusal.into());
        }
        let job_id = store::jobs::insert(&mut transaction, viewer, JobKind::Instrument, None).await?;
        match store::instruments::insert(&mut transaction, viewer, &new, job_id).await {
            Ok(id) => {
                transaction.commit().await?;
                Ok(id)
            }
            // The same form, sent at the same moment, was quicker.
            Err(error) if store::is_duplicate(&error) => {
                transaction.rollback().await?;
                let mut conn = self.pool.acquire().await?;
                let id = store::instruments::find_by_request(&mut conn, viewer, &form.request_id).await?;
                Ok(id.ok_or_else(|| anyhow::anyhow!("a repeated request without its run"))?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// One run; none when there is no such run for this viewer.
    pub async fn get(&self, viewer: Viewer, id: InstrumentId) -> store::Result<Option<Instrument>> {
        let mut conn = self.pool.acquire().await?;
        store::instruments::get(&mut conn, viewer, id).await
    }

    /// Asks a run to stop. False when there was nothing to stop.
    pub async fn stop(&self, viewer: Viewer, id: InstrumentId) -> store::Result<bool> {
        let mut conn = self.pool.acquire().await?;
        match store::instruments::get(&mut conn, viewer, id).await? {
            Some(instrument) => store::jobs::request_cancel(&mut conn, viewer, instrument.job.id).await,
            None => Ok(false),
        }
    }
}
