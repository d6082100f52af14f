//! Draws that repeat a plan: of independent samples of the same statistics most give the plan that an earlier one gave, and
//! to time it again says nothing new.

use std::collections::BTreeMap;
use std::collections::HashMap;

use crate::model::experiment::SourceSpec;

/// The shape of the plan that a query has under a source; none where it has none.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    pub source_idx: i32,
    pub query_idx: i32,
    pub fingerprint: Option<&'a str>,
}

/// For each (source, query) that need not be timed, the earlier draw of its set whose plan it has. A set whose
/// parameter `trials` is not `distinct` is timed as a whole.
pub fn repeats<'a>(sources: &[SourceSpec], shapes: impl IntoIterator<Item = Shape<'a>>) -> BTreeMap<(i32, i32), i32> {
    let mut shapes: Vec<Shape<'a>> = shapes.into_iter().collect();
    shapes.sort_by_key(|shape| (shape.query_idx, shape.source_idx));
    let mut first: HashMap<(i32, &str, &str, String), i32> = HashMap::new();
    let mut repeats = BTreeMap::new();
    for shape in shapes {
        let idx = usize::try_from(shape.source_idx).unwrap_or(usize::MAX);
        let Some(spec) = sources.get(idx).filter(|spec| spec.draw.is_some()) else {
            continue;
        };
        let is_distinct = spec.params.get("trials").is_some_and(|trials| trials == "distinct");
        let Some(fingerprint) = shape.fingerprint.filter(|_| is_distinct) else {
            continue;
        };
        let set = format!("{:?}", spec.params);
        let earlier = *first
            .entry((shape.query_idx, fingerprint, spec.name.as_str(), set))
            .or_insert(shape.source_idx);
        if earlier != shape.source_idx {
            repeats.insert((shape.source_idx, shape.query_idx), earlier);
        }
    }
    repeats
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(n: u32, target: &str, trials: &str) -> SourceSpec {
        let params = [("target", target), ("trials", trials)];
        SourceSpec {
            name: "draws".to_owned(),
            params: params.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            label: format!("draw {n} at {target}"),
            draw: Some(n),
            annex: None,
        }
    }

    fn shapes<'a>(fingerprints: &[Option<&'a str>]) -> Vec<Shape<'a>> {
        let shape = |(source_idx, fingerprint): (i32, Option<&'a str>)| Shape {
            source_idx,
            query_idx: 4,
            fingerprint,
        };
        (0..).zip(fingerprints.iter().copied()).map(shape).collect()
    }

    #[test]
    fn a_draw_repeats_the_first_of_its_set_that_has_its_plan() {
        let mut sources = vec![draw(1, "100", "distinct")];
        sources[0].draw = None;
        sources.extend((1..=5).map(|n| draw(n, "100", "distinct")));
        let found = repeats(
            &sources,
            shapes(&[Some("a"), Some("a"), Some("b"), Some("a"), Some("b"), None]),
        );
        assert_eq!(found, [((3, 4), 1), ((4, 4), 2)].into());
    }

    #[test]
    fn sets_are_apart_and_one_that_wants_all_trials_gets_them() {
        let sources = [
            draw(1, "100", "distinct"),
            draw(1, "10", "distinct"),
            draw(1, "5", "all"),
            draw(2, "5", "all"),
        ];
        assert!(repeats(&sources, shapes(&[Some("a"); 4])).is_empty());
    }
}
