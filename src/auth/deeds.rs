//! What a request does that changes something, in words: one table for all addresses. Whatever changes something stands in
//! it, and what changes nothing although its method says so, too.

/// What a method does at an address, by the pattern of that. None of what changes nothing.
pub type Line = (&'static str, &'static str, Option<&'static str>);

/// Every address at which something is done that is no mere looking.
pub const TABLE: &[Line] = &[
    ("POST", "/login", Some("signs in")),
    ("POST", "/logout", Some("signs out")),
    ("POST", "/setup", Some("makes the first admin")),
    (
        "POST",
        "/register",
        Some("makes an account, or sets a password by a link"),
    ),
    ("POST", "/account/password", Some("changes their own password")),
    // A browser keeps that itself.
    ("POST", "/account/preferences", None),
    ("POST", "/account/sign-out", Some("ends their own sessions")),
    (
        "POST",
        "/account/sessions/{id}/end",
        Some("ends a session of their own"),
    ),
    ("POST", "/account/tokens", Some("makes an API token")),
    ("POST", "/account/tokens/{id}/revoke", Some("revokes an API token")),
    ("POST", "/api/auth/register", Some("makes an account")),
    ("POST", "/api/auth/token", Some("makes an API token")),
    ("POST", "/results/{id}/sharing", Some("changes who sees an experiment")),
    (
        "POST",
        "/results/{id}/sharing/links",
        Some("makes a link that shows an experiment"),
    ),
    (
        "POST",
        "/results/{id}/sharing/links/{link}/delete",
        Some("takes a link back that shows an experiment"),
    ),
    (
        "POST",
        "/instruments/{id}/sharing",
        Some("changes who sees a run of an instrument"),
    ),
    (
        "POST",
        "/instruments/{id}/sharing/links",
        Some("makes a link that shows a run of an instrument"),
    ),
    (
        "POST",
        "/instruments/{id}/sharing/links/{link}/delete",
        Some("takes a link back that shows a run of an instrument"),
    ),
    ("POST", "/benchmarks/{id}/sharing", Some("changes who sees a benchmark")),
    (
        "POST",
        "/benchmarks/{id}/sharing/links",
        Some("makes a link that shows a benchmark"),
    ),
    (
        "POST",
        "/benchmarks/{id}/sharing/links/{link}/delete",
        Some("takes a link back that shows a benchmark"),
    ),
    ("POST", "/datasets/{id}/sharing", Some("changes who sees a dataset")),
    (
        "POST",
        "/datasets/{id}/sharing/links",
        Some("makes a link that shows a dataset"),
    ),
    (
        "POST",
        "/datasets/{id}/sharing/links/{link}/delete",
        Some("takes a link back that shows a dataset"),
    ),
    ("POST", "/workloads/{id}/sharing", Some("changes who sees a workload")),
    (
        "POST",
        "/workloads/{id}/sharing/links",
        Some("makes a link that shows a workload"),
    ),
    (
        "POST",
        "/workloads/{id}/sharing/links/{link}/delete",
        Some("takes a link back that shows a workload"),
    ),
    ("POST", "/upload/dump", Some("uploads a dump")),
    ("POST", "/upload/queries", Some("uploads queries")),
    ("POST", "/upload/sample", Some("loads the sample")),
    ("POST", "/datasets/{id}/stop", Some("stops a restore")),
    ("POST", "/datasets/{id}/restore", Some("restores a dataset again")),
    ("POST", "/datasets/{id}/delete", Some("deletes a dataset")),
    ("POST", "/datasets/{id}/filing", Some("files a dataset")),
    ("POST", "/datasets/{id}/statistics", Some("uploads a statistics file")),
    ("POST", "/statistics/{id}/delete", Some("deletes a statistics file")),
    (
        "POST",
        "/workloads/{id}/check",
        Some("checks a workload against a dataset"),
    ),
    ("POST", "/workloads/{id}/delete", Some("deletes a workload")),
    ("POST", "/workloads/{id}/filing", Some("files a workload")),
    ("POST", "/experiment", Some("launches an experiment")),
    ("POST", "/experiment/check", None),
    ("POST", "/experiment/sources", None),
    ("POST", "/results/{id}/stop", Some("stops an experiment")),
    ("POST", "/results/{id}/rerun", Some("launches an experiment again")),
    ("POST", "/results/{id}/filing", Some("files an experiment")),
    ("POST", "/instruments", Some("launches an instrument")),
    ("POST", "/instruments/{id}/stop", Some("stops an instrument")),
    ("POST", "/instruments/{id}/filing", Some("files a run of an instrument")),
    ("POST", "/benchmarks", Some("launches a benchmark")),
    ("POST", "/benchmarks/check", None),
    ("POST", "/benchmarks/program", None),
    ("POST", "/benchmarks/{id}/stop", Some("stops a benchmark")),
    ("POST", "/benchmarks/{id}/delete", Some("deletes a benchmark")),
    ("POST", "/benchmarks/{id}/filing", Some("files a benchmark")),
    ("POST", "/servers", Some("registers a server")),
    ("POST", "/servers/{id}", Some("changes a registered server")),
    ("POST", "/servers/{id}/test", Some("tests a registered server")),
    ("POST", "/servers/{id}/delete", Some("forgets a registered server")),
    (
        "POST",
        "/admin/accounts/{id}/role",
        Some("changes the role of an account"),
    ),
    ("POST", "/admin/accounts/{id}/shut-out", Some("shuts an account out")),
    ("POST", "/admin/accounts/{id}/let-in", Some("lets an account in again")),
    (
        "POST",
        "/admin/accounts/{id}/password",
        Some("makes a link for a new password"),
    ),
    (
        "POST",
        "/admin/accounts/{id}/quotas",
        Some("changes the quotas of an account"),
    ),
    ("POST", "/admin/invitations", Some("makes an invitation")),
    (
        "POST",
        "/admin/invitations/{id}/delete",
        Some("takes an invitation back"),
    ),
    (
        "POST",
        "/admin/settings/registration",
        Some("changes who may make an account"),
    ),
    ("POST", "/admin/settings/quotas", Some("changes the quotas of all")),
    ("POST", "/api/datasets", Some("uploads a dump")),
    ("DELETE", "/api/datasets/{id}", Some("deletes a dataset")),
    ("POST", "/api/datasets/{id}/restore", Some("restores a dataset again")),
    ("POST", "/api/datasets/{id}/stop", Some("stops a restore")),
    ("PUT", "/api/datasets/uploads/{key}", Some("uploads a part of a dump")),
    ("DELETE", "/api/datasets/uploads/{key}", Some("gives an upload up")),
    ("POST", "/api/workloads", Some("uploads queries")),
    ("DELETE", "/api/workloads/{id}", Some("deletes a workload")),
    (
        "POST",
        "/api/workloads/{id}/checks",
        Some("checks a workload against a dataset"),
    ),
    ("POST", "/api/experiments", Some("launches an experiment")),
    ("POST", "/api/experiments/check", None),
    ("POST", "/api/experiments/{id}/cancel", Some("stops an experiment")),
    (
        "POST",
        "/api/experiments/{id}/rerun",
        Some("launches an experiment again"),
    ),
    ("POST", "/api/benchmarks/start", Some("launches a benchmark")),
    ("POST", "/api/benchmarks/configure", None),
];

/// The deed that a method is at an address, by the pattern of that, if the audit log is to have one.
pub fn deed(method: &str, pattern: &str) -> Option<&'static str> {
    line(method, pattern)?.2
}

/// Whether the table says what a method does at an address, be it nothing.
#[cfg(test)]
pub fn is_known(method: &str, pattern: &str) -> bool {
    line(method, pattern).is_some()
}

fn line(method: &str, pattern: &str) -> Option<&'static Line> {
    TABLE.iter().find(|line| (line.0, line.1) == (method, pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_has_words_and_what_looks_has_none() {
        assert_eq!(deed("POST", "/datasets/{id}/delete"), Some("deletes a dataset"));
        assert_eq!(deed("GET", "/datasets/{id}/delete"), None);
        assert_eq!(deed("POST", "/experiment/check"), None);
        assert!(is_known("POST", "/experiment/check"));
        assert!(!is_known("POST", "/nowhere"));
    }

    #[test]
    fn nothing_stands_in_the_table_twice() {
        for (idx, line) in TABLE.iter().enumerate() {
            assert!(
                TABLE[..idx].iter().all(|other| (other.0, other.1) != (line.0, line.1)),
                "{line:?}"
            );
        }
    }
}
