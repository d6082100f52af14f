//! Where a connection goes, and as whom: what of libpq's connection parameters matters to load.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::destination::Destinations;
use crate::target::secret::Password;
use crate::target::wire::stream::Spot;
use crate::target::wire::tls::Tls;

/// A server's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The directory of its Unix socket, and the port that is part of the socket's name.
    Unix { dir: PathBuf, port: u16 },
    /// The name or the address of a host.
    Tcp { host: String, port: u16 },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { dir, port } => write!(f, "{}/.s.PGSQL.{port}", dir.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl Place {
    /// As libpq reads the name of a host: one that begins with a slash is the directory of a socket.
    pub fn of(host: &str, port: u16) -> Self {
        if host.starts_with('/') {
            return Self::Unix {
                dir: PathBuf::from(host),
                port,
            };
        }
        Self::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    /// All places that a name stands for, at least one. None where one of them may not be reached.
    ///
    /// The name is asked for once, and what it says is what is connected to: an answer that is another one a moment later
    /// leads nowhere.
    pub(super) async fn spots(&self, destinations: &Destinations) -> io::Result<Option<Vec<Spot>>> {
        match self {
            Self::Unix { .. } if !destinations.admit_sockets() => Ok(None),
            Self::Unix { dir, port } => Ok(Some(vec![Spot::Unix(dir.join(format!(".s.PGSQL.{port}")))])),
            Self::Tcp { host, port } => {
                let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
                if addresses.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
                }
                let may_be_reached = addresses.iter().all(|address| destinations.admit(host, *address));
                Ok(may_be_reached.then(|| addresses.into_iter().map(Spot::Tcp).collect()))
            }
        }
    }
}

/// All that a connection is made from. Its `Debug` keeps the password to itself.
#[derive(Clone)]
pub struct Dial {
    pub place: Place,
    pub user: String,
    pub password: Password,
    pub database: String,
    /// Means nothing on a Unix socket.
    pub tls: Tls,
    pub application_name: String,
    /// In force from the beginning of a session, over those of role and database: parameters of the startup message.
    pub settings: Vec<(String, String)>,
    /// How long each address of the host may take, from the first packet until the session is ready.
    pub connect_timeout: Duration,
    /// Where it may go, whatever the place says.
    pub destinations: Destinations,
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dial")
            .field("place", &self.place)
            .field("user", &self.user)
            .field("password", &"(not shown)")
            .field("database", &self.database)
            .field("tls", &self.tls.mode)
            .field("application_name", &self.application_name)
            .field("settings", &self.settings)
            .field("connect_timeout", &self.connect_timeout)
            .field("destinations", &self.destinations)
            .finish()
    }
}
