-- Products with their pictures, datasets, and the cutouts of shelf photos.
-- Safe on a project that has these tables already: nothing is dropped, only what is missing is added.
-- Row level security is switched on for tables that this file creates, and left alone on those that exist.

create temporary table tables_before as
  select c.relname::text as name
  from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p');

create table if not exists public.products (
  id uuid primary key default gen_random_uuid(),
  barcode text unique not null,
  brand_name text,
  sub_brand text,
  product_name text,
  category text,
  container_type text,
  net_quantity text,
  frames_path text,
  frame_count integer not null default 0,
  status text not null default 'pending',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
alter table public.products add column if not exists brand_name text;
alter table public.products add column if not exists product_name text;
alter table public.products add column if not exists category text;
alter table public.products add column if not exists frames_path text;
alter table public.products add column if not exists frame_count integer not null default 0;

create table if not exists public.product_images (
  id uuid primary key default gen_random_uuid(),
  product_id uuid not null references public.products (id) on delete cascade,
  image_path text not null,
  image_url text,
  image_type text not null check (image_type in ('synthetic', 'real', 'augmented')),
  source text check (source in ('video_frame', 'matching', 'augmentation')),
  frame_index integer,
  created_at timestamptz not null default now()
);
alter table public.product_images add column if not exists image_url text;
alter table public.product_images add column if not exists frame_index integer;

create table if not exists public.datasets (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  description text,
  created_at timestamptz not null default now()
);

create table if not exists public.dataset_products (
  dataset_id uuid not null references public.datasets (id) on delete cascade,
  product_id uuid not null references public.products (id) on delete cascade,
  added_at timestamptz not null default now(),
  primary key (dataset_id, product_id)
);

create table if not exists public.embedding_models (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  model_type text not null,
  checkpoint_url text,
  embedding_dim integer not null,
  qdrant_vector_count integer not null default 0,
  product_collection text,
  cutout_collection text,
  is_matching_active boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
alter table public.embedding_models add column if not exists qdrant_vector_count integer not null default 0;
alter table public.embedding_models add column if not exists product_collection text;
alter table public.embedding_models add column if not exists cutout_collection text;

create table if not exists public.cutout_images (
  id uuid primary key default gen_random_uuid(),
  external_id integer unique not null,
  image_url text not null,
  predicted_upc text,
  annotated_upc text,
  merchant text,
  merchant_id integer,
  qdrant_point_id uuid,
  embedding_model_id uuid references public.embedding_models (id) on delete set null,
  has_embedding boolean not null default false,
  matched_product_id uuid references public.products (id) on delete set null,
  match_similarity real,
  matched_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
alter table public.cutout_images add column if not exists predicted_upc text;
alter table public.cutout_images add column if not exists merchant text;
alter table public.cutout_images add column if not exists merchant_id integer;
alter table public.cutout_images add column if not exists qdrant_point_id uuid;
alter table public.cutout_images
  add column if not exists embedding_model_id uuid references public.embedding_models (id) on delete set null;
alter table public.cutout_images add column if not exists has_embedding boolean not null default false;
alter table public.cutout_images
  add column if not exists matched_product_id uuid references public.products (id) on delete set null;

-- Every reader goes by key (`id > last order by id`), so the key is the last column of each index.
create index if not exists products_with_frames on public.products (id) where frame_count > 0;
create index if not exists product_images_by_product
  on public.product_images (product_id, image_type, frame_index, id);
create index if not exists dataset_products_by_product on public.dataset_products (product_id);
create index if not exists cutout_images_by_matched_product
  on public.cutout_images (matched_product_id, id) where matched_product_id is not null;
create index if not exists cutout_images_by_has_embedding on public.cutout_images (has_embedding, id);
create index if not exists cutout_images_with_upc on public.cutout_images (id) where predicted_upc is not null;
create index if not exists cutout_images_by_merchant on public.cutout_images (merchant, id);
create index if not exists cutout_images_by_merchant_id on public.cutout_images (merchant_id, id);

do $$
declare
  table_name text;
begin
  foreach table_name in array array['products', 'product_images', 'datasets', 'dataset_products',
    'embedding_models', 'cutout_images']
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
