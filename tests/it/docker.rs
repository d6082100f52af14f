//! The files for Docker, as far as they can be tried without it: what they name is there, they agree with each other, and
//! the program starts and answers as they have it started and asked. `.ci/docker` checks their form.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use reqwest::StatusCode;
use reqwest::header;
use yaml_rust2::Yaml;
use yaml_rust2::YamlLoader;

use crate::accounts::PASSWORD;
use crate::server::Server;
use crate::server::data_dir;
use crate::server::repository;
use crate::support;
use crate::support::Cluster;

/// One `FROM` with what follows it: instructions and their arguments.
struct Stage {
    from: String,
    instructions: Vec<(String, String)>,
}

impl Stage {
    fn all(&self, instruction: &str) -> Vec<&str> {
        let named = self.instructions.iter().filter(|(name, _)| name == instruction);
        named.map(|(_, args)| args.as_str()).collect()
    }

    fn last(&self, instruction: &str) -> &str {
        self.all(instruction).last().unwrap()
    }

    fn env(&self) -> BTreeMap<String, String> {
        let words = self.all("ENV").into_iter().flat_map(str::split_whitespace);
        let pairs = words.map(|word| word.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

/// The stages of the Dockerfile; the last one is the image.
fn stages() -> Vec<Stage> {
    let text = read("Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut stages: Vec<Stage> = Vec::new();
    for line in lines.join("\n").replace("\\\n", " ").lines() {
        match (line.split_once(' '), stages.last_mut()) {
            (Some(("FROM", from)), _) => stages.push(Stage {
                from: from.to_owned(),
                instructions: Vec::new(),
            }),
            (Some((name, args)), Some(stage)) => stage.instructions.push((name.to_owned(), args.trim().to_owned())),
            _ => {}
        }
    }
    stages
}

fn image() -> Stage {
    stages().pop().unwrap()
}

fn yaml(path: &str) -> Yaml {
    YamlLoader::load_from_str(&read(path)).unwrap().remove(0)
}

fn compose() -> Yaml {
    yaml("docker-compose.yml")
}

/// What a service is given, with the defaults of what a person may set.
fn environment(service: &Yaml) -> BTreeMap<String, String> {
    let entries = service["environment"].as_hash().unwrap().iter();
    let texts = entries.map(|(name, value)| (name.as_str().unwrap(), value.as_str().unwrap()));
    texts
        .map(|(name, value)| (name.to_owned(), with_defaults(value)))
        .collect()
}

/// `${NAME:-default}` as it is while nobody sets it, and `${NAME:?what}` as somebody might.
fn with_defaults(value: &str) -> String {
    let Some((before, rest)) = value.split_once("${") else {
        return value.to_owned();
    };
    let (variable, after) = rest.split_once('}').unwrap();
    let said = match variable.split_once(":-") {
        Some((_, default)) => default,
        None if variable.starts_with("PGASSAY_HOST:?") => "assay.example.org",
        None => panic!("{variable} has no default"),
    };
    format!("{before}{said}{}", with_defaults(after))
}

fn strings(list: &Yaml) -> Vec<&str> {
    let items = list.as_vec().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

/// Whether `.dockerignore` lets Docker see a path. The last line that matches decides.
fn reaches_docker(path: &str) -> bool {
    let text = read(".dockerignore");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut deciding = lines.filter(|line| {
        let pattern = line.trim_start_matches('!');
        pattern == "*" || path == pattern || path.starts_with(&format!("{pattern}/"))
    });
    deciding.next_back().is_none_or(|line| line.starts_with('!'))
}

/// Files that the code takes into the program, by their names as the code has them.
fn included_files() -> Vec<String> {
    let mut included = Vec::new();
    let mut dirs = vec![repository("src")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            for line in text.split("include_").skip(1) {
                let Some(rest) = line.strip_prefix("str!(\"").or(line.strip_prefix("bytes!(\"")) else {
                    continue;
                };
                let file = dir.join(rest.split('"').next().unwrap()).canonicalize().unwrap();
                let file = file.strip_prefix(repository("").canonicalize().unwrap()).unwrap();
                included.push(file.to_str().unwrap().to_owned());
            }
        }
    }
    included
}

#[test]
fn what_the_image_is_made_of_is_there_and_reaches_docker() {
    let stages = stages();
    let mut needed: Vec<String> = [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "src/main.rs",
        "tests/it/main.rs",
    ]
    .map(str::to_owned)
    .to_vec();
    needed.extend([".sqlx", "migrations", "static", "templates"].map(str::to_owned));
    // npm brings these, in a stage of their own.
    needed.extend(
        included_files()
            .into_iter()
            .filter(|file| !file.starts_with("node_modules/")),
    );
    for stage in &stages {
        for copy in stage.all("COPY") {
            let words: Vec<&str> = copy.split_whitespace().collect();
            let (flags, paths): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|word| word.starts_with("--"));
            if let Some(from) = flags.iter().find_map(|flag| flag.strip_prefix("--from=")) {
                let is_there = stages.iter().any(|stage| stage.from.ends_with(&format!(" AS {from}")));
                assert!(is_there, "there is no stage {from} for COPY {copy}");
                continue;
            }
            let (_, sources) = paths.split_last().unwrap();
            needed.extend(
                sources
                    .iter()
                    .filter(|source| **source != ".")
                    .map(|source| (*source).to_owned()),
            );
        }
    }
    for path in needed {
        assert!(repository(&path).exists(), "{path} is missing");
        assert!(reaches_docker(&path), "{path} is hidden by .dockerignore");
    }
    assert!(!reaches_docker("target/debug/pgassay") && !reaches_docker("data") && !reaches_docker(".git"));
}

#[test]
fn the_image_is_built_by_the_compiler_and_for_the_system_that_it_needs() {
    let stages = stages();
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap();
    let build = &stages
        .iter()
        .find(|stage| stage.from.starts_with("rust:"))
        .unwrap()
        .from;
    let debian = image()
        .from
        .strip_prefix("debian:")
        .unwrap()
        .trim_end_matches("-slim")
        .to_owned();
    assert!(
        build.starts_with(&format!("rust:{}-", version.trim_matches('"'))),
        "{build}"
    );
    assert!(build.ends_with(&format!("-{debian} AS build")), "{build} for {debian}");
}

#[test]
fn compose_and_the_image_agree_on_paths_ports_and_the_store() {
    let (compose, image) = (compose(), image());
    let (web, store) = (&compose["services"]["web"], &compose["services"]["postgres"]);
    assert_eq!(web["build"].as_str(), Some("."));

    let mut env = image.env();
    let volumes: BTreeMap<String, String> = strings(&web["volumes"])
        .into_iter()
        .map(|volume| {
            let mut parts = volume.split(':');
            let (host, inside) = (parts.next().unwrap(), parts.next().unwrap());
            (inside.to_owned(), host.to_owned())
        })
        .collect();
    for host in volumes.values() {
        match host.strip_prefix("./") {
            Some(path) => assert!(repository(path).exists(), "{path} is mounted and missing"),
            None => assert!(
                !compose["volumes"][host.as_str()].is_badvalue(),
                "there is no volume {host}"
            ),
        }
    }
    assert_eq!(volumes[&env["PGASSAY_DATA_DIR"]], "data");
    assert_eq!(image.last("VOLUME"), env["PGASSAY_DATA_DIR"]);
    assert_eq!(volumes[&env["PGASSAY_SAMPLES_DIR"]], "./samples");
    let samples = format!("samples {}", env["PGASSAY_SAMPLES_DIR"]);
    assert!(image.all("COPY").contains(&samples.as_str()), "no COPY {samples}");

    env.extend(environment(web));
    let (_, port) = env["PGASSAY_LISTEN"].rsplit_once(':').unwrap();
    assert_eq!(image.last("EXPOSE"), port);
    assert!(
        image
            .last("HEALTHCHECK")
            .contains(&format!("/dev/tcp/127.0.0.1/{port} "))
    );
    for published in strings(&web["ports"]) {
        assert!(published.starts_with("127.0.0.1:"), "{published} is open to others");
        assert!(published.ends_with(&format!(":{port}")), "{published}");
    }

    let given = environment(store);
    assert_eq!(
        env["DATABASE_URL"],
        format!(
            "postgres://{}:{}@postgres/{}",
            given["POSTGRES_USER"], given["POSTGRES_PASSWORD"], given["POSTGRES_DB"]
        )
    );
    let condition = web["depends_on"]["postgres"]["condition"].as_str();
    assert_eq!(condition, Some("service_healthy"));
    assert_eq!(strings(&store["healthcheck"]["test"])[..2], ["CMD", "pg_isready"]);
}

#[test]
fn compose_gives_workers_the_store_and_the_key_of_the_one_with_pages() {
    let (compose, image) = (compose(), image());
    let (web, worker) = (&compose["services"]["web"], &compose["services"]["worker"]);
    assert_eq!(strings(&worker["command"]), ["worker"]);
    assert_eq!(worker["deploy"]["replicas"].as_i64(), Some(0), "only on request");
    assert!(
        worker["ports"].is_badvalue() && worker["container_name"].is_badvalue(),
        "there may be many"
    );
    let (of_web, of_worker) = (environment(web), environment(worker));
    for name in ["DATABASE_URL", "PGASSAY_KEY_FILE", "PGASSAY_SECRETS_DIR"] {
        assert_eq!(of_web[name], of_worker[name], "{name}");
    }
    let shared = "shared:/var/lib/pgassay-shared";
    assert!(strings(&web["volumes"]).contains(&shared));
    assert_eq!(strings(&worker["volumes"]), [format!("{shared}:ro")]);
    assert!(of_worker["PGASSAY_KEY_FILE"].starts_with("/var/lib/pgassay-shared/"));
    // An empty volume takes over owner and rights of the directory that is in the image.
    let makes = image.all("RUN");
    let makes = makes
        .iter()
        .find(|command| command.contains("--owner=pgassay"))
        .unwrap();
    assert!(makes.contains(" /var/lib/pgassay-shared "), "{makes}");
}

/// The parts of the secret that a pod is given.
fn keys_mounted(pod: &Yaml) -> Vec<&str> {
    let volumes = pod["volumes"].as_vec().unwrap().iter();
    let items = volumes
        .filter_map(|volume| volume["secret"]["items"].as_vec())
        .flatten();
    items.map(|item| item["path"].as_str().unwrap()).collect()
}

#[test]
fn kubernetes_runs_what_the_image_has_as_nobody_of_importance() {
    let documents = YamlLoader::load_from_str(&read("deploy/kubernetes.yaml")).unwrap();
    let image = image();
    let deployments = documents
        .iter()
        .filter(|document| document["kind"].as_str() == Some("Deployment"));
    let mut started = Vec::new();
    for deployment in deployments {
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
        let pod = &deployment["spec"]["template"]["spec"];
        let user = pod["securityContext"]["runAsUser"].as_i64().unwrap();
        assert_eq!(image.last("USER"), format!("{user}:{user}"));
        assert_eq!(pod["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
        let container = &pod["containers"][0];
        let args = strings(&container["args"]);
        assert!(
            support::pgassay(&args).arg("--help").output().unwrap().status.success(),
            "{args:?}"
        );
        assert!(container["resources"]["requests"]["memory"].as_str().is_some());
        let mounted: Vec<&str> = container["volumeMounts"]
            .as_vec()
            .unwrap()
            .iter()
            .map(|mount| mount["mountPath"].as_str().unwrap())
            .collect();
        assert!(
            mounted.contains(&image.env()["PGASSAY_DATA_DIR"].as_str()),
            "{mounted:?}"
        );
        for variable in container["env"].as_vec().unwrap() {
            let (name, value) = (variable["name"].as_str().unwrap(), variable["value"].as_str());
            match (name, value) {
                ("DATABASE_URL", None) => {
                    assert_eq!(
                        variable["valueFrom"]["secretKeyRef"]["key"].as_str(),
                        Some("DATABASE_URL")
                    );
                }
                ("PGASSAY_KEY_FILE", Some("/etc/pgassay/key")) => assert!(mounted.contains(&"/etc/pgassay")),
                ("PGASSAY_SECRETS_DIR", Some(dir)) => assert!(mounted.contains(&dir)),
                ("PGASSAY_LISTEN", Some(listen)) => assert_eq!(listen, image.env()["PGASSAY_LISTEN"]),
                ("PGASSAY_ACCESS", Some(access)) => assert_eq!(access, "required", "others reach a service"),
                ("PGASSAY_ADMIN_NAME", Some(_)) => {}
                ("PGASSAY_ADMIN_PASSWORD_FILE", Some(file)) => {
                    assert!(keys_mounted(pod).contains(&file.strip_prefix("/etc/pgassay/").unwrap()));
                }
                other => panic!("{other:?}"),
            }
        }
        let is_web = args == ["serve"];
        assert_eq!(
            keys_mounted(pod).contains(&"admin-password"),
            is_web,
            "nobody else needs it"
        );
        let asked = |probe: &str| container[probe]["httpGet"]["path"].as_str();
        let probes = ["startupProbe", "livenessProbe", "readinessProbe"].map(asked);
        let expected = ["/healthz", "/healthz", "/readyz"].map(|path| is_web.then_some(path));
        assert_eq!(probes, expected);
        started.push(args.join(" "));
    }
    assert_eq!(started, ["serve", "worker"]);
}

/// The command of the image with an environment of its own, on places of this machine.
fn started(env: &BTreeMap<String, String>) -> Command {
    let image = image();
    let mut words: Vec<String> = serde_json::from_str(image.last("ENTRYPOINT")).unwrap();
    words.extend(serde_json::from_str::<Vec<String>>(image.last("CMD")).unwrap());
    assert_eq!(words.remove(0), "pgassay");
    let args: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = support::pgassay(&args);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(env);
    command
}

fn image_port() -> (String, String) {
    let env = image().env();
    let (address, port) = env["PGASSAY_LISTEN"].rsplit_once(':').unwrap();
    (address.to_owned(), port.to_owned())
}

/// What the image says, with the places of this machine, and any free port: it may have a pgassay of its own.
fn env_at(dir: &Path) -> BTreeMap<String, String> {
    let mut env = image().env();
    let samples = repository("samples");
    for (name, value) in [
        ("PGASSAY_DATA_DIR", dir.to_str().unwrap()),
        ("PGASSAY_SAMPLES_DIR", samples.to_str().unwrap()),
        ("PGASSAY_LISTEN", &format!("{}:0", image_port().0)),
    ] {
        assert!(env.insert(name.to_owned(), value.to_owned()).is_some(), "{name}");
    }
    env
}

fn free_port(server: &Server) -> String {
    server.url.rsplit_once(':').unwrap().1.to_owned()
}

/// Where a page leads that nobody has signed in for, asked for under one of the names of this pgassay.
async fn led_to(server: &Server, host: &str) -> (StatusCode, Option<String>) {
    let client = crate::server::client();
    let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("http://127.0.0.1:{}/results", free_port(server));
    let answer = client.get(url).header(header::HOST, host).send().await.unwrap();
    let location = answer.headers().get(header::LOCATION);
    (answer.status(), location.map(|at| at.to_str().unwrap().to_owned()))
}

#[tokio::test]
async fn the_image_alone_lets_nobody_in_and_says_where_the_first_admin_is_made() {
    let dir = data_dir();
    let server = Server::run(started(&env_at(dir.path())));
    let token = server.setup_token.as_deref().expect("a token was printed");
    assert!(token.len() > 40, "{token}");
    let (status, location) = led_to(&server, "localhost").await;
    assert_eq!(
        (status, location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/login?next=%2Fresults"))
    );
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn on_a_network_compose_keeps_the_port_behind_the_proxy_that_is_believed_and_makes_the_admin() {
    let (network, mut merged) = (yaml("deploy/network.yaml"), environment(&compose()["services"]["web"]));
    let (web, caddy) = (&network["services"]["web"], &network["services"]["caddy"]);
    merged.extend(environment(web));
    assert_eq!(merged["PGASSAY_ACCESS"], "required");
    assert!(web["ports"].is_badvalue(), "others come by Caddy alone");
    let address = caddy["networks"]["front"]["ipv4_address"].as_str().unwrap();
    assert_eq!(merged["PGASSAY_TRUSTED_PROXIES"], address);
    let proxied = with_defaults(caddy["command"].as_str().unwrap());
    let host = merged["PGASSAY_PUBLIC_URL"].strip_prefix("https://").unwrap();
    assert_eq!(
        proxied,
        format!("caddy reverse-proxy --from {host} --to web:{}", image_port().1)
    );
    let secret = strings(&web["secrets"])[0];
    assert_eq!(merged["PGASSAY_ADMIN_PASSWORD_FILE"], format!("/run/secrets/{secret}"));
    assert!(network["secrets"][secret]["file"].as_str().is_some());

    let dir = data_dir();
    let mut env = env_at(dir.path());
    let password = dir.path().join("password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    for (name, value) in merged.iter().filter(|(name, _)| {
        // Its store is that of this machine.
        ![
            "DATABASE_URL",
            "PGASSAY_LISTEN",
            "PGASSAY_SAMPLE",
            "PGASSAY_KEY_FILE",
            "PGASSAY_SECRETS_DIR",
        ]
        .contains(&name.as_str())
    }) {
        env.insert(name.clone(), value.clone());
    }
    env.insert(
        "PGASSAY_ADMIN_PASSWORD_FILE".to_owned(),
        password.to_str().unwrap().to_owned(),
    );
    let server = Server::run(started(&env));
    assert_eq!(server.setup_token, None, "there is an admin");
    let (status, location) = led_to(&server, host).await;
    assert_eq!(
        (status, location.as_deref()),
        (StatusCode::SEE_OTHER, Some("/login?next=%2Fresults"))
    );
    let form = [("name", &*merged["PGASSAY_ADMIN_NAME"]), ("password", PASSWORD)];
    let client = crate::server::client();
    let client = client.redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let entered = client
        .post(format!("http://127.0.0.1:{}/login", free_port(&server)))
        .header(header::HOST, host)
        .form(&form);
    let entered = entered.send().await.unwrap();
    assert_eq!(entered.status(), StatusCode::SEE_OTHER);
    let cookie = entered.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.starts_with("__Host-session=") && cookie.contains("; Secure"),
        "{cookie}"
    );
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_image_starts_with_compose_and_its_health_check_tells() {
    let dir = data_dir();
    let mut env = env_at(dir.path());
    let compose = compose();
    let cluster = Cluster::with_passwords();
    let given = environment(&compose["services"]["postgres"]);
    let (user, password) = (&given["POSTGRES_USER"], &given["POSTGRES_PASSWORD"]);
    cluster.ask(&format!("create role {user} superuser login password '{password}'"));
    cluster.ask(&format!("create database {} owner {user}", given["POSTGRES_DB"]));
    let listen = env["PGASSAY_LISTEN"].clone();
    env.extend(environment(&compose["services"]["web"]));
    env.insert("PGASSAY_LISTEN".to_owned(), listen);
    for (name, file) in [("PGASSAY_KEY_FILE", "key"), ("PGASSAY_SECRETS_DIR", "secrets")] {
        let place = dir.path().join(file).to_str().unwrap().to_owned();
        assert!(env.insert(name.to_owned(), place).is_some());
    }
    env.insert(
        "DATABASE_URL".to_owned(),
        cluster.url_of(user, password, &given["POSTGRES_DB"]),
    );
    let (_, port) = image_port();
    let server = Server::run(started(&env));
    assert_eq!(
        server.setup_token, None,
        "nobody signs in where only this machine comes in"
    );

    let free_port = free_port(&server);
    let check = image()
        .last("HEALTHCHECK")
        .split_once(" CMD ")
        .unwrap()
        .1
        .replace(&port, &free_port);
    let words: Vec<String> = serde_json::from_str(&check).unwrap();
    let is_healthy = || {
        let mut check = Command::new(&words[0]);
        check.args(&words[1..]).stderr(Stdio::null());
        check.status().unwrap().success()
    };
    assert!(is_healthy(), "{check}");
    assert_eq!(server.stop(), Some(0));
    assert!(!is_healthy(), "{check}");
}
