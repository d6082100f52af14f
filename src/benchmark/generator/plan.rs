//! What one level is to do, and the same made ready for clients.

use std::sync::Arc;
use std::time::Duration;

use crate::benchmark::generator::report::ProgramReport;
use crate::benchmark::generator::timeline::Timeline;
use crate::benchmark::program::Linked;
use crate::benchmark::program::Setup;
use crate::model::benchmark::ConnectionMode;
use crate::model::benchmark::Pace;
use crate::model::benchmark::Protocol;
use crate::model::chance::Chance;
use crate::sql::pgbench::Action;
use crate::sql::pgbench::Program;

/// One level, or this machine's share of one.
#[derive(Clone, Debug)]
pub struct LevelPlan {
    pub n_clients: u32,
    /// The number of the first of them among all clients of the level, wherever those run.
    pub first_client: u32,
    /// Before what is measured.
    pub warm_up: Duration,
    pub duration: Duration,
    /// A rate is that of the whole level.
    pub pace: Pace,
    pub connection: ConnectionMode,
    pub protocol: Protocol,
    /// At least one.
    pub programs: Arc<[Weighted]>,
    /// Seed and variables.
    pub setup: Setup,
    /// How often a transaction is tried that met a serialisation failure or a deadlock; 1 means once.
    pub max_tries: u32,
    /// So many failed transactions end the level, those of the warm-up counted.
    pub max_errors: Option<u64>,
}

/// A program, and how often it is chosen beside the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    pub program: Program,
    pub weight: u32,
}

/// A plan as all threads read it.
pub struct Prepared {
    pub plan: LevelPlan,
    pub timeline: Timeline,
    pub linked: Arc<Linked>,
    /// The names under which servers know the statements of each program.
    names: Vec<Vec<String>>,
    /// The weights of the programs up to each one.
    reach: Vec<u64>,
}

impl Prepared {
    pub fn new(plan: LevelPlan) -> Self {
        let linked = Linked::new(plan.programs.iter().map(|weighted| &weighted.program));
        let names_of = |program_idx| {
            let statement_idxs = 0..linked.statements(program_idx).len();
            statement_idxs.map(|idx| format!("P{program_idx}_{idx}")).collect()
        };
        let mut sum = 0;
        let reach = plan.programs.iter().map(|weighted| {
            sum += u64::from(weighted.weight);
            sum
        });
        Self {
            timeline: Timeline::new(plan.warm_up, plan.duration),
            names: (0..plan.programs.len()).map(names_of).collect(),
            reach: reach.collect(),
            linked: Arc::new(linked),
            plan,
        }
    }

    /// The name of a prepared statement.
    pub fn name(&self, program_idx: usize, statement_idx: usize) -> &str {
        &self.names[program_idx][statement_idx]
    }

    /// Reports in which nothing is counted yet.
    pub fn program_reports(&self) -> Vec<ProgramReport> {
        let is_sql = |action: &Action| matches!(action, Action::Sql(_));
        let report = |weighted: &Weighted| {
            let commands = weighted.program.commands.iter().enumerate();
            ProgramReport::new(
                commands
                    .filter(|(_, command)| is_sql(&command.action))
                    .map(|(idx, _)| idx),
            )
        };
        self.plan.programs.iter().map(report).collect()
    }

    /// The next program of a client, by weight.
    pub fn choose(&self, chance: &mut Chance) -> usize {
        match self.reach[..] {
            [_] => 0,
            [.., sum] => {
                let drawn = chance.below_by_rejection(usize::try_from(sum).unwrap_or(usize::MAX)) as u64;
                self.reach.partition_point(|reach| *reach <= drawn)
            }
            [] => unreachable!("a plan has a program"),
        }
    }
}
