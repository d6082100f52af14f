//! The programs of a mix, read and checked against the variables that it defines.

use crate::benchmark::generator::Weighted;
use crate::model::benchmark::BenchmarkSpec;
use crate::model::benchmark::MixSpec;
use crate::model::benchmark::ProgramText;
use crate::model::benchmark::Protocol;
use crate::sql::pgbench;
use crate::sql::pgbench::Action;
use crate::sql::pgbench::Command;
use crate::sql::pgbench::Program;
use crate::sql::pgbench::Statement;

/// Why a program cannot be run, in a sentence that names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{program}, {message}")]
pub struct CannotRun {
    pub program: String,
    pub message: String,
}

/// The programs of a benchmark, in their order.
pub fn read(spec: &BenchmarkSpec) -> Result<Vec<Weighted>, CannotRun> {
    read_mix(&spec.mix, spec.protocol).map_err(|mut wrong| wrong.swap_remove(0))
}

/// The programs of a mix in their order, or what is wrong with each.
pub fn read_mix(mix: &MixSpec, protocol: Protocol) -> Result<Vec<Weighted>, Vec<CannotRun>> {
    let defined: Vec<&str> = mix.variables.iter().map(|(name, _)| name.as_str()).collect();
    let (mut programs, mut wrong) = (Vec::new(), Vec::new());
    for text in &mix.programs {
        match read_one(text, &defined, protocol) {
            Ok(program) => programs.push(Weighted {
                program,
                weight: text.weight,
            }),
            Err(message) => wrong.push(CannotRun {
                program: text.name.clone(),
                message,
            }),
        }
    }
    if wrong.is_empty() { Ok(programs) } else { Err(wrong) }
}

fn read_one(text: &ProgramText, defined: &[&str], protocol: Protocol) -> Result<Program, String> {
    if text.is_plain_sql {
        return Ok(plain(text));
    }
    let program = pgbench::parse(&text.name, &text.text).map_err(|error| error.to_string())?;
    let missing: Vec<String> = program
        .missing(defined)
        .into_iter()
        .map(|name| format!(":{name}"))
        .collect();
    if !missing.is_empty() {
        return Err(format!(
            "which uses {} without setting {}. Set {} with \\set.",
            missing.join(", "),
            if missing.len() == 1 { "it" } else { "them" },
            if missing.len() == 1 { "it" } else { "them" },
        ));
    }
    match protocol {
        Protocol::Prepared | Protocol::Extended => {
            program.check_parameters(defined).map_err(|error| error.to_string())?;
        }
        Protocol::Simple => {}
    }
    Ok(program)
}

/// One statement as it stands.
fn plain(text: &ProgramText) -> Program {
    let statement = Statement {
        text: text.text.trim().trim_end_matches(';').to_owned(),
        is_compound: false,
        variables: Vec::new(),
        gset: None,
    };
    Program {
        name: text.name.clone(),
        commands: vec![Command {
            line: 1,
            action: Action::Sql(statement),
        }],
    }
}
