-- Writes failed images of a job for the run that holds it, and for no other: a run that was taken over would write beside
-- what the later one has done. `anew` forgets what is there first. The job's row is locked against being taken over
-- meanwhile. Returns how many rows were written: none where another run holds the job. Running it twice changes nothing.
create or replace function public.record_job_failures(failed_job uuid, lease text, failures jsonb, anew boolean)
returns integer
language plpgsql
security invoker
set search_path = ''
as $$
declare
  recorded integer;
begin
  perform from public.embedding_jobs as job
  where job.id = failed_job and job.lease_holder = lease
  for share;
  if not found then
    return 0;
  end if;
  if anew then
    delete from public.embedding_job_failures as failure where failure.job_id = failed_job;
  end if;
  insert into public.embedding_job_failures (job_id, collection, image_id, image_type, url, code, message, retryable)
  select failed_job, failure.collection, failure.image_id, failure.image_type, failure.url, failure.code,
    failure.message, failure.retryable
  from jsonb_to_recordset(failures) as failure (
    collection text, image_id text, image_type text, url text, code text, message text, retryable boolean
  )
  on conflict (job_id, collection, image_id, url) do update
  set image_type = excluded.image_type, code = excluded.code, message = excluded.message,
    retryable = excluded.retryable;
  get diagnostics recorded = row_count;
  return recorded;
end $$;

revoke all on function public.record_job_failures(uuid, text, jsonb, boolean) from public;

do $$
declare
  role_name text;
begin
  for role_name in select rolname from pg_roles where rolname in ('anon', 'authenticated') loop
    execute format('revoke all on function public.record_job_failures(uuid, text, jsonb, boolean) from %I', role_name);
  end loop;
  if exists (select from pg_roles where rolname = 'service_role') then
    grant execute on function public.record_job_failures(uuid, text, jsonb, boolean) to service_role;
  end if;
end $$;
