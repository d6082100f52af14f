//! What clients are to do: a built-in operation, programs that somebody gave, or the queries of a workload.

use crate::benchmark::form::BenchmarkForm;
use crate::benchmark::form::GivenProgram;
use crate::benchmark::form::MAX_INSERT_ROWS;
use crate::benchmark::form::MAX_PROGRAM_BYTES;
use crate::benchmark::form::MAX_PROGRAMS;
use crate::benchmark::form::MAX_WEIGHT;
use crate::benchmark::form::MIN_TABLE_ROWS;
use crate::benchmark::generator::Weighted;
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
use crate::model::units::grouped;

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
                    "A workload runs on a dataset. Choose one as the target: only there are the tables that it asks for.",
                ));
                return None;
            }
            (Operation::Workload, None) => queries.to_vec(),
            (_, None) => self.own_programs(keep)?,
        };
        let variables = match target {
            Some(target) => target.generated().map_or_else(Vec::new, operations::variables),
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
            Ok(programs) => match target.and_then(|target| beyond_the_rows(target, &programs)) {
                None => Some(mix),
                Some(error) => {
                    keep(error);
                    None
                }
            },
            Err(wrong) => {
                for error in wrong {
                    keep(FieldError::new("program_text", error.to_string()));
                }
                None
            }
        }
    }

    fn own_programs(&self, keep: &mut impl FnMut(FieldError)) -> Option<Vec<ProgramText>> {
        for name in &self.unreadable {
            keep(FieldError::new(
                "program_text",
                format!("{name} is not text in UTF-8, and was left out. Choose another file."),
            ));
        }
        let given: Vec<&GivenProgram> = self.programs.iter().filter(|program| !program.is_empty()).collect();
        if given.is_empty() && self.unreadable.is_empty() {
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
        (!is_wrong && self.unreadable.is_empty()).then_some(programs)
    }
}

/// What is wrong where a program counts accounts by `:scale`, of which each is 100,000, and the last of them would not be
/// there: its statements would find nothing, and do it fast.
fn beyond_the_rows(target: &TargetSpec, programs: &[Weighted]) -> Option<FieldError> {
    let table_rows = target.generated()?.table_rows;
    let per_scale = GeneratedSpec::ROWS_PER_BRANCH;
    let by_scale = programs.iter().find(|weighted| weighted.program.needs("scale"))?;
    (!table_rows.is_multiple_of(per_scale)).then(|| {
        let (name, per_scale) = (&by_scale.program.name, grouped(per_scale));
        let message = format!("{name} uses :scale, which stands for {per_scale} rows each. Choose a multiple of that.");
        FieldError::new("table_rows", message)
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::form::MAX_TABLE_ROWS;

    fn form(fields: &[(&str, &str)]) -> BenchmarkForm {
        let pairs = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        BenchmarkForm::from_pairs(pairs.collect())
    }

    #[test]
    fn a_program_that_counts_by_scale_needs_all_the_rows_of_it() {
        let by_scale = "\\set aid random(1, 100000 * :scale)\nselect :aid;";
        let of_its_own = "\\set scale 3\nselect :scale;";
        for (text, table_rows, is_right) in [
            (by_scale, "300000", true),
            (by_scale, "300001", false),
            (by_scale, "1000", false),
            (of_its_own, "1000", true),
        ] {
            let form = form(&[
                ("operation", "programs"),
                ("table_rows", table_rows),
                ("program_name", "mine"),
                ("program_text", text),
            ]);
            match form.parse(7, &[]) {
                Ok(_) => assert!(is_right, "{text:?} on {table_rows}"),
                Err(errors) => {
                    assert!(!is_right, "{errors:?}");
                    assert_eq!(errors.len(), 1);
                    assert_eq!(errors[0].field, "table_rows");
                    assert!(
                        errors[0].message.starts_with("mine uses :scale"),
                        "{}",
                        errors[0].message
                    );
                }
            }
        }
    }

    #[test]
    fn files_are_programs_behind_the_others_with_weights_in_their_order() {
        let mut form = form(&[
            ("operation", "programs"),
            ("program_name", "typed"),
            ("program_text", "select 1;"),
            ("program_name", ""),
            ("program_text", ""),
        ]);
        let file = |name: &str, text: &[u8]| (name.to_owned(), text.to_vec());
        let files = [
            file("C:\\load\\read.sql", b"select 2;\r\n"),
            file("write.v2.sql", b"select 3;"),
            file(".hidden", b"select 4;"),
        ];
        form.add_files(files, "10, 5");
        let programs = form.parse(7, &[]).unwrap().mix.programs;
        let told: Vec<(&str, u32, &str)> = programs
            .iter()
            .map(|program| (program.name.as_str(), program.weight, program.text.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("typed", 1, "select 1;"),
                ("read", 10, "select 2;\n"),
                ("write.v2", 5, "select 3;"),
                (".hidden", 1, "select 4;"),
            ]
        );
        form.add_files([file("picture.png", &[0xff, 0xd8])], "");
        let errors = form.parse(7, &[]).unwrap_err();
        assert_eq!(errors[0].field, "program_text");
        assert!(errors[0].message.starts_with("picture.png is not text"), "{errors:?}");
    }

    #[test]
    fn every_built_in_operation_can_be_read_at_its_largest() {
        for operation in Operation::ALL {
            let form = form(&[
                ("operation", operation.word()),
                ("table_rows", &MAX_TABLE_ROWS.to_string()),
                ("insert_rows", &MAX_INSERT_ROWS.to_string()),
            ]);
            let is_built_in = !matches!(operation, Operation::Programs | Operation::Workload);
            assert_eq!(form.parse(7, &[]).is_ok(), is_built_in, "{operation:?}");
        }
    }
}
