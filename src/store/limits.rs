//! Rate limits: buckets and waits that all processes share. The store's clock is the only one, and every taking is one
//! statement, so that many at once never get more than there is.
//!
//! Not to be called within a transaction that does other work: what it rolls back would not have been counted, and until
//! it ends others who take the same wait for it.

use std::time::Duration;

use chrono::DateTime;
use chrono::Utc;
use sqlx::PgConnection;

use crate::model::hashed::Hashed;
use crate::model::limit::Rule;
use crate::model::limit::Taking;
use crate::store::Result;

/// Takes one of what `key` names, if the rule allows it at this moment.
pub async fn take(conn: &mut PgConnection, key: Hashed, rule: Rule) -> Result<Taking> {
    take_at(conn, key, rule, None).await
}

/// Forgets what was taken of it.
pub async fn forget(conn: &mut PgConnection, key: Hashed) -> Result<()> {
    sqlx::query!("delete from rate_limits where key = $1", &key.0[..])
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes rows that say nothing any more, and says how many.
pub async fn sweep(conn: &mut PgConnection) -> Result<u64> {
    let swept = sqlx::query!("delete from rate_limits where forgotten_at < clock_timestamp()")
        .execute(conn)
        .await?;
    Ok(swept.rows_affected())
}

/// At a moment of the store's clock; `None` for now.
async fn take_at(conn: &mut PgConnection, key: Hashed, rule: Rule, now: Option<DateTime<Utc>>) -> Result<Taking> {
    let (is_allowed, wait_s) = match rule {
        Rule::Bucket { capacity, period } => take_of_bucket(conn, key, capacity, period, now).await?,
        Rule::Doubling {
            n_free,
            first_wait,
            most_wait,
            quiet,
        } => {
            let waits = (first_wait.as_secs_f64(), most_wait.as_secs_f64());
            take_by_waits(conn, key, n_free, waits, quiet, now).await?
        }
    };
    Ok(if is_allowed {
        Taking::Allowed
    } else {
        Taking::After(Duration::try_from_secs_f64(wait_s).unwrap_or_default())
    })
}

/// A bucket is stored as the moment at which it will be full: each taking moves that by the time in which one token comes
/// back, and one that would move it further than an empty bucket needs is refused. (The generic cell rate algorithm of
/// ITU-T I.371 in other words: one number, and none of it grows old.)
async fn take_of_bucket(
    conn: &mut PgConnection,
    key: Hashed,
    capacity: u32,
    period: Duration,
    now: Option<DateTime<Utc>>,
) -> Result<(bool, f64)> {
    let period_s = period.as_secs_f64();
    let row = sqlx::query!(
        r#"insert into rate_limits as l (key, taken_at, is_allowed, n_taken, busy_until, forgotten_at)
           select $1, now, true, 1, now + back, now + back
           from (select coalesce($4::timestamptz, clock_timestamp()) as now, make_interval(secs => $2) as back) given
           on conflict (key) do update set (taken_at, is_allowed, n_taken, busy_until, forgotten_at) = (
               select looked_at, fits, 1, until, until
               -- Who waited for the row has looked at the clock before whoever had it; time does not go back for that.
               from (select greatest(l.taken_at, excluded.taken_at) as looked_at) looked
               cross join lateral (
                   select greatest(l.busy_until, looked_at) + make_interval(secs => $2) as filled) then_full
               cross join lateral (select filled <= looked_at + make_interval(secs => $3) as fits) judged
               cross join lateral (select case when fits then filled else l.busy_until end as until) settled)
           returning is_allowed,
                     extract(epoch from busy_until + make_interval(secs => $2) - make_interval(secs => $3) - taken_at)
                         ::float8 as "wait_s!""#,
        &key.0[..],
        period_s / f64::from(capacity),
        period_s,
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.is_allowed, row.wait_s))
}

async fn take_by_waits(
    conn: &mut PgConnection,
    key: Hashed,
    n_free: u32,
    (first_s, most_s): (f64, f64),
    quiet: Duration,
    now: Option<DateTime<Utc>>,
) -> Result<(bool, f64)> {
    let row = sqlx::query!(
        r#"insert into rate_limits as l (key, taken_at, is_allowed, n_taken, busy_until, forgotten_at)
           select $1, now, true, 1, until, until + make_interval(secs => $5)
           from (select coalesce($6::timestamptz, clock_timestamp()) as now) given
           cross join lateral (select now + make_interval(secs => case when $2 > 1 then 0.0::float8 else $3 end) as until) waited
           on conflict (key) do update set (taken_at, is_allowed, n_taken, busy_until, forgotten_at) = (
               select looked_at, fits, n, until,
                      case when fits then until + make_interval(secs => $5) else l.forgotten_at end
               from (select greatest(l.taken_at, excluded.taken_at) as looked_at) looked
               cross join lateral (select l.forgotten_at <= looked_at as is_forgotten,
                                          l.n_taken < $2 or l.busy_until <= looked_at as fits) judged
               cross join lateral (
                   select case when is_forgotten then 1 when fits then l.n_taken + 1 else l.n_taken end as n) counted
               cross join lateral (
                   select case when not fits then l.busy_until
                               when n < $2 then looked_at
                               -- No wait is 2^60 times another; further powers would be too large for a number.
                               else looked_at
                                    + make_interval(secs => least($3 * power(2, least(n - $2, 60)), $4)) end as until
               ) waited)
           returning is_allowed, extract(epoch from busy_until - taken_at)::float8 as "wait_s!""#,
        &key.0[..],
        i32::try_from(n_free).unwrap_or(i32::MAX),
        first_s,
        most_s,
        quiet.as_secs_f64(),
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.is_allowed, row.wait_s))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use futures_util::future::join_all;
    use proptest::prelude::*;
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::store;
    use crate::testing;

    fn key(number: u8) -> Hashed {
        Hashed([number; 32])
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// A bucket as one would draw it: with something in it that grows.
    struct Model {
        capacity: u64,
        /// Of one token to come back.
        back_ms: u64,
        /// What is in it, in milliseconds of coming back.
        content_ms: u64,
    }

    impl Model {
        fn take(&mut self, gap_ms: u64) -> Taking {
            self.content_ms = (self.content_ms + gap_ms).min(self.capacity * self.back_ms);
            if self.content_ms < self.back_ms {
                return Taking::After(ms(self.back_ms - self.content_ms));
            }
            self.content_ms -= self.back_ms;
            Taking::Allowed
        }
    }

    #[tokio::test]
    async fn a_bucket_of_the_store_gives_what_a_simple_one_would() {
        let pool = testing::database().await;
        let mut conn = pool.acquire().await.unwrap();
        let begin = store::now(&mut conn).await.unwrap();
        let begin = DateTime::from_timestamp_millis(begin.timestamp_millis()).unwrap();
        let gaps = proptest::collection::vec(prop_oneof![0..3_u64, 0..400_u64, 0..4000_u64], 1..40);
        let stories = (1..6_u64, 1..500_u64, gaps);
        let mut runner = TestRunner::deterministic();
        let (mut n_allowed, mut n_refused) = (0, 0);
        for case in 0..60 {
            let (capacity, back_ms, gaps) = stories.new_tree(&mut runner).unwrap().current();
            let mut model = Model {
                capacity,
                back_ms,
                content_ms: capacity * back_ms,
            };
            let rule = Rule::Bucket {
                capacity: u32::try_from(capacity).unwrap(),
                period: ms(capacity * back_ms),
            };
            let mut now = begin;
            for (idx, gap_ms) in gaps.iter().enumerate() {
                now += ms(*gap_ms);
                let expected = model.take(*gap_ms);
                let taken = take_at(&mut conn, key(case), rule, Some(now)).await.unwrap();
                assert_eq!(taken, expected, "{capacity} {back_ms} {gaps:?} at {idx}");
                match taken {
                    Taking::Allowed => n_allowed += 1,
                    Taking::After(_) => n_refused += 1,
                }
            }
        }
        assert!(n_allowed > 100 && n_refused > 100, "{n_allowed} {n_refused}");
    }

    #[tokio::test]
    async fn a_hundred_at_once_get_no_more_than_there_is() {
        let pool = testing::database().await;
        let bucket = Rule::Bucket {
            capacity: 10,
            period: Duration::from_hours(10),
        };
        let doubling = Rule::Doubling {
            n_free: 10,
            first_wait: Duration::from_hours(1),
            most_wait: Duration::from_hours(1),
            quiet: Duration::from_hours(1),
        };
        for (number, rule) in [(1, bucket), (2, doubling)] {
            let all = (0..100).map(async |_| {
                let mut conn = pool.acquire().await.unwrap();
                take(&mut conn, key(number), rule).await.unwrap()
            });
            let all = join_all(all).await;
            let n_allowed = all.iter().filter(|taking| **taking == Taking::Allowed).count();
            assert_eq!(n_allowed, 10, "{rule:?}");
            for taking in all {
                if let Taking::After(wait) = taking {
                    assert!(
                        wait <= Duration::from_hours(1) && wait > Duration::from_mins(50),
                        "{wait:?}"
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn waits_double_up_to_the_longest_and_are_forgotten_in_quiet() {
        let pool = testing::database().await;
        let mut conn = pool.acquire().await.unwrap();
        let rule = Rule::Doubling {
            n_free: 3,
            first_wait: ms(1000),
            most_wait: ms(5000),
            quiet: ms(60_000),
        };
        let begin = store::now(&mut conn).await.unwrap();
        let mut now_ms = 0;
        for (gap_ms, expected) in [
            (0, Taking::Allowed),
            (0, Taking::Allowed),
            (100, Taking::Allowed),
            (0, Taking::After(ms(1000))),
            // Being refused costs nothing.
            (400, Taking::After(ms(600))),
            (600, Taking::Allowed),
            (1999, Taking::After(ms(1))),
            (1, Taking::Allowed),
            (4000, Taking::Allowed),
            (4999, Taking::After(ms(1))),
            (1, Taking::Allowed),
            // Nearly quiet for long enough.
            (5000 + 59_999, Taking::Allowed),
            (0, Taking::After(ms(5000))),
            (5000 + 60_000, Taking::Allowed),
            (0, Taking::Allowed),
            (0, Taking::Allowed),
            (0, Taking::After(ms(1000))),
        ] {
            now_ms += gap_ms;
            let now = begin + TimeDelta::milliseconds(now_ms);
            let taken = take_at(&mut conn, key(1), rule, Some(now)).await.unwrap();
            assert_eq!(taken, expected, "at {now_ms} ms");
        }
        forget(&mut conn, key(1)).await.unwrap();
        let again = take(&mut conn, key(1), rule).await.unwrap();
        assert_eq!(again, Taking::Allowed);
    }

    #[tokio::test]
    async fn many_refusals_and_many_waits_overflow_nothing() {
        let pool = testing::database().await;
        let mut conn = pool.acquire().await.unwrap();
        let rule = Rule::Doubling {
            n_free: 1,
            first_wait: ms(1),
            most_wait: ms(2),
            quiet: ms(60_000),
        };
        let mut now = store::now(&mut conn).await.unwrap();
        for _ in 0..100 {
            let taken = take_at(&mut conn, key(1), rule, Some(now)).await.unwrap();
            assert_eq!(taken, Taking::Allowed);
            now += ms(2);
        }
        let all = sqlx::query("update rate_limits set n_taken = 2000000000").execute(&mut *conn);
        assert_eq!(all.await.unwrap().rows_affected(), 1);
        let taken = take_at(&mut conn, key(1), rule, Some(now)).await.unwrap();
        assert_eq!(taken, Taking::Allowed);
    }

    #[tokio::test]
    async fn what_says_nothing_any_more_is_swept_and_nothing_else() {
        let pool = testing::database().await;
        let mut conn = pool.acquire().await.unwrap();
        let bucket = |period| Rule::Bucket { capacity: 2, period };
        let long_ago = store::now(&mut conn).await.unwrap() - TimeDelta::hours(1);
        take_at(&mut conn, key(1), bucket(ms(1000)), Some(long_ago))
            .await
            .unwrap();
        take(&mut conn, key(2), bucket(Duration::from_hours(1))).await.unwrap();
        assert_eq!(sweep(&mut conn).await.unwrap(), 1);
        assert_eq!(sweep(&mut conn).await.unwrap(), 0);
        let kept = sqlx::query_scalar::<_, Vec<u8>>("select key from rate_limits").fetch_all(&mut *conn);
        assert_eq!(kept.await.unwrap(), [vec![2; 32]]);
    }
}
