import { collectionsIn, pointsOf, type JobCloud, type Row, type TestPoint } from '../job.ts';

/** Rows by what makes one of them the same; more than one under a key is one too many. */
export type Rows = ReadonlyMap<string, readonly Row[]>;

/** What a job leaves behind, without what differs from run to run: times and numbers that the database gives. */
export interface EndState {
  points: ReadonlyMap<string, ReadonlyMap<string, TestPoint>>;
  tables: Readonly<Record<'jobs' | 'collections' | 'models' | 'failures', Rows>>;
  cutouts: Rows;
}

/** Reads it all, past the code under test. */
export async function readEndState(cloud: JobCloud): Promise<EndState> {
  const read = async (table: string, columns: string, ...key: readonly string[]): Promise<Rows> => {
    const rows = await cloud.supabase.sql(`select ${columns} from ${table}`);
    return Map.groupBy(rows, (row) => key.map((column) => String(row[column])).join(' '));
  };
  const names = await collectionsIn(cloud);
  const points = await Promise.all(names.map(async (name) => [name, await pointsOf(cloud, name)] as const));
  return {
    points: new Map(points),
    tables: {
      jobs: await read(
        'embedding_jobs',
        `id, job_type, source, embedding_model_id, status, total_images, processed_images, error_message, purpose,
         started_at is not null as started, completed_at is not null as completed`,
        'id',
      ),
      collections: await read(
        'embedding_collections',
        `name, collection_type, source_type, source_dataset_id, embedding_model_id, image_types, frame_selection,
         product_collection, cutout_collection, vector_count, last_sync_at is not null as synced`,
        'name',
      ),
      models: await read('embedding_models', 'id, qdrant_vector_count', 'id'),
      failures: await read(
        'embedding_job_failures',
        'job_id, collection, image_id, image_type, url, code, message, retryable',
        'job_id',
        'collection',
        'image_id',
        'url',
      ),
    },
    cutouts: await read(
      'cutout_images',
      'id, has_embedding, qdrant_point_id::text as qdrant_point_id, embedding_model_id',
      'id',
    ),
  };
}
