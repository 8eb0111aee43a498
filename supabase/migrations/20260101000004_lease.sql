-- The run that holds a job. Of two runs of one job the later takes it over, and the earlier stops.
alter table public.embedding_jobs add column if not exists lease_holder text;
