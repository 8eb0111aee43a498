import type { IncomingMessage } from 'node:http';

import { z } from 'zod';

import { InputError } from '../../base/errors.ts';
import { parseInput } from '../../base/parse-input.ts';
import { readBody, type Target } from './requests.ts';
import type { Records } from './record.ts';
import { RULE_SCHEMA, type RuleInput } from './rules.ts';
import type { Answer } from './service.ts';

const JOB = z.looseObject({ input: z.unknown(), id: z.string().min(1).optional() });
const JOBS = z.union([JOB, z.array(JOB)]);

/** The part of the simulator that is controlled from outside. */
interface Controlled extends Records {
  readonly waiting: number;
  readonly finals: number;
  env(workerId?: string): Record<string, string>;
  submit(input: unknown, extra?: Readonly<Record<string, unknown>>): string;
  stop(jobId: string): boolean;
  script(rule: RuleInput): unknown;
  clear(): void;
}

type Control = (simulator: Controlled, body: unknown, target: Target) => unknown;

/** What can be done with the simulator over HTTP, for a worker's author who writes no TypeScript. */
const CONTROLS: Readonly<Record<string, Control>> = {
  'POST /simulator/jobs': (simulator, body) => {
    const jobs = parseInput(JOBS, body, 'body');
    const submit = ({ input, ...extra }: z.infer<typeof JOB>): string => simulator.submit(input, extra);
    return Array.isArray(jobs) ? { ids: jobs.map(submit) } : { id: submit(jobs) };
  },
  'POST /simulator/script': (simulator, body) => {
    simulator.script(parseInput(RULE_SCHEMA, body, 'body'));
    return {};
  },
  'POST /simulator/clear': (simulator) => {
    simulator.clear();
    return {};
  },
  'GET /simulator/env': (simulator, _, { query }) => simulator.env(query.worker),
  'GET /simulator/requests': (simulator) => simulator.requests,
  'GET /simulator/violations': (simulator) => simulator.violations,
  'GET /simulator/results': (simulator) => Object.fromEntries(simulator.results),
  'GET /simulator/progress': (simulator) => Object.fromEntries(simulator.progress),
  'GET /simulator/streams': (simulator) => Object.fromEntries(simulator.streams),
  'GET /simulator/counts': ({ waiting, finals }) => ({ waiting, finals }),
};

const STOP = /^\/simulator\/stop\/([^/]+)$/;

/** Never throws for what was asked: errors are answers. */
export async function handleControl(
  simulator: Controlled,
  target: Target,
  request: IncomingMessage,
): Promise<Answer> {
  const method = request.method ?? '';
  const text = await readBody(request);
  const stopped = method === 'POST' ? STOP.exec(target.path)?.[1] : undefined;
  if (stopped !== undefined) return answer(200, { stopped: simulator.stop(decodeURIComponent(stopped)) });
  const key = `${method} ${target.path}`;
  const control = Object.hasOwn(CONTROLS, key) ? CONTROLS[key] : undefined;
  if (control === undefined) return answer(404, { error: `${key} is no address of the simulator` });
  try {
    return answer(200, control(simulator, text === '' ? undefined : (JSON.parse(text) as unknown), target));
  } catch (error) {
    if (error instanceof SyntaxError) return answer(400, { error: 'the body is no JSON' });
    if (error instanceof InputError) return answer(400, { error: error.message });
    throw error;
  }
}

function answer(status: number, value: unknown): Answer {
  return { status, body: JSON.stringify(value) };
}
