import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import { copyOf, parseDockerfile, variablesOf, type Instruction, type Stage } from './dockerfile.ts';

export interface RehearseOptions {
  /** The build's context. */
  root: string;
  /** Where the stages' file systems are laid out, a folder each. */
  folder: string;
  say: (line: string) => void;
}

export interface Rehearsal {
  /** What would be the working folder in the image. */
  app: string;
  /** The last stage's ENV. */
  env: Record<string, string>;
  last: Stage;
  /** What was left out, because it needs another base image or a download. */
  skipped: string[];
}

interface StageFolder {
  root: string;
  /** The working folder inside it. */
  workdir: string;
}

/**
 * Does what a Dockerfile says, without docker: each stage in a folder of its own, COPY as a copy, RUN in a shell of this
 * machine. Stages that download, and RUN on a base that is not Node's, are left out and named.
 * @throws Error where a step fails, with the step.
 */
export async function rehearse(dockerfile: string, options: RehearseOptions): Promise<Rehearsal> {
  const { folder, say } = options;
  const stages = parseDockerfile(dockerfile);
  const done = new Map<string, StageFolder>();
  const skipped: string[] = [];
  const skip = (what: string): void => {
    skipped.push(what);
    say(`NOT VERIFIED, it needs docker: ${what}`);
  };
  let current: StageFolder = { root: folder, workdir: '/' };
  for (const [i, stage] of stages.entries()) {
    const name = stage.name ?? 'image';
    if (stage.instructions.some((step) => step.name === 'ADD')) {
      skip(`the stage ${name}, which downloads`);
      continue;
    }
    current = await openStage(join(folder, `${String(i)}-${name}`), done.get(stage.base));
    const isNode = done.has(stage.base) || /(?:^|\/)node:/.test(stage.base);
    for (const step of stage.instructions) {
      current = await take(step, { ...options, stage: current, done, isNode, skip });
    }
    done.set(name, current);
  }
  const last = stages.at(-1);
  if (last === undefined) throw new SyntaxError('the Dockerfile has no stage');
  return { app: inside(current, '.'), env: variablesOf(last, 'ENV'), last, skipped };
}

async function openStage(root: string, base: StageFolder | undefined): Promise<StageFolder> {
  await mkdir(root, { recursive: true });
  if (base !== undefined) await cp(base.root, root, { recursive: true, verbatimSymlinks: true });
  return { root, workdir: base?.workdir ?? '/' };
}

interface StepContext extends RehearseOptions {
  stage: StageFolder;
  done: ReadonlyMap<string, StageFolder>;
  isNode: boolean;
  skip: (what: string) => void;
}

async function take(step: Instruction, context: StepContext): Promise<StageFolder> {
  const { stage, isNode, skip, say } = context;
  if (step.name === 'WORKDIR') {
    const workdir = resolve(stage.workdir, step.text);
    await mkdir(join(stage.root, workdir), { recursive: true });
    return { ...stage, workdir };
  }
  if (step.name === 'COPY') await copy(step, context);
  if (step.name === 'RUN') {
    if (isNode) {
      say(`RUN ${step.text}`);
      await run(step.text, inside(stage, '.'));
    } else skip(`RUN ${step.text}`);
  }
  return stage;
}

async function copy(step: Instruction, { root, stage, done, skip }: StepContext): Promise<void> {
  const { from, sources, target } = copyOf(step);
  const origin = from === undefined ? { root, workdir: '/' } : done.get(from);
  if (origin === undefined) {
    skip(`COPY ${step.flags.join(' ')} ${step.text}`);
    return;
  }
  for (const source of sources) {
    const path = inside(origin, source);
    // Outside of its working folder a stage has what its base image brings: here nothing.
    if (!path.startsWith(inside(origin, '.'))) {
      skip(`COPY ${step.flags.join(' ')} ${step.text}`);
      continue;
    }
    const { mode } = await stat(path);
    const isFolder = (mode & 0o170000) === 0o040000;
    const into = !isFolder && (target.endsWith('/') || sources.length > 1);
    const to = join(inside(stage, target), into ? basename(source) : '');
    await mkdir(dirname(to), { recursive: true });
    await cp(path, to, { recursive: true, verbatimSymlinks: true });
  }
}

function inside({ root, workdir }: StageFolder, path: string): string {
  return join(root, resolve(workdir, path));
}

async function run(command: string, cwd: string): Promise<void> {
  const child = spawn('sh', ['-ec', command], {
    cwd,
    env: environment(),
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`RUN ${command}: exit code ${String(code)}`);
}

/** What an npm script hands down (the folder, the settings, the commands of this package) is not there in an image. */
function environment(): Record<string, string | undefined> {
  const kept = Object.entries(process.env).filter(([key]) => !/^npm_/i.test(key) && key !== 'NODE_ENV');
  return { ...Object.fromEntries(kept), PATH: `${dirname(process.execPath)}:${systemPath()}` };
}

/** Without the folders of this package's own commands: the image has none of them. */
function systemPath(): string {
  const folders = (process.env.PATH ?? '').split(':');
  return folders.filter((folder) => !folder.includes('node_modules')).join(':');
}
