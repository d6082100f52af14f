//! `make bench`: pgassay's release binary beside its peers in the same run, interleaved, as one Markdown table of medians.
//!
//! It knows pgassay from outside only: pages and forms, the rows of the embedded store, the log at level debug, and the
//! `Server-Timing` header. It expects an otherwise quiet machine and says with every number what it was measured against.

mod browser;
mod build;
mod crowd;
mod dump;
mod http;
// The very code that counts latencies in pgassay, most of which has no use here.
#[path = "../../src/analysis/latency/mod.rs"]
#[expect(
    dead_code,
    reason = "the part on percentiles records and asks, and does nothing else"
)]
mod latency;
mod load;
mod machine;
mod pages;
mod peer;
mod percentiles;
mod program;
mod readers;
mod restore;
mod scale;
mod table;
mod trials;
mod uploads;

use std::process::ExitCode;

use table::Table;

/// One part of the table.
struct Part {
    name: &'static str,
    is_long: bool,
    run: fn(&mut Table),
}

const PARTS: &[Part] = &[
    Part {
        name: "restore",
        is_long: false,
        run: restore::run,
    },
    Part {
        name: "trials",
        is_long: false,
        run: trials::run,
    },
    Part {
        name: "readers",
        is_long: false,
        run: readers::run,
    },
    Part {
        name: "crowd",
        is_long: true,
        run: crowd::run,
    },
    Part {
        name: "pages",
        is_long: false,
        run: pages::run,
    },
    Part {
        name: "load",
        is_long: true,
        run: load::run,
    },
    Part {
        name: "percentiles",
        is_long: false,
        run: percentiles::run,
    },
    Part {
        name: "viewers",
        is_long: false,
        run: load::viewers,
    },
    Part {
        name: "scale",
        is_long: true,
        run: scale::run,
    },
    Part {
        name: "uploads",
        is_long: true,
        run: uploads::run,
    },
    Part {
        name: "build",
        is_long: true,
        run: build::run,
    },
];

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_long = wanted.iter().any(|word| word == "--long");
    if let Some(unknown) = wanted
        .iter()
        .find(|word| *word != "--long" && PARTS.iter().all(|part| part.name != *word))
    {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        eprintln!(
            "There is no part {unknown}. Parts: {}; --long for the long ones.",
            names.join(", ")
        );
        return ExitCode::from(2);
    }
    let is_named = |part: &Part| wanted.iter().any(|word| word == part.name);
    let names_any = PARTS.iter().any(is_named);
    let mut table = Table::default();
    for part in PARTS {
        if is_named(part) || (!names_any && part.is_long == is_long) {
            eprintln!("{} ...", part.name);
            (part.run)(&mut table);
        }
    }
    println!("{}\n\n{}", machine::describe(), table.markdown());
    ExitCode::SUCCESS
}
