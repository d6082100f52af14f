//! A registered server as the place of a benchmark: one schema of ours, noted in the store before it is made, and dropped
//! behind the last level whatever that came to. Nothing else there is touched.

use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use tracing::warn;

use crate::auth::access;
use crate::benchmark::operations;
use crate::benchmark::place;
use crate::benchmark::place::setting;
use crate::benchmark::route::Route;
use crate::dataset::generators::load_tables;
use crate::experiment::environment;
use crate::model::benchmark::Benchmark;
use crate::model::benchmark::GeneratedSpec;
use crate::model::benchmark::LoadRecord;
use crate::model::ids::ServerId;
use crate::model::job::Progress;
use crate::model::server::ServerReport;
use crate::server::Servers;
use crate::server::ServersError;
use crate::sql::ident;
use crate::store;
use crate::store::held::HeldJob;
use crate::target::counters::Counters;
use crate::target::registered;
use crate::target::registered::Registered;
use crate::target::registered::schema;
use crate::target::registered::session::OwnSession;
use crate::target::trouble::Trouble;
use crate::target::wire::ConnectError;
use crate::target::wire::Dial;

/// How long a server may be away when a benchmark begins: it may be starting, or waking up.
const AWAY_LIMIT: Duration = Duration::from_secs(30);
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Why a benchmark does not begin.
const NOT_ANY_MORE: &str = "Registered servers are for admins, and whoever launched this is none any more.";

/// An open place on a registered server.
pub struct ServerPlace {
    servers: Servers,
    server_id: ServerId,
    registered: Registered,
    schema: String,
    generated: GeneratedSpec,
    writes: bool,
    benchmark: Benchmark,
    /// The schema is noted, and may be there.
    is_noted: bool,
    /// The tables are as they were loaded.
    is_fresh: bool,
}

impl ServerPlace {
    /// Makes the schema and loads its tables.
    pub async fn open(
        job: &HeldJob,
        benchmark: &Benchmark,
        servers: &Servers,
        server_id: ServerId,
        generated: GeneratedSpec,
    ) -> Result<Self, Trouble> {
        job.set_progress("reaching the server", &Progress::default()).await?;
        require_admin(job).await?;
        let mut place = Self {
            servers: servers.clone(),
            server_id,
            registered: servers.registered(job.viewer, server_id).await.map_err(trouble)?,
            schema: format!("{}_b{}_{}", servers.prefix(), benchmark.id, job.lease.epoch),
            generated,
            writes: operations::writes(benchmark.spec.mix.operation),
            benchmark: benchmark.clone(),
            is_noted: false,
            is_fresh: false,
        };
        match place.furnish(job).await {
            Ok(()) => Ok(place),
            Err(trouble) => {
                place.close().await?;
                Err(trouble)
            }
        }
    }

    /// Everything up to the first level.
    async fn furnish(&mut self, job: &HeldJob) -> Result<(), Trouble> {
        let reaching = async {
            let own = Some(job.lease.job_id);
            self.servers.drop_left_schemas(Some(self.server_id), own).await?;
            let mut session = self.reach().await?;
            let report = registered::report(&mut session).await.map_err(refused)?;
            Ok::<_, Trouble>((session, report))
        };
        let (mut session, report) = tokio::select! {
            reached = reaching => reached?,
            () = job.stop_token().cancelled() => return Err(Trouble::Stopped),
        };
        self.check(&report)?;
        let mut conn = job.conn().await?;
        if !store::servers::note_schema(&mut conn, &job.lease, self.server_id, &self.schema).await? {
            job.lose();
            return Err(Trouble::Stopped);
        }
        drop(conn);
        self.is_noted = true;
        // Not cut off by a stop: what nobody waits for any more may be made behind the back of whoever drops it.
        schema::make(&mut session, &self.schema).await.map_err(refused)?;
        let surroundings = tokio::select! {
            told = environment::of_guest(&mut session, &report) => told.map_err(refused)?,
            () = job.stop_token().cancelled() => return Err(Trouble::Stopped),
        };
        session.close().await;
        let load = self.load(job).await?;
        let mut conn = job.conn().await?;
        store::benchmarks::set_environment(&mut conn, &job.lease, self.benchmark.id, &surroundings, Some(&load))
            .await?;
        Ok(())
    }

    /// A session there; waits for a server that is away.
    async fn reach(&self) -> Result<OwnSession, Trouble> {
        let began = Instant::now();
        loop {
            match self.registered.session().await {
                Ok(session) => return Ok(session),
                Err(error) if is_away(&error) && began.elapsed() < AWAY_LIMIT => tokio::time::sleep(ASK_EVERY).await,
                Err(error) => return Err(Trouble::Sentence(registered::in_words(&error))),
            }
        }
    }

    /// What of a server makes a benchmark impossible.
    fn check(&self, report: &ServerReport) -> Result<(), Trouble> {
        let refuse = |sentence: String| Err(Trouble::Sentence(sentence));
        if report.is_replica == Some(true) {
            return refuse(
                "The server is a replica, which takes no writes, so no tables can be made there. Register the server that \
                 takes writes."
                    .to_owned(),
            );
        }
        if report.may_create == Some(false) {
            return refuse(format!(
                "The user may not make a schema on the server. Somebody who may has to say there: grant create on database {} \
                 to the user.",
                ident::quote(self.registered.database())
            ));
        }
        let wanted = self.benchmark.spec.most_clients();
        match report.too_few_connections(wanted) {
            Some(why) => refuse(format!(
                "The server {why}: too few for {wanted} clients. Choose fewer, or raise its max_connections."
            )),
            None => Ok(()),
        }
    }

    /// Fills the schema, which holds no tables.
    async fn load(&mut self, job: &HeldJob) -> Result<LoadRecord, Trouble> {
        let mut session = OwnSession::open_within(&self.dial(&self.schema), registered::LOAD_LIMIT)
            .await
            .context("connecting to load rows")?;
        let tell = |loaded| place::tell_loaded(job, loaded).boxed();
        let filling = load_tables::fill(&mut session, self.generated, tell, job.stop_token());
        let filled = tokio::select! {
            filled = filling => filled.map_err(refused)?,
            // What still runs there is ended when the schema is dropped.
            () = job.stop_token().cancelled() => None,
        };
        let load = filled.ok_or(Trouble::Stopped)?;
        session.close().await;
        self.is_fresh = true;
        Ok(load)
    }

    /// The schema, with tables made anew where an earlier level has written to them.
    pub async fn database(&mut self, job: &HeldJob) -> Result<String, Trouble> {
        if !self.is_fresh {
            let mut session = self.reach().await?;
            schema::make(&mut session, &self.schema).await.map_err(refused)?;
            session.close().await;
            self.load(job).await?;
        }
        self.is_fresh = !self.writes;
        Ok(self.schema.clone())
    }

    /// How clients reach the schema.
    pub fn dial(&self, schema: &str) -> Dial {
        self.registered.dial(schema, self.settings(schema))
    }

    /// How clients on other machines reach it: each of them gets the password for itself.
    pub fn route(&self, schema: &str) -> Route {
        Route::Registered {
            server_id: self.server_id,
            application_name: schema.to_owned(),
            settings: self.settings(schema),
        }
    }

    /// What is in force in the sessions of clients.
    fn settings(&self, schema: &str) -> Vec<(String, String)> {
        let spec = &self.benchmark.spec;
        let search_path = setting("search_path", &ident::quote(schema));
        place::of_clients(spec, spec.settings.iter().chain([&search_path]))
    }

    /// What tells the planner's statistics of the schema from others.
    pub async fn statistics(&self, schema: &str) -> anyhow::Result<String> {
        let mut session = self.registered.session().await?;
        let statistics = schema::statistics(&mut session, schema).await;
        session.close().await;
        statistics
    }

    /// The counters of the database from now on.
    pub async fn counters(&self) -> anyhow::Result<Counters> {
        let session = self.registered.session().await?;
        Counters::of_registered(session, self.registered.database()).await
    }

    /// Drops the schema. Where that does not come about it stays noted, and is dropped later.
    pub async fn close(self) -> anyhow::Result<()> {
        if !self.is_noted {
            return Ok(());
        }
        if let Err(error) = self.registered.drop_schema(&self.schema).await {
            warn!(
                server.id = %self.server_id,
                "The schema {} stays on server {} for now: {error:#}", self.schema, self.server_id
            );
            return Ok(());
        }
        let mut conn = self.servers.pool.acquire().await?;
        store::servers::forget_schema(&mut conn, self.server_id, &self.schema).await?;
        Ok(())
    }
}

/// Refuses the work of whoever may not use registered servers any more: it may have waited for long.
async fn require_admin(job: &HeldJob) -> Result<(), Trouble> {
    let account = store::users::get(&mut *job.conn().await?, job.viewer.user_id).await?;
    let may_use = account.is_some_and(|account| access::may_account_use_servers(&account));
    may_use
        .then_some(())
        .ok_or_else(|| Trouble::Sentence(NOT_ANY_MORE.to_owned()))
}

fn is_away(error: &ConnectError) -> bool {
    match error {
        // It starts, or stops to start again.
        ConnectError::Refused(said) => said.sqlstate.starts_with("57P"),
        ConnectError::Away { .. } | ConnectError::Lost { .. } => true,
        ConnectError::Silent { .. } | ConnectError::Unmet(_) => false,
    }
}

/// What the server does not let us do will not do better another time.
fn refused(error: anyhow::Error) -> Trouble {
    if registered::session::is_survived(&error) {
        return Trouble::Sentence(format!("The server refuses: {error:#}."));
    }
    error.into()
}

fn trouble(error: ServersError) -> Trouble {
    match error {
        ServersError::Fault(error) => error.into(),
        ServersError::NotFound => {
            Trouble::Sentence("The server of this benchmark is not registered any more.".to_owned())
        }
        ServersError::Vault(_) | ServersError::InUse(_) | ServersError::Refused(_) => {
            Trouble::Sentence(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
