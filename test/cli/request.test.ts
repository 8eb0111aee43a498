import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { CLASSIFICATION_REQUEST } from '../../src/api/requests/classification.ts';
import { EXTRACTION_REQUESTS, type Purpose } from '../../src/api/requests/extraction.ts';
import type { RequestKind } from '../../src/api/requests/request-kind.ts';
import { InputError } from '../../src/base/errors.ts';
import { COMMON_OPTIONS } from '../../src/cli/command.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { readCall, readCommand } from '../../src/cli/parse.ts';
import { readRequest } from '../../src/cli/request.ts';
import { fromSchema } from '../support/api/from-schema.ts';
import { anyRequest, LABELLED_ID } from '../support/api/requests.ts';
import { temporaryFolder } from '../support/folder.ts';

type Body = Record<string, unknown>;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(async () => {
  await folder[Symbol.asyncDispose]();
});

/** Fields that take any JSON: nobody reads them. */
const ANYTHING = new Set(['use_amp', 'drop_path_rate', 'pin_memory']);

/** What is typed for a request, option by option. */
function typed(body: Body, above = ''): string[] {
  return Object.entries(body).flatMap(([key, value]): string[] => {
    const option = `--${above}${key.replaceAll('_', '-')}`;
    if (value === null || value === undefined) return [];
    if (ANYTHING.has(key)) return [`${option}=${JSON.stringify(value)}`];
    if (typeof value === 'boolean') return [value ? option : option.replace('--', '--no-')];
    if (key === 'product_filter')
      return Object.entries(value).flatMap(([column, is]) => [option, `${column}=${JSON.stringify(is)}`]);
    const asSet = ['--set', `${option.slice('--'.length).replaceAll('-', '_')}=${JSON.stringify(value)}`];
    if (Array.isArray(value))
      return value.length === 0 ? asSet : value.map((item) => `${option}=${String(item)}`);
    if (typeof value === 'object') {
      const inside = typed(value as Body, `${above}${key.replaceAll('_', '-')}.`);
      // An object that says nothing is not the same as none.
      return inside.length === 0 ? asSet : inside;
    }
    if (typeof value === 'string' || typeof value === 'number') return [`${option}=${value}`];
    throw new TypeError(`how is ${typeof value} typed?`);
  });
}

/** As the program reads it. */
async function readTyped<R>(kind: RequestKind<R>, argv: readonly string[]): Promise<R> {
  const { command, rest } = readCommand(argv, COMMANDS);
  if (command === undefined) throw new TypeError('no command');
  const { options, body, fields } = await readCall(command, rest);
  const given = options as { request: string | undefined; set: readonly string[] };
  return readRequest(kind, { options: given, body, fields });
}

describe.each(Object.keys(EXTRACTION_REQUESTS) as Purpose[])('any %s request', (purpose) => {
  const kind: RequestKind<unknown> = EXTRACTION_REQUESTS[purpose];
  const argv = (...options: readonly string[]): string[] => ['extract', purpose, ...options];

  test('can be typed, whatever of its fields it has', async () => {
    await fc.assert(
      fc.asyncProperty(anyRequest(purpose), async (body) => {
        expect(await readTyped(kind, argv(...typed(body)))).toEqual(kind.parse(body));
      }),
      { numRuns: 100 },
    );
  });

  test('can be set field by field, or come from a file', async () => {
    const file = join(folder.path, `${purpose}.json`);
    await fc.assert(
      fc.asyncProperty(anyRequest(purpose), async (body) => {
        const set = Object.entries(body).flatMap(([key, value]) => [
          '--set',
          `${key}=${JSON.stringify(value)}`,
        ]);
        expect(await readTyped(kind, argv(...set))).toEqual(kind.parse(body));
        await writeFile(file, JSON.stringify(body));
        expect(await readTyped(kind, argv('--request', file))).toEqual(kind.parse(body));
      }),
      { numRuns: 20 },
    );
  });

  test('has an option for each field that its schema knows', async () => {
    const fields = await COMMANDS.find(({ name }) => name === 'extract')?.fields();
    const known = new Set(fields?.map(({ path }) => path[0]));
    const wanted = Object.keys(kind.jsonSchema.properties as object).filter((key) => key !== 'purpose');
    expect(wanted.filter((key) => !known.has(key))).toEqual([]);
  });
});

test('any classification request can be typed', async () => {
  const known = [LABELLED_ID, 'a/model.onnx'];
  const anyBody = fromSchema(CLASSIFICATION_REQUEST.jsonSchema, { schemas: {}, known });
  await fc.assert(
    fc.asyncProperty(anyBody, async (body) => {
      const request = parsed(body);
      fc.pre(request !== undefined);
      // As JSON has it: there is no -0.
      const json = JSON.parse(JSON.stringify(body)) as Body;
      const read = await readTyped(CLASSIFICATION_REQUEST, ['train', ...typed(json)]);
      expect(read).toEqual(CLASSIFICATION_REQUEST.parse(json));
    }),
    { numRuns: 100 },
  );
});

function parsed(body: unknown): unknown {
  try {
    return CLASSIFICATION_REQUEST.parse(body);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

const MATCHING: RequestKind<unknown> = EXTRACTION_REQUESTS.matching;
const matching = (...options: readonly string[]): Promise<unknown> =>
  readTyped(MATCHING, ['extract', 'matching', ...options]);

test('options win over the file, and what is set over both; lists replace, objects are merged', async () => {
  const file = join(folder.path, 'wins.json');
  const body = {
    model: { model_type: 'demo', embedding_dim: 3 },
    image_types: ['real'],
    max_frames: 2,
    frame_selection: 'all',
  };
  await writeFile(file, JSON.stringify(body));
  expect(
    await matching('--request', file, '--model.embedding-dim=4', '--max-frames=5', '--set', 'max_frames=6'),
  ).toMatchObject({
    model: { model_type: 'demo', embedding_dim: 4 },
    image_types: ['real'],
    max_frames: 6,
    frame_selection: 'all',
  });
});

test('lists of ids, words and numbers take commas; lists of names do not', async () => {
  const ids = ['8fd6f6ed-d40b-51bd-baca-fc3eea9d4656', '55c2126a-e987-597b-948b-17e55d0775e4'];
  expect(
    await matching(
      '--product-source=selected',
      `--product-ids=${ids.join(',')}`,
      '--image_types=real,augmented',
      '--cutout-merchant-names=Smith, Jones',
      '--cutout-merchant-ids',
      '-5,7',
    ),
  ).toMatchObject({
    product_ids: ids,
    image_types: ['real', 'augmented'],
    cutout_merchant_names: ['Smith, Jones'],
    cutout_merchant_ids: [-5, 7],
  });
});

test('a filter takes plain words, and JSON where they could be taken for something else', async () => {
  const filter = ['category=drinks', 'frame_count_gte=12', 'barcode="0042"', '{"brand_name": ["A", "B"]}'];
  expect(
    await matching('--product-source=filter', ...filter.flatMap((one) => ['--product-filter', one])),
  ).toMatchObject({
    product_filter: { category: 'drinks', frame_count_gte: 12, barcode: '0042', brand_name: ['A', 'B'] },
  });
});

test('what is wrong is told in the words of the options', async () => {
  await expect(matching('--product-source=selected')).rejects.toMatchObject({
    issues: [{ key: '--product-ids', message: expect.stringContaining('selected') }],
  });
  await expect(matching('--product-ids=a,b', '--product-source=selected')).rejects.toMatchObject({
    issues: [{ key: '--product-ids[0]' }, { key: '--product-ids[1]' }],
  });
  await expect(matching('--collection-name=x')).rejects.toMatchObject({
    issues: [{ key: '--collection-name', message: expect.stringContaining('no field of this request') }],
  });
  await expect(matching('--max-frames=many')).rejects.toThrow(
    '--max-frames: expected a number, found "many"',
  );
  await expect(matching('--product-filter=drinks')).rejects.toThrow('expected column=value');
  await expect(matching('--set', 'max_frames')).rejects.toThrow('--set: expected FIELD=VALUE');
  await expect(matching('--request', join(folder.path, 'none.json'))).rejects.toThrow(/--request: .*ENOENT/);
});

test('no field of a request is hidden by an option of a command', async () => {
  for (const command of COMMANDS) {
    const options = Object.keys({ ...command.options, ...COMMON_OPTIONS });
    const fields = (await command.fields()).map(({ name }) => name);
    expect(fields.filter((name) => options.includes(name))).toEqual([]);
    expect(new Set(fields).size).toBe(fields.length);
  }
});
