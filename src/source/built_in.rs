//! `built_in`: what PostgreSQL does by itself.

use futures_util::future::BoxFuture;

use crate::model::experiment::Params;
use crate::source::StatsSource;
use crate::source::analyze;
use crate::source::parameter::Parameter;
use crate::target::session::Session;

pub struct BuiltIn;

impl StatsSource for BuiltIn {
    fn name(&self) -> &'static str {
        "built_in"
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

    fn apply<'a>(&'a self, session: &'a mut Session, _params: &'a Params) -> BoxFuture<'a, anyhow::Result<()>> {
        Box::pin(analyze::analyze_all(&mut session.conn))
    }
}
