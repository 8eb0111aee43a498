import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { isSecretKey } from '../../src/base/redact.ts';
import { copiesOf, execForm, parseDockerfile, variablesOf, type Stage } from './dockerfile.ts';
import { isIgnored } from './dockerignore.ts';

/** The handlers that have an image of their own. */
export const HANDLERS = ['embedding', 'cls'] as const;
export type HandlerName = (typeof HANDLERS)[number];

/** What an image cannot be built without, and is still to be written where it is missing. */
export function partsOf(handler: HandlerName): string[] {
  return [`Dockerfile.${handler}`, `handlers/${handler}.ts`, `handlers/${handler}.test_input.json`];
}

/**
 * What is wrong with a Dockerfile of this repository, as far as it can be seen without building it; empty where nothing
 * is. `root` is the folder that would be the build's context.
 */
export function faultsOf(dockerfile: string, root: string): string[] {
  const stages = parseDockerfile(dockerfile);
  const last = stages.at(-1);
  if (last === undefined) return ['it has no stage'];
  return [
    ...stages.flatMap((stage, i) => [
      ...baseFaults(stage, stages.slice(0, i)),
      ...copyFaults(stage, stages.slice(0, i), root),
      ...secretFaults(stage),
    ]),
    ...downloadFaults(stages),
    ...runtimeFaults(last),
  ];
}

function namesOf(stages: readonly Stage[]): Set<string | undefined> {
  return new Set(stages.map(({ name }) => name));
}

function baseFaults({ base }: Stage, earlier: readonly Stage[]): string[] {
  if (namesOf(earlier).has(base)) return [];
  // A tag that moves, such as `24` or `latest`, is another image tomorrow.
  return /:[\w.-]*\d+\.\d+\.\d+/.test(base) ? [] : [`FROM ${base}: no exact version`];
}

function copyFaults(stage: Stage, earlier: readonly Stage[], root: string): string[] {
  const dockerignore = readFileSync(join(root, '.dockerignore'), 'utf8');
  return copiesOf(stage).flatMap(({ from, sources }) => {
    if (from !== undefined) return namesOf(earlier).has(from) ? [] : [`COPY --from=${from}: no such stage`];
    return sources.flatMap((source) => {
      if (!existsSync(join(root, source))) return [`COPY ${source}: no such file`];
      return isIgnored(dockerignore, source) ? [`COPY ${source}: .dockerignore keeps it out`] : [];
    });
  });
}

/** A layer is read by whoever has the image. */
function secretFaults(stage: Stage): string[] {
  return (['ENV', 'ARG', 'LABEL'] as const).flatMap((instruction) =>
    Object.keys(variablesOf(stage, instruction))
      .filter((key) => isSecretKey(key))
      .map((key) => `${instruction} ${key}: a secret has no place in an image`),
  );
}

function downloadFaults(stages: readonly Stage[]): string[] {
  return stages
    .flatMap(({ instructions }) => instructions)
    .filter(({ name, text }) => name === 'ADD' && text.includes('://'))
    .filter(({ flags }) => !flags.some((flag) => /^--checksum=sha256:[\da-f]{64}$/.test(flag)))
    .map(({ text }) => `ADD ${text}: no checksum`);
}

function runtimeFaults(stage: Stage): string[] {
  const user = stage.instructions.filter(({ name }) => name === 'USER').at(-1)?.text;
  const env = variablesOf(stage, 'ENV');
  const faults = [
    user === undefined || /^(?:root|0)(?::|$)/.test(user) ? 'it runs as root' : undefined,
    execForm(stage, 'CMD')?.[0] === 'node' ? undefined : 'CMD is not node in exec form',
    execForm(stage, 'ENTRYPOINT')?.length === 0 ? undefined : "the base image's ENTRYPOINT is not taken away",
    stage.instructions.some(({ name }) => name === 'HEALTHCHECK') ? undefined : 'it has no HEALTHCHECK',
    ...Object.entries(EXPECTED_ENV).map(([key, value]) =>
      value.test(env[key] ?? '') ? undefined : `ENV ${key} is not ${value.source}`,
    ),
  ];
  return faults.filter((fault) => fault !== undefined);
}

const EXPECTED_ENV: Readonly<Record<string, RegExp>> = {
  NODE_ENV: /^production$/,
  ONNX_PROVIDERS: /^cuda,cpu$/,
  REQUIRE_GPU: /^1$/,
  ORT_DISABLE_TELEMETRY: /^1$/,
  UV_THREADPOOL_SIZE: /^\d+$/,
  LD_PRELOAD: /libjemalloc/,
};
