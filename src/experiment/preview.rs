//! What a source would change, shown before an experiment is launched, where statistics to go by are at hand.

use sqlx::PgConnection;

use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::SourceNote;
use crate::model::ids::ExperimentId;
use crate::model::user::Viewer;
use crate::source;
use crate::store;

/// What one source would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The label of the source.
    pub source: String,
    /// The experiment whose `built_in` statistics it goes by.
    pub by: ExperimentId,
    pub notes: Vec<SourceNote>,
}

/// Of every source that can tell; none where there is nothing to go by, because `built_in` was never prepared on this
/// dataset.
pub async fn previews(
    conn: &mut PgConnection,
    viewer: Viewer,
    spec: &ExperimentSpec,
) -> anyhow::Result<Option<Vec<Preview>>> {
    // Before the statistics are read: they are long, and most experiments need none of this.
    let nothing = crate::model::snapshot::Snapshot::default();
    let chosen: Vec<_> = spec
        .sources
        .iter()
        .filter_map(|spec| Some((spec, source::find(&spec.name)?)))
        .filter(|(spec, source)| source.preview(&nothing, &spec.params).is_some())
        .collect();
    if chosen.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let Some((by, base)) = store::sources::newest_built_in(conn, viewer, spec.dataset_id).await? else {
        return Ok(None);
    };
    let mut previews = Vec::new();
    for (spec, source) in chosen {
        if let Some(notes) = source.preview(&base, &spec.params) {
            previews.push(Preview {
                source: spec.label.clone(),
                by,
                notes: notes?,
            });
        }
    }
    Ok(Some(previews))
}
