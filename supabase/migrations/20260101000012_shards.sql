-- A run that is divided into shards: a row for the whole, and one for each shard, which is a job as any other. What the
-- whole row says (state, images, times) is kept from its shards here, so that it is right whoever else is running.
alter table public.embedding_jobs
  add column if not exists parent_job_id uuid references public.embedding_jobs (id) on delete cascade;
alter table public.embedding_jobs add column if not exists shard_index integer;
-- How many shards a whole has; null for a job that is not divided.
alter table public.embedding_jobs add column if not exists shard_count integer;
alter table public.embedding_jobs add column if not exists shards_summed_at timestamptz;
-- What a shard has done, by collection, once it has done all of it.
alter table public.embedding_jobs add column if not exists shard_filled jsonb;

create unique index if not exists embedding_jobs_by_parent on public.embedding_jobs (parent_job_id, shard_index)
  where parent_job_id is not null;
create index if not exists embedding_jobs_newest_runs on public.embedding_jobs (created_at desc, id desc)
  where parent_job_id is null;

-- The functions behind triggers run with their owner's rights: whoever may write a shard must not have to see them all.

-- The failures of a whole are those of its shards.
alter table public.embedding_job_failures add column if not exists parent_job_id uuid;
create index if not exists embedding_job_failures_by_parent on public.embedding_job_failures (parent_job_id, id)
  where parent_job_id is not null;

create or replace function public.name_parent_of_failure()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  select job.parent_job_id into new.parent_job_id from public.embedding_jobs as job where job.id = new.job_id;
  return new;
end $$;

create or replace trigger name_parent_of_failure before insert on public.embedding_job_failures
  for each row execute function public.name_parent_of_failure();

-- Which shards of a run have images that failed.
create or replace function public.shards_with_failures(whole uuid)
returns jsonb
language sql
stable
security invoker
set search_path = ''
as $$
  select coalesce(jsonb_agg(shard.id order by shard.shard_index), '[]')
  from public.embedding_jobs as shard
  where shard.parent_job_id = whole
    and exists (select from public.embedding_job_failures as failure where failure.job_id = shard.id);
$$;

-- A shard says what it has filled, and learns what all have where it is the last: of several at once exactly one. It may
-- say so again. Null where others have not, or where another run holds the job.
create or replace function public.fill_shard(shard uuid, lease text, filled jsonb)
returns jsonb
language plpgsql
security invoker
set search_path = ''
as $$
declare
  whole uuid;
begin
  update public.embedding_jobs as job set shard_filled = filled
  where job.id = shard and (lease is null or job.lease_holder = lease)
  returning job.parent_job_id into whole;
  -- Behind its own row, as everywhere: of two that come at once the later sees the earlier.
  perform from public.embedding_jobs as job where job.id = whole for no key update;
  return (
    select jsonb_agg(part.shard_filled)
    from public.embedding_jobs as part join public.embedding_jobs as job on job.id = part.parent_job_id
    where job.id = whole
    group by job.id
    having count(part.shard_filled) = job.shard_count
  );
end $$;

-- Writes into a whole's row what its shards say. The row must be locked, so that of two shards that end at once the
-- later sees the earlier.
create or replace function public.sum_shards(whole uuid)
returns void
language plpgsql
security definer
set search_path = ''
as $$
declare
  part record;
  state text;
  reason text;
begin
  select
    count(*) filter (where status = 'completed') as completed,
    count(*) filter (where status = 'failed') as failed,
    count(*) filter (where status = 'cancelled') as cancelled,
    count(*) filter (where status = 'running') as running,
    count(*) filter (where status = 'queued') as queued,
    least(sum(total_images::bigint), 2147483647)::integer as total,
    least(sum(processed_images::bigint), 2147483647)::integer as processed,
    min(started_at) as started_at,
    max(completed_at) as completed_at
  into part
  from public.embedding_jobs where parent_job_id = whole;

  select case
    when job.status = 'cancelled' then 'cancelled'
    when part.completed = job.shard_count then 'completed'
    when part.cancelled = job.shard_count then 'cancelled'
    when part.completed + part.failed + part.cancelled = job.shard_count then 'failed'
    when part.running + part.completed + part.failed + part.cancelled > 0 then 'running'
    when part.queued > 0 then 'queued'
    else 'pending' end
  into state
  from public.embedding_jobs as job where job.id = whole;

  if state = 'failed' then
    select format('%s of %s shards have failed and %s were cancelled; the first, shard %s: %s',
      part.failed, part.completed + part.failed + part.cancelled, part.cancelled, shard_index,
      coalesce(error_message, status))
    into reason
    from public.embedding_jobs
    where parent_job_id = whole and status in ('failed', 'cancelled')
    order by status desc, shard_index limit 1;
  end if;

  update public.embedding_jobs as job
  set status = state,
    total_images = coalesce(part.total, 0),
    processed_images = coalesce(part.processed, 0),
    started_at = coalesce(part.started_at, job.started_at),
    completed_at = case
      when state = 'cancelled' then coalesce(job.completed_at, now())
      when state in ('completed', 'failed') then coalesce(part.completed_at, now()) end,
    error_message = case when state = 'cancelled' then job.error_message else left(reason, 1000) end,
    shards_summed_at = clock_timestamp()
  where job.id = whole;
end $$;

-- Locks: a statement that writes shards has them locked when it comes here, and may wait for their whole. So nothing
-- that holds a whole waits for a shard: shards that are locked when their whole is cancelled are skipped, and cancelled
-- by the next statement that writes them. And mere progress waits for nobody: it is summed once a second, by one of the
-- shards; what a shard writes when its state changes is summed always.
create or replace function public.follow_shards()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
declare
  whole record;
  due boolean;
begin
  if tg_op = 'INSERT' then
    for whole in select distinct parent_job_id as id from after_it where parent_job_id is not null loop
      perform from public.embedding_jobs as job where job.id = whole.id for no key update;
      perform public.sum_shards(whole.id);
    end loop;
    return null;
  end if;

  -- Wholes that were cancelled: their shards are.
  for whole in
    select a.id from after_it as a join before_it as b on b.id = a.id
    where a.shard_count is not null and a.status = 'cancelled' and b.status <> 'cancelled'
  loop
    update public.embedding_jobs as shard set status = 'cancelled', completed_at = now()
    where shard.id in (
      select id from public.embedding_jobs
      where parent_job_id = whole.id and status in ('pending', 'queued', 'running')
      for update skip locked
    );
  end loop;

  for whole in
    select a.parent_job_id as id, bool_or(a.status <> b.status) as changed
    from after_it as a join before_it as b on b.id = a.id
    where a.parent_job_id is not null
    group by a.parent_job_id order by a.parent_job_id
  loop
    if whole.changed then
      perform from public.embedding_jobs as job where job.id = whole.id for no key update;
    else
      perform from public.embedding_jobs as job
      where job.id = whole.id
        and (job.shards_summed_at is null or job.shards_summed_at < clock_timestamp() - interval '1 second')
      for no key update skip locked;
    end if;
    due := found;
    -- A shard that was locked while its whole was cancelled.
    update public.embedding_jobs as shard set status = 'cancelled', completed_at = now()
    from after_it as a, public.embedding_jobs as job
    where shard.id = a.id and a.parent_job_id = whole.id and job.id = whole.id and job.status = 'cancelled'
      and shard.status in ('pending', 'queued', 'running');
    if due then
      perform public.sum_shards(whole.id);
    end if;
  end loop;
  return null;
end $$;

create or replace trigger follow_added_shards after insert on public.embedding_jobs
  referencing new table as after_it for each statement execute function public.follow_shards();
create or replace trigger follow_shards after update on public.embedding_jobs
  referencing old table as before_it new table as after_it
  for each statement execute function public.follow_shards();

do $$
declare
  name text;
  role_name text;
begin
  foreach name in array array['shards_with_failures(uuid)', 'fill_shard(uuid, text, jsonb)', 'sum_shards(uuid)', 'follow_shards()',
    'name_parent_of_failure()']
  loop
    execute format('revoke all on function public.%s from public', name);
    for role_name in select rolname from pg_roles where rolname in ('anon', 'authenticated') loop
      execute format('revoke all on function public.%s from %I', name, role_name);
    end loop;
  end loop;
  if exists (select from pg_roles where rolname = 'service_role') then
    grant execute on function public.shards_with_failures(uuid) to service_role;
    grant execute on function public.fill_shard(uuid, text, jsonb) to service_role;
  end if;
end $$;
