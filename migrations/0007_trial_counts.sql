-- The trials stored under a job, counted by the statement that stores them: pages that counted rows anew took 65 ms over an
-- experiment of 100,000 trials.
alter table jobs add column n_recorded bigint not null default 0;
update jobs j set n_recorded = counted.n
from (select e.job_id, count(*) as n from experiments e join trials t on t.experiment_id = e.id group by e.job_id) counted
where counted.job_id = j.id;
