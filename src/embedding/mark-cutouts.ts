import { z } from 'zod';

import { StoreError } from '../base/errors.ts';
import { mapConcurrent } from '../flow/streams.ts';
import type { Database } from '../supabase/database.ts';
import type { PointedImage } from './image-ref.ts';

export interface CutoutMarker {
  /**
   * Marks the rows of cutouts whose points the store has acknowledged: `has_embedding`, `qdrant_point_id` and
   * `embedding_model_id`, a chunk in one request. Returns how many rows there were.
   */
  mark(refs: readonly PointedImage[], signal: AbortSignal): Promise<number>;
}

export interface CutoutMarkerOptions {
  database: Database;
  embeddingModelId: string | undefined;
  warn: (message: string) => void;
}

/** Single updates at once, on a database that lacks the function. */
const UPDATES = 8;

export function createCutoutMarker({ database, embeddingModelId, warn }: CutoutMarkerOptions): CutoutMarker {
  let model = embeddingModelId ?? null;
  let hasFunction = true;

  const markAll = (cutouts: readonly MarkedCutout[], signal: AbortSignal): Promise<number> =>
    database.call({
      name: 'mark_cutouts_embedded',
      args: {
        cutout_ids: cutouts.map((c) => c.id),
        point_ids: cutouts.map((c) => c.pointId),
        model_id: model,
      },
      schema: z.number(),
      signal,
    });

  const markEach = async (cutouts: readonly MarkedCutout[], signal: AbortSignal): Promise<number> => {
    let rows = 0;
    const updates = mapConcurrent(cutouts, UPDATES, ({ id, pointId }) =>
      database.update({
        table: 'cutout_images',
        values: { has_embedding: true, qdrant_point_id: pointId, embedding_model_id: model },
        filters: [{ column: 'id', op: 'eq', value: id }],
        signal,
      }),
    );
    for await (const changed of updates) rows += changed;
    return rows;
  };

  const mark = async (cutouts: readonly MarkedCutout[], signal: AbortSignal): Promise<number> => {
    const tried = model;
    try {
      return await (hasFunction ? markAll : markEach)(cutouts, signal);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.code === 'supabase_missing_function') {
        hasFunction = false;
        warn(
          'the database lacks the function mark_cutouts_embedded: cutouts are marked one by one; apply the migrations',
        );
      } else if (error.storeCode === FOREIGN_KEY_VIOLATION && tried !== null) {
        // Chunks go side by side: another one may have found out meanwhile.
        warn(`embedding_model_id ${tried} is no row of embedding_models: cutouts are marked without it`);
        model = null;
      } else {
        throw error;
      }
      return mark(cutouts, signal);
    }
  };

  return {
    async mark(refs, signal) {
      const cutouts = refs.flatMap(({ type, id, pointId }) =>
        type === 'cutout' && ROW_ID.safeParse(id).success
          ? [{ id: id.toLowerCase(), pointId: String(pointId) }]
          : [],
      );
      return cutouts.length === 0 ? 0 : mark(cutouts, signal);
    },
  };
}

interface MarkedCutout {
  id: string;
  pointId: string;
}

/** A legacy payload may name cutouts by ids that are no rows. */
const ROW_ID = z.guid();
const FOREIGN_KEY_VIOLATION = '23503';
