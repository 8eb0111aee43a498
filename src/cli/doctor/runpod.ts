import { connectEndpoint } from '../../api/runpod/endpoint.ts';
import { JOBS_URL } from '../../api/runpod/endpoints.ts';
import { failed, type Finding, type Patient } from './finding.ts';

const ENDPOINTS = [
  { variable: 'RUNPOD_ENDPOINT_EMBEDDING', runs: 'extractions' },
  { variable: 'RUNPOD_ENDPOINT_CLS_TRAINING', runs: 'trainings' },
] as const;
const REACHING = "check this machine's way to the internet, and RUNPOD_JOBS_URL";

/** Each endpoint that is set: there, with this key, and how it is. */
export async function checkRunPod({ settings, limits, signal }: Patient): Promise<Finding[]> {
  const { RUNPOD_API_KEY: apiKey, RUNPOD_JOBS_URL: jobsUrl = JOBS_URL } = settings;
  return Promise.all(
    ENDPOINTS.map(async ({ variable, runs }): Promise<Finding> => {
      const check = `runpod ${variable}`;
      const id = settings[variable];
      if (id === undefined || apiKey === undefined) {
        const lacks = id === undefined ? variable : 'RUNPOD_API_KEY';
        const advice = `for ${runs} at RunPod set it, as ./deploy.sh made it; --here needs none`;
        return { check, status: 'skipped', detail: `${lacks} is not set`, advice };
      }
      try {
        const endpoint = connectEndpoint({ id, apiKey, jobsUrl, ...limits });
        const { jobs, workers } = await endpoint.health(signal);
        const counts = Object.entries({ ...workers }).map(([state, count]) => `${count} ${state}`);
        const detail = `answers: ${jobs.inQueue} jobs wait, ${jobs.inProgress} run; workers: ${counts.join(', ')}`;
        const { throttled = 0, idle = 0, running = 0 } = workers;
        if (throttled === 0 || idle + running > 0) return { check, status: 'ok', detail };
        const advice = 'no GPU of its kind is free: allow more kinds of GPU (DEPLOY_GPU_POOLS)';
        return { check, status: 'warning', detail, advice };
      } catch (error) {
        return failed(check, error, {
          runpod_unauthorized:
            'RUNPOD_API_KEY must be a key of this account that may use serverless endpoints',
          runpod_not_found: `${variable} must be the id of an endpoint of this account`,
          runpod_unreachable: REACHING,
          runpod_timeout: REACHING,
        });
      }
    }),
  );
}
