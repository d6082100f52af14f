-- What a source changed in a clone of its own beside statistics; null for a source without one.
alter table experiment_sources add column alteration jsonb;
