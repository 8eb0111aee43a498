-- Where frames lie that have a path and no address, and where trained models go. Both private: readers get signed
-- urls. A bucket that is there already stays as it is. Skipped where there is no storage.
do $$
begin
  if to_regclass('storage.buckets') is null then
    return;
  end if;
  insert into storage.buckets (id, name, public) values ('frames', 'frames', false)
  on conflict do nothing;
  insert into storage.buckets (id, name, public, allowed_mime_types)
  values ('cls-models', 'cls-models', false,
    array['application/octet-stream', 'application/zip', 'application/x-tar'])
  on conflict do nothing;
end $$;
