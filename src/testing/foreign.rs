//! A server as other people run one: by TCP, with TLS and passwords of every kind. One for all tests of a process.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::chown;
use std::path::Path;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::mpsc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::IsCa;
use rcgen::Issuer;
use rcgen::KeyPair;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;

use crate::cluster;
use crate::cluster::Kind;
use crate::cluster::ServerSpec;
use crate::cluster::binaries::Binaries;
use crate::cluster::server::Server;
use crate::cluster::site::Site;
use crate::testing;
use crate::testing::scratch;

/// Everybody's.
pub const PASSWORD: &str = "pässword, @:/?%";

/// Who comes in how: role, and the line of `pg_hba.conf` up to the method. All of them by TCP.
const ROLES: [(&str, &str, &str); 7] = [
    ("truster", "host", "trust"),
    ("scrammer", "host", "scram-sha-256"),
    ("hasher", "host", "md5"),
    ("teller", "host", "password"),
    ("guarded", "hostssl", "trust"),
    ("open", "hostnossl", "trust"),
    ("single", "host", "trust"),
];

/// What the server is reached by.
pub struct Foreign {
    /// On 127.0.0.1, which the certificate does not name; it names `localhost`.
    pub port: u16,
    pub socket_dir: PathBuf,
    /// The certificate of the authority that signed the server's.
    pub authority: PathBuf,
    /// The server's own certificate.
    pub certificate: PathBuf,
    /// The certificate of an authority that has nothing to do with the server.
    pub stranger: PathBuf,
}

static FOREIGN: LazyLock<Foreign> = LazyLock::new(start);

/// The server, which the first who asks starts.
pub fn foreign() -> &'static Foreign {
    &FOREIGN
}

impl Foreign {
    /// The address for one of its roles: `truster`, `scrammer`, `hasher`, `teller`, `guarded` (with TLS only), `open`
    /// (without TLS only), and `single`, who has one connection at a time.
    pub fn url(&self, role: &str, params: &str) -> String {
        let password = "p%C3%A4ssword%2C%20%40%3A%2F%3F%25";
        format!(
            "postgresql://{role}:{password}@localhost:{}/postgres?{params}",
            self.port
        )
    }
}

/// In a thread and a runtime of its own: those of a test end with the test.
fn start() -> Foreign {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async move {
            let root = scratch::dir();
            let site = Site::open(Binaries::find(testing::pg_bindir().as_deref()).await.unwrap(), &root).unwrap();
            let spec = ServerSpec {
                data_dir: root.join("foreign"),
                socket_name: "foreign".to_owned(),
                kind: Kind::Store,
                settings: Vec::new(),
            };
            cluster::initdb::prepare(&site, &spec).await.unwrap();
            let mut foreign = furnish(&root, &spec.data_dir);
            let server = Server::start(&site, &spec).await.unwrap();
            server.socket_dir().clone_into(&mut foreign.socket_dir);
            make_roles(&foreign).await;
            send.send(foreign).unwrap();
            std::future::pending::<()>().await;
        });
    });
    receive.recv().unwrap()
}

/// Makes certificates, and writes the settings that have the last word.
fn furnish(root: &Path, data_dir: &Path) -> Foreign {
    let authority = Authority::new();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer()).unwrap();

    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let owner = fs::metadata(data_dir).unwrap();
    let put = |name: &str, text: &str| {
        let path = data_dir.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        path
    };
    let hba: String = ROLES
        .iter()
        .map(|(role, kind, method)| format!("{kind} all {role} 127.0.0.1/32 {method}\n"))
        .collect();
    let hba = put("foreign_hba.conf", &format!("local all all trust\n{hba}"));
    put("foreign.crt", &certificate.pem());
    put("foreign.key", &key.serialize_pem());
    put(
        "postgresql.auto.conf",
        &format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nhba_file = '{}'\nssl = on\nssl_cert_file = 'foreign.crt'\n\
             ssl_key_file = 'foreign.key'\n",
            hba.display()
        ),
    );
    let show = |name: &str, text: &str| {
        let path = root.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    Foreign {
        port,
        socket_dir: PathBuf::new(),
        authority: show("authority.pem", &authority.pem),
        certificate: show("certificate.pem", &certificate.pem()),
        stranger: show("stranger.pem", &Authority::new().pem),
    }
}

/// Somebody who signs certificates.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { params, key, pem }
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }
}

async fn make_roles(foreign: &Foreign) {
    let options = testing::options(&foreign.socket_dir, "postgres").port(foreign.port);
    let mut conn = options.connect().await.unwrap();
    for (role, _, method) in ROLES {
        let encryption = if method == "md5" { "md5" } else { "scram-sha-256" };
        let limit = if role == "single" { 1 } else { -1 };
        // Safe: constants.
        let sql = sqlx::AssertSqlSafe(format!(
            "set password_encryption = '{encryption}'; create role {role} login connection limit {limit}
             password '{PASSWORD}'; grant pg_signal_backend, pg_read_all_stats to {role}"
        ));
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    }
    conn.close().await.unwrap();
}
