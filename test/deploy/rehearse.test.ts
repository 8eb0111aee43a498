import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test } from '@jest/globals';

import { rehearse, type Rehearsal } from '../../scripts/images/rehearse.ts';

let root: string;
let folder: string;
let said: string[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'context-'));
  folder = await mkdtemp(join(tmpdir(), 'stages-'));
  said = [];
  await mkdir(join(root, 'src'));
  await writeFile(join(root, 'src/a.txt'), 'a');
  await writeFile(join(root, 'package.json'), '{}');
});

afterEach(async () => {
  for (const each of [root, folder]) await rm(each, { recursive: true, force: true });
});

const DOCKERFILE = `
FROM node:24.21.0-slim AS node
WORKDIR /app
COPY package.json ./

FROM node AS build
COPY src source
RUN mkdir dist && cp source/a.txt dist/b.txt

FROM node AS provider
ADD https://example.invalid/x.tgz /tmp/
RUN false

FROM some/base:1.2.3
RUN false
WORKDIR /srv
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=provider /x x/
COPY --from=build /app/dist dist
COPY package.json renamed.json
ENV A=1 \\
    B="two words"
CMD ["node", "dist/b.js"]
`;

const rehearsed = (dockerfile: string): Promise<Rehearsal> =>
  rehearse(dockerfile, { root, folder, say: (line) => said.push(line) });

test("does each stage's steps in a folder of its own, and names what it leaves out", async () => {
  const { app, env, skipped } = await rehearsed(DOCKERFILE);
  expect((await readdir(app)).toSorted()).toEqual(['dist', 'renamed.json']);
  expect(await readFile(join(app, 'dist/b.txt'), 'utf8')).toBe('a');
  expect(env).toEqual({ A: '1', B: 'two words' });
  expect(skipped).toEqual([
    'the stage provider, which downloads',
    'RUN false',
    'COPY --from=node /usr/local/bin/node /usr/local/bin/node',
    'COPY --from=provider /x x/',
  ]);
  for (const what of skipped) expect(said).toContain(`NOT VERIFIED, it needs docker: ${what}`);
});

test('a step that fails is named; nothing of this package is on its path', async () => {
  await expect(rehearsed(DOCKERFILE.replace('mkdir dist', 'tsc --version'))).rejects.toThrow(
    'RUN tsc --version',
  );
});

test('a file that an earlier stage does not have is no reason to go on', async () => {
  await expect(rehearsed(DOCKERFILE.replace('/app/dist', '/app/other'))).rejects.toThrow('/app/other');
});
