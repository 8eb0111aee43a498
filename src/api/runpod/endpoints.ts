import type { Settings } from '../../base/settings.ts';
import { SettingsError } from '../../base/errors.ts';
import type { RunKindName } from '../runs/run-kinds.ts';
import { connectEndpoint, type Endpoint } from './endpoint.ts';

export const JOBS_URL = 'https://api.runpod.ai';

/** The endpoints that are set up; none of a kind whose id is not. @throws SettingsError for an id without a key. */
export function connectEndpoints(
  settings: Pick<
    Settings,
    'RUNPOD_API_KEY' | 'RUNPOD_ENDPOINT_EMBEDDING' | 'RUNPOD_ENDPOINT_CLS_TRAINING' | 'RUNPOD_JOBS_URL'
  >,
): Partial<Record<RunKindName, Endpoint>> {
  const { RUNPOD_API_KEY: apiKey, RUNPOD_JOBS_URL: jobsUrl = JOBS_URL } = settings;
  const connect = (id: string | undefined): Endpoint | undefined => {
    if (id === undefined) return undefined;
    if (apiKey === undefined)
      throw new SettingsError('an endpoint of RunPod is set, and RUNPOD_API_KEY is not');
    return connectEndpoint({ id, apiKey, jobsUrl });
  };
  const embedding = connect(settings.RUNPOD_ENDPOINT_EMBEDDING);
  const classification = connect(settings.RUNPOD_ENDPOINT_CLS_TRAINING);
  return { ...(embedding && { embedding }), ...(classification && { classification }) };
}
