//! `pgassay admin`: accounts from the machine that pgassay runs on, where nobody has to be signed in.

use std::io::BufRead as _;
use std::io::IsTerminal as _;
use std::io::Stdin;

use anyhow::Context as _;
use nix::sys::termios;
use nix::sys::termios::LocalFlags;
use nix::sys::termios::SetArg;

use crate::app::house::Guests;
use crate::app::house::House;
use crate::app::house::Programs;
use crate::auth::accounts::AccountError;
use crate::auth::password::NewPassword;
use crate::cli::working::RunError;
use crate::config::Access;
use crate::config::HouseConfig;
use crate::model::text::for_terminal;
use crate::model::user::AccountName;
use crate::model::user::Viewer;
use crate::store;
use crate::store::audit::NewEntry;

#[derive(Debug, clap::Args)]
pub struct AdminArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make an admin: the first, to whom everything belongs that is there, or one more. The password is the first line of
    /// the input, or asked for on a terminal.
    Create(NamedArgs),
    /// Set the password of an account anew, and end its sessions. The password is the first line of the input, or asked for
    /// on a terminal.
    Password(NamedArgs),
}

#[derive(Debug, clap::Args)]
struct NamedArgs {
    /// By which the account signs in.
    #[arg(long)]
    name: String,
    #[command(flatten)]
    house: HouseConfig,
}

impl From<AccountError> for RunError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Fault(error) => Self::Failed(error),
            AccountError::Name(_) | AccountError::Password(_) => Self::Arguments(error.to_string()),
            error => Self::Failed(anyhow::anyhow!("{error}")),
        }
    }
}

pub async fn admin(args: AdminArgs) -> Result<(), RunError> {
    match args.action {
        Action::Create(args) => {
            let name = AccountName::parse(&args.name).map_err(RunError::Arguments)?;
            let password = password(name.as_str())?;
            in_house(&args.house, async |house| {
                let viewer = house.accounts.make_admin(name.as_str(), &password).await?;
                note(house, viewer, "makes an admin").await?;
                println!("{} is an admin, and can sign in.", name.as_str());
                Ok(())
            })
            .await
        }
        Action::Password(args) => {
            let name = args.name.trim();
            let password = password(name)?;
            in_house(&args.house, async |house| {
                let viewer = house.accounts.set_password(name, &password).await?;
                let nobody = || anyhow::anyhow!("there is no account named {}", for_terminal(name));
                note(house, viewer.ok_or_else(nobody)?, "sets a password").await?;
                println!(
                    "{} has another password, and is signed out everywhere.",
                    for_terminal(name)
                );
                Ok(())
            })
            .await
        }
    }
}

/// Does a task in the house, whether or not another process has opened it.
async fn in_house(
    config: &HouseConfig,
    task: impl AsyncFnOnce(&House) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let house = House::open_with(config, Programs::IfThere, Access::Local).await?;
    let done = task(&house).await;
    house.close(Guests::WaitFor).await?;
    done
}

/// Writes down what was done about an account.
async fn note(house: &House, viewer: Viewer, deed: &str) -> anyhow::Result<()> {
    let mut conn = house.pool.acquire().await?;
    let new = NewEntry {
        user_id: None,
        otherwise: "the command line",
        address: "this machine",
        deed,
        path: &format!("account {}", viewer.user_id),
        status: 200,
    };
    store::audit::insert(&mut conn, &new)
        .await
        .context("writing the audit log")
}

/// The password that was given, if it can be one.
fn password(name: &str) -> Result<String, RunError> {
    let stdin = std::io::stdin();
    let password = if stdin.is_terminal() {
        let password = unseen(&stdin, "Password: ")?;
        if unseen(&stdin, "The same again: ")? != password {
            return Err(RunError::Arguments("The two are not the same.".to_owned()));
        }
        password
    } else {
        line(&stdin)?
    };
    // Before anything is started: what is wrong with it has nothing to do with the store.
    let checked = NewPassword::parse(&password, &[name]);
    checked.map_err(|error| RunError::Arguments(error.to_string()))?;
    Ok(password)
}

/// A line that is typed and not shown.
fn unseen(stdin: &Stdin, prompt: &str) -> anyhow::Result<String> {
    const ADVICE: &str = "what is typed cannot be hidden on this terminal; pipe the password in instead";
    let usual = termios::tcgetattr(stdin).context(ADVICE)?;
    let mut hidden = usual.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    hidden.local_flags.insert(LocalFlags::ECHONL);
    termios::tcsetattr(stdin, SetArg::TCSAFLUSH, &hidden).context(ADVICE)?;
    eprint!("{prompt}");
    let line = line(stdin);
    termios::tcsetattr(stdin, SetArg::TCSANOW, &usual).context("showing again what is typed")?;
    line
}

fn line(stdin: &Stdin) -> anyhow::Result<String> {
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("reading the password")?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}
