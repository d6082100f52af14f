//! Who may come in, how often, and how much of the house is theirs: tokens, passwords, the address of a client, limits and
//! quotas. Knows neither pages nor requests.

pub mod access;
pub mod accounts;
pub mod address;
pub mod administration;
pub mod api_tokens;
mod common;
pub mod deeds;
pub mod limit;
pub mod password;
pub mod quota;
pub mod sharing;
pub mod token;
