//! Which sources of an experiment run in an annex, and the first source once more beside each.

use crate::experiment::fields::FieldError;
use crate::model::experiment::Annex;
use crate::model::experiment::ExperimentSpec;
use crate::model::experiment::SourceSpec;
use crate::source;

/// Gives every source that needs one an annex, with the first source once more in it.
pub(super) fn with_twins(chosen: Vec<SourceSpec>) -> Result<Vec<SourceSpec>, FieldError> {
    let Some(base) = chosen.first().cloned() else {
        return Ok(chosen);
    };
    if source::needs_annex(&base) {
        return Err(FieldError::new(
            "stats_source",
            format!(
                "{} works on top of the first source and is compared with it, so it cannot be the first. Choose another \
                 beside it, such as built_in.",
                base.label
            ),
        ));
    }
    let mut sources = Vec::with_capacity(chosen.len());
    let mut n_annexes = 0;
    for spec in chosen {
        if !source::needs_annex(&spec) {
            sources.push(spec);
            continue;
        }
        n_annexes += 1;
        let twin = SourceSpec {
            label: format!("{}, in the clone of {}", base.label, spec.label),
            // Timed whatever its plan is.
            draw: None,
            annex: Some(n_annexes),
            ..base.clone()
        };
        sources.push(SourceSpec {
            annex: Some(n_annexes),
            ..spec
        });
        sources.push(twin);
    }
    Ok(sources)
}

/// Whether the annexes of a spec that came from elsewhere are such as a form asks for.
pub fn has_sound_annexes(spec: &ExperimentSpec) -> bool {
    let annexes = spec.annexes();
    let is_sound = |annex: &Annex| {
        let of = |idx: usize| spec.sources.get(idx);
        let (Some(own), Some(twin), Some(first)) = (of(annex.source_idx), of(annex.twin_idx), of(0)) else {
            return false;
        };
        annex.source_idx != annex.twin_idx
            && source::needs_annex(own)
            && source::parse(&own.name, &own.params).is_ok()
            && (&twin.name, &twin.params) == (&first.name, &first.params)
    };
    let n_apart = spec.sources.iter().filter(|source| source.annex.is_some()).count();
    let is_at_home = |source: &SourceSpec| source.annex.is_some() || !source::needs_annex(source);
    n_apart == 2 * annexes.len()
        && spec.sources.first().is_none_or(|first| first.annex.is_none())
        && annexes.iter().all(is_sound)
        && spec.sources.iter().all(is_at_home)
}
