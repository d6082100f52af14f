//! The files for Docker, as far as they can be tried without it: what they name is there, they agree with each other, and
//! the program starts and answers as they have it started and asked. `.ci/docker` checks their form.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::process::Stdio;

use yaml_rust2::Yaml;
use yaml_rust2::YamlLoader;

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

fn compose() -> Yaml {
    YamlLoader::load_from_str(&read("docker-compose.yml"))
        .unwrap()
        .remove(0)
}

/// What a service is given, with the defaults of what a person may set.
fn environment(service: &Yaml) -> BTreeMap<String, String> {
    let entries = service["environment"].as_hash().unwrap().iter();
    let texts = entries.map(|(name, value)| (name.as_str().unwrap(), value.as_str().unwrap()));
    texts
        .map(|(name, value)| (name.to_owned(), with_defaults(value)))
        .collect()
}

/// `${NAME:-default}` as it is while nobody sets it.
fn with_defaults(value: &str) -> String {
    let Some((before, rest)) = value.split_once("${") else {
        return value.to_owned();
    };
    let (variable, after) = rest.split_once('}').unwrap();
    let (_, default) = variable.split_once(":-").unwrap();
    format!("{before}{default}{}", with_defaults(after))
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
                ("PGASSAY_LISTEN", Some(listen)) => assert!(listen.starts_with("127.0.0.1:"), "{listen}"),
                other => panic!("{other:?}"),
            }
        }
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

#[test]
fn the_image_starts_with_compose_its_health_check_tells_and_alone_it_opens_to_nobody() {
    let dir = data_dir();
    let mut env = image().env();
    env.insert("PGASSAY_DATA_DIR".to_owned(), dir.path().to_str().unwrap().to_owned());
    env.insert(
        "PGASSAY_SAMPLES_DIR".to_owned(),
        repository("samples").to_str().unwrap().to_owned(),
    );

    let alone = started(&env).output().unwrap();
    let said = support::stderr(&alone);
    assert_eq!(alone.status.code(), Some(1), "{said}");
    assert!(said.contains("PGASSAY_ACCESS=local"), "{said}");

    let compose = compose();
    let cluster = Cluster::with_passwords();
    let given = environment(&compose["services"]["postgres"]);
    let (user, password) = (&given["POSTGRES_USER"], &given["POSTGRES_PASSWORD"]);
    cluster.ask(&format!("create role {user} superuser login password '{password}'"));
    cluster.ask(&format!("create database {} owner {user}", given["POSTGRES_DB"]));
    env.extend(environment(&compose["services"]["web"]));
    for (name, file) in [("PGASSAY_KEY_FILE", "key"), ("PGASSAY_SECRETS_DIR", "secrets")] {
        let place = dir.path().join(file).to_str().unwrap().to_owned();
        assert!(env.insert(name.to_owned(), place).is_some());
    }
    env.insert(
        "DATABASE_URL".to_owned(),
        cluster.url_of(user, password, &given["POSTGRES_DB"]),
    );
    // Any free one: this machine may have a pgassay of its own.
    let (address, port) = env["PGASSAY_LISTEN"].rsplit_once(':').unwrap();
    let (listen, port) = (format!("{address}:0"), port.to_owned());
    env.insert("PGASSAY_LISTEN".to_owned(), listen);
    let server = Server::run(started(&env));

    let free_port = server.url.rsplit_once(':').unwrap().1.to_owned();
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
