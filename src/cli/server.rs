//! `pgassay server`: registered servers without the browser, by the same service.

use std::io::BufRead as _;

use anyhow::Context as _;

use crate::app::house::Guests;
use crate::app::house::House;
use crate::cli::columns;
use crate::cli::columns::Side;
use crate::cli::working::RunError;
use crate::config::HouseConfig;
use crate::model::ids::ServerId;
use crate::model::server::PasswordSource;
use crate::model::server::RegisteredServer;
use crate::model::server::ServerReport;
use crate::model::server::TestOutcome;
use crate::model::text::for_terminal;
use crate::model::units::ms_in_words;
use crate::server::ServersError;
use crate::server::form::ServerForm;

#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Register a PostgreSQL server, to be put under load by `pgassay bench --server`.
    Add(AddArgs),
    /// List the registered servers.
    List {
        #[command(flatten)]
        house: HouseConfig,
    },
    /// Try to reach a server, and print what it says of itself. Exits with 1 when it is not reached.
    Test(NamedArgs),
    /// Forget a server; results of benchmarks on it stay.
    Remove(NamedArgs),
}

#[derive(clap::Args)]
struct AddArgs {
    /// By which it is found again.
    name: String,
    /// `postgresql://user:password@host:port/database?sslmode=verify-full`. Others on this machine can read arguments of
    /// commands; so it may stand in the environment instead, or, where this is `-`, in the first line of the input.
    #[arg(long, env = "PGASSAY_SERVER_ADDRESS", hide_env_values = true)]
    address: String,
    /// A file in the secrets directory that the password comes from, instead of the address.
    #[arg(long)]
    secret: Option<String>,
    #[command(flatten)]
    house: HouseConfig,
}

/// Keeps the address to itself.
impl std::fmt::Debug for AddArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddArgs")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, clap::Args)]
struct NamedArgs {
    name: String,
    #[command(flatten)]
    house: HouseConfig,
}

impl From<ServersError> for RunError {
    fn from(error: ServersError) -> Self {
        match error {
            ServersError::Refused(fields) => {
                let lines = fields
                    .into_iter()
                    .map(|field| format!("{}: {}", field.field, field.message));
                Self::Arguments(lines.collect::<Vec<String>>().join("\n"))
            }
            ServersError::NotFound | ServersError::InUse(_) | ServersError::Vault(_) => {
                Self::Failed(anyhow::anyhow!("{error}"))
            }
            ServersError::Fault(error) => Self::Failed(error),
        }
    }
}

pub async fn server(args: ServerArgs) -> Result<(), RunError> {
    match args.action {
        Action::Add(args) => add(args).await,
        Action::List { house } => in_open_house(&house, list).await,
        Action::Test(NamedArgs { name, house }) => in_open_house(&house, async |house| test(house, &name).await).await,
        Action::Remove(NamedArgs { name, house }) => {
            in_open_house(&house, async |house| {
                let server = find(house, &name).await?;
                house.servers.delete(house.viewer, server.id).await?;
                println!("{} is not registered any more.", for_terminal(&name));
                Ok(())
            })
            .await
        }
    }
}

/// Does a task that needs the store and no work from the queue.
async fn in_open_house(
    config: &HouseConfig,
    task: impl AsyncFnOnce(&House) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let house = House::open(config).await?;
    let done = task(&house).await;
    house.close(Guests::WaitFor).await?;
    done
}

async fn add(args: AddArgs) -> Result<(), RunError> {
    let address = match args.address.as_str() {
        "-" => {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .context("reading the address")?;
            line
        }
        address => address.to_owned(),
    };
    let form = ServerForm {
        name: args.name,
        address,
        secret: args.secret.unwrap_or_default(),
    };
    // Before anything is started: what is wrong with the arguments has nothing to do with the store.
    form.parse(None).map_err(ServersError::Refused)?;
    in_open_house(&args.house, async |house| {
        let id: ServerId = house.servers.add(house.viewer, &form).await?;
        println!("{} is registered as server {id}.", for_terminal(form.name.trim()));
        Ok(())
    })
    .await
}

async fn list(house: &House) -> Result<(), RunError> {
    let servers = house.servers.list(house.viewer).await.context("reading the servers")?;
    let mut lines = vec![["name", "place", "TLS mode", "password"].map(str::to_owned).to_vec()];
    for server in servers {
        let password = match server.password {
            PasswordSource::None => "none".to_owned(),
            PasswordSource::Stored => "stored".to_owned(),
            PasswordSource::Secret(name) => format!("secret {name}"),
        };
        let place = server.place.to_string();
        lines.push(vec![
            for_terminal(&server.name),
            for_terminal(&place),
            server.place.tls_mode,
            password,
        ]);
    }
    columns::print(&lines, |_| Side::Left).context("printing")?;
    Ok(())
}

async fn test(house: &House, name: &str) -> Result<(), RunError> {
    let server = find(house, name).await?;
    match house.servers.test(house.viewer, server.id).await?.outcome {
        TestOutcome::Reached(report) => {
            columns::print(&lines(&report), |_| Side::Left).context("printing")?;
            Ok(())
        }
        TestOutcome::Failed { message } => Err(RunError::Failed(anyhow::anyhow!("{message}"))),
    }
}

fn lines(report: &ServerReport) -> Vec<Vec<String>> {
    let yes = |truth: Option<bool>| {
        truth
            .map_or("not told", |truth| if truth { "yes" } else { "no" })
            .to_owned()
    };
    let count = |n: Option<u32>| n.map_or("not told".to_owned(), |n| n.to_string());
    [
        ("version", for_terminal(&report.version)),
        ("TLS", yes(Some(report.uses_tls))),
        ("round trip", ms_in_words(report.round_trip_ms)),
        ("may make a schema", yes(report.may_create)),
        ("sees all sessions", yes(report.sees_all)),
        ("superuser", yes(report.is_superuser)),
        ("replica", yes(report.is_replica)),
        ("max_connections", count(report.max_connections)),
        ("connections in use", count(report.n_connections)),
        (
            "autovacuum",
            for_terminal(report.autovacuum.as_deref().unwrap_or("not told")),
        ),
    ]
    .map(|(name, value)| vec![name.to_owned(), value])
    .to_vec()
}

async fn find(house: &House, name: &str) -> Result<RegisteredServer, RunError> {
    let found = house
        .servers
        .find_by_name(house.viewer, name)
        .await
        .context("reading the servers")?;
    found.ok_or_else(|| RunError::Arguments(format!("There is no registered server called {name}.")))
}
