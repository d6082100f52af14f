//! `perturbed`: statistics of ANALYZE, wrong on purpose.
//!
//! It starts from the experiment's own `built_in` statistics where there are some, so that nothing but the perturbation
//! differs, and every wrong number follows from the seed and the column's name.

mod rework;

use anyhow::Context as _;
use futures_util::future::BoxFuture;

use crate::model::experiment::Params;
use crate::model::experiment::SourceNote;
use crate::model::snapshot::Snapshot;
use crate::snapshot;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::parameter;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::source::workplace;
use crate::source::workplace::Workplace;

pub struct Perturbed;

/// What can be made wrong, as the parameter names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NDistinct,
    McvShuffle,
    McvDrop,
    HistogramDistort,
    HistogramDrop,
    NullFraction,
    Correlation,
    RowCounts,
}

impl Kind {
    /// In the order of [`KINDS`].
    const ALL: [Self; 8] = [
        Self::NDistinct,
        Self::McvShuffle,
        Self::McvDrop,
        Self::HistogramDistort,
        Self::HistogramDrop,
        Self::NullFraction,
        Self::Correlation,
        Self::RowCounts,
    ];
}

const KINDS: &[&str] = &[
    "n_distinct",
    "mcv_shuffle",
    "mcv_drop",
    "histogram_distort",
    "histogram_drop",
    "null_fraction",
    "correlation",
    "row_counts",
];

/// The parameters, read.
#[derive(Clone, Debug)]
struct Wish {
    seed: u64,
    kinds: Vec<Kind>,
    /// Above 0, at most 1.
    strength: f64,
}

impl Wish {
    fn of(params: &Params) -> anyhow::Result<Self> {
        let get = |name: &str| params.get(name).with_context(|| format!("the parameter {name}"));
        let chosen: Vec<&str> = parameter::chosen(get("kinds")?).collect();
        let kinds = Kind::ALL.into_iter().zip(KINDS);
        Ok(Self {
            seed: get("seed")?.parse()?,
            kinds: kinds
                .filter(|(_, name)| chosen.contains(name))
                .map(|(kind, _)| kind)
                .collect(),
            strength: f64::from(get("strength")?.parse::<u32>()?) / 100.0,
        })
    }

    fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }
}

impl StatsSource for Perturbed {
    fn name(&self) -> &'static str {
        "perturbed"
    }

    fn group(&self) -> Group {
        Group::Failing
    }

    fn title(&self) -> &'static str {
        "Perturbed"
    }

    fn about(&self) -> &'static str {
        "The statistics of ANALYZE, wrong on purpose: how far off may they be before plans change? Row counts are made \
         wrong, page counts stay real, because the planner looks at the files themselves. Statistics objects stay true."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[
            Parameter {
                name: "seed",
                label: "Seed",
                about: "The same seed makes the same columns wrong in the same way.",
                default: "1",
                kind: ParameterKind::Integer { min: 0, max: u64::MAX },
            },
            Parameter {
                name: "strength",
                label: "Strength",
                about: "1 to 100. At 50, counts are up to 10 times too high or too low, at 100 up to 100 times; null \
                        fractions and correlations go half or all of the way to a random number; half or all of the \
                        entries, bounds and histograms are hit.",
                default: "50",
                kind: ParameterKind::Integer { min: 1, max: 100 },
            },
            Parameter {
                name: "kinds",
                label: "What is wrong",
                about: "mcv are the most common values: shuffle exchanges their frequencies, drop forgets some. A distorted \
                        histogram has real bounds in wrong places.",
                default: "n_distinct+mcv_shuffle+correlation+row_counts",
                kind: ParameterKind::Several(KINDS),
            },
        ]
    }

    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            let wish = Wish::of(params)?;
            let (base, in_force) = {
                let base = place.base().await?;
                (base.snapshot.clone(), base.place)
            };
            let (wanted, mut notes) = rework::rework(&base, &wish);
            place.lot.swap_in(place.admin, in_force, &base).await?;
            let left_out = snapshot::apply::rework(place.admin, place.lot, &base, &wanted).await?;
            for left_out in left_out {
                notes.retain(|note| note.change.is_none() || note.about != left_out.column);
                notes.push(workplace::note(left_out, "left as it is"));
            }
            Ok(notes)
        })
    }

    fn preview(&self, base: &Snapshot, params: &Params) -> Option<anyhow::Result<Vec<SourceNote>>> {
        Some(Wish::of(params).map(|wish| rework::rework(base, &wish).1))
    }
}

#[cfg(test)]
mod tests;
