-- 10,000 settled experiments with 1,000,000 trials, as they would stand in the store. One transaction.
with w as (insert into workloads (owner_id, request_id, name, file_name, script, sha256) values (1,'bench','bench','q.sql','select 1','0') returning id),
j as (insert into jobs (owner_id, kind, status, home, started_at, finished_at) select 1,'experiment','completed','bench',clock_timestamp(),clock_timestamp() from generate_series(1,10000) returning id)
insert into experiments (owner_id, request_id, job_id, workload_id, dataset_name, dataset_sha256, workload_name, workload_sha256, spec, n_trials, headline)
select 1, 'bench' || j.id, j.id, w.id, 'shop ' || j.id % 50, '0', 'queries ' || j.id % 20, '0',
 jsonb_build_object('dataset_id',1,'workload_id',w.id,'query_positions',jsonb_build_array(0,1,2,3,4),'sources',jsonb_build_array(jsonb_build_object('name','none','params','{}'::jsonb,'label','none'),jsonb_build_object('name','built_in','params','{}'::jsonb,'label','built_in')),'iterations',50,'warm_up',0,'seed',j.id,'clock','server','timeout_ms',60000,'order','randomized','settings','[]'::jsonb), 50, 'No detectable difference from none in 5 comparisons.'
from j, w;
with e as (select id, n_trials, row_number() over (order by id) k from experiments where request_id like 'bench%'),
 size as (select id, case k when 1 then 100000 when 2 then 10000 when 3 then 100 else 89 end n from e)
insert into trials (experiment_id, trial_idx, kind, round, source_idx, query_idx, segment_no, epoch, outcome, execution_ms, planning_ms, cost)
select id, i, 'measured', i + 1, 0, 0, 1, 1, 'finished', 5 + (i::bigint * 7919 % 1000) / 500.0, 0.2, 100 from size, generate_series(0, n - 1) i;
insert into summaries (experiment_id, source_idx, query_idx, n, n_finished, n_timed_out, n_failed, mean_ms, stddev_ms, median_ms,
                       min_ms, p95_ms, planning_ms, cost, plan_letter)
select experiment_id, 0, 0, count(*), count(*), 0, 0, avg(execution_ms), 0.5, avg(execution_ms), min(execution_ms),
       max(execution_ms), 0.2, 100, 'A'
from trials group by experiment_id;
insert into experiment_queries select id, 0, 'q', 1, 'select 1', 'reads' from experiments where request_id like 'bench%';
update jobs j set n_recorded = s.n from experiments e join summaries s on s.experiment_id = e.id where e.job_id = j.id;
update experiments e set n_trials = s.n from summaries s where s.experiment_id = e.id;
