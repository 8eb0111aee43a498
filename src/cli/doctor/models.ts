import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';

import { createLookup, type ModelRow } from '../../api/plan/lookup.ts';
import { connectDatabase } from '../../api/from-settings.ts';
import { messageOf } from '../../base/errors.ts';
import { createHttp } from '../../http/http.ts';
import { MODEL_TYPES } from '../../model/catalogue.ts';
import { hubOptions } from '../../model/hub/hub.ts';
import { whereIs, type Whereabouts } from '../../model/whereabouts.ts';
import type { Finding, Patient } from './finding.ts';

const CHECK = 'models';
/** No collection is asked for. */
const NO_STORE = { inspect: () => Promise.resolve(null) };

/** The model that requests mean, whether its file is to be had here, and where files are kept. Nothing is fetched. */
export async function checkModels(patient: Patient): Promise<Finding[]> {
  const rows = await activeModels(patient);
  const [model, ...others] = Array.isArray(rows) ? rows : [];
  if (Array.isArray(rows) && (model === undefined || others.length > 0)) {
    const detail = `${rows.length} rows of embedding_models are active`;
    const advice = 'set is_matching_active of one, or say the model in each request (--model.id)';
    return [{ check: CHECK, status: 'warning', detail, advice }, await cacheFinding(patient)];
  }
  const first = Array.isArray(rows) ? [] : [rows];
  const ofModel = model === undefined ? [] : [await fileFinding(model, patient)];
  return [...first, ...ofModel, await cacheFinding(patient)];
}

async function activeModels({ settings, limits, signal }: Patient): Promise<ModelRow[] | Finding> {
  try {
    return await createLookup(
      { database: connectDatabase(settings, 'this check', limits), store: NO_STORE },
      signal,
    ).activeModels();
  } catch (error) {
    signal.throwIfAborted();
    return { check: CHECK, status: 'skipped', detail: `which is active is not known: ${messageOf(error)}` };
  }
}

async function fileFinding(
  { name, model_type, checkpoint_url }: ModelRow,
  patient: Patient,
): Promise<Finding> {
  const check = `model ${name}`;
  const type = MODEL_TYPES.find((known) => known === model_type);
  if (type === undefined) {
    const advice = `its model_type must be one of ${MODEL_TYPES.join(', ')}`;
    return { check, status: 'failed', detail: `its model_type ${model_type} is not known`, advice };
  }
  if (checkpoint_url !== null)
    return { check, status: 'ok', detail: 'is active, and a checkpoint of its own: a job fetches it' };
  const { settings, limits } = patient;
  const http = createHttp({ allowPrivateHosts: settings.ALLOW_PRIVATE_HOSTS ?? false });
  const signal = AbortSignal.any([patient.signal, AbortSignal.timeout(limits.timeoutMs)]);
  try {
    return { check, ...told(await whereIs(type, { settings, http, signal })) };
  } catch (error) {
    patient.signal.throwIfAborted();
    const why = signal.aborted ? `the hub gave no answer within ${limits.timeoutMs} ms` : messageOf(error);
    const advice =
      'workers of their own network may reach it all the same; else set MODEL_DIR (docs/models.md)';
    return { check, status: 'warning', detail: `is active, and not to be had here: ${why}`, advice };
  } finally {
    await http.close();
  }
}

function told(found: Whereabouts): Omit<Finding, 'check'> {
  switch (found.is) {
    case 'built':
      return { status: 'ok', detail: 'is active, and made by this package' };
    case 'at the hub':
      return { status: 'ok', detail: 'is active; the hub has it, and a job that needs it fetches it' };
    case 'here':
      return { status: 'ok', detail: `is active, and lies at ${found.path}` };
    case 'nowhere': {
      const detail = `is active, and not here: looked for ${found.lookedFor.join(' and ')}`;
      return { status: 'warning', detail, advice: 'unset HF_HUB_OFFLINE, or set MODEL_DIR (docs/models.md)' };
    }
  }
}

/** The nearest folder that is there must take new ones. */
async function cacheFinding({ settings }: Patient): Promise<Finding> {
  const check = 'model cache';
  const { cacheDir } = hubOptions(settings);
  for (let folder = cacheDir; ; folder = dirname(folder)) {
    try {
      await access(folder, constants.W_OK);
      return { check, status: 'ok', detail: `${cacheDir} can be written` };
    } catch (error) {
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT' && folder !== dirname(folder);
      if (isMissing) continue;
      const advice = 'set HF_HUB_CACHE to a folder that can be written';
      return { check, status: 'warning', detail: messageOf(error), advice };
    }
  }
}
