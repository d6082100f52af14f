//! What measuring costs: computed once, when an experiment settles.

use sqlx::PgConnection;

use crate::model::experiment::TaxRecord;
use crate::model::ids::ExperimentId;
use crate::model::user::Viewer;
use crate::store::Result;

/// Replaces the taxes of an experiment. The caller settles the job in the same transaction.
pub async fn replace(conn: &mut PgConnection, id: ExperimentId, taxes: &[TaxRecord]) -> Result<()> {
    sqlx::query!("delete from taxes where experiment_id = $1", id.0)
        .execute(&mut *conn)
        .await?;
    for tax in taxes {
        sqlx::query!(
            "insert into taxes (experiment_id, query_idx, n_rounds, plain_ms, off_ms, off_server_ms, off_ratio, off_low,
                                off_high, on_ms, on_server_ms, on_ratio, on_low, on_high)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            id.0,
            tax.query_idx,
            tax.n_rounds,
            tax.plain_ms,
            tax.off_ms,
            tax.off_server_ms,
            tax.off_ratio,
            tax.off_low,
            tax.off_high,
            tax.on_ms,
            tax.on_server_ms,
            tax.on_ratio,
            tax.on_low,
            tax.on_high,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The taxes of a settled experiment, by query; empty before, and where nobody asked for them.
pub async fn list(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<TaxRecord>> {
    sqlx::query_as!(
        TaxRecord,
        "select t.query_idx, t.n_rounds, t.plain_ms, t.off_ms, t.off_server_ms, t.off_ratio, t.off_low, t.off_high,
                t.on_ms, t.on_server_ms, t.on_ratio, t.on_low, t.on_high
         from taxes t join experiments e on e.id = t.experiment_id
         where t.experiment_id = $1 and may_see($2, e) order by t.query_idx",
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[tokio::test]
    async fn taxes_come_back_to_their_owner_only() {
        let world = World::new().await;
        let (id, _) = world.experiment("e", &["none"]).await;
        let tax = |query_idx: i32, on_low: Option<f64>| TaxRecord {
            query_idx,
            n_rounds: 3,
            plain_ms: 1.0,
            off_ms: 2.0,
            off_server_ms: 3.0,
            off_ratio: 4.0,
            off_low: Some(5.0),
            off_high: Some(6.0),
            on_ms: 7.0,
            on_server_ms: 8.0,
            on_ratio: 9.0,
            on_low,
            on_high: None,
        };
        let taxes = [tax(0, None), tax(1, Some(0.5))];
        let mut conn = world.conn().await;
        for _ in 0..2 {
            replace(&mut conn, id, &taxes).await.unwrap();
        }
        assert_eq!(list(&mut conn, world.viewer, id).await.unwrap(), taxes);
        let stranger = world.stranger().await;
        assert!(list(&mut conn, stranger, id).await.unwrap().is_empty());
    }
}
