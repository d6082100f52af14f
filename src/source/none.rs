//! `none`: nothing was ever analyzed.

use futures_util::future::BoxFuture;

use crate::model::experiment::Params;
use crate::source::Applied;
use crate::source::Group;
use crate::source::StatsSource;
use crate::source::parameter::Parameter;
use crate::source::workplace::Workplace;

pub struct NoStatistics;

impl StatsSource for NoStatistics {
    fn name(&self) -> &'static str {
        "none"
    }

    fn group(&self) -> Group {
        Group::Failing
    }

    fn title(&self) -> &'static str {
        "No statistics"
    }

    fn about(&self) -> &'static str {
        "Nothing was ever analyzed: the planner knows how many rows and pages a table has, and guesses the rest."
    }

    fn parameters(&self) -> &'static [Parameter] {
        &[]
    }

    fn apply<'a>(&'a self, _place: &'a mut Workplace<'_>, _params: &'a Params) -> BoxFuture<'a, Applied> {
        // The pristine clone is what this source stands for.
        Box::pin(async { Ok(Vec::new()) })
    }
}
