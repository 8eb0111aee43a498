import { readFile } from 'node:fs/promises';

import { createLookup } from '../api/plan/lookup.ts';
import { embedBy, runAtEndpoint } from '../api/search/embed-image.ts';
import { searchByCutout, searchByImage, type SearchResult } from '../api/search/search.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Settings } from '../base/settings.ts';
import type { StatelessHere } from './handlers.ts';
import { idOf } from './ids.ts';
import { UsageError } from './usage-error.ts';
import { openWorkplace, requireEndpoint } from './workplace.ts';

export interface SearchFor {
  collection: string;
  limit: number;
  what: { cutout: string } | { image: string; here: boolean };
  cutoutCollection: string | undefined;
  modelId: string | undefined;
  signal: AbortSignal;
}

export async function searchFor(query: SearchFor): Promise<SearchResult> {
  const { collection, limit, what, cutoutCollection, modelId, signal } = query;
  const { stores, runs, settings, log } = openWorkplace();
  const { database, store } = stores();
  const parts = { database, store, signal };
  if ('cutout' in what) {
    const cutout = { cutout_id: idOf('--cutout', what.cutout), cutout_collection: cutoutCollection };
    return searchByCutout({ collection, limit, ...cutout }, parts);
  }
  const image = await readImage(what.image);
  await using here = what.here ? await embeddingHere(settings, log) : undefined;
  const embedImage = embedBy(here?.run ?? runAtEndpoint(requireEndpoint(runs, 'embedding')));
  const lookup = createLookup({ database, store }, signal);
  return await searchByImage(
    image,
    { collection, limit, model_id: modelId && idOf('--model-id', modelId) },
    { ...parts, lookup, embedImage },
  );
}

async function embeddingHere(settings: Settings, log: Log): Promise<StatelessHere> {
  return (await import('./handlers.ts')).statelessHere(settings, log);
}

async function readImage(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new UsageError(`--image: ${file} cannot be read: ${messageOf(error)}`);
  }
}
