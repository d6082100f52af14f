-- Words by which a person finds things again: 1 to 32 characters, in lower case as far as that can be told in any locale, each
-- once. What else they may hold is decided where they are read.
create function are_tags(tags text[]) returns boolean immutable language sql as $$
    select cardinality(tags) <= 8
       and not exists (select from unnest(tags) tag
                       where tag is null or char_length(tag) not between 1 and 32 or tag collate "C" ~ '[[:space:],A-Z]')
       and (select count(distinct tag) = count(*) from unnest(tags) tag)
$$;

alter table experiments
    add column tags text[] not null default '{}' check (are_tags(tags)),
    add column memo text not null default '' check (char_length(memo) <= 2000);
alter table instruments
    add column tags text[] not null default '{}' check (are_tags(tags)),
    add column memo text not null default '' check (char_length(memo) <= 2000);
alter table datasets
    add column tags text[] not null default '{}' check (are_tags(tags)),
    add column memo text not null default '' check (char_length(memo) <= 2000);
alter table workloads
    add column tags text[] not null default '{}' check (are_tags(tags)),
    add column memo text not null default '' check (char_length(memo) <= 2000);
