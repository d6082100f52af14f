//! Whether a server can be shared: what it is, who we are there, and that it holds nothing else. Changes nothing.

use std::collections::BTreeSet;

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;

use crate::cluster::binaries;
use crate::model::units::counted;
use crate::target::ServerError;
use crate::target::names;
use crate::target::names::Names;
use crate::target::names::SERVER_DATABASE;
use crate::target::session::Address;
use crate::target::session::Admin;

/// `invalid_catalog_name`
const NO_SUCH_DATABASE: &str = "3D000";
/// `insufficient_privilege`
const NO_PRIVILEGE: &str = "42501";

/// Why a server cannot be shared. Sentences for the person who set `SANDBOX_URL`; none holds the password.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    #[error("SANDBOX_URL cannot be read: {0}. It looks like postgres://user:password@host:5432/postgres.")]
    Unreadable(sqlx::Error),
    #[error("The server of SANDBOX_URL does not answer: {0}. Check the address and the password, and that it runs.")]
    Away(String),
    #[error("The server of SANDBOX_URL is PostgreSQL {0}; pgassay needs {oldest} or newer.", oldest = binaries::OLDEST_MAJOR)]
    TooOld(String),
    #[error(
        "The user {0} of SANDBOX_URL is not a superuser. Copying databases, roles and planner statistics need one: give \
         the URL of a superuser, on a server that holds nothing else."
    )]
    NotSuperuser(String),
    #[error("The server of SANDBOX_URL is a standby, which cannot be written to. Give the URL of its primary.")]
    Standby,
    #[error(
        "The server of SANDBOX_URL holds what is not pgassay's: {0}. A dump is code, and this server is where it runs: \
         give the URL of a server that holds nothing else."
    )]
    NotEmpty(String),
    #[error(
        "The databases of the server of SANDBOX_URL are made in {0}; pgassay needs one that was made with UTF8 \
         (initdb --encoding=UTF8)."
    )]
    Encoding(String),
    #[error(
        "The server of SANDBOX_URL does not let a role in by its password: {0}. Its pg_hba.conf needs a line like \
         `host all all samehost scram-sha-256` for the address of pgassay."
    )]
    NoPasswords(String),
    #[error(transparent)]
    Fault(#[from] anyhow::Error),
}

/// What was found out about a server that can be shared.
#[derive(Debug)]
pub struct Inspection {
    /// As people write it: `15.20`.
    pub version: String,
    /// How many datasets of this data directory are on it.
    pub n_datasets: usize,
    /// Sentences about what works and should be known.
    pub notes: Vec<String>,
    pub(super) system_identifier: String,
}

/// Looks whether the server of `url` can be shared, and changes nothing. `home` is the name of our data directory.
pub async fn inspect(url: &str, home: &str) -> Result<Inspection, SharedError> {
    let (superuser, own_database) = read(url)?;
    let prefix = names::prefix(home);
    let server = Address::new(superuser, Names::of_role(prefix.clone(), &own_database));
    let connected = Admin::connect(&server, SERVER_DATABASE).await;
    let mut admin = connected.map_err(|error| match sqlstate(&error).as_deref() {
        // What a superuser session sets, nobody else may.
        Some(NO_PRIVILEGE) => SharedError::NotSuperuser(server.server.get_username().to_owned()),
        _ => away(error),
    })?;
    let said = Said::by(&mut admin).await?;
    said.check()?;
    let (system_identifier, databases, trusts): (String, Vec<String>, bool) = sqlx::query_as(
        "select (select system_identifier::text from pg_catalog.pg_control_system()),
                array(select datname::text from pg_catalog.pg_database
                      where datname not in ('postgres', 'template0', 'template1') order by 1),
                exists (select from pg_catalog.pg_hba_file_rules where auth_method = 'trust')",
    )
    .fetch_one(&mut admin.conn)
    .await
    .context("looking at the shared server")?;
    admin.close().await;
    let foreign: Vec<&str> = databases
        .iter()
        .map(String::as_str)
        .filter(|name| *name != own_database && !names::is_of_some_pgassay(name))
        .collect();
    if !foreign.is_empty() {
        return Err(SharedError::NotEmpty(format!("the databases {}", foreign.join(", "))));
    }
    for database in BTreeSet::from([own_database.as_str(), SERVER_DATABASE]) {
        check_empty(&server.server, database).await?;
    }
    let (ours, others): (Vec<&String>, Vec<&String>) = databases
        .iter()
        .filter(|name| names::is_of_some_pgassay(name))
        .partition(|name| name.starts_with(&prefix));
    let mut notes = Vec::new();
    notes.extend(binaries::known_holes("PostgreSQL", said.version_num.unsigned_abs()));
    if !others.is_empty() {
        notes.push(format!(
            "The server also holds {} of another pgassay. Unless both have one store they do not wait for each other, \
             and disturb each other's times.",
            counted(others.len() as u64, "database", "databases")
        ));
    }
    if trusts {
        notes.push(
            "Its pg_hba.conf lets some users in without a password (trust): whoever reaches it that way can be anybody."
                .to_owned(),
        );
    }
    Ok(Inspection {
        version: said.version,
        n_datasets: ours.iter().filter(|name| names::is_template(name)).count(),
        notes,
        system_identifier,
    })
}

pub(super) fn read(url: &str) -> Result<(PgConnectOptions, String), SharedError> {
    let options: PgConnectOptions = url.parse().map_err(SharedError::Unreadable)?;
    let own_database = options.get_database().unwrap_or(SERVER_DATABASE).to_owned();
    Ok((options, own_database))
}

fn away(error: anyhow::Error) -> SharedError {
    let said = error.downcast_ref::<sqlx::Error>();
    match said.map(|error| (error, ServerError::of(error))) {
        Some((_, Some(server))) => SharedError::Away(server.message),
        Some((error, None)) => SharedError::Away(error.to_string()),
        None => SharedError::Fault(error),
    }
}

/// What a server says of itself.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Said {
    /// As `server_version_num` counts: 150018 is 15.18.
    version_num: i32,
    version: String,
    user: String,
    is_superuser: bool,
    is_standby: bool,
    /// In which databases are made, where that cannot be chosen: in the C locale it can.
    fixed_encoding: Option<String>,
}

impl Said {
    async fn by(admin: &mut Admin) -> Result<Self, SharedError> {
        let said = sqlx::query_as(
            "select pg_catalog.current_setting('server_version_num')::integer as version_num,
                    pg_catalog.current_setting('server_version') as version, current_user::text as \"user\",
                    (select rolsuper from pg_catalog.pg_roles where rolname = current_user) as is_superuser,
                    pg_catalog.pg_is_in_recovery() as is_standby,
                    (select pg_catalog.pg_encoding_to_char(encoding)::text from pg_catalog.pg_database
                     where datname = 'template0' and datcollate not in ('C', 'POSIX')) as fixed_encoding",
        );
        let said = said.fetch_one(&mut admin.conn).await;
        Ok(said.context("asking the shared server what it is")?)
    }

    /// Whether the server can do what is needed, and we with it.
    fn check(&self) -> Result<(), SharedError> {
        if self.version_num.unsigned_abs() / 10_000 < binaries::OLDEST_MAJOR {
            return Err(SharedError::TooOld(self.version.clone()));
        }
        if !self.is_superuser {
            return Err(SharedError::NotSuperuser(self.user.clone()));
        }
        if self.is_standby {
            return Err(SharedError::Standby);
        }
        match &self.fixed_encoding {
            Some(encoding) if encoding != "UTF8" => Err(SharedError::Encoding(encoding.clone())),
            _ => Ok(()),
        }
    }
}

/// Tables in a database that everybody has belong to somebody. It need not be there.
async fn check_empty(superuser: &PgConnectOptions, database: &str) -> Result<(), SharedError> {
    let address = Address::new(superuser.clone(), Names::of_role(String::new(), database));
    let mut admin = match Admin::connect(&address, SERVER_DATABASE).await {
        Ok(admin) => admin,
        Err(error) if sqlstate(&error).as_deref() == Some(NO_SUCH_DATABASE) => return Ok(()),
        Err(error) => return Err(away(error)),
    };
    let table: Option<String> = sqlx::query_scalar(
        "select n.nspname || '.' || c.relname
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
           and not exists (select from pg_catalog.pg_depend d
                           where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
                             and d.deptype = 'e')
         order by 1 limit 1",
    )
    .fetch_optional(&mut admin.conn)
    .await
    .context("looking for tables")?;
    admin.close().await;
    table.map_or(Ok(()), |table| {
        Err(SharedError::NotEmpty(format!(
            "tables in the database {database}, {table} for one"
        )))
    })
}

fn sqlstate(error: &anyhow::Error) -> Option<String> {
    Some(ServerError::of(error.downcast_ref::<sqlx::Error>()?)?.sqlstate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_refused_for_what_it_says_of_itself_and_no_other_is() {
        let good = Said {
            version_num: 150_020,
            version: "15.20".to_owned(),
            user: "postgres".to_owned(),
            is_superuser: true,
            is_standby: false,
            fixed_encoding: Some("UTF8".to_owned()),
        };
        let refusal = |change: fn(&mut Said)| {
            let mut said = good.clone();
            change(&mut said);
            said.check().err().map(|error| error.to_string())
        };
        assert_eq!(refusal(|_| {}), None);
        assert_eq!(refusal(|said| said.fixed_encoding = None), None);
        assert_eq!(refusal(|said| said.version_num = 190_000), None);
        for (change, words) in [
            (
                (|said| (said.version_num, said.version) = (140_023, "14.23".to_owned())) as fn(&mut Said),
                "SANDBOX_URL is PostgreSQL 14.23; pgassay needs 15 or newer",
            ),
            (
                |said| said.is_superuser = false,
                "The user postgres of SANDBOX_URL is not a superuser",
            ),
            (|said| said.is_standby = true, "is a standby"),
            (
                |said| said.fixed_encoding = Some("LATIN1".to_owned()),
                "are made in LATIN1; pgassay needs one that was made with UTF8",
            ),
        ] {
            let refusal = refusal(change);
            assert!(
                refusal.as_ref().is_some_and(|said| said.contains(words)),
                "{words}: {refusal:?}"
            );
        }
    }
}
