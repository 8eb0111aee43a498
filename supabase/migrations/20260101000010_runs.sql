-- Which endpoint a job was submitted to, so that only its own jobs are looked after, and what came of the job: the
-- output of the worker, kept for numbers and for whoever asks after RunPod has forgotten it.
alter table public.embedding_jobs add column if not exists runpod_endpoint_id text;
alter table public.embedding_jobs add column if not exists result jsonb;
alter table public.cls_training_runs add column if not exists runpod_endpoint_id text;
alter table public.cls_training_runs add column if not exists result jsonb;

-- Lists are read from the newest on; the reconciler looks at what has not ended, and at what ended without a result.
create index if not exists embedding_jobs_newest on public.embedding_jobs (created_at desc, id desc);
create index if not exists cls_training_runs_newest on public.cls_training_runs (created_at desc, id desc);
create index if not exists cls_training_runs_by_status on public.cls_training_runs (status, created_at);
