//! pgassay, the lab bench for PostgreSQL: which planner statistics change which plans, by how much, and how sure that is.
//!
//! # Words
//!
//! One word, one meaning, in code, pages, tables and logs.
//!
//! * **dataset**: what a dump holds, restored once into a pristine template database and cloned at will.
//!   An **upload** is a dump on its way in; where its client wants that, it comes **part** by part, and has a **key** by which
//!   the client finds it again.
//! * **workload**: a file of labelled **queries**; runs on any dataset it checks against.
//! * **source**: where the planner's statistics come from. Never a bare "stats".
//!   A **draw** is one of several sources that differ in nothing but the sample that ANALYZE took; a **note** says what
//!   preparing a source did, and a **preview** what it would do. The **base** is what other sources start from.
//! * **snapshot**: the planner statistics of a database at one moment, as a value.
//! * **statistics file**: planner statistics of another server, kept for a dataset. **Inventory**: the relations and columns
//!   that a dataset has, as its restore left them.
//! * **experiment**: dataset x workload x sources x settings x seed.
//! * **schedule**: the ordered trials of an experiment, a pure function of spec and seed. A **visit** is one source in one
//!   round of it; a **segment** is a stretch of it that ran without interruption.
//! * **trial**: one execution of one query under one source in one round; its **outcome** is finished, timed out or failed.
//! * **plan**: a query plan from EXPLAIN, and nothing else. Its **fingerprint** is its shape in short, its **letter** its name
//!   among the plans of one query. An **estimate** is the number of rows that the planner expected of a node.
//! * **observer**: what asks, on request, what measuring costs: each query in three **ways** (plain, TIMING OFF, TIMING ON).
//!   The **tax** is the time of a way over that of the plain query.
//! * **look**: what else went on at server and machine during a visit, seen behind it: the difference of two **sights**, each
//!   of one moment. A **disturbance** is what of it may have moved times.
//! * **sample, summary**: the outcomes of one (query, source), and the numbers from them.
//! * **comparison**: the numbers from two samples of one query; a **family** is all queries under all other sources beside one
//!   **baseline**, and a **verdict** is what is said of a comparison as one of its family.
//! * **control**: the first source again, with the same snapshot and places of its own in the schedule.
//! * **script**: what a person has done to a database beside its data: settings, indexes, statistics objects. It is done in
//!   an **annex**, a further clone of the experiment; the **twin** is the first source again in there.
//! * **store**: pgassay's own database. **Sandbox**: the PostgreSQL server of one dataset, or the dataset's part of the
//!   **shared server** of `SANDBOX_URL`. **Target**: the database under test. **Cluster**: a server process that pgassay
//!   itself started; a **site** is what all clusters of a data directory share.
//! * **server** (in full: registered server): a PostgreSQL server that an admin registered, to be put under load. Not a
//!   sandbox: nothing is started or stopped there, and all that is ours is one schema. A **secret** is a file in the
//!   secrets directory from which a password comes, anew before each connection; the **vault** seals addresses.
//! * **instrument**: a question about plans that is answered by trying, beside the experiments. What a run of one finds out
//!   is stored **step** by step; it works on a **stand**: one sandbox, one clone, its sessions.
//! * **piece**: what is taken from one snapshot into another as a whole: a column, the sizes of a relation, a statistics
//!   object. A snapshot with pieces of another is a **mixture**.
//! * **benchmark**: a load test: levels on one target. A **level** is one number of **clients** (each with a connection) for
//!   some time, under one source where there are several; an **attempt** is one try at it. A **transaction** is one run of a
//!   **program** (pgbench's language) by a client; the **mix** is all programs with their weights, an **operation** a built-in
//!   one. The **pace** says how transactions follow each other; the **generator** is what makes the load;
//!   a **crew** is the clients of one of its threads.
//! * **reading**: one number of a level with how sure it is. A **change** is what it is beside the same of another level.
//! * **depot**: where dumps are kept that more than one machine restores: an object store, or a directory that all have
//!   mounted. **Placement**: in which data directory, and so on which machine, the sandbox of a dataset is.
//! * **job**: one piece of heavy work in the queue: a restore, a check, an experiment, an instrument, a benchmark. A **lease** is the right to work on it.
//! * **worker**: a process of pgassay that takes work from the store: every `serve` is one, and `pgassay worker` is one without
//!   pages. A **share** is what one worker does of a level; share 0 is that of the worker which does the benchmark. A
//!   **route** says how clients elsewhere reach the database under load. **Destinations** are where registered servers may
//!   be, as whoever runs pgassay lists them.
//! * **lab**: what trials run on: one sandbox, one clone with its annexes, the parked snapshots, a session in each.
//! * **filing**: the **tags** (short words) and the **memo** by which a person finds an experiment, an instrument, a dataset
//!   or a workload again. It stands beside a thing and changes nothing about it. A **filter** narrows a list, by its address.
//! * **likeness**: an earlier experiment, or run of an instrument, as the form that asks for the same, to be changed and sent.
//! * **bundle**: a settled experiment as one file, from which its numbers can be computed and its measuring repeated.
//! * **access**: how the door is kept: `local` (nobody signs in, and everything belongs to one local user) or `required`.
//! * **account**: somebody who can sign in. Its **role** says what it may do: viewer, editor or admin. Its **admission** is
//!   its role, and whether it is **shut out**. A **viewer**, in code, is on whose behalf the store is asked: an account, the local
//!   user, or nobody, with at most one thing that a link shows.
//! * **token**: 256 bits of chance by which a browser (**session**), a program (**API token**) or a person (**invitation**,
//!   **link**, **setup token**) is known again. Not a secret, which is a file; its text is shown once, and its hash stored.
//! * **sharing**: who sees a thing beside its owner: nobody (**private**) or every account, and, by a **link**, whoever has
//!   that; a link shows one thing and what lies under its address, and changes nothing. On pages, the **standing** of a thing
//!   is a line that says so.
//! * **net**: the network of a client's address as far as one household or company has it. **Limit**: how often something
//!   may be asked for, by an account or from a net. **Quota**: how much one account may have or ask for; the quotas of the
//!   **house** hold where nothing is said of an account.
//! * **deed**: something that a request changes; the **audit log** has a line for each.
//! * **preference**: how one browser wants its pages: a theme, percentiles. The browser keeps it, and nobody else.
//! * **backup**: the store and the files that cannot be made anew, as one file.
//! * **condition**: whether this pgassay can work just now, and what it has counted, for whoever watches over it. A **tally** is
//!   what one change adds to that: what is over is counted when it ends.
//! * **arrival**: an upload of which bytes come in just now, whole or a part.
//! * **home**: the name of a data directory in the store. **Prefix**: what all its names on a shared server begin with.
//!
//! # Flow
//!
//! ```text
//! dump ──▶ dataset ─┐
//! queries ─▶ workload ┴▶ schedule ─▶ runner ─▶ trials ─▶ summaries, comparisons ─▶ page · chart · CSV · JSON
//!                           │ clone + snapshots   │ stored one by one
//! snapshots ─▶ instrument ─▶ steps ─▶ findings ─▶ page · chart · CSV · JSON
//! ```
//!
//! # Invariants
//!
//! 1. Only `store` speaks to our database; only `target`, `snapshot`, `source` and `dataset` speak to one under test.
//! 2. A failed or slow query is an outcome, never an `Err`; `Err` from an executor means that the target is lost.
//! 3. One measurement at a time per machine, shared server or registered server, across processes: unique indexes on the
//!    running jobs of a host and of a server.
//! 4. Every outcome is stored before the next trial begins, or for very short trials before the next visit.
//! 5. A schedule depends on spec and seed only.
//! 6. When `execute` returns, no statement of ours runs on the server.
//! 7. A settled experiment never changes; its filing may.
//! 8. Superuser is used for clones, roles, VACUUM and snapshots, and never for a statement that came from an upload.
//! 9. Every write of a runner carries its lease epoch; a stale one changes nothing.
//! 10. A cluster that we started is stopped on every way out; what a crash left is recognised at the next start.

mod analysis;
mod app;
mod auth;
mod backup;
mod benchmark;
mod bundle;
mod cli;
mod cluster;
mod condition;
mod config;
mod dataset;
mod experiment;
mod files;
mod instrument;
mod metrics;
mod model;
mod plan;
mod report;
mod server;
mod snapshot;
mod source;
mod sql;
mod store;
mod target;
#[cfg(test)]
mod testing;
mod vault;
mod web;
mod workload;

/// Runs the command line, on a runtime of its own. Not `async`: whoever polls a future compiles all that it awaits, and the
/// program would compile the library once more.
#[tokio::main]
pub async fn run() -> std::process::ExitCode {
    cli::main().await
}
