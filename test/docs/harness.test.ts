import { expect, test } from '@jest/globals';

import { differs } from '../support/docs/expected.ts';
import { blocksOf, type Block } from '../support/docs/pages.ts';
import { runBlocks } from '../support/docs/run-page.ts';
import { temporaryFolder } from '../support/folder.ts';

async function run(page: string): Promise<void> {
  await using folder = await temporaryFolder();
  await runBlocks(blocksOf('page.md', page), { cwd: folder.path, env: { PATH: process.env.PATH ?? '' } });
}

test('a page is one shell: what a block sets, the next one has', async () => {
  await run('```sh\nA=1\n```\n\n```sh\ntest "$A" = 1\n```\n');
});

test('a command that fails is named by page and line, with what it printed', async () => {
  await expect(
    run('Text\n\n```sh\ntrue\n```\n\n```sh\necho so far\nfalse\necho not here\n```\n'),
  ).rejects.toThrow(/^page\.md:8: ended with exit code 1[^]*It printed:\nso far\n/);
  await expect(run('```sh\nfalse | cat\n```')).rejects.toThrow('page.md:2');
  // An answer that says no, even where its reader does not look.
  await expect(run('```sh\ncurl -s http://127.0.0.1:9/ | cat\n```')).rejects.toThrow('page.md:2');
});

test('a command that is to fail must fail', async () => {
  await run('```sh fails\nfalse\ntrue\n```\n\n```sh\ntrue\n```');
  await expect(run('```sh fails\ntrue\n```')).rejects.toThrow('it did not fail');
});

test('what a page shows below a command must be what it prints', async () => {
  await run('```sh\necho one; echo two\n```\n\n```text\none\n...\n```\n');
  await expect(run('```sh\necho one\n```\n\n```text\ntwo\n```\n')).rejects.toThrow('page.md:2: not as shown');
});

test.each<[boolean, NonNullable<Block['expected']>['language'], string, string]>([
  [true, 'text', 'a 12 b\n', 'a ... b'],
  [false, 'text', 'a 12 c\n', 'a ... b'],
  [true, 'text', 'a\nb\nc\nd\n', 'a\n...\nd'],
  [false, 'text', 'a\nb\n', 'a'],
  [
    true,
    'json',
    '{"a": 1, "b": [1, 2], "c": "http://x:1/y"}',
    '{"a": 1, "b": [1, "..."], "c": "http://.../y"}',
  ],
  [false, 'json', '{"a": {"b": 1}}', '{"a": {"b": 2}}'],
  [false, 'json', '{"b": [1, 2]}', '{"b": [1]}'],
  [false, 'json', '{}', '{"a": null}'],
  [true, 'json', '{"a": 0.97527}', '{"a": 0.975}'],
  [false, 'json', '{"a": 0.97527}', '{"a": 0.97}'],
  [false, 'json', '{"a": 5.4}', '{"a": 5}'],
])('that this is as shown is %p: %s %p for %p', (is, language, output, text) => {
  expect(differs(output, { language, text }) === undefined).toBe(is);
});

test.each(['sh skip', 'sh needs=time', 'sh elsewhere', 'sh fails serves', 'bash', 'console'])(
  'commands cannot be hidden behind ```%s',
  (info) => {
    expect(() => blocksOf('page.md', `\`\`\`${info}\nls\n\`\`\``)).toThrow('page.md:2');
  },
);

test('commands cannot be hidden in other blocks', () => {
  expect(() => blocksOf('page.md', '```\nnpm test\n```')).toThrow('page.md:2');
  expect(() => blocksOf('page.md', '```text\ncurl x\n```')).toThrow('page.md:2');
  expect(() => blocksOf('page.md', '- a list\n\n  ```sh\n  npm test\n  ```')).toThrow('line 3');
  expect(blocksOf('page.md', '```sh\nls\n```\n\n```text\nnpm x\n```')).toHaveLength(1);
});
