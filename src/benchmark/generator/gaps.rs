//! When clients had no server.

use std::time::Duration;

use crate::model::benchmark::Gap;

/// Most gaps that are told apart; of more, the last one grows.
const MOST_GAPS: usize = 100;

/// The gaps of one thread: from the first client that lost its server to the last that has one again.
#[derive(Debug, Default)]
pub struct Gaps {
    n_away: u32,
    spans: Vec<Span>,
}

/// A gap, in time from the beginning of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Duration,
    /// None of one that is not over.
    pub to: Option<Duration>,
}

impl Gaps {
    /// A client lost its server.
    pub fn open(&mut self, at: Duration) {
        self.n_away += 1;
        if self.n_away > 1 {
            return;
        }
        match self.spans.get_mut(MOST_GAPS - 1) {
            Some(last) => last.to = None,
            None => self.spans.push(Span { from: at, to: None }),
        }
    }

    /// It has one again.
    pub fn close(&mut self, at: Duration) {
        self.n_away = self.n_away.saturating_sub(1);
        if let Some(last) = self.spans.last_mut().filter(|_| self.n_away == 0) {
            last.to = Some(at);
        }
    }

    pub fn into_spans(self) -> Vec<Span> {
        self.spans
    }
}

/// The gaps of several threads as those of the level, in order. What overlaps is one.
pub fn together(mut spans: Vec<Span>, measured_from: Duration) -> Vec<Gap> {
    spans.sort_by_key(|span| span.from);
    let mut together: Vec<Span> = Vec::new();
    for span in spans {
        match together.last_mut() {
            Some(last) if last.to.is_none_or(|to| span.from <= to) => {
                last.to = last.to.zip(span.to).map(|(one, other)| one.max(other));
            }
            Some(_) | None => together.push(span),
        }
    }
    let ms = |at: Duration| (at.as_secs_f64() - measured_from.as_secs_f64()) * 1e3;
    let gap = |span: &Span| Gap {
        from_ms: ms(span.from),
        to_ms: span.to.map(ms),
    };
    together.iter().map(gap).collect()
}

/// The gaps of several shares as those of the level, in order. What overlaps is one.
pub fn union(mut gaps: Vec<Gap>) -> Vec<Gap> {
    gaps.sort_by(|one, other| one.from_ms.total_cmp(&other.from_ms));
    let mut union: Vec<Gap> = Vec::new();
    for gap in gaps {
        match union.last_mut() {
            Some(last) if last.to_ms.is_none_or(|to_ms| gap.from_ms <= to_ms) => {
                last.to_ms = last.to_ms.zip(gap.to_ms).map(|(one, other)| one.max(other));
            }
            Some(_) | None => union.push(gap),
        }
    }
    union
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn span(from: u64, to: Option<u64>) -> Span {
        Span {
            from: s(from),
            to: to.map(s),
        }
    }

    #[test]
    fn a_gap_lasts_until_the_last_client_is_back() {
        let mut gaps = Gaps::default();
        gaps.open(s(1));
        gaps.open(s(2));
        gaps.close(s(3));
        gaps.close(s(5));
        gaps.open(s(7));
        assert_eq!(gaps.into_spans(), [span(1, Some(5)), span(7, None)]);
    }

    #[test]
    fn a_thousand_gaps_take_no_more_room() {
        let mut gaps = Gaps::default();
        for at in 0..1000 {
            gaps.open(s(2 * at));
            gaps.close(s(2 * at + 1));
        }
        let spans = gaps.into_spans();
        assert_eq!((spans.len(), spans[MOST_GAPS - 1]), (MOST_GAPS, span(198, Some(1999))));
    }

    #[test]
    fn gaps_of_threads_that_overlap_are_one() {
        let spans = vec![
            span(8, None),
            span(1, Some(3)),
            span(2, Some(4)),
            span(6, Some(7)),
            span(9, Some(10)),
        ];
        let gap = |from_ms, to_ms| Gap { from_ms, to_ms };
        let expected = [gap(-1000.0, Some(2000.0)), gap(4000.0, Some(5000.0)), gap(6000.0, None)];
        assert_eq!(together(spans, s(2)), expected);
    }

    #[test]
    fn gaps_of_shares_that_overlap_are_one() {
        let gap = |from_ms, to_ms| Gap { from_ms, to_ms };
        let gaps = vec![
            gap(8.0, None),
            gap(1.0, Some(3.0)),
            gap(2.0, Some(2.5)),
            gap(6.0, Some(7.0)),
            gap(9.0, Some(10.0)),
        ];
        assert_eq!(union(gaps), [gap(1.0, Some(3.0)), gap(6.0, Some(7.0)), gap(8.0, None)]);
    }
}
