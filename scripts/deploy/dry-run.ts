import { redactValue } from '../../src/base/redact.ts';
import { containerOf, MIN_CUDA_VERSION, newEndpointBody, templateBody, type Body } from './bodies.ts';
import { shown } from './commands.ts';
import { buildArgs, inspectArgs, pushArgs, type Build } from './image.ts';
import type { Target } from './apply.ts';
import { smokeBody } from './smoke.ts';

export interface DryRun {
  target: Target;
  /** Undefined for a rollback, which builds nothing. */
  build: Build | undefined;
  smokeInput: unknown;
  say: (line: string) => void;
}

/**
 * Says what a deployment would run and send, without doing either. Nothing is asked, so what depends on an answer is
 * there for both answers.
 */
export function printDryRun({ target, build, smokeInput, say }: DryRun): void {
  const { name, image, settings, endpointId } = target;
  const rest = `${settings.RUNPOD_REST_URL}/v2`;
  const request = (method: string, url: string, when: string, body?: Body): void => {
    say(`${method} ${url}${when === '' ? '' : `   # ${when}`}`);
    if (body !== undefined) say(JSON.stringify(redactValue(body), null, 2));
  };
  const template = templateBody(name, containerOf(image, settings));
  const endpoint = newEndpointBody(name, '{template}', settings);

  say(`${shown('docker', inspectArgs(image))}   # is it in the registry?`);
  if (build !== undefined) {
    say(`${shown('docker', buildArgs(build))}   # if not`);
    say(`${shown('docker', pushArgs(image))}   # if not`);
  }
  request('GET', `${rest}/templates`, '');
  request('GET', `${rest}/serverless${endpointId === undefined ? '' : `/${endpointId}`}`, '');
  request('POST', `${rest}/templates`, `where there is no template ${name}`, template);
  request('PATCH', `${rest}/templates/{template}`, 'where it differs', template);
  if (endpointId === undefined)
    request('POST', `${rest}/serverless`, `where there is no endpoint ${name}`, endpoint);
  request('PATCH', `${rest}/serverless/${endpointId ?? '{endpoint}'}`, 'where it differs', {
    templateId: '{template}',
    ...changesOnRequest(endpoint, target),
  });
  const { DEPLOY_WORKER_WAIT_S: wait, DEPLOY_SMOKE_TIMEOUT_S: limit } = settings;
  const smoke = smokeBody(smokeInput, wait * 1_000, limit * 1_000);
  const jobs = `${settings.RUNPOD_JOBS_URL}/v2/${endpointId ?? '{endpoint}'}`;
  request('POST', `${jobs}/run`, 'the smoke job', smoke);
  request(
    'GET',
    `${jobs}/status/{job}`,
    'until it has ended; where it fails, the two PATCH again as it was before',
  );
}

/** Of a new endpoint's fields those that a setting names: an endpoint that is there keeps the others. */
function changesOnRequest(endpoint: Body, { settings }: Target): Body {
  const { DEPLOY_WORKERS_MIN: min, DEPLOY_WORKERS_MAX: max, DEPLOY_IDLE_TIMEOUT_S: idle } = settings;
  const named = {
    workers: min ?? max ?? idle,
    scaling: settings.DEPLOY_QUEUE_DELAY_S,
    flashboot: settings.DEPLOY_FLASHBOOT,
    timeout: settings.jobTimeoutMs,
    networkVolumes: settings.DEPLOY_NETWORK_VOLUMES,
    dataCenterIds: settings.DEPLOY_DATA_CENTERS,
  };
  const keys = Object.entries(named).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  const { DEPLOY_GPU_POOLS: pools } = settings;
  const gpu = { ...(pools === undefined ? {} : { pools }), minCudaVersion: MIN_CUDA_VERSION };
  return { ...Object.fromEntries(keys.map((key) => [key, endpoint[key]])), gpu };
}
