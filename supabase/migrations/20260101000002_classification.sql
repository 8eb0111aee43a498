-- Labelled pictures, training runs and their metrics.

create temporary table tables_before as
  select c.relname::text as name
  from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p');

create table if not exists public.cls_datasets (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  task_type text not null default 'single_label' check (task_type in ('single_label', 'multi_label')),
  split_ratios jsonb,
  created_at timestamptz not null default now()
);

create table if not exists public.cls_images (
  id uuid primary key default gen_random_uuid(),
  filename text not null,
  image_url text not null,
  width integer,
  height integer,
  created_at timestamptz not null default now()
);

create table if not exists public.cls_classes (
  id uuid primary key default gen_random_uuid(),
  dataset_id uuid not null references public.cls_datasets (id) on delete cascade,
  name text not null,
  display_name text,
  is_active boolean not null default true,
  created_at timestamptz not null default now(),
  unique (dataset_id, name)
);

create table if not exists public.cls_dataset_images (
  id uuid primary key default gen_random_uuid(),
  dataset_id uuid not null references public.cls_datasets (id) on delete cascade,
  image_id uuid not null references public.cls_images (id) on delete cascade,
  status text not null default 'pending',
  split text check (split in ('train', 'val', 'test', 'unassigned')),
  added_at timestamptz not null default now(),
  unique (dataset_id, image_id)
);

create table if not exists public.cls_labels (
  id uuid primary key default gen_random_uuid(),
  dataset_id uuid not null references public.cls_datasets (id) on delete cascade,
  image_id uuid not null references public.cls_images (id) on delete cascade,
  class_id uuid not null references public.cls_classes (id) on delete cascade,
  created_at timestamptz not null default now(),
  unique (dataset_id, image_id, class_id)
);

create table if not exists public.cls_training_runs (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  dataset_id uuid not null references public.cls_datasets (id) on delete cascade,
  task_type text not null,
  num_classes integer not null,
  model_type text not null
    check (model_type in ('vit', 'convnext', 'efficientnet', 'swin', 'dinov2', 'clip', 'resnet', 'demo')),
  model_size text not null,
  config jsonb not null,
  status text not null default 'pending',
  current_epoch integer not null default 0,
  total_epochs integer not null,
  best_accuracy double precision,
  best_f1 double precision,
  best_top5_accuracy double precision,
  best_epoch integer,
  metrics_history jsonb,
  runpod_job_id text,
  error_message text,
  error_traceback text,
  model_url text,
  onnx_url text,
  created_at timestamptz not null default now(),
  started_at timestamptz,
  completed_at timestamptz
);
alter table public.cls_training_runs add column if not exists best_top5_accuracy double precision;
alter table public.cls_training_runs add column if not exists best_epoch integer;
alter table public.cls_training_runs add column if not exists error_traceback text;
alter table public.cls_training_runs add column if not exists model_url text;
alter table public.cls_training_runs add column if not exists onnx_url text;

create table if not exists public.training_metrics_history (
  id uuid primary key default gen_random_uuid(),
  training_run_id uuid not null,
  training_type text not null,
  epoch integer not null,
  train_loss double precision,
  val_loss double precision,
  val_accuracy double precision,
  val_f1 double precision,
  val_top5_accuracy double precision,
  val_recall_at_1 double precision,
  val_recall_at_5 double precision,
  val_recall_at_10 double precision,
  arcface_loss double precision,
  triplet_loss double precision,
  domain_loss double precision,
  learning_rate double precision,
  epoch_duration_seconds double precision,
  curriculum_phase text,
  map double precision,
  map50 double precision,
  map75 double precision,
  extra_metrics jsonb,
  created_at timestamptz not null default now(),
  unique (training_run_id, training_type, epoch)
);
alter table public.training_metrics_history add column if not exists extra_metrics jsonb;

create index if not exists cls_labels_by_dataset on public.cls_labels (dataset_id, id);
create index if not exists cls_labels_by_image on public.cls_labels (image_id);
create index if not exists cls_dataset_images_by_dataset on public.cls_dataset_images (dataset_id, id);

-- Models that jobs may name: wider where a check, under whatever name, is narrower.
do $$
declare
  narrow record;
begin
  for narrow in
    select c.conname
    from pg_constraint c
    join pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
    where c.contype = 'c' and c.conrelid = 'public.cls_training_runs'::regclass and a.attname in ('model_type', 'status')
  loop
    execute format('alter table public.cls_training_runs drop constraint %I', narrow.conname);
  end loop;
end $$;

alter table public.cls_training_runs add constraint cls_training_runs_model_type_check
  check (model_type in ('vit', 'convnext', 'efficientnet', 'swin', 'dinov2', 'clip', 'resnet', 'demo')) not valid;
alter table public.cls_training_runs add constraint cls_training_runs_status_check
  check (status in ('pending', 'preparing', 'queued', 'training', 'completed', 'failed', 'cancelled')) not valid;

do $$
declare
  table_name text;
begin
  foreach table_name in array array['cls_datasets', 'cls_images', 'cls_classes', 'cls_dataset_images', 'cls_labels',
    'cls_training_runs', 'training_metrics_history']
  loop
    if table_name not in (select name from tables_before) then
      execute format('alter table public.%I enable row level security', table_name);
    end if;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant select, insert, update, delete on public.%I to service_role', table_name);
    end if;
  end loop;
end $$;

drop table tables_before;
