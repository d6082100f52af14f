//! Estimates of one plan beside the counts of another of the same shape: running it once tells how wrong both were.

use super::fingerprint;
use super::node::Node;
use super::node::Plan;

/// `estimated` with the row counts of `analyzed`, which is the same plan under other statistics, and was run. None where it
/// is another plan.
pub fn with_counts(estimated: &Plan, analyzed: &Plan) -> Option<Plan> {
    if fingerprint(estimated) != fingerprint(analyzed) {
        return None;
    }
    let mut counted = estimated.clone();
    copy(&mut counted.root, &analyzed.root);
    Some(counted)
}

fn copy(to: &mut Node, from: &Node) {
    to.actual_rows = from.actual_rows;
    to.actual_loops = from.actual_loops;
    for (to, from) in to.children.iter_mut().zip(&from.children) {
        copy(to, from);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::super::q_error;
    use super::super::samples;
    use super::*;

    #[test]
    fn an_estimate_with_the_counts_of_its_own_run_is_as_wrong_as_the_run_says() {
        let analyzed = parse(samples::THREE_WAY_JOIN).unwrap();
        let estimated = parse(samples::THREE_WAY_JOIN_ESTIMATED).unwrap();
        assert!(q_error(&estimated).worst.is_none());
        let counted = with_counts(&estimated, &analyzed).unwrap();
        assert_eq!(q_error(&counted), q_error(&analyzed));
        let mut other = estimated;
        other.root.children.clear();
        assert!(with_counts(&other, &analyzed).is_none());
    }
}
