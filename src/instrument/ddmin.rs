//! The smallest cause of a difference: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE
//! Transactions on Software Engineering 28(2), 2002, algorithm ddmin.
//!
//! The search knows nothing of what it searches. It is asked again from its beginning whenever an answer has come in, and
//! says what to try next: the same answers lead to the same question, so a search goes on wherever it was interrupted.

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try these items, ascending, and add the answer to what is known.
    Try { items: Vec<usize>, why: String },
    /// These have the effect, and none of them can be left out.
    Found(Vec<usize>),
    /// Not even all of them have the effect, or nothing has it already: there is no difference to explain.
    Nothing,
}

/// The next step of the search for a smallest part of `0..n_items` that has the effect. `known` says what a trial of these
/// items has shown, none where they were not tried. `favourites` are tried first: if they have the effect, the search
/// looks nowhere else.
pub fn next(n_items: usize, favourites: &[usize], known: &impl Fn(&[usize]) -> Option<bool>) -> Next {
    let all: Vec<usize> = (0..n_items).collect();
    match search(&all, favourites, known) {
        Ok(next) | Err(next) => next,
    }
}

/// `Err` is a question that has to be answered first.
fn search(all: &[usize], favourites: &[usize], known: &impl Fn(&[usize]) -> Option<bool>) -> Result<Next, Next> {
    let ask = |items: &[usize], why: &dyn Fn() -> String| {
        known(items).ok_or_else(|| Next::Try {
            items: items.to_vec(),
            why: why(),
        })
    };
    if ask(&[], &|| "nothing taken".to_owned())? || !ask(all, &|| "everything taken".to_owned())? {
        return Ok(Next::Nothing);
    }
    let is_shorter = !favourites.is_empty() && favourites.len() < all.len();
    let mut items = if is_shorter && ask(favourites, &|| "what belongs to the tables of the plans".to_owned())? {
        favourites.to_vec()
    } else {
        all.to_vec()
    };
    let mut n_parts = 2;
    while items.len() > 1 {
        n_parts = n_parts.min(items.len());
        let parts = parts(&items, n_parts);
        let smaller = reduce(&items, &parts, &ask)?;
        match smaller {
            Some((part, parts_next)) => (items, n_parts) = (part, parts_next),
            None if n_parts < items.len() => n_parts *= 2,
            None => break,
        }
    }
    Ok(Next::Found(items))
}

type Ask<'a> = dyn Fn(&[usize], &dyn Fn() -> String) -> Result<bool, Next> + 'a;

/// A part that has the effect on its own, or all but a part; with the number of parts to go on with.
fn reduce(items: &[usize], parts: &[Vec<usize>], ask: &Ask<'_>) -> Result<Option<(Vec<usize>, usize)>, Next> {
    let n_parts = parts.len();
    for (idx, part) in parts.iter().enumerate() {
        if ask(part, &|| format!("part {} of {n_parts} alone", idx + 1))? {
            return Ok(Some((part.clone(), 2)));
        }
    }
    // Of two parts each is what the other leaves.
    for (idx, part) in parts.iter().enumerate().filter(|_| n_parts > 2) {
        let rest: Vec<usize> = items.iter().copied().filter(|item| !part.contains(item)).collect();
        if ask(&rest, &|| format!("all but part {} of {n_parts}", idx + 1))? {
            return Ok(Some((rest, n_parts - 1)));
        }
    }
    Ok(None)
}

/// Cuts into so many parts of nearly the same size; none is empty where there are enough items.
fn parts(items: &[usize], n_parts: usize) -> Vec<Vec<usize>> {
    let cut = |part: usize| part * items.len() / n_parts;
    (0..n_parts)
        .map(|part| items[cut(part)..cut(part + 1)].to_vec())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Runs a search to its end and returns it with everything that was tried.
    fn run(n_items: usize, favourites: &[usize], has_effect: impl Fn(&[usize]) -> bool) -> (Next, Vec<Vec<usize>>) {
        let mut known: BTreeMap<Vec<usize>, bool> = BTreeMap::new();
        let mut tried = Vec::new();
        loop {
            match next(n_items, favourites, &|items| known.get(items).copied()) {
                Next::Try { items, .. } => {
                    let answer = has_effect(&items);
                    assert!(
                        known.insert(items.clone(), answer).is_none(),
                        "{items:?} was tried twice"
                    );
                    tried.push(items);
                }
                end => return (end, tried),
            }
        }
    }

    #[test]
    fn one_cause_among_many_is_found_by_halving() {
        let (found, tried) = run(64, &[], |items| items.contains(&37));
        assert_eq!(found, Next::Found(vec![37]));
        assert!(tried.len() <= 2 + 2 * 6, "{} trials", tried.len());
    }

    #[test]
    fn causes_that_act_only_together_are_found_together() {
        let (found, _) = run(40, &[], |items| [3, 21, 38].iter().all(|cause| items.contains(cause)));
        assert_eq!(found, Next::Found(vec![3, 21, 38]));
    }

    #[test]
    fn where_nothing_differs_nothing_is_found() {
        assert_eq!(run(5, &[], |_| false).0, Next::Nothing);
        assert_eq!(run(5, &[], |_| true).0, Next::Nothing);
        assert_eq!(run(0, &[], |_| false).0, Next::Nothing);
    }

    #[test]
    fn favourites_narrow_the_search_only_if_they_have_the_effect() {
        let (found, tried) = run(100, &[4, 7, 9], |items| items.contains(&7));
        assert_eq!(found, Next::Found(vec![7]));
        assert!(tried.len() < 8, "{tried:?}");
        assert_eq!(run(100, &[4, 9], |items| items.contains(&7)).0, Next::Found(vec![7]));
    }

    proptest! {
        /// Also where more is sometimes less, as with planners.
        #[test]
        fn whatever_has_the_effect_nothing_of_it_can_be_left_out(n_items in 1_usize..9, table in any::<[u64; 8]>()) {
            let has_effect = |items: &[usize]| {
                let mask = items.iter().fold(0_usize, |mask, item| mask | 1 << item);
                let all = (1 << n_items) - 1;
                mask == all || (mask != 0 && table[mask / 64 % 8] >> (mask % 64) & 1 == 1)
            };
            let (found, _) = run(n_items, &[], has_effect);
            let Next::Found(items) = found else { panic!("{found:?}") };
            prop_assert!(has_effect(&items));
            for left_out in &items {
                let rest: Vec<usize> = items.iter().copied().filter(|item| item != left_out).collect();
                prop_assert!(!has_effect(&rest), "{:?} without {}", items, left_out);
            }
        }
    }
}
