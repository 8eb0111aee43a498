-- The run that holds a training job. Of two runs of one job the later takes it over, and the earlier stops.
alter table public.cls_training_runs add column if not exists lease_holder text;
