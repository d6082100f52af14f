//! Comparisons of sources: computed once, when an experiment settles.

use sqlx::PgConnection;

use crate::model::experiment::ComparisonRecord;
use crate::model::experiment::OverallRecord;
use crate::model::ids::ExperimentId;
use crate::model::user::Viewer;
use crate::store::Result;

/// Replaces the comparisons of an experiment. The caller settles the job in the same transaction.
pub async fn replace(
    conn: &mut PgConnection,
    id: ExperimentId,
    of_queries: &[ComparisonRecord],
    overall: &[OverallRecord],
) -> Result<()> {
    sqlx::query!("delete from comparisons where experiment_id = $1", id.0)
        .execute(&mut *conn)
        .await?;
    let column = |of: fn(&ComparisonRecord) -> i32| of_queries.iter().map(of).collect::<Vec<i32>>();
    let number = |of: fn(&ComparisonRecord) -> Option<f64>| of_queries.iter().map(of).collect::<Vec<Option<f64>>>();
    sqlx::query!(
        "insert into comparisons (experiment_id, base_idx, source_idx, query_idx, n_rounds, n_censored, ratio, low, high,
                                  log_error, p_value)
         select $1, c.* from unnest($2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::integer[],
                                    $7::float8[], $8::float8[], $9::float8[], $10::float8[], $11::float8[]) as c",
        id.0,
        &column(|record| record.base_idx),
        &column(|record| record.source_idx),
        &column(|record| record.query_idx),
        &column(|record| record.n_rounds),
        &column(|record| record.n_censored),
        &number(|record| Some(record.ratio)) as &[Option<f64>],
        &number(|record| record.low) as &[Option<f64>],
        &number(|record| record.high) as &[Option<f64>],
        &number(|record| record.log_error) as &[Option<f64>],
        &number(|record| Some(record.p_value)) as &[Option<f64>],
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("delete from overall_comparisons where experiment_id = $1", id.0)
        .execute(&mut *conn)
        .await?;
    for record in overall {
        sqlx::query!(
            "insert into overall_comparisons (experiment_id, base_idx, source_idx, n_queries, n_rounds, ratio, low, high)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            id.0,
            record.base_idx,
            record.source_idx,
            record.n_queries,
            record.n_rounds,
            record.ratio,
            record.low,
            record.high,
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// All comparisons of a settled experiment by pair of sources, then query; empty before.
pub async fn list(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<ComparisonRecord>> {
    sqlx::query_as!(
        ComparisonRecord,
        "select c.query_idx, c.base_idx, c.source_idx, c.n_rounds, c.n_censored, c.ratio, c.low, c.high, c.log_error,
                c.p_value
         from comparisons c join experiments e on e.id = c.experiment_id
         where c.experiment_id = $1 and may_see($2, e)
         order by c.base_idx, c.source_idx, c.query_idx",
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// The comparisons of all queries together, by pair of sources.
pub async fn list_overall(conn: &mut PgConnection, viewer: Viewer, id: ExperimentId) -> Result<Vec<OverallRecord>> {
    sqlx::query_as!(
        OverallRecord,
        "select c.base_idx, c.source_idx, c.n_queries, c.n_rounds, c.ratio, c.low, c.high
         from overall_comparisons c join experiments e on e.id = c.experiment_id
         where c.experiment_id = $1 and may_see($2, e)
         order by c.base_idx, c.source_idx",
        id.0,
        viewer as Viewer,
    )
    .fetch_all(conn)
    .await
}

/// The comparisons of a settled experiment in which one of these sources is one of the two; empty before.
pub async fn list_with(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ExperimentId,
    source_idxs: &[i32],
) -> Result<Vec<ComparisonRecord>> {
    sqlx::query_as!(
        ComparisonRecord,
        "select c.query_idx, c.base_idx, c.source_idx, c.n_rounds, c.n_censored, c.ratio, c.low, c.high, c.log_error,
                c.p_value
         from comparisons c join experiments e on e.id = c.experiment_id
         where c.experiment_id = $1 and may_see($2, e) and (c.base_idx = any($3) or c.source_idx = any($3))",
        id.0,
        viewer as Viewer,
        source_idxs,
    )
    .fetch_all(conn)
    .await
}

/// The same of all queries together.
pub async fn list_overall_with(
    conn: &mut PgConnection,
    viewer: Viewer,
    id: ExperimentId,
    source_idxs: &[i32],
) -> Result<Vec<OverallRecord>> {
    sqlx::query_as!(
        OverallRecord,
        "select c.base_idx, c.source_idx, c.n_queries, c.n_rounds, c.ratio, c.low, c.high
         from overall_comparisons c join experiments e on e.id = c.experiment_id
         where c.experiment_id = $1 and may_see($2, e) and (c.base_idx = any($3) or c.source_idx = any($3))",
        id.0,
        viewer as Viewer,
        source_idxs,
    )
    .fetch_all(conn)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::world::World;

    #[tokio::test]
    async fn comparisons_come_back_from_both_sides_and_to_their_owner_only() {
        let world = World::new().await;
        let (id, _) = world.experiment("e", &["none", "built_in"]).await;
        let of_queries = [ComparisonRecord {
            query_idx: 0,
            base_idx: 0,
            source_idx: 1,
            n_rounds: 3,
            n_censored: 1,
            ratio: 2.5,
            low: None,
            high: None,
            log_error: Some(0.1),
            p_value: 0.25,
        }];
        let overall = [OverallRecord {
            base_idx: 0,
            source_idx: 1,
            n_queries: 1,
            n_rounds: 3,
            ratio: 2.5,
            low: Some(2.0),
            high: Some(3.0),
        }];
        let mut conn = world.conn().await;
        for _ in 0..2 {
            replace(&mut conn, id, &of_queries, &overall).await.unwrap();
        }
        for source_idx in [0, 1] {
            assert_eq!(
                list_with(&mut conn, world.viewer, id, &[source_idx]).await.unwrap(),
                of_queries
            );
            let found = list_overall_with(&mut conn, world.viewer, id, &[7, source_idx])
                .await
                .unwrap();
            assert_eq!(found, overall);
        }
        assert!(list_with(&mut conn, world.viewer, id, &[2]).await.unwrap().is_empty());
        let stranger = world.stranger().await;
        assert!(list_with(&mut conn, stranger, id, &[0]).await.unwrap().is_empty());
        assert!(
            list_overall_with(&mut conn, stranger, id, &[0])
                .await
                .unwrap()
                .is_empty()
        );
    }
}
