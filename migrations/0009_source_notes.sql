-- What preparing a source did beside gathering, for people, and the statistics objects that it needs in every clone.
alter table experiment_sources
    add column notes jsonb not null default '[]',
    add column objects jsonb not null default '[]';

-- Of a draw that was not timed: the earlier draw with the same plan, whose times stand for it.
alter table summaries add column same_plan_as integer;
