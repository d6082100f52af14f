//! `uniform_target`: the same statistics target for every column.

use anyhow::Context as _;
use futures_util::future::BoxFuture;

use crate::model::experiment::Params;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::analyze;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::source::workplace::Workplace;

pub struct UniformTarget;

impl StatsSource for UniformTarget {
    fn name(&self) -> &'static str {
        "uniform_target"
    }

    fn group(&self) -> Group {
        Group::Gathered
    }

    fn title(&self) -> &'static str {
        "Uniform target"
    }

    fn about(&self) -> &'static str {
        "ANALYZE with one statistics target for all columns: how much is kept of each. PostgreSQL's default is 100."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[Parameter {
            name: "target",
            label: "Target",
            about: "Entries kept of each column's common values and histogram, 1 to 10000.",
            default: "1000",
            kind: ParameterKind::Integer { min: 1, max: 10_000 },
        }]
    }

    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            let target: u32 = params.get("target").context("a target")?.parse()?;
            analyze::set_targets(&mut place.session.conn, |_| target).await?;
            analyze::analyze_all(&mut place.session.conn).await?;
            Ok(Vec::new())
        })
    }
}
