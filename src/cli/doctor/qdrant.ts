import { describeServer } from '../../qdrant/describe-server.ts';
import { failed, type Finding, type Patient } from './finding.ts';

const CHECK = 'qdrant';
/** The first with the query API that searches use. */
const OLDEST = [1, 10] as const;
const ADVICE = {
  qdrant_unreachable: 'check QDRANT_URL; without a port it means 6333',
  qdrant_timeout: 'check QDRANT_URL; without a port it means 6333',
  qdrant_unauthorized: 'check QDRANT_API_KEY: it must be one that may write',
  qdrant_unavailable: 'is QDRANT_URL the address of a Qdrant, and is it up?',
};

/** Reached with this key, not too old, and what it refuses in strict mode. */
export async function checkQdrant({ settings, limits, signal }: Patient): Promise<Finding[]> {
  const { QDRANT_URL: url, QDRANT_API_KEY: apiKey } = settings;
  if (url === undefined) {
    const advice = 'set QDRANT_URL and QDRANT_API_KEY; gpu-handlers local starts one to try';
    return [{ check: CHECK, status: 'failed', detail: 'is not set up', advice }];
  }
  try {
    const { version, collections, strict } = await describeServer({ url, apiKey, ...limits }, signal);
    const detail = `${url} answers, takes the key, and holds ${collections.length} collections`;
    return [{ check: CHECK, status: 'ok', detail }, versionFinding(version), strictFinding(strict)];
  } catch (error) {
    return [failed(CHECK, error, ADVICE)];
  }
}

function versionFinding(version: string): Finding {
  const check = 'qdrant version';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  if (!isOld) return { check, status: 'ok', detail: version };
  return { check, status: 'failed', detail: version, advice: `update it to ${OLDEST.join('.')} or later` };
}

function strictFinding(strict: Readonly<Record<string, object>>): Finding {
  const check = 'qdrant strict mode';
  const names = Object.keys(strict);
  if (names.length === 0) return { check, status: 'ok', detail: 'is off' };
  const limits = Object.entries(strict).map(([name, limit]) => `${name} ${JSON.stringify(limit)}`);
  return { check, status: 'ok', detail: `is on, and jobs keep to it: ${limits.join('; ')}` };
}
