//! `random_targets`: a statistics target of its own for every column, from a seed.
//!
//! A column's target is a hash of the seed and its name, not the next number of a stream, so that adding a column to
//! a dump does not change the targets of the others.

use anyhow::Context as _;
use futures_util::future::BoxFuture;

use crate::model::chance;
use crate::model::experiment::Params;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::analyze;
use crate::source::columns::Column;
use crate::source::parameter::ParamError;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::source::workplace::Workplace;

pub struct RandomTargets;

/// How targets are spread between the lowest and the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Log,
    Uniform,
}

impl StatsSource for RandomTargets {
    fn name(&self) -> &'static str {
        "random_targets"
    }

    fn group(&self) -> Group {
        Group::Gathered
    }

    fn title(&self) -> &'static str {
        "Random targets"
    }

    fn about(&self) -> &'static str {
        "A statistics target of its own for every column, drawn from the seed, then ANALYZE. A wide uniform range \
         changes little: nearly all of its targets are high. Small targets on a log scale are where plans move."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[
            Parameter {
                name: "seed",
                label: "Seed",
                about: "The same seed gives the same targets.",
                default: "1",
                kind: ParameterKind::Integer { min: 0, max: u64::MAX },
            },
            Parameter {
                name: "low",
                label: "Lowest",
                about: "The lowest target that is drawn.",
                default: "1",
                kind: ParameterKind::Integer { min: 1, max: 10_000 },
            },
            Parameter {
                name: "high",
                label: "Highest",
                about: "The highest target that is drawn, 10000 at most.",
                default: "100",
                kind: ParameterKind::Integer { min: 1, max: 10_000 },
            },
            Parameter {
                name: "scale",
                label: "Scale",
                about: "log: as many targets between 1 and 10 as between 10 and 100. uniform: every target alike.",
                default: "log",
                kind: ParameterKind::Choice(&["log", "uniform"]),
            },
        ]
    }

    fn check(&self, params: &Params) -> Result<(), ParamError> {
        let draw = Draw::of(params).map_err(|error| ParamError::new("", error.to_string()))?;
        if draw.high < draw.low {
            return Err(ParamError::new("high", "Highest must not be below Lowest.".to_owned()));
        }
        Ok(())
    }

    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            let draw = Draw::of(params)?;
            analyze::set_targets(&mut place.session.conn, |column| draw.target(column)).await?;
            analyze::analyze_all(&mut place.session.conn).await?;
            Ok(Vec::new())
        })
    }
}

/// The parameters, read.
#[derive(Clone, Copy, Debug)]
struct Draw {
    seed: u64,
    low: u32,
    high: u32,
    scale: Scale,
}

impl Draw {
    fn of(params: &Params) -> anyhow::Result<Self> {
        let get = |name: &str| params.get(name).with_context(|| format!("the parameter {name}"));
        Ok(Self {
            seed: get("seed")?.parse()?,
            low: get("low")?.parse()?,
            high: get("high")?.parse()?,
            scale: if get("scale")? == "uniform" {
                Scale::Uniform
            } else {
                Scale::Log
            },
        })
    }

    /// The target of one column, between `low` and `high`.
    fn target(&self, column: &Column) -> u32 {
        let share = chance::share_of(self.seed, &[&column.schema, &column.table, &column.column]);
        let (low, end) = (f64::from(self.low), f64::from(self.high) + 1.0);
        let drawn = match self.scale {
            Scale::Uniform => low + share * (end - low),
            Scale::Log => low * (end / low).powf(share),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 10,001"
        )]
        let target = drawn.floor() as u32;
        target.clamp(self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(n: u32) -> Column {
        Column {
            schema: "public".into(),
            table: "orders".into(),
            column: format!("c{n}"),
        }
    }

    fn draw(scale: Scale) -> Draw {
        Draw {
            seed: 7,
            low: 1,
            high: 100,
            scale,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_targets_and_another_gives_others() {
        let targets = |seed| -> Vec<u32> {
            let draw = Draw {
                seed,
                ..draw(Scale::Log)
            };
            (0..50).map(|n| draw.target(&column(n))).collect()
        };
        assert_eq!(targets(7), targets(7));
        assert_ne!(targets(7), targets(8));
    }

    #[test]
    fn targets_are_what_they_were_in_the_first_release() {
        let draw = draw(Scale::Uniform);
        let targets: Vec<u32> = (0..4).map(|n| draw.target(&column(n))).collect();
        assert_eq!(targets, FIRST_RELEASE);
    }

    /// Taken from this code when it was written: stored experiments depend on them.
    const FIRST_RELEASE: [u32; 4] = [41, 61, 27, 77];

    #[test]
    fn log_and_uniform_fill_their_ranges_as_they_say() {
        let share_below_10 = |scale| {
            let draw = draw(scale);
            (0..2000)
                .map(|n| draw.target(&column(n)))
                .inspect(|t| assert!((1..=100).contains(t)))
                .filter(|t| *t <= 10)
                .count()
        };
        // log: ln(11) / ln(101) = 0.52; uniform: 0.10; three standard deviations of a count of 2,000 are 67.
        assert!((1040_usize.abs_diff(share_below_10(Scale::Log))) < 67);
        assert!((200_usize.abs_diff(share_below_10(Scale::Uniform))) < 67);
    }

    #[test]
    fn names_that_run_together_are_told_apart() {
        let a = Column {
            schema: "a".into(),
            table: "bc".into(),
            column: "d".into(),
        };
        let b = Column {
            schema: "ab".into(),
            table: "c".into(),
            column: "d".into(),
        };
        let draw = Draw {
            high: 10_000,
            ..draw(Scale::Uniform)
        };
        assert_ne!(draw.target(&a), draw.target(&b));
    }
}
