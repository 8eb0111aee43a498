import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { InferenceSession } from 'onnxruntime-node';

import { messageOf, ModelError } from '../base/errors.ts';
import type { ExecutionProvider } from '../base/settings.ts';
import { notOnGpu, readPlacement } from './placement.ts';
import type { Placement, ProviderFailure, ThreadOptions } from './session-messages.ts';

export function isGpu(provider: ExecutionProvider): boolean {
  return provider !== 'cpu';
}

export interface OpenedSession {
  session: InferenceSession;
  provider: ExecutionProvider;
  failures: ProviderFailure[];
  placement?: Placement;
}

interface OpenOptions extends Pick<ThreadOptions, 'model' | 'providers' | 'requireGpu'> {
  create: (model: Uint8Array | string, options: InferenceSession.SessionOptions) => Promise<InferenceSession>;
  /** CPU threads of one run; by default the runtime's choice. */
  threads: (provider: ExecutionProvider) => number | undefined;
  /** The runtime's own settings. */
  extra?: InferenceSession.SessionOptions['extra'];
  /** One run, so that the model is proven and a GPU's share of it can be seen. */
  probe: (session: InferenceSession, provider: ExecutionProvider) => Promise<void>;
}

/** What another provider would not cure. */
const FAULTS_OF_THE_FILE: ReadonlySet<string> = new Set(['model_mismatch', 'vector_not_finite']);

/** Nothing: what goes wrong in a run is thrown, and logged once by us. */
const LOG_FATAL_ONLY = 4;

/**
 * A session of the first provider, in order, that comes up and proves itself in one run. Each is tried alone (ONNX
 * Runtime itself adds the CPU for operators that the provider lacks); a GPU provider that leaves the heavy operators to
 * the CPU has not come up.
 * @throws ModelError `gpu_required` or `model_load_failed`, with the reason of each provider; `model_mismatch`,
 * `vector_not_finite` where the file is at fault.
 */
export async function openSession(options: OpenOptions): Promise<OpenedSession> {
  const failures: ProviderFailure[] = [];
  const providers = options.providers.filter((provider) => !options.requireGpu || isGpu(provider));
  for (const provider of providers) {
    try {
      return { ...(await tryProvider(provider, options)), provider, failures };
    } catch (error) {
      if (error instanceof ModelError && FAULTS_OF_THE_FILE.has(error.code)) throw error;
      failures.push({ provider, reason: messageOf(error).trim() });
    }
  }
  throw noProvider(options, failures);
}

export function noProvider(
  options: Pick<ThreadOptions, 'providers' | 'requireGpu'>,
  failures: readonly ProviderFailure[],
): ModelError {
  const reasons = failures.map(({ provider, reason }) => `${provider}: ${reason}`).join('; ');
  if (options.requireGpu) {
    return new ModelError(
      'gpu_required',
      `REQUIRE_GPU is set, but no GPU provider came up (ONNX_PROVIDERS is ${options.providers.join(',')}` +
        `${reasons === '' ? '' : `; ${reasons}`}): check the driver and the image, or unset REQUIRE_GPU`,
    );
  }
  return new ModelError('model_load_failed', `ONNX Runtime could not run the model: ${reasons}`);
}

async function tryProvider(
  provider: ExecutionProvider,
  options: OpenOptions,
): Promise<Pick<OpenedSession, 'session' | 'placement'>> {
  const threads = options.threads(provider);
  const settings: InferenceSession.SessionOptions = {
    executionProviders: [provider],
    logSeverityLevel: LOG_FATAL_ONLY,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
    ...(options.extra === undefined ? {} : { extra: options.extra }),
  };
  if (!isGpu(provider)) {
    const session = await options.create(options.model, settings);
    return { session: await proven(session, () => options.probe(session, provider)) };
  }
  const folder = await mkdtemp(join(tmpdir(), 'gpu-handlers-profile-'));
  try {
    const session = await options.create(options.model, {
      ...settings,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'probe'),
    });
    let placement: Placement | undefined;
    await proven(session, async () => {
      await options.probe(session, provider);
      session.endProfiling();
      const [file = ''] = await readdir(folder);
      placement = readPlacement(await readFile(join(folder, file), 'utf8'));
      const why = notOnGpu(placement);
      if (why !== null) throw new ModelError('gpu_required', why);
    });
    return { session, ...(placement === undefined ? {} : { placement }) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function proven(session: InferenceSession, prove: () => Promise<void>): Promise<InferenceSession> {
  try {
    await prove();
    return session;
  } catch (error) {
    await session.release();
    throw error;
  }
}
