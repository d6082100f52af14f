//! `built_in`: what PostgreSQL does by itself.

use futures_util::future::BoxFuture;

use crate::model::experiment::Params;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::analyze;
use crate::source::parameter::Parameter;
use crate::source::workplace::Workplace;

pub struct BuiltIn;

impl StatsSource for BuiltIn {
    fn name(&self) -> &'static str {
        "built_in"
    }

    fn group(&self) -> Group {
        Group::Gathered
    }

    fn title(&self) -> &'static str {
        "Built-in"
    }

    fn about(&self) -> &'static str {
        "ANALYZE at the server's default target, as autovacuum would run it. The usual baseline."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }

    fn apply<'a>(&'a self, place: &'a mut Workplace<'_>, _params: &'a Params) -> BoxFuture<'a, Applied> {
        Box::pin(async move {
            analyze::analyze_all(&mut place.session.conn).await?;
            Ok(Vec::new())
        })
    }
}
