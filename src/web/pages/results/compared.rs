//! What differs from the baseline: the sources as a whole, and every query under each of them.

use crate::analysis::family::Member;
use crate::analysis::family::Verdict;
use crate::model::units::counted;
use crate::report::compared;
use crate::report::compared::Compared;
use crate::report::data::ReportData;
use crate::report::sources;
use crate::report::sources::SourceRow;
use crate::report::table::QueryRows;
use crate::web::pages::chart::ChartParams;
use crate::web::urls;

/// The comparisons of a page, ready to be shown.
pub struct ComparedView {
    pub base: String,
    /// The sources that can be the baseline.
    pub bases: Vec<BaseChoice>,
    /// What else the address asks for, kept when another baseline is chosen.
    pub kept: Vec<(String, String)>,
    pub sources: Vec<SourceRow>,
    /// Which queries the totals are of, where not all of them.
    pub totals_of: String,
    /// What may be compared with what, where a script ran in a clone of its own; empty where none did.
    pub about_clones: String,
    /// What the first source measured twice has shown; its second part says whether that is as it should be.
    pub control: Option<(String, &'static str)>,
    /// How many comparisons have each verdict.
    pub tallies: Vec<Tally>,
    pub groups: Vec<Group>,
    /// What is left out of `groups`, in words.
    pub hidden: String,
    /// The page that shows the others as well, or no longer.
    pub other_address: String,
    pub shows_all: bool,
}

/// One source in the choice of the baseline.
pub struct BaseChoice {
    pub source_idx: i32,
    pub label: String,
    pub is_chosen: bool,
}

/// One verdict over all comparisons.
pub struct Tally {
    pub word: &'static str,
    pub class: &'static str,
    pub n: usize,
    /// `1.20× to 40.1×`; empty where there are none.
    pub range: String,
}

/// The comparisons of one query.
pub struct Group {
    pub label: String,
    pub address: String,
    pub rows: Vec<Line>,
}

/// One of them.
pub struct Line {
    pub source_idx: i32,
    pub source: String,
    pub base_letter: String,
    pub letter: String,
    /// Both plans side by side; empty where there is one plan.
    pub diff_address: String,
    pub word: &'static str,
    pub class: &'static str,
    pub compared: Compared,
}

/// In the order of the tallies.
pub const VERDICTS: [Verdict; 4] = [
    Verdict::Faster,
    Verdict::Slower,
    Verdict::NoDifference,
    Verdict::TooNoisy,
];

/// The class of a verdict's mark; the word beside it says the same.
pub fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::NoDifference => "same",
        Verdict::TooNoisy => "noisy",
    }
}

impl ComparedView {
    /// None where there is nothing to compare with.
    pub fn new(data: &ReportData, params: ChartParams, table: &[QueryRows]) -> Option<Self> {
        if data.experiment.spec.sources.len() < 2 {
            return None;
        }
        let id = data.experiment.id;
        let groups = groups(data, table, |verdict| params.shows_all || verdict.is_difference());
        let n_shown: usize = groups.iter().map(|group| group.rows.len()).sum();
        let other = ChartParams {
            shows_all: !params.shows_all,
            ..params
        };
        let n_common = sources::n_common(data);
        Some(Self {
            base: data.source_label(data.base_idx).to_owned(),
            bases: data
                .sources()
                .map(|(source_idx, source)| BaseChoice {
                    source_idx,
                    label: source.label.clone(),
                    is_chosen: source_idx == data.base_idx,
                })
                .collect(),
            kept: kept(params),
            sources: sources::rows(data),
            totals_of: if n_common == data.queries.len() {
                String::new()
            } else {
                format!("Totals are of the {n_common} queries that have a median under every source.")
            },
            about_clones: sources::about_clones(data),
            control: control(data),
            tallies: VERDICTS.iter().map(|verdict| tally(data, *verdict)).collect(),
            hidden: match data.family.len() - n_shown {
                0 => String::new(),
                n => counted(
                    n as u64,
                    "comparison that shows no difference is hidden",
                    "comparisons that show no difference are hidden",
                ),
            },
            groups,
            other_address: format!("{}#compared", urls::result_view(id, &other.to_query())),
            shows_all: params.shows_all,
        })
    }
}

impl ComparedView {
    /// Whether no query could be compared.
    pub fn is_empty(&self) -> bool {
        self.tallies.iter().all(|tally| tally.n == 0)
    }
}

/// The control beside the source that it repeats.
fn control(data: &ReportData) -> Option<(String, &'static str)> {
    let control_idx = i32::try_from(data.experiment.spec.control_idx()?).ok()?;
    let repeated = match data.base_idx {
        0 => control_idx,
        base_idx if base_idx == control_idx => 0,
        _ => return None,
    };
    let of_it: Vec<&Member> = data
        .family
        .iter()
        .filter(|member| member.source_idx == repeated)
        .collect();
    let (base, compared) = (data.source_label(0), counted(of_it.len() as u64, "query", "queries"));
    let range = range(&of_it.iter().map(|member| member.effect.ratio).collect::<Vec<f64>>());
    let n_called = of_it
        .iter()
        .filter(|member| member.judgement.verdict.is_difference())
        .count();
    Some(match n_called {
        0 => (
            format!(
                "Control: {base} was measured twice with the same statistics, and none of {compared} was called different, \
                 as it should be. The ratios lie at {range}: so far noise alone reaches."
            ),
            "good",
        ),
        n => (
            format!(
                "Control: {base} was measured twice with the same statistics, and {n} of {compared} were called different. \
                 That should happen in one of 20 experiments at the most. Something beside the statistics differs between \
                 the sources' places in a round; take the verdicts with care."
            ),
            "warn",
        ),
    })
}

/// Everything that an address says but the baseline.
fn kept(params: ChartParams) -> Vec<(String, String)> {
    let others = ChartParams { base_idx: 0, ..params }.to_query();
    let pairs = others.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn tally(data: &ReportData, verdict: Verdict) -> Tally {
    let of_it = data.family.iter().filter(|member| member.judgement.verdict == verdict);
    let ratios: Vec<f64> = of_it.map(|member| member.effect.ratio).collect();
    Tally {
        word: verdict.word(),
        class: class(verdict),
        n: ratios.len(),
        range: range(&ratios),
    }
}

/// From the least to the largest; empty where there are none.
fn range(ratios: &[f64]) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    match ratios.len() {
        0 => String::new(),
        1 => compared::ratio(most).shown,
        _ => compared::interval(Some((least, most))).shown,
    }
}

fn groups(data: &ReportData, table: &[QueryRows], is_shown: impl Fn(Verdict) -> bool) -> Vec<Group> {
    let of_query = |query: &QueryRows| {
        let rows: Vec<Line> = query
            .rows
            .iter()
            .filter_map(|row| {
                let compared = row.compared.clone().filter(|compared| is_shown(compared.verdict))?;
                let base_idx = data.base_of(row.source_idx)?;
                let base_letter = letter(data, query.query_idx, base_idx);
                Some(Line {
                    source_idx: row.source_idx,
                    source: row.source.clone(),
                    diff_address: if base_letter.is_empty() || row.letter.is_empty() || row.letter == base_letter {
                        String::new()
                    } else {
                        urls::plan_diff(data.experiment.id, query.query_idx, base_idx, row.source_idx)
                    },
                    base_letter,
                    letter: row.letter.clone(),
                    word: compared.verdict.word(),
                    class: class(compared.verdict),
                    compared,
                })
            })
            .collect();
        (!rows.is_empty()).then(|| Group {
            label: query.label.clone(),
            address: urls::result_query(data.experiment.id, query.query_idx),
            rows,
        })
    };
    table.iter().filter_map(of_query).collect()
}

fn letter(data: &ReportData, query_idx: i32, source_idx: i32) -> String {
    let summary = data.summary(query_idx, source_idx);
    summary
        .and_then(|summary| summary.plan_letter.clone())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::effect::Effect;
    use crate::analysis::family::judge;
    use crate::testing::world::World;

    /// An experiment of one query whose second source is the control, with this ratio to the first.
    async fn data(ratio: f64, base_idx: i32) -> ReportData {
        let world = World::new().await;
        let (id, _) = world.experiment("e", &["built_in", "none"]).await;
        let mut conn = world.conn().await;
        let mut data = ReportData::load(&mut conn, world.viewer, id).await.unwrap().unwrap();
        data.experiment.spec.has_control = true;
        data.base_idx = base_idx;
        let effect = Effect {
            n_rounds: 12,
            n_censored: 0,
            ratio,
            interval: None,
            log_error: Some(0.01),
            p_value: if ratio > 1.5 { 0.001 } else { 0.9 },
        };
        data.family.push(Member {
            query_idx: 0,
            source_idx: 1 - base_idx,
            effect,
            judgement: judge(&[effect])[0],
        });
        data
    }

    #[tokio::test]
    async fn a_control_that_shows_nothing_reassures_and_one_that_differs_warns() {
        for base_idx in [0, 1] {
            let (sentence, class) = control(&data(1.02, base_idx).await).unwrap();
            assert!(sentence.contains("none of 1 query was called different") && sentence.contains("1.02×"));
            assert_eq!(class, "good");
        }
        let (sentence, class) = control(&data(2.0, 0).await).unwrap();
        assert!(sentence.contains("1 of 1 query") && class == "warn", "{sentence}");
        let mut without = data(1.02, 0).await;
        without.experiment.spec.has_control = false;
        assert!(control(&without).is_none());
    }

    #[tokio::test]
    async fn another_baseline_keeps_what_else_the_address_says() {
        let params = ChartParams {
            base_idx: 1,
            shows_all: true,
            ..ChartParams::default()
        };
        let view = ComparedView::new(&data(2.0, 1).await, params, &[]).unwrap();
        let kept: Vec<String> = view
            .kept
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(kept, ["type=bar", "metric=median", "show=all"]);
        assert!(view.bases[1].is_chosen && view.base == "none");
        assert!(view.other_address.contains("base=1") && !view.other_address.contains("show=all"));
        let slower = &view.tallies[1];
        assert_eq!((slower.n, slower.word, slower.range.as_str()), (1, "slower", "2.00×"));
    }
}
