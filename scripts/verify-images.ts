/**
 * Verifies without docker what can be: `npm run check:images`. Static faults of the Dockerfiles; then, for each handler,
 * its Dockerfile's steps in an empty folder: the installs (from the npm registry), the build, what would be in the
 * image and how much it is, and the handler itself, which runs its `test_input.json` on the CPU. What only docker can
 * show is named with NOT VERIFIED. The exit code is 1 where something is wrong.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { faultsOf, HANDLERS, partsOf, type HandlerName } from './images/checks.ts';
import { execForm } from './images/dockerfile.ts';
import { rehearse, type Rehearsal } from './images/rehearse.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MIB = 2 ** 20;
/** Above what is there today by a fifth: whoever adds a large dependency is to notice. */
const MAX_APP_MIB = 125;
const JOB_TIMEOUT_MS = 120_000;

let faults = 0;
const say = (line: string): void => console.log(line);
const fault = (line: string): void => {
  faults += 1;
  console.log(`WRONG: ${line}`);
};

for (const handler of HANDLERS) await verify(handler);
say(faults === 0 ? 'nothing wrong was found' : `${String(faults)} things are wrong`);
process.exitCode = faults === 0 ? 0 : 1;

async function verify(handler: HandlerName): Promise<void> {
  say(`\n${handler}`);
  const missing = partsOf(handler).filter((part) => !existsSync(join(ROOT, part)));
  if (missing.length > 0) {
    say(`NOT VERIFIED, NOT THERE YET: ${missing.join(', ')}`);
    return;
  }
  const dockerfile = await readFile(join(ROOT, `Dockerfile.${handler}`), 'utf8');
  for (const text of faultsOf(dockerfile, ROOT)) fault(text);
  const folder = await mkdtemp(join(tmpdir(), `image-${handler}-`));
  try {
    const image = await rehearse(dockerfile, { root: ROOT, folder, say });
    await checkContents(image);
    await runTestInput(image);
  } catch (error) {
    fault(error instanceof Error ? error.message : String(error));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function checkContents({ app }: Rehearsal): Promise<void> {
  const modules = join(app, 'node_modules');
  const { devDependencies } = JSON.parse(await readFile(join(app, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  for (const name of Object.keys(devDependencies))
    if (existsSync(join(modules, name))) fault(`the image would hold ${name}, which is for development`);
  const runtime = join(modules, 'onnxruntime-node/bin/napi-v6');
  for (const platform of await readdir(runtime))
    for (const arch of await readdir(join(runtime, platform)))
      if (`${platform}/${arch}` !== 'linux/x64')
        fault(`the image would hold ONNX Runtime for ${platform}/${arch}`);
  const sizes = await sizesOf(modules);
  const total = (await sizeOf(app)) / MIB;
  say(`size: ${total.toFixed(1)} MiB without base image, node and CUDA provider; the largest parts:`);
  for (const [name, bytes] of sizes.slice(0, 6))
    say(`  ${(bytes / MIB).toFixed(1).padStart(6)} MiB  ${name}`);
  if (total > MAX_APP_MIB) fault(`${total.toFixed(1)} MiB are more than the ${String(MAX_APP_MIB)} allowed`);
}

async function sizesOf(folder: string): Promise<[string, number][]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const sizes = await Promise.all(
    names.map(async (name): Promise<[string, number]> => [name, await sizeOf(join(folder, name))]),
  );
  return sizes.toSorted(([, a], [, b]) => b - a);
}

async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(async (file) => (await stat(join(file.parentPath, file.name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Starts what CMD says with the image's own settings, save those that ask for a GPU or for a library of its base. */
async function runTestInput({ app, env, last }: Rehearsal): Promise<void> {
  const [, ...args] = execForm(last, 'CMD') ?? [];
  const { LD_PRELOAD: _, ...settings } = env;
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: app,
    env: { ...settings, ONNX_PROVIDERS: 'cpu', REQUIRE_GPU: '0', HOME: app },
    timeout: JOB_TIMEOUT_MS,
    maxBuffer: 64 * MIB,
  });
  const output = JSON.parse(stdout) as { status?: string; error?: string };
  if (output.error !== undefined || !['success', 'COMPLETED'].includes(output.status ?? ''))
    fault(`the test job ended with ${String(output.status)}: ${String(output.error)}`);
  else say('the test job ran to its end on the CPU');
}
