//! What can be set from outside as data, for whoever lists it. It is read from the options themselves, so that the list and
//! the options cannot differ.

use clap::Arg;
use clap::Args as _;
use clap::Command;

use crate::config::HouseConfig;
use crate::config::LogConfig;
use crate::config::WebConfig;

/// One environment variable, and the option of `pgassay serve` that means the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    /// With its dashes: `--data-dir`.
    pub option: String,
    /// What holds when it is not set; none where that is nothing, or is said in `about`.
    pub default: Option<String>,
    /// In sentences, with what is to be typed between backquotes.
    pub about: String,
}

/// All variables of `pgassay serve`, in the order of its help.
pub fn all() -> Vec<Variable> {
    let command = LogConfig::augment_args(WebConfig::augment_args(HouseConfig::augment_args(Command::new(
        "serve",
    ))));
    command.get_arguments().filter_map(variable).collect()
}

fn variable(option: &Arg) -> Option<Variable> {
    let name = option.get_env()?.to_str()?.to_owned();
    let defaults: Vec<&str> = option
        .get_default_values()
        .iter()
        .filter_map(|value| value.to_str())
        .collect();
    let about = option.get_long_help().or_else(|| option.get_help())?.to_string();
    // clap takes the full stop away.
    let end = if about.ends_with('.') { "" } else { "." };
    Some(Variable {
        name,
        option: format!("--{}", option.get_long()?),
        default: (!defaults.is_empty()).then(|| defaults.join(",")),
        about: format!("{about}{end}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_is_listed_once_with_its_option_and_what_it_does() {
        let all = all();
        let find = |name: &str| all.iter().find(|variable| variable.name == name).unwrap();
        let listen = find("PGASSAY_LISTEN");
        assert_eq!(
            (&*listen.option, listen.default.as_deref()),
            ("--listen", Some("127.0.0.1:8000"))
        );
        let store = find("DATABASE_URL");
        assert_eq!((&*store.option, store.default.as_deref()), ("--database-url", None));
        assert_eq!(find("PGASSAY_MAX_OBJECTS").default.as_deref(), Some("50000"));
        for (idx, variable) in all.iter().enumerate() {
            assert!(all[..idx].iter().all(|other| other.name != variable.name));
            assert!(variable.about.ends_with('.'), "{variable:?}");
            assert!(!variable.about.ends_with(".."), "{variable:?}");
        }
    }
}
