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

/// Functions that no dataset may call: they write to the log or to every session's queue, or crash on some input. By
/// name, because their parameters differ between versions.
const WITHHELD: &str = "'pg_logical_emit_message', 'pg_notify', 'xpath', 'xpath_exists'";

/// The name of a dataset's role.
pub fn role_name(dataset_id: DatasetId) -> String {
    format!("w_{dataset_id}")
}

/// Makes the role if it is not there, takes back whatever it did to itself, and gives it a new password.
pub async fn renew(admin: &mut Admin, dataset_id: DatasetId) -> anyhow::Result<RoleLogin> {
    let name = role_name(dataset_id);
    let password = random_password()?;
    let role = ident::quote(&name);
    let secret = ident::literal(&password);
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
             end $do$;
             alter role {role} reset all;
             alter role {role} password {secret};
             alter role {role} set temp_file_limit = '{TEMP_FILE_LIMIT}';
             alter role {role} set log_min_messages = 'fatal'",
            literal = ident::literal(&name),
        ))
        .await?;
    Ok(RoleLogin { name, password })
}

/// What the role may do in a database of its own: connect, create, use temporary tables, but not own it.
pub fn grants(database: &str, dataset_id: DatasetId) -> String {
    let database = ident::quote(database);
    let role = ident::quote(&role_name(dataset_id));
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
         do $do$ declare call text; begin
           for call in
             select pg_catalog.format('pg_catalog.%I(%s)', p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid))
             from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
             where n.nspname = 'pg_catalog' and p.proname in ({WITHHELD})
           loop
             execute 'revoke execute on function ' || call || ' from public';
           end loop;
         end $do$"
    )
}

fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes)?;
    Ok(hex::encode(bytes))
}
