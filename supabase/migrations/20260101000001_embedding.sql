-- Extraction jobs, the collections they fill, and the images that failed.

create temporary table tables_before as
  select c.relname::text as name
  from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p');

create table if not exists public.embedding_jobs (
  id uuid primary key default gen_random_uuid(),
  job_type text not null default 'full' check (job_type in ('full', 'incremental')),
  source text not null default 'both' check (source in ('cutouts', 'products', 'both')),
  embedding_model_id uuid references public.embedding_models (id) on delete set null,
  status text not null default 'pending'
    check (status in ('pending', 'queued', 'running', 'completed', 'failed', 'cancelled')),
  total_images integer not null default 0,
  processed_images integer not null default 0,
  runpod_job_id text,
  error_message text,
  purpose text,
  image_types text[],
  source_config jsonb,
  extraction_config jsonb,
  collection_names text[],
  created_at timestamptz not null default now(),
  started_at timestamptz,
  completed_at timestamptz
);
alter table public.embedding_jobs add column if not exists runpod_job_id text;
alter table public.embedding_jobs add column if not exists error_message text;
alter table public.embedding_jobs add column if not exists purpose text;
alter table public.embedding_jobs add column if not exists image_types text[];
alter table public.embedding_jobs add column if not exists source_config jsonb;
alter table public.embedding_jobs add column if not exists extraction_config jsonb;
alter table public.embedding_jobs add column if not exists collection_names text[];
alter table public.embedding_jobs add column if not exists started_at timestamptz;
alter table public.embedding_jobs add column if not exists completed_at timestamptz;

create table if not exists public.embedding_collections (
  id uuid primary key default gen_random_uuid(),
  name text unique not null,
  collection_type text not null,
  source_type text,
  source_dataset_id uuid references public.datasets (id) on delete set null,
  embedding_model_id uuid references public.embedding_models (id) on delete set null,
  image_types text[],
  frame_selection text,
  product_collection text,
  cutout_collection text,
  vector_count integer not null default 0,
  created_at timestamptz not null default now(),
  last_sync_at timestamptz,
  updated_at timestamptz not null default now()
);
alter table public.embedding_collections add column if not exists image_types text[];
alter table public.embedding_collections add column if not exists frame_selection text;
alter table public.embedding_collections add column if not exists product_collection text;
alter table public.embedding_collections add column if not exists cutout_collection text;
alter table public.embedding_collections add column if not exists last_sync_at timestamptz;

-- Checks that are narrower than what jobs say, under whatever name, give way to wider ones. `not valid`: rows that
-- are there already are not looked at again.
do $$
declare
  narrow record;
begin
  for narrow in
    select c.conname, c.conrelid::regclass as on_table
    from pg_constraint c
    join pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
    where c.contype = 'c' and (
      (c.conrelid = 'public.embedding_jobs'::regclass and a.attname in ('purpose', 'status'))
      or (c.conrelid = 'public.embedding_collections'::regclass and a.attname in ('collection_type', 'source_type'))
    )
  loop
    execute format('alter table %s drop constraint %I', narrow.on_table, narrow.conname);
  end loop;
end $$;

alter table public.embedding_jobs add constraint embedding_jobs_purpose_check
  check (purpose in ('matching', 'training', 'evaluation', 'production')) not valid;
alter table public.embedding_jobs add constraint embedding_jobs_status_check
  check (status in ('pending', 'queued', 'running', 'completed', 'failed', 'cancelled')) not valid;
alter table public.embedding_collections add constraint embedding_collections_collection_type_check
  check (collection_type in ('products', 'cutouts', 'matching', 'training', 'evaluation', 'production')) not valid;
alter table public.embedding_collections add constraint embedding_collections_source_type_check
  check (source_type in ('all', 'selected', 'dataset', 'matched', 'filter', 'new')) not valid;

-- What failed and why: the list from which only that can be run again.
create table if not exists public.embedding_job_failures (
  id bigint generated always as identity primary key,
  job_id uuid not null references public.embedding_jobs (id) on delete cascade,
  collection text not null,
  image_id text not null,
  image_type text,
  url text not null default '',
  code text not null,
  message text,
  retryable boolean not null default false,
  created_at timestamptz not null default now(),
  unique (job_id, collection, image_id, url)
);

create index if not exists embedding_job_failures_by_code on public.embedding_job_failures (job_id, code);
create index if not exists embedding_jobs_by_status on public.embedding_jobs (status, created_at);

-- Marks a chunk of cutouts in one request, each with its own point: the nth cutout gets the nth point.
-- Returns how many rows there were to mark. Running it twice changes nothing.
create or replace function public.mark_cutouts_embedded(cutout_ids uuid[], point_ids uuid[], model_id uuid)
returns integer
language plpgsql
security invoker
set search_path = ''
as $$
declare
  marked integer;
begin
  if cardinality(cutout_ids) is distinct from cardinality(point_ids) then
    raise exception 'cutout_ids and point_ids must be equally long'
      using errcode = '22023';
  end if;
  update public.cutout_images as cutout
  set has_embedding = true, qdrant_point_id = point.point_id, embedding_model_id = model_id
  from unnest(cutout_ids, point_ids) as point (cutout_id, point_id)
  where cutout.id = point.cutout_id;
  get diagnostics marked = row_count;
  return marked;
end $$;

revoke all on function public.mark_cutouts_embedded(uuid[], uuid[], uuid) from public;

do $$
declare
  table_name text;
  role_name text;
begin
  for role_name in select rolname from pg_roles where rolname in ('anon', 'authenticated') loop
    execute format('revoke all on function public.mark_cutouts_embedded(uuid[], uuid[], uuid) from %I', role_name);
  end loop;
  if exists (select from pg_roles where rolname = 'service_role') then
    grant execute on function public.mark_cutouts_embedded(uuid[], uuid[], uuid) to service_role;
  end if;
  foreach table_name in array array['embedding_jobs', 'embedding_collections', 'embedding_job_failures'] loop
    if table_name not in (select name from tables_before) then
      execute format('alter table public.%I enable row level security', table_name);
    end if;
    if exists (select from pg_roles where rolname = 'service_role') then
      execute format('grant select, insert, update, delete on public.%I to service_role', table_name);
    end if;
  end loop;
end $$;

drop table tables_before;
