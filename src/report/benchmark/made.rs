//! How each number of a benchmark is made: the words beside its tables and charts.

use crate::report::made::Made;

/// Of the table of levels.
pub static LEVELS: &[Made] = &[
    Made {
        name: "Throughput",
        how: "Transactions that came to their end, over the time that was measured. Warm-up does not count, and neither do \
              failed transactions and those that were cut off at the end.",
        reference: "",
    },
    Made {
        name: "95 % interval",
        how: "Of the throughput, from its seconds. Neighbouring seconds are alike, so they are put together in up to 15 \
              batches, longer and longer until neighbours no longer look alike; what is left of the likeness makes the interval \
              wider. Where fewer than 8 batches are left, there are too few seconds to tell.",
        reference: "Fishman 1978; Schmeiser 1982; Wilks 2011, section 5.2.4",
    },
    Made {
        name: "Latency and percentiles",
        how: "From the first statement of a transaction to the end of its last, failed ones left out. At a fixed rate it \
              counts from the moment at which the transaction should have begun. p99 is the time that 99 of 100 transactions \
              did not exceed, by nearest rank, from a histogram that is never more than 0.1 % above the true time. Mean, \
              standard deviation, least and largest time are exact.",
        reference: "HdrHistogram (Gil Tene)",
    },
    Made {
        name: "Errors",
        how: "Transactions that ended in an error, and their share of all that ended. Serialisation failures and deadlocks \
              count only where all tries that were allowed have failed.",
        reference: "",
    },
    Made {
        name: "Lag and skipped",
        how: "At a fixed rate: how late transactions began, and how many could not begin within the limit and were left out.",
        reference: "",
    },
    Made {
        name: "Generator",
        how: "How busy the busiest thread of pgassay was that made the load. Above 90 % it, and not the server, may have been \
              the limit.",
        reference: "",
    },
];

/// Of what each worker did of a level.
pub static SHARES: &[Made] = &[
    Made {
        name: "Shares",
        how: "The clients of a level are split evenly over the workers that were free when it began. All begin at one moment \
              of the store's clock. Counts and histograms are added up, so a percentile is that of all transactions, whoever \
              made them; the generator of the level is the busiest of theirs.",
        reference: "",
    },
    Made {
        name: "Clock",
        how: "Half of the shortest of eight round trips to the store, just before the beginning: by so much, at most, a \
              worker can have begun too early or too late.",
        reference: "RFC 5905, section 8",
    },
    Made {
        name: "Lost",
        how: "A worker that gives no sign of life for 20 s is lost with its clients, and the level goes on without them. What \
              it had sent until then counts in the level and its seconds, and not in the table of statements.",
        reference: "",
    },
];

/// Of benchmarks beside each other, and of trends.
pub static CHANGES: &[Made] = &[
    Made {
        name: "Ratio and difference",
        how: "The number over that of the same level of the baseline, and less it. Of a throughput, more is faster; of a \
              latency, less is.",
        reference: "",
    },
    Made {
        name: "95 % interval",
        how: "Of a throughput, by batches of seconds as in the table of levels. Of a percentile, the same for the share of \
              transactions that took at most so long, and then the times at both ends of that share's interval. The errors of \
              both levels are put together by the side on which they count.",
        reference: "Fishman 1978; Woodruff 1952; Zou and Donner 2008; Welch 1947",
    },
    Made {
        name: "p",
        how: "How often a ratio as far from 1 would be seen if there were no difference, adjusted for all numbers that are \
              compared at once, so that in 100 comparisons without any difference at most 5 show one anywhere.",
        reference: "Welch 1947; Holm 1979",
    },
    Made {
        name: "Verdict",
        how: "Faster or slower where the adjusted p is below 0.05. Else no detectable difference; or too few seconds to tell, \
              where there is no interval, or where even a difference of 1.5× could have gone unseen.",
        reference: "",
    },
    Made {
        name: "Would have shown",
        how: "The smallest ratio that so many seconds of such noise would have shown in four of five comparisons.",
        reference: "Lachin 1981",
    },
];

/// Of what the server did.
pub static SERVER: &[Made] = &[
    Made {
        name: "Shared buffers",
        how: "Blocks of the database found in shared buffers, of all that were asked for (pg_stat_database). The others came \
              from the operating system, which may have had them in memory.",
        reference: "",
    },
    Made {
        name: "Write-ahead log",
        how: "By how far the server's write position moved, whoever wrote.",
        reference: "",
    },
    Made {
        name: "Waits",
        how: "How many sessions of the database waited for what, on average, each second at one moment (pg_stat_activity). \
              Those that did not wait are at work and shown as CPU.",
        reference: "",
    },
    Made {
        name: "Processors",
        how: "Processor time of all processes of the server, over the time that passed; where the server is pgassay's own.",
        reference: "",
    },
];
