-- Programs ask for such tokens by themselves, again and again; the bound is for those that somebody has made.
alter table api_tokens add column is_by_password boolean not null default false;
