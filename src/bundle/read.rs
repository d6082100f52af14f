//! Opens a bundle and refuses, in words, whatever is none. What it says is checked for size and order, not for truth.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::bundle::BundleError;
use crate::bundle::SCHEMA;
use crate::bundle::archive::Reader;
use crate::bundle::format;
use crate::bundle::format::ExperimentBody;
use crate::bundle::format::MANIFEST;
use crate::bundle::format::Manifest;
use crate::experiment::form::MAX_ITERATIONS;
use crate::experiment::form::MAX_SOURCES;
use crate::experiment::form::MAX_TRIALS;
use crate::experiment::form::MAX_WARM_UP;
use crate::experiment::form::twins;
use crate::experiment::schedule;
use crate::model::experiment::ExperimentQuery;
use crate::model::experiment::PreparedSource;
use crate::model::snapshot::Snapshot;

/// An open bundle whose members are all there.
pub struct Bundle {
    reader: Reader,
    pub experiment: ExperimentBody,
    /// In order; `query_idx` counts from 0.
    pub queries: Vec<ExperimentQuery>,
    /// Those that were prepared, in order; each has a snapshot.
    pub sources: Vec<PreparedSource>,
}

/// The manifest of any form, past or to come.
#[derive(Deserialize)]
struct Form {
    schema: String,
}

/// What is read again of a published plan.
#[derive(Deserialize)]
struct PublishedPlan {
    query_idx: i32,
    source_idx: i32,
    fingerprint: Option<String>,
}

impl Bundle {
    /// Opens a file. Memory is bounded whatever the file holds, and nothing of it is written to disk.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let mut reader = Reader::open(file)?;
        let form: Form = reader.document(MANIFEST)?;
        if form.schema != SCHEMA {
            return Err(BundleError::OtherVersion { found: form.schema });
        }
        let manifest: Manifest = reader.document(MANIFEST)?;
        check_members(&reader, &manifest)?;
        reader.expect(manifest.members);
        let experiment: ExperimentBody = reader.document(format::EXPERIMENT)?;
        check_size(&experiment).map_err(|reason| unreadable(format::EXPERIMENT, reason))?;
        let queries = queries(&mut reader, experiment.spec.query_positions.len())?;
        let sources = sources(&mut reader, experiment.spec.sources.len())?;
        Ok(Self {
            reader,
            experiment,
            queries,
            sources,
        })
    }

    /// The planner statistics of a prepared source.
    pub fn snapshot(&mut self, source_idx: i32) -> Result<Snapshot, BundleError> {
        self.reader.document(&format::snapshot(source_idx))
    }

    /// The planner statistics of all prepared sources, in order.
    pub fn snapshots(&mut self) -> Result<Vec<(PreparedSource, Snapshot)>, BundleError> {
        let sources = self.sources.clone();
        let names = sources.iter().map(|source| format::snapshot(source.source_idx));
        self.reader.check_together(names)?;
        let read = |source: PreparedSource| {
            let snapshot = self.snapshot(source.source_idx)?;
            Ok((source, snapshot))
        };
        sources.into_iter().map(read).collect()
    }

    /// The published fingerprint of every plan, by query and source.
    pub fn fingerprints(&mut self) -> Result<BTreeMap<(i32, i32), String>, BundleError> {
        let mut fingerprints = BTreeMap::new();
        self.rows(format::PUBLISHED_PLANS, |row: PublishedPlan| {
            if let Some(fingerprint) = row.fingerprint {
                fingerprints.insert((row.query_idx, row.source_idx), fingerprint);
            }
            Ok(())
        })?;
        Ok(fingerprints)
    }

    /// Members read so far whose bytes are not those that the manifest promises.
    pub fn changed(&self) -> &[String] {
        self.reader.changed()
    }

    /// Whether it holds a member that not every bundle holds.
    pub(super) fn has(&self, name: &str) -> bool {
        self.reader.has(name)
    }

    /// Hands every row of a table to `take`, until that refuses one with a reason.
    pub(super) fn rows<T: DeserializeOwned>(
        &mut self,
        name: &str,
        take: impl FnMut(T) -> Result<(), String>,
    ) -> Result<(), BundleError> {
        self.reader.lines(name, take)
    }

    /// The bytes of a member.
    pub(super) fn bytes(&mut self, name: &str) -> Result<Vec<u8>, BundleError> {
        self.reader.bytes(name)
    }

    /// The label of a source; its number where it has none.
    pub fn source_label(&self, source_idx: i64) -> String {
        let source = usize::try_from(source_idx)
            .ok()
            .and_then(|idx| self.experiment.spec.sources.get(idx));
        source.map_or_else(|| format!("source {source_idx}"), |source| source.label.clone())
    }

    /// The label of a query; its number where it has none.
    pub fn query_label(&self, query_idx: i64) -> String {
        let query = usize::try_from(query_idx).ok().and_then(|idx| self.queries.get(idx));
        query.map_or_else(|| format!("query {query_idx}"), |query| query.label.clone())
    }
}

fn check_members(reader: &Reader, manifest: &Manifest) -> Result<(), BundleError> {
    let promised: BTreeSet<&str> = manifest.members.iter().map(|member| member.name.as_str()).collect();
    if promised.len() != manifest.members.len() {
        return Err(unreadable(MANIFEST, "it names a member twice".to_owned()));
    }
    let names = reader.names()?;
    let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    // Names are compared with those that we write, and with nothing on disk.
    if let Some(name) = there
        .iter()
        .find(|name| !promised.contains(*name) || !format::is_member(name))
    {
        return Err(BundleError::ForeignMember {
            name: (*name).to_owned(),
        });
    }
    let is_missing = |name: &&str| !there.contains(*name);
    let lost = promised.iter().copied().find(is_missing);
    match lost.or_else(|| format::every_member().find(is_missing)) {
        Some(name) => Err(BundleError::MissingMember { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// Refuses experiments that pgassay would not have run: their schedule might not fit into memory.
fn check_size(body: &ExperimentBody) -> Result<(), String> {
    let spec = &body.spec;
    if spec.sources.len() > MAX_SOURCES || spec.iterations > MAX_ITERATIONS || spec.warm_up > MAX_WARM_UP {
        return Err("it asks for more than an experiment may".to_owned());
    }
    if !twins::has_sound_annexes(spec) {
        return Err("its sources with scripts are not such as an experiment has them".to_owned());
    }
    let n_trials = schedule::n_trials(spec);
    if n_trials > MAX_TRIALS {
        return Err(format!("it asks for {n_trials} trials; {MAX_TRIALS} are allowed"));
    }
    Ok(())
}

fn queries(reader: &mut Reader, n_queries: usize) -> Result<Vec<ExperimentQuery>, BundleError> {
    let mut queries: Vec<ExperimentQuery> = Vec::new();
    reader.lines(format::QUERIES, |query: ExperimentQuery| {
        if usize::try_from(query.query_idx) != Ok(queries.len()) {
            return Err("the queries are not in order".to_owned());
        }
        queries.push(query);
        Ok(())
    })?;
    if queries.len() != n_queries {
        let reason = format!("it has {} queries, and the experiment {n_queries}", queries.len());
        return Err(unreadable(format::QUERIES, reason));
    }
    Ok(queries)
}

fn sources(reader: &mut Reader, n_sources: usize) -> Result<Vec<PreparedSource>, BundleError> {
    let mut sources: Vec<PreparedSource> = Vec::new();
    reader.lines(format::SOURCES, |source: PreparedSource| {
        let is_next = sources.last().is_none_or(|last| last.source_idx < source.source_idx);
        let is_one = usize::try_from(source.source_idx).is_ok_and(|idx| idx < n_sources);
        if !(is_next && is_one) {
            return Err("the sources are not in order".to_owned());
        }
        sources.push(source);
        Ok(())
    })?;
    Ok(sources)
}

fn unreadable(name: &str, reason: String) -> BundleError {
    BundleError::Unreadable {
        name: name.to_owned(),
        reason,
    }
}
