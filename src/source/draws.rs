//! `draws`: independent samples of ANALYZE, the lottery that every autovacuum plays.
//!
//! It stands for several sources of an experiment, one for each draw, which are alike in everything but their sample.

use anyhow::Context as _;
use futures_util::future::BoxFuture;
use sqlx::AssertSqlSafe;

use crate::model::experiment::Params;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::analyze;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::source::workplace::Workplace;

pub struct Draws;

impl StatsSource for Draws {
    fn name(&self) -> &'static str {
        "draws"
    }

    fn group(&self) -> Group {
        Group::Gathered
    }

    fn title(&self) -> &'static str {
        "Draws"
    }

    fn about(&self) -> &'static str {
        "ANALYZE several times over: it looks at a random sample, so every run gathers something else, and sometimes a plan \
         flips. Tables of up to 300 rows for each entry of the target are read whole, and there all draws are the same."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[
            Parameter {
                name: "target",
                label: "Target",
                about: "The default statistics target of all draws; columns with a target of their own keep it.",
                default: "100",
                kind: ParameterKind::Integer { min: 1, max: 10_000 },
            },
            Parameter {
                name: "k",
                label: "Draws",
                about: "How many, 2 to 30. Each is a source of its own in the results.",
                default: "5",
                kind: ParameterKind::Integer { min: 2, max: 30 },
            },
            Parameter {
                name: "trials",
                label: "Timed",
                about: "distinct: a query is not timed again under a draw that gives it the plan of an earlier draw. all: \
                        it is.",
                default: "distinct",
                kind: ParameterKind::Choice(&["distinct", "all"]),
            },
        ]
    }

    fn n_draws(&self, params: &Params) -> Option<u32> {
        params.get("k")?.parse().ok()
    }

    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            let target: u32 = params.get("target").context("a target")?.parse()?;
            let conn = &mut place.session.conn;
            // Safe: a number.
            let set = AssertSqlSafe(format!("set default_statistics_target = {target}"));
            sqlx::raw_sql(set).execute(&mut *conn).await?;
            analyze::analyze_all(conn).await?;
            sqlx::raw_sql("reset default_statistics_target").execute(conn).await?;
            Ok(Vec::new())
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::model::snapshot::Snapshot;
    use crate::snapshot::apply::HISTOGRAM;
    use crate::snapshot::array;
    use crate::snapshot::checksum;
    use crate::source;
    use crate::testing::clone::Clone;
    use crate::testing::clone::source;

    #[test]
    fn draws_are_a_source_each_and_say_which_they_are() {
        let labels = |params: &[(&str, &str)]| -> Vec<String> {
            let draws = source::draws(source("draws", params));
            assert!(draws.iter().all(|draw| draw.params == draws[0].params));
            draws.into_iter().map(|draw| draw.label).collect()
        };
        assert_eq!(labels(&[("k", "2")]), ["draw 1 of 2", "draw 2 of 2"]);
        assert_eq!(labels(&[("k", "3"), ("target", "10")])[2], "draw 3 of 3 (target 10)");
        assert_eq!(source::draws(source("none", &[]))[0].label, "none");
    }

    fn n_bounds(snapshot: &Snapshot, column: &str) -> usize {
        let column = snapshot.columns.iter().find(|other| other.column == column).unwrap();
        let slots = &column.gathered.slots;
        let slot = slots.iter().find(|slot| slot.kind == HISTOGRAM);
        slot.map_or(0, |slot| array::split(slot.values.as_deref().unwrap()).unwrap().len())
    }

    /// A sample of 300 of the 20,000 rows of `big` misses the 25 that are not null in two of three runs.
    const RARE: &str = "
        create table big (id integer, kind integer);
        insert into big select g, case when g % 800 = 0 then g * 7919 % 1000 end from generate_series(1, 20000) g;
        create index on big (kind);
        create table targeted (own integer);
        insert into targeted select g % 1000 from generate_series(1, 20000) g;
        alter table targeted alter column own set statistics 20;
        create table small (id integer);
        insert into small select generate_series(1, 100);";

    #[tokio::test]
    async fn each_draw_is_another_sample_at_the_target_and_some_flip_a_plan() {
        let mut clone = Clone::of(RARE).await;
        let own = clone.targets().await;
        let draw = source("draws", &[("target", "1")]);
        let first = clone.prepare(&draw).await;
        let plan = clone.plan("select * from big where kind is not null").await;
        assert_eq!(clone.targets().await, own, "columns keep their own targets");
        assert_eq!(n_bounds(&first, "own"), 20 + 1);
        assert_eq!(clone.ask("show default_statistics_target").await, "100");

        // All of so many draws agree in one of three million runs of this test.
        let mut others = 0..40;
        let flipped = loop {
            assert!(others.next().is_some(), "no draw flips the plan");
            let snapshot = clone.prepare(&draw).await;
            if clone.plan("select * from big where kind is not null").await != plan {
                break snapshot;
            }
        };
        assert_ne!(checksum(&first), checksum(&flipped));
        let of_small = |snapshot: &Snapshot| {
            let column = snapshot.columns.iter().find(|column| column.relation == "small");
            column.unwrap().clone()
        };
        assert_eq!(of_small(&first), of_small(&flipped), "a small table is read whole");
        clone.close().await;
    }
}
