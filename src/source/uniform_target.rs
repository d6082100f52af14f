//! `uniform_target`: the same statistics target for every column.

use anyhow::Context as _;
use futures_util::future::BoxFuture;

use crate::model::experiment::Params;
use crate::source::StatsSource;
use crate::source::analyze;
use crate::source::parameter::Parameter;
use crate::source::parameter::ParameterKind;
use crate::target::session::Session;

pub struct UniformTarget;

impl StatsSource for UniformTarget {
    fn name(&self) -> &'static str {
        "uniform_target"
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

    fn apply<'a>(&'a self, session: &'a mut Session, params: &'a Params) -> BoxFuture<'a, anyhow::Result<()>> {
        Box::pin(async move {
            let target: u32 = params.get("target").context("a target")?.parse()?;
            analyze::set_targets(&mut session.conn, |_| target).await?;
            analyze::analyze_all(&mut session.conn).await
        })
    }
}
