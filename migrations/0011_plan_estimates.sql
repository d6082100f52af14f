-- How far each node's estimate was from the truth, for the nodes where that can be said: reading it out of the plans
-- again for every page would take seconds.
alter table plans add column estimates jsonb not null default '[]';
