//! The restricted role that owns a dataset's tables, and what it may do. The recipe is `reliability.md`, section 3.

use rand::TryRng as _;

use crate::model::ids::DatasetId;
use crate::sql::ident;
use crate::target::session::Admin;
use crate::target::session::RoleLogin;

/// Every dataset's role belongs to it; `pg_hba.conf` names it.
const GROUP: &str = "ws";
/// Spill files of one session.
const TEMP_FILE_LIMIT: &str = "2GB";
const CONNECTION_LIMIT: u32 = 40;

/// The name of a dataset's role.
pub fn role_name(dataset_id: DatasetId) -> String {
    format!("w_{dataset_id}")
}

/// Makes the role if it is not there, takes back whatever it did to itself, and gives it a new password.
pub async fn renew(admin: &mut Admin, dataset_id: DatasetId) -> anyhow::Result<RoleLogin> {
    let name = role_name(dataset_id);
    let role = ident::quote(&name);
    admin
        .run(format!(
            "do $do$ begin
               if not exists (select from pg_catalog.pg_roles where rolname = '{GROUP}') then
                 create role {GROUP} nologin;
                 revoke all on database postgres, template1 from public;
               end if;
               if not exists (select from pg_catalog.pg_roles where rolname = {literal}) then
                 create role {role} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls noinherit
                   connection limit {CONNECTION_LIMIT} in role {GROUP};
               end if;
             end $do$",
            literal = ident::literal(&name),
        ))
        .await?;
    let login = RoleLogin {
        name,
        password: random_password()?,
    };
    admin.run(as_it_was(&login)).await?;
    Ok(login)
}

/// Takes back whatever the role did to itself since, also by dropping what it owns: its password, its settings, its
/// rights on `database`. No role can be kept from that, and the next session must not find it.
pub async fn readmit(admin: &mut Admin, login: &RoleLogin, database: &str) -> anyhow::Result<()> {
    admin
        .run(format!("{}; {}", as_it_was(login), grants_to(database, &login.name)))
        .await
}

fn as_it_was(login: &RoleLogin) -> String {
    format!(
        "alter role {role} reset all;
         alter role {role} password {secret};
         alter role {role} set temp_file_limit = '{TEMP_FILE_LIMIT}';
         alter role {role} set log_min_messages = 'fatal'",
        role = ident::quote(&login.name),
        secret = ident::literal(&login.password),
    )
}

/// What the role may do in a database of its own: connect, create, use temporary tables, but not own it.
pub fn grants(database: &str, dataset_id: DatasetId) -> String {
    grants_to(database, &role_name(dataset_id))
}

fn grants_to(database: &str, role: &str) -> String {
    let (database, role) = (ident::quote(database), ident::quote(role));
    format!(
        "revoke all on database {database} from public;
         grant connect, create, temporary on database {database} to {role};"
    )
}

/// What a fresh database needs before a dump is restored into it, run inside it.
pub fn schema_grants(dataset_id: DatasetId) -> String {
    let role = ident::quote(&role_name(dataset_id));
    format!(
        "alter schema public owner to {role};
         grant usage, create on schema public to {role};
         revoke execute on function pg_catalog.pg_logical_emit_message(boolean, text, text),
           pg_catalog.pg_logical_emit_message(boolean, text, bytea), pg_catalog.pg_notify(text, text),
           pg_catalog.xpath(text, xml), pg_catalog.xpath(text, xml, text[]),
           pg_catalog.xpath_exists(text, xml), pg_catalog.xpath_exists(text, xml, text[]),
           pg_catalog.xmlexists(text, xml), pg_catalog.pg_cancel_backend(integer),
           pg_catalog.pg_terminate_backend(integer, bigint) from public;"
    )
}

fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes)?;
    Ok(hex::encode(bytes))
}
