import { createLog } from '../../base/log.ts';
import { proveDecoder } from '../../image/probe.ts';
import { CATALOGUE } from '../../model/catalogue.ts';
import { proveProvider } from '../../model/probe.ts';
import { machineChecks } from '../../worker/machine-checks.ts';
import { failed, type Finding, type Patient } from './finding.ts';

/** Room, and whether pictures are decoded and models run here, as `serve` and `--here` need it. */
export async function checkMachine(patient: Patient): Promise<Finding[]> {
  const room = machineChecks().map(async ({ name, check }): Promise<Finding> => {
    try {
      await check(patient.signal);
      return { check: name, status: 'ok', detail: 'there is room' };
    } catch (error) {
      return { ...failed(name, error), status: 'warning' };
    }
  });
  return Promise.all([...room, checkDecoder(), checkProvider(patient)]);
}

async function checkDecoder(): Promise<Finding> {
  const check = 'pictures';
  try {
    const version = await proveDecoder(CATALOGUE.demo.preprocessing);
    return { check, status: 'ok', detail: `are decoded, by sharp ${version}` };
  } catch (error) {
    return { ...failed(check, error), advice: 'install the package anew on this machine: npm ci' };
  }
}

async function checkProvider({ settings }: Patient): Promise<Finding> {
  const check = 'onnx runtime';
  const reasons: string[] = [];
  const log = createLog({ level: 'warn', write: (line) => reasons.push(reasonIn(line)) });
  const asked = settings.ONNX_PROVIDERS.join(',');
  try {
    const provider = await proveProvider(settings, log);
    const detail = `runs a model on ${provider} (ONNX_PROVIDERS is ${asked})`;
    if (provider === settings.ONNX_PROVIDERS[0]) return { check, status: 'ok', detail };
    const advice = 'check the driver and the CUDA libraries, or take the provider out of ONNX_PROVIDERS';
    return { check, status: 'warning', detail: `${detail}; ${reasons.join('; ')}`, advice };
  } catch (error) {
    return failed(check, error, { gpu_required: 'run it where there is a GPU, or unset REQUIRE_GPU' });
  }
}

function reasonIn(line: string): string {
  const { provider, reason, message } = JSON.parse(line) as Record<string, unknown>;
  return [provider, reason ?? message].filter((part) => typeof part === 'string').join(': ');
}
