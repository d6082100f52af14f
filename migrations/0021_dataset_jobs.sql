-- Jobs that work on a dataset, beside the one that restores it.
create view dataset_jobs as
select dataset_id, job_id from experiments where dataset_id is not null
union all select dataset_id, job_id from instruments
union all select dataset_id, job_id from benchmarks where dataset_id is not null
union all select dataset_id, job_id from workload_checks;
