//! The files for compose and Kubernetes agree with the image and with each other.

use std::collections::BTreeMap;

use yaml_rust2::Yaml;
use yaml_rust2::YamlLoader;

use crate::docker::compose;
use crate::docker::environment;
use crate::docker::image;
use crate::docker::read;
use crate::docker::strings;
use crate::server::repository;
use crate::support;

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
