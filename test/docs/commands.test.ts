import { readFileSync } from 'node:fs';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';

import { readPages, ROOT, type Block, type Mark } from '../support/docs/pages.ts';
import { runBlocks } from '../support/docs/run-page.ts';
import { startServers, type Servers } from '../support/docs/servers.ts';
import { putDrawnShelf } from '../support/drawn-shelf.ts';
import { temporaryFolder } from '../support/folder.ts';

/** The tutorial first: other pages go on with what it made. */
const pages = readPages(['matching.md', 'collections.md', 'cli.md']);
const blocks = pages.flatMap((page) => page.blocks);
const isRun = ({ mark }: Block): boolean => mark.kind === 'run' || mark.kind === 'fails';
const marked = <K extends Mark['kind']>(kind: K) =>
  blocks.flatMap((block) =>
    block.mark.kind === kind ? [{ ...block, mark: block.mark as Extract<Mark, { kind: K }> }] : [],
  );

const started = new AsyncDisposableStack();
let servers: Servers;

beforeAll(async () => {
  const { path: folder } = started.use(await temporaryFolder());
  const checkout = join(folder, 'checkout');
  await mkdir(checkout);
  // What commands write goes here, and not into the repository.
  for (const name of await readdir(ROOT)) {
    if (!name.startsWith('.')) await symlink(join(ROOT, name), join(checkout, name));
  }
  await putDrawnShelf(join(checkout, '.local'));
  const installed = join(folder, 'bin', 'gpu-handlers');
  await mkdir(dirname(installed));
  await writeFile(installed, `#!/bin/sh\nexec node ${join(ROOT, 'src/cli/main.ts')} "$@"\n`, { mode: 0o755 });
  const env = {
    PATH: `${dirname(installed)}:${join(ROOT, 'node_modules', '.bin')}:${process.env.PATH ?? ''}`,
    HOME: folder,
    TMPDIR: folder,
    npm_config_update_notifier: 'false',
    HF_HUB_OFFLINE: '1',
  };
  servers = started.use(await startServers(marked('serves'), { cwd: checkout, env }));
}, 240_000);
afterAll(() => started.disposeAsync());

test.each(pages.filter((page) => page.blocks.some(isRun)).map((page) => [page.name, page] as const))(
  'the commands of %s do what it says',
  async (_, page) => {
    const here = page.blocks.filter(isRun).map((block) => ({ ...block, text: servers.here(block.text) }));
    await runBlocks(here, servers.place);
  },
  240_000,
);

const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')));

test('npm scripts that pages name exist', () => {
  const named = pages.flatMap(({ name, text }) =>
    [...text.matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g)].map(([, script = '']) => ({ name, script })),
  );
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter(({ script }) => !(script in scripts))).toEqual([]);
});

test('commands that are run elsewhere are run there', () => {
  const missing = marked('elsewhere').filter(({ page, mark, text }) => {
    const there = readFileSync(join(ROOT, mark.file), 'utf8');
    const targets = [...text.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name = '']) => scripts[name] ?? '');
    const ways = [text, page, ...targets.map((target) => target.replace(/^node /, ''))];
    return !ways.some((way) => there.includes(way));
  });
  expect(missing).toEqual([]);
});
