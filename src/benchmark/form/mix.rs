//! What clients are to do: a built-in operation, programs that somebody gave, or the queries of a workload.

use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::form::GivenProgram;
use crate::benchmark::form::MAX_INSERT_ROWS;
use crate::benchmark::form::MAX_PROGRAM_BYTES;
use crate::benchmark::form::MAX_PROGRAMS;
use crate::benchmark::form::MAX_WEIGHT;
use crate::benchmark::form::MIN_TABLE_ROWS;
use crate::benchmark::operations;
use crate::benchmark::operations::Shape;
use crate::benchmark::programs;
use crate::experiment::fields::FieldError;
use crate::experiment::fields::choice;
use crate::experiment::fields::number;
use crate::model::benchmark::GeneratedSpec;
use crate::model::benchmark::KeyDistribution;
use crate::model::benchmark::Loading;
use crate::model::benchmark::MixSpec;
use crate::model::benchmark::Operation;
use crate::model::benchmark::ProgramText;
use crate::model::benchmark::Protocol;
use crate::model::benchmark::TargetSpec;

impl BenchmarkForm {
    /// What clients do, if it can be done on that target.
    pub(super) fn mix(
        &self,
        target: Option<&TargetSpec>,
        queries: &[ProgramText],
        keep: &mut impl FnMut(FieldError),
    ) -> Option<MixSpec> {
        let operation = choice(&self.operation, "operation", &Operation::ALL, Operation::word);
        let operation = operation.map_err(&mut *keep).ok();
        let keys = choice(&self.keys, "keys", &KeyDistribution::ALL, KeyDistribution::word);
        let keys = keys.map_err(&mut *keep).ok();
        let read_percent = number(&self.read_percent, "read_percent", 0, 100);
        let read_percent = read_percent.map_err(&mut *keep).ok();
        let insert_rows = number(&self.insert_rows, "insert_rows", 1, MAX_INSERT_ROWS);
        let insert_rows = insert_rows.map_err(&mut *keep).ok();
        let operation = operation?;
        let shape = Shape {
            keys: keys?,
            read_percent: u32::try_from(read_percent?).ok()?,
            insert_rows: u32::try_from(insert_rows?).ok()?,
        };
        let (built_in, is_generated) = (
            operations::programs(operation, shape),
            !matches!(target, Some(TargetSpec::Dataset { .. })),
        );
        if built_in.is_some() && !is_generated {
            keep(FieldError::new(
                "operation",
                "This operation needs generated tables. On a dataset, run a workload or programs of your own.",
            ));
            return None;
        }
        let programs = match (operation, built_in) {
            (_, Some(programs)) => programs,
            (Operation::Workload, None) if is_generated => {
                keep(FieldError::new(
                    "operation",
                    "A workload runs on a dataset. Choose one as the target.",
                ));
                return None;
            }
            (Operation::Workload, None) => queries.to_vec(),
            (_, None) => self.own_programs(keep)?,
        };
        let variables = match target {
            Some(TargetSpec::Generated(generated)) => operations::variables(*generated),
            Some(TargetSpec::Dataset { .. }) => Vec::new(),
            // What is wrong with the target is said by itself; here only the names matter.
            None => operations::variables(GeneratedSpec {
                table_rows: MIN_TABLE_ROWS,
                batch_size: 1,
                loading: Loading::Copy,
            }),
        };
        let mix = MixSpec {
            operation,
            keys: shape.keys,
            programs,
            variables,
        };
        // What is wrong with the protocol is said by itself.
        let protocol = choice(&self.protocol, "protocol", &Protocol::ALL, Protocol::word).unwrap_or(Protocol::Simple);
        match programs::read_mix(&mix, protocol) {
            Ok(_) => Some(mix),
            Err(wrong) => {
                for error in wrong {
                    keep(FieldError::new("program_text", error.to_string()));
                }
                None
            }
        }
    }

    fn own_programs(&self, keep: &mut impl FnMut(FieldError)) -> Option<Vec<ProgramText>> {
        let given: Vec<&GivenProgram> = self.programs.iter().filter(|program| !program.is_empty()).collect();
        if given.is_empty() {
            keep(FieldError::new("program_text", "Give at least one program."));
            return None;
        }
        if given.len() > MAX_PROGRAMS {
            keep(FieldError::new(
                "program_text",
                format!("{} programs are more than the {MAX_PROGRAMS} allowed.", given.len()),
            ));
            return None;
        }
        let mut programs: Vec<ProgramText> = Vec::new();
        let mut is_wrong = false;
        for (idx, program) in given.iter().enumerate() {
            match own_program(idx, program, &programs) {
                Ok(program) => programs.push(program),
                Err(error) => {
                    is_wrong = true;
                    keep(error);
                }
            }
        }
        (!is_wrong).then_some(programs)
    }
}

/// A program of its own, the `idx`th, beside those `before` it.
fn own_program(idx: usize, given: &GivenProgram, before: &[ProgramText]) -> Result<ProgramText, FieldError> {
    let name = match given.name.trim() {
        "" => format!("program {}", idx + 1),
        name => name.to_owned(),
    };
    if name.chars().count() > 100 {
        return Err(FieldError::new("program_name", "A name has at most 100 characters."));
    }
    if before.iter().any(|other| other.name == name) {
        return Err(FieldError::new(
            "program_name",
            format!("Two programs are called {name}."),
        ));
    }
    if given.text.len() > MAX_PROGRAM_BYTES {
        return Err(FieldError::new(
            "program_text",
            format!("{name} is longer than the {} KiB allowed.", MAX_PROGRAM_BYTES >> 10),
        ));
    }
    let weight = match given.weight.trim() {
        "" => 1,
        text => number(text, "program_weight", 1, MAX_WEIGHT)?,
    };
    Ok(ProgramText {
        name,
        text: given.text.replace("\r\n", "\n"),
        weight: u32::try_from(weight).unwrap_or(u32::MAX),
        is_plain_sql: false,
    })
}
