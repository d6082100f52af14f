-- A page that is live asks every second for the newest seconds, of which there may be thousands.
create index benchmark_seconds_by_time on benchmark_seconds (benchmark_id, started_at);
