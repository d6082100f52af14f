//! The bases of a benchmark on a dataset: a clone with the statistics of each source, from which levels are cloned.

use std::time::Duration;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::experiment::preparing::named_file;
use crate::model::benchmark::Benchmark;
use crate::model::dataset::Setting;
use crate::model::experiment::Alteration;
use crate::model::experiment::SourceSpec;
use crate::model::job::Progress;
use crate::snapshot::park::Lot;
use crate::source;
use crate::source::analyze;
use crate::source::objects;
use crate::source::objects::Scout;
use crate::source::workplace::Dropped;
use crate::source::workplace::Workplace;
use crate::store::held::HeldJob;
use crate::target::clone;
use crate::target::lease::Sandbox;
use crate::target::session::Admin;
use crate::target::session::Session;
use crate::target::trouble::Trouble;

/// What a source may ask of the data before it is applied, at most.
const SCOUTING_LIMIT: Duration = Duration::from_mins(1);

/// Makes a base for each source; without sources one that is analyzed as it is. Returns the settings that each of them has
/// besides: a script may set some.
pub(super) async fn prepare(
    job: &HeldJob,
    benchmark: &Benchmark,
    settings: &[Setting],
    sandbox: &Sandbox,
) -> Result<Vec<Vec<Setting>>, Trouble> {
    let template = clone::template_name(sandbox.tenant);
    let n_bases = benchmark.spec.sources.len().max(1);
    let mut server = Admin::connect(&sandbox.address, "postgres").await?;
    // The clone of a level stands beside them.
    clone::require_room(&mut server, &sandbox.room, &template, n_bases as u64 + 1).await?;
    let first = benchmark.spec.sources.first();
    let has_plain_first = first.is_some_and(|first| !source::needs_annex(first));
    let mut own_settings = Vec::with_capacity(n_bases);
    for base_idx in 0..n_bases {
        let source = benchmark.spec.sources.get(base_idx);
        let progress = Progress {
            done: base_idx as u64,
            total: n_bases as u64,
            unit: "sources".to_owned(),
            detail: source.map_or(String::new(), |source| source.label.clone()),
            n_rows: 0,
        };
        job.set_progress("preparing statistics", &progress).await?;
        let number = i32::try_from(base_idx).context("few sources")?;
        let name = clone::benchmark_base_name(benchmark.id, number);
        let (beneath, from) = if has_plain_first && source.is_some_and(source::needs_annex) {
            (Beneath::FirstSource, clone::benchmark_base_name(benchmark.id, 0))
        } else {
            (Beneath::Nothing, template.clone())
        };
        clone::create(&mut server, &sandbox.room, &from, &name).await?;
        let maker = Maker {
            job,
            benchmark,
            settings,
            sandbox,
            name: &name,
            stop: job.stop_token(),
        };
        let preparing = async {
            match source {
                Some(source) => maker.apply(source, beneath).await,
                None => maker.analyze().await.map(|()| Vec::new()),
            }
        };
        tokio::select! {
            prepared = preparing => own_settings.push(prepared?),
            // The sandbox is stopped behind us, and with it whatever still runs there.
            () = job.stop_token().cancelled() => return Err(Trouble::Stopped),
        }
    }
    server.close().await;
    Ok(own_settings)
}

/// What statistics a base has before its source is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beneath {
    /// Those of the restore, which has gathered none.
    Nothing,
    /// Those of the first source, on top of which a script works.
    FirstSource,
}

struct Maker<'a> {
    job: &'a HeldJob,
    benchmark: &'a Benchmark,
    settings: &'a [Setting],
    sandbox: &'a Sandbox,
    /// Of the base.
    name: &'a str,
    stop: &'a CancellationToken,
}

impl Maker<'_> {
    async fn analyze(&self) -> Result<(), Trouble> {
        let mut session = self.session(self.settings).await?;
        analyze::analyze_all(&mut session.conn)
            .await
            .map_err(|error| Trouble::of_source("ANALYZE", error))?;
        session.close().await;
        Ok(())
    }

    async fn apply(&self, spec: &SourceSpec, beneath: Beneath) -> Result<Vec<Setting>, Trouble> {
        let unknown = || Trouble::Sentence(format!("This pgassay has no source called {}.", spec.name));
        let source = source::find(&spec.name).ok_or_else(unknown)?;
        let of_source = |error| Trouble::of_source(&spec.label, error);
        if source.needs_annex() && beneath == Beneath::Nothing {
            self.analyze().await?;
        }
        let statistics_file = named_file(self.job, self.benchmark.dataset_id, spec, "benchmark").await?;
        let mut session = self.session(self.settings).await?;
        let mut reading = self.settings.to_vec();
        reading.push(Setting {
            name: "default_transaction_read_only".to_owned(),
            value: "on".to_owned(),
        });
        let mut reader = self.session(&reading).await?.undoing_writes();
        let queries: Vec<(String, String)> = {
            let programs = self.benchmark.spec.mix.programs.iter();
            let plain = programs.filter(|program| program.is_plain_sql);
            plain
                .map(|program| (program.name.clone(), program.text.clone()))
                .collect()
        };
        let mut scout = Scout {
            session: &mut session,
            reader: &mut reader,
            queries: &queries,
            prefix: "pgassay_".to_owned(),
            limit: SCOUTING_LIMIT,
            cancel: self.stop,
        };
        let wanted = source.objects(&mut scout, &spec.params).await.map_err(of_source)?;
        let found = objects::create_all(&mut session.conn, wanted).await?;
        reader.close().await;
        let mut admin = Admin::connect(&self.sandbox.address, self.name).await?;
        let lot = Lot::open(&mut admin).await?;
        let mut alteration = Alteration::default();
        let mut place = Workplace {
            statistics_file: statistics_file.as_ref(),
            sandbox: self.sandbox,
            database: self.name,
            session: &mut session,
            admin: &mut admin,
            lot: &lot,
            settings: self.settings,
            objects: &found.objects,
            scratch_name: &clone::benchmark_scratch_name(self.benchmark.id),
            base: &mut None,
            alteration: &mut alteration,
            // Nobody else is in this database.
            dropped: Dropped::Gone,
        };
        source.apply(&mut place, &spec.params).await.map_err(of_source)?;
        session.close().await;
        // So that it can be copied.
        admin.close().await;
        Ok(alteration.settings)
    }

    async fn session(&self, settings: &[Setting]) -> Result<Session, Trouble> {
        let session = Session::connect(&self.sandbox.address, self.name, "pgassay prepare", settings);
        Ok(session.await?)
    }
}
