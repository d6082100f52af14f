//! What a person can set from outside: options with their environment variables, one section a room.

pub mod variables;

use std::net::IpAddr;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::destination::DestinationError;
use crate::model::destination::Destinations;

/// Where things are kept, and on which servers.
#[derive(Clone, Debug, clap::Args)]
pub struct HouseConfig {
    /// Where uploads, the embedded store and the sandboxes are kept.
    #[arg(long, env = "PGASSAY_DATA_DIR", default_value = "./data")]
    pub data_dir: PathBuf,
    /// The store: pgassay's own database. Unset, pgassay starts a PostgreSQL of its own for it.
    #[arg(long, visible_alias = "store", env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// A superuser's URL of one PostgreSQL server, which holds nothing else, for all datasets. Unset, pgassay starts a
    /// server of its own for every dataset, which is safer and measures better.
    #[arg(long, env = "SANDBOX_URL", hide_env_values = true)]
    pub sandbox_url: Option<String>,
    /// Where uploaded dumps are kept so that other machines can restore them: `s3://bucket/prefix`, `gs://bucket/prefix`,
    /// `az://container/prefix` or `file:///directory`. Unset, they stay in the data directory of the machine that took them.
    #[arg(long, env = "PGASSAY_FILES")]
    pub files: Option<String>,
    /// Where the PostgreSQL server programs are; found by themselves when unset.
    #[arg(long, env = "PGASSAY_PG_BINDIR")]
    pub pg_bindir: Option<PathBuf>,
    /// The key file under which addresses of registered servers are stored; several hosts with one store share one. Unset,
    /// it is `key` in the data directory. Made where there is none.
    #[arg(long, env = "PGASSAY_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// The directory of files that passwords of registered servers come from; one that can be run is run. Unset, it is
    /// `secrets` in the data directory.
    #[arg(long, env = "PGASSAY_SECRETS_DIR")]
    pub secrets_dir: Option<PathBuf>,
    /// Where registered servers may be: hosts, addresses and networks, each with a port if that is not 5432, such as
    /// `db.example.org,10.0.0.0/8,10.0.0.7:6432`. A name is good for public addresses; private ones, and those of this
    /// machine, are listed as addresses or networks. Unset, servers may be anywhere where nobody signs in, and nowhere where
    /// people do.
    #[arg(long, env = "PGASSAY_SERVER_HOSTS", value_delimiter = ',')]
    pub server_hosts: Vec<String>,
    #[command(flatten)]
    pub limits: LimitsConfig,
}

/// How much uploads and what is made of them may take.
#[derive(Clone, Debug, clap::Args)]
pub struct LimitsConfig {
    /// The largest dump file, in bytes.
    #[arg(long, env = "PGASSAY_MAX_UPLOAD_BYTES", default_value_t = 4 << 30)]
    pub max_upload_bytes: u64,
    /// The most that a compressed dump or an archive may expand to, in bytes.
    #[arg(long, env = "PGASSAY_MAX_EXPANDED_BYTES", default_value_t = 32 << 30)]
    pub max_expanded_bytes: u64,
    /// The most that a database may grow to while a dump is restored into it or a query writes to a clone of it, in bytes.
    #[arg(long, env = "PGASSAY_MAX_DATABASE_BYTES", default_value_t = 32 << 30)]
    pub max_database_bytes: u64,
    /// The most tables, indexes, views and sequences that a dump may make.
    #[arg(long, env = "PGASSAY_MAX_OBJECTS", default_value_t = 50_000)]
    pub max_objects: u64,
    /// A restore that takes longer is given up, in minutes.
    #[arg(long, env = "PGASSAY_MAX_RESTORE_MINUTES", default_value_t = 120)]
    pub max_restore_minutes: u64,
    /// What stays free of the disk that holds the data directory, in bytes. Unset, a tenth of it, or 5 GiB if that is
    /// less.
    #[arg(long, env = "PGASSAY_DISK_RESERVE_BYTES")]
    pub disk_reserve_bytes: Option<u64>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object on each line, for programs.
    Json,
}

/// What goes to standard error. `PGASSAY_LOG` says which levels.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct LogConfig {
    /// How the log is written: `text` for people, `json` for programs, an object on each line.
    #[arg(long, env = "PGASSAY_LOG_FORMAT", default_value = "text", global = true)]
    pub log_format: LogFormat,
    /// Log a line for every request that was answered: its method, path, status and duration.
    #[arg(long, env = "PGASSAY_LOG_REQUESTS", global = true)]
    pub log_requests: bool,
}

/// Who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Access {
    /// No sign-in: whoever reaches the address is the one local user.
    Local,
    /// People sign in.
    Required,
}

/// How the web door is opened.
#[derive(Clone, Debug, clap::Args)]
pub struct WebConfig {
    /// The address to listen on.
    #[arg(long, env = "PGASSAY_LISTEN", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Who may come in. Unset, people sign in where others can reach the address, and do not on a loopback address.
    #[arg(long, env = "PGASSAY_ACCESS")]
    pub access: Option<Access>,
    /// The address under which people know these pages, such as `https://assay.example.org` behind a proxy. Cookies are for
    /// HTTPS alone where it begins so, and its name is answered to.
    #[arg(long, env = "PGASSAY_PUBLIC_URL")]
    pub public_url: Option<url::Url>,
    /// Addresses and networks of proxies whose X-Forwarded-For is believed.
    #[arg(long, env = "PGASSAY_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<String>,
    /// Web pages elsewhere that may call /api with a token, such as `https://tools.example.org`.
    #[arg(long, env = "PGASSAY_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// The name of the first admin, made at start where there is none.
    #[arg(long, env = "PGASSAY_ADMIN_NAME", requires = "admin_password_file")]
    pub admin_name: Option<String>,
    /// The file with the password of the first admin.
    #[arg(long, env = "PGASSAY_ADMIN_PASSWORD_FILE", requires = "admin_name")]
    pub admin_password_file: Option<PathBuf>,
    /// Further names under which browsers may ask for these pages, beside localhost and the address itself.
    #[arg(long, env = "PGASSAY_ALLOWED_HOSTS", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,
    /// On the first start, load the sample and run a small experiment on it.
    #[arg(long, env = "PGASSAY_SAMPLE")]
    pub sample: bool,
    /// Where the sample dump and queries are.
    #[arg(long, env = "PGASSAY_SAMPLES_DIR", default_value = "./samples")]
    pub samples_dir: PathBuf,
}

/// Options that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("PGASSAY_PUBLIC_URL is to be a bare address such as https://assay.example.org, and {0} is none.")]
    PublicUrl(url::Url),
    #[error("PGASSAY_SERVER_HOSTS: {0}")]
    ServerHosts(DestinationError),
    #[error("PGASSAY_CORS_ORIGINS is to list origins such as https://tools.example.org, and {0:?} is none.")]
    CorsOrigin(String),
}

impl WebConfig {
    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), ConfigError> {
        match &self.public_url {
            Some(url) if !is_bare(url) => Err(ConfigError::PublicUrl(url.clone())),
            Some(_) | None => self.cors_origins().map(|_| ()),
        }
    }

    /// Whose web pages may call the API with a token, as browsers name them in `Origin`.
    pub fn cors_origins(&self) -> Result<Vec<String>, ConfigError> {
        let said = self.cors_origins.iter().map(|origin| origin.trim());
        said.filter(|origin| !origin.is_empty())
            .map(|said| {
                // A star would be taken for a name, and nobody be let in by it.
                let url = said
                    .parse::<url::Url>()
                    .ok()
                    .filter(|url| is_bare(url) && !said.contains('*'));
                let url = url.ok_or_else(|| ConfigError::CorsOrigin(said.to_owned()))?;
                Ok(url.origin().ascii_serialization())
            })
            .collect()
    }

    /// The origin of these pages as people know them, where that is said.
    pub fn public_origin(&self) -> Option<String> {
        self.public_url.as_ref().map(|url| url.origin().ascii_serialization())
    }

    /// Who may come in: nobody unknown, by accident.
    pub fn access(&self) -> Access {
        let usual = if is_only_ours(self.listen.ip()) {
            Access::Local
        } else {
            Access::Required
        };
        self.access.unwrap_or(usual)
    }

    /// Whether browsers come by HTTPS.
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }
}

fn is_only_ours(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn is_bare(url: &url::Url) -> bool {
    ["http", "https"].contains(&url.scheme())
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
}

impl HouseConfig {
    /// The URL of an external store.
    pub fn database_url(&self) -> Option<&str> {
        self.database_url.as_deref().filter(|url| !url.is_empty())
    }

    /// The address of the depot.
    pub fn files(&self) -> Option<&str> {
        self.files.as_deref().filter(|address| !address.is_empty())
    }

    /// Where registered servers may be; none where nothing is said of it.
    pub fn server_hosts(&self) -> Result<Option<Destinations>, ConfigError> {
        if self.server_hosts.iter().all(|entry| entry.trim().is_empty()) {
            return Ok(None);
        }
        let listed = Destinations::parse(&self.server_hosts);
        listed.map(Some).map_err(ConfigError::ServerHosts)
    }

    /// The URL of the server that all datasets share.
    pub fn sandbox_url(&self) -> Option<&str> {
        self.sandbox_url.as_deref().filter(|url| !url.is_empty())
    }
}

#[cfg(test)]
impl WebConfig {
    /// Nothing said, at an address of this machine.
    pub fn unsaid() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 0).into(),
            access: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            admin_name: None,
            admin_password_file: None,
            allowed_hosts: Vec::new(),
            sample: false,
            samples_dir: PathBuf::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(listen: &str, access: Option<Access>) -> WebConfig {
        WebConfig {
            listen: listen.parse().unwrap(),
            access,
            ..WebConfig::unsaid()
        }
    }

    #[test]
    fn where_others_reach_the_address_people_sign_in_unless_somebody_says_otherwise() {
        for (listen, said, access) in [
            ("127.0.0.1:8000", None, Access::Local),
            ("[::1]:8000", None, Access::Local),
            ("[::ffff:127.0.0.1]:8000", None, Access::Local),
            ("127.0.0.1:8000", Some(Access::Required), Access::Required),
            ("0.0.0.0:8000", None, Access::Required),
            ("192.0.2.1:8000", None, Access::Required),
            ("[::]:8000", None, Access::Required),
            ("0.0.0.0:8000", Some(Access::Local), Access::Local),
        ] {
            assert_eq!(web(listen, said).access(), access, "{listen} {said:?}");
        }
    }

    #[test]
    fn a_public_address_is_bare() {
        let with = |url: &str| WebConfig {
            public_url: Some(url.parse().unwrap()),
            ..web("127.0.0.1:8000", None)
        };
        for url in ["https://assay.example.org", "http://assay.example.org:8080/"] {
            assert!(with(url).check().is_ok(), "{url}");
        }
        for url in [
            "https://assay.example.org/x",
            "https://u:p@assay.example.org",
            "ftp://a",
            "https://a/?b",
            "https://a/#b",
        ] {
            assert!(with(url).check().is_err(), "{url}");
        }
        assert!(with("https://a").is_https() && !with("http://a").is_https());
        let public = with("https://assay.example.org:443/").public_origin();
        assert_eq!(public.as_deref(), Some("https://assay.example.org"));
    }

    #[test]
    fn nothing_said_of_servers_is_not_the_same_as_none_listed() {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            house: HouseConfig,
        }
        let with = |listed: &str| {
            let command = <Command as clap::Parser>::parse_from(["pgassay", "--server-hosts", listed]);
            command.house.server_hosts().map_err(|error| error.to_string())
        };
        assert_eq!(with(""), Ok(None));
        assert_eq!(with(" , "), Ok(None));
        let listed = Destinations::parse(&["db.example.org", "10.0.0.0/8"]).unwrap();
        assert_eq!(with("db.example.org, 10.0.0.0/8"), Ok(Some(listed)));
        let refused = with("db.example.org,*").unwrap_err();
        assert!(refused.starts_with("PGASSAY_SERVER_HOSTS: \"*\""), "{refused}");
    }

    #[test]
    fn what_is_no_origin_is_refused_in_words() {
        let with = |origins: &[&str]| WebConfig {
            cors_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            ..WebConfig::unsaid()
        };
        let said = with(&["", " https://tools.example.org/", "HTTP://Localhost:3000"]);
        assert_eq!(
            said.cors_origins().unwrap(),
            ["https://tools.example.org", "http://localhost:3000"]
        );
        for origin in [
            "*",
            "null",
            "tools.example.org",
            "https://a/x",
            "https://u@a",
            "file:///",
            "https://*.a",
        ] {
            let refused = with(&["https://b", origin])
                .check()
                .err()
                .map(|error| error.to_string());
            let refused = refused.unwrap_or_else(|| panic!("{origin} is taken"));
            assert!(
                refused.starts_with("PGASSAY_CORS_ORIGINS is to list origins"),
                "{refused}"
            );
            assert!(refused.contains(&format!("{origin:?}")), "{refused}");
        }
    }
}
