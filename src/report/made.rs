//! How each number is made: the words beside tables and charts, with the formula and where it comes from.

/// One number.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// As the head of its column has it.
    pub name: &'static str,
    pub how: &'static str,
    /// Where the formula is published; empty for what needs none.
    pub reference: &'static str,
}

/// Of the times by query and source.
pub static TIMES: &[Made] = &[
    Made {
        name: "Median",
        how: "Half of the trials were faster. A trial that was cut off by the timeout counts as slower than every other, so \
              a median among such trials is only known to lie above the limit. Between two trials it lies half way.",
        reference: "Hyndman and Fan 1996, type 7",
    },
    Made {
        name: "95 % interval",
        how: "The j-th fastest and the j-th slowest trial, with the largest j for which n fair coins show fewer than j heads \
              in at most 2.5 % of cases. It holds the true median in at least 95 of 100 experiments, whatever the times are \
              distributed like. It takes six trials.",
        reference: "Thompson 1936",
    },
    Made {
        name: "Noise",
        how: "1.4826 times the median distance of the trials from their median, as a share of the median: quiet up to 2 %, \
              fair up to 10 %, noisy up to 30 %, very noisy beyond. A few odd trials do not change it.",
        reference: "Rousseeuw and Croux 1993; Arachchige, Prendergast and Staudte 2022",
    },
    Made {
        name: "Outliers",
        how: "Trials more than ten such deviations away from the median. They are marked, and never left out: something else \
              may have run on the machine.",
        reference: "Iglewicz and Hoaglin 1993, with hyperfine's bar of 10",
    },
    Made {
        name: "Mean and standard deviation",
        how: "Of the finished trials, with n - 1 in the denominator.",
        reference: "Chan, Golub and LeVeque 1983",
    },
    Made {
        name: "p95",
        how: "19 of 20 trials were faster. Of fewer than 21 trials it lies on the line between the two slowest.",
        reference: "Hyndman and Fan 1996, type 7",
    },
    Made {
        name: "Planning",
        how: "The median of the time that planning took in the same trials. It is not part of the execution times.",
        reference: "",
    },
    Made {
        name: "Cost",
        how: "The planner's guess in its own unit. Never compare it between sources to judge speed.",
        reference: "",
    },
    Made {
        name: "Plan",
        how: "Equal letters in a query's rows are equal plans.",
        reference: "",
    },
];

/// Of the comparisons with the baseline.
pub static COMPARISONS: &[Made] = &[
    Made {
        name: "Ratio",
        how: "The time under the source over the time under the baseline in the same round, averaged over the rounds as a \
              geometric mean: exp(mean(ln(source / baseline))). Below 1 the source is faster. What slows down a whole round \
              falls out. A trial that was cut off counts as its limit, so the true ratio is larger (>) where the source was and \
              smaller (<) where the baseline was; where each was in other rounds it may be either. Rounds in which both were \
              cut off say nothing and are left out.",
        reference: "Fleming and Wallace 1986",
    },
    Made {
        name: "95 % interval",
        how: "Of the ratio, from 1999 resamples of the rounds, each studentized by its own standard error (the bootstrap-t). \
              Where timeouts leave the ratio open, only the end that they say nothing against is shown. The experiment's seed \
              decides the resamples, so they can be made again.",
        reference: "Efron and Tibshirani 1993, section 12.5",
    },
    Made {
        name: "p",
        how: "How often the logarithms of the ratios would average as far from zero if each of them were as likely to have \
              the other sign: the sign-flip permutation test over all 2^n assignments of signs. Then adjusted for all \
              comparisons beside this baseline at once, so that in 100 experiments without any difference at most 5 show one \
              anywhere.",
        reference: "Fisher 1935, section 21; Holm 1979",
    },
    Made {
        name: "Verdict",
        how: "Faster or slower where the adjusted p is below 0.05. Else no detectable difference, the usual truth; or too \
              noisy to tell, where even a difference of 1.5× could have gone unseen, or where a timeout hides how much could.",
        reference: "",
    },
    Made {
        name: "Would have shown",
        how: "The smallest ratio that so many rounds of such noise would have shown in four of five experiments, after the \
              same adjustment: exp((t(1 - 0.025/m) + t(0.8)) × standard error), for m comparisons. A dash where none would \
              have. Unknown where a round was cut off: a timeout counts as its limit, which hides noise and difference alike.",
        reference: "Lachin 1981",
    },
];

/// Of experiments beside each other.
pub static BESIDE: &[Made] = &[
    Made {
        name: "Ratio",
        how: "The median of all ratios of a time of the one to a time of the baseline. Below 1 it is faster. Of a trial that \
              was cut off only the limit is known, which it was above: where that leaves the median open, the end that is \
              sure is shown, with > or <.",
        reference: "Hodges and Lehmann 1963",
    },
    Made {
        name: "95 % interval",
        how: "Two of the same ratios in their order, as far from both ends as the rank-sum test allows.",
        reference: "Hollander, Wolfe and Chicken 2014, section 4.3",
    },
    Made {
        name: "p",
        how: "How often the ranks of the times would lie as far apart if each trial were as likely to belong to either \
              sample: the rank-sum test. A trial that was cut off counts as slower than all others; with different timeouts \
              all trials from the lower one on count as equal. Then adjusted for all comparisons on this page at once.",
        reference: "Mann and Whitney 1947; Holm 1979",
    },
    Made {
        name: "Verdict",
        how: "Faster or slower where the adjusted p is below 0.05. Else no detectable difference, the usual truth; or too \
              noisy to tell, where even a difference of 1.5× could have gone unseen.",
        reference: "",
    },
    Made {
        name: "Would have shown",
        how: "The smallest ratio that so many trials of such noise would have shown in four of five experiments, after the \
              same adjustment: exp((t(1 - 0.025/m) + t(0.8)) × standard error), for m comparisons. The standard error of the \
              ratio's logarithm is the length of its interval by 2 × 1.96.",
        reference: "Lachin 1981; Lehmann 1963",
    },
];

/// Of the sources as a whole.
pub static SOURCES: &[Made] = &[
    Made {
        name: "All queries",
        how: "The geometric mean over the queries of the ratio to the baseline: in each round over the queries, and then over \
              the rounds; where both were cut off they count as equal, and where one was, its limit counts (> and < say which \
              side that leaves open). Below 1 the source is faster. Its interval resamples the rounds; the workload is taken as \
              it is.",
        reference: "Fleming and Wallace 1986; Efron and Tibshirani 1993, section 12.5",
    },
    Made {
        name: "Total time",
        how: "The sum of the medians of those queries that have one under every source. Slow queries decide it.",
        reference: "",
    },
    Made {
        name: "Won, lost, undecided",
        how: "Queries that are faster, slower, and neither, by the verdicts below.",
        reference: "",
    },
    Made {
        name: "Planning",
        how: "The sum of the medians of planning times, of the same queries as the total time: what planning each of them once \
              costs. More statistics make planning slower.",
        reference: "",
    },
    Made {
        name: "Preparing",
        how: "What the source took to make its statistics, ANALYZE above all. It was done once, with the machine to itself.",
        reference: "",
    },
    Made {
        name: "Statistics",
        how: "The bytes that the rows of this source take in pg_statistic and pg_statistic_ext_data.",
        reference: "",
    },
];

/// Of cost beside time.
pub static COSTS: &[Made] = &[
    Made {
        name: "Rank correlation",
        how: "Queries are ranked by the planner's cost and by their median time; the number says how alike the two orders are. \
              Equal values share the mean of their ranks, and a median among timeouts counts as its limit. It says nothing \
              about how large the differences are.",
        reference: "Spearman 1904",
    },
    Made {
        name: "Cost",
        how: "The cost under the source over the cost under the baseline. It moved where that is 10 or more, or a tenth or \
              less; it did not where it lies between 1/1.1 and 1.1. Different statistics make different guesses of the same \
              work, so a lower cost is no reason to expect a faster query.",
        reference: "",
    },
    Made {
        name: "Time",
        how: "The ratio of the comparison above, with its verdict.",
        reference: "",
    },
];

/// Of what measuring costs.
pub static OBSERVER: &[Made] = &[
    Made {
        name: "Plain, TIMING OFF, TIMING ON",
        how: "Medians of the same query in three ways, each by the clock of pgassay, from sending the statement until its \
              last row has arrived: as it is, with all rows read and dropped, and by EXPLAIN (ANALYZE, BUFFERS OFF) with \
              TIMING OFF and with TIMING ON. Planning is in all three.",
        reference: "",
    },
    Made {
        name: "Tax",
        how: "The time of the way over the time of the plain query in the same round, averaged over the rounds as a geometric \
              mean: exp(mean(ln(way / plain))). 1.25× means that looking made the query a quarter slower. A tax below 1 is \
              no error: EXPLAIN sends its plan and not the rows, so a query of many rows takes less time when it is \
              measured than when it is used.",
        reference: "Fleming and Wallace 1986",
    },
    Made {
        name: "95 % interval",
        how: "Of the tax, from 1999 resamples of the rounds, by the bootstrap-t; it takes four rounds.",
        reference: "Efron and Tibshirani 1993, section 12.5",
    },
    Made {
        name: "Server",
        how: "The median of what the server itself gave as Execution Time in the same statements: without planning, without \
              the way to the client and back, and without writing the plan down.",
        reference: "",
    },
];

/// Of the marks on trials.
pub static DISTURBED: &[Made] = &[
    Made {
        name: "Seen",
        how: "Behind each visit (one source in one round; short ones share a look each tenth of a second), and never while a \
              trial is timed, pgassay looks at what else went on since the look before. \
              A mark says what was seen; it does not say that the trial was slower for it. Marked trials count as all others \
              do: leaving trials out by looking at them afterwards would bend the comparison.",
        reference: "",
    },
    Made {
        name: "Checkpoint",
        how: "The newest checkpoint is another one than before, or one was being written. The copy of the dataset that a \
              query that writes gets for each trial ends with one, too, so visits with such a query are always marked.",
        reference: "",
    },
    Made {
        name: "Autovacuum, other sessions",
        how: "Workers of autovacuum at the moment of looking; sessions that are not pgassay's and began a statement since the \
              look before.",
        reference: "",
    },
    Made {
        name: "Processor, disk",
        how: "For a tenth of the time or more at least one process of the machine waited for a processor, or for a disk: \
              Linux's pressure stall information. The query's own reading from disk counts as well.",
        reference: "",
    },
    Made {
        name: "Processor taken away",
        how: "The machine is a virtual one, and its host gave a tenth of the time or more to others (steal in /proc/stat).",
        reference: "",
    },
];
