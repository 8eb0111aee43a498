import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { expect, test } from '@jest/globals';

import { readPages, ROOT, type Page } from '../support/docs/pages.ts';

const pages = readPages([]);
const byName = new Map(pages.map((page) => [page.name, page]));

interface Link {
  page: string;
  /** From the repository's root. */
  file: string;
  anchor: string | undefined;
}

const links = pages.flatMap(({ name, text }): Link[] =>
  [...withoutCode(text).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].map(([, path = '', anchor]) => ({
    page: name,
    file: path === '' ? name : join(dirname(name), path),
    anchor,
  })),
);

test('every link leads to a file, and to a heading that is there', () => {
  expect(links.length).toBeGreaterThan(50);
  const dead = links.filter(({ file, anchor }) => {
    const page = byName.get(file);
    if (page === undefined || anchor === undefined) return !existsSync(join(ROOT, file));
    return !anchorsOf(page).has(anchor);
  });
  expect(dead).toEqual([]);
});

test('every page can be reached from the README', () => {
  const reached = new Set(['README.md']);
  // A set goes on to what is added to it on the way.
  for (const name of reached) {
    for (const { page, file } of links) if (page === name && byName.has(file)) reached.add(file);
  }
  const isDecision = ({ name }: Page): boolean => name.startsWith('docs/decisions/');
  expect(
    pages.filter((page) => !reached.has(page.name) && !isDecision(page)).map(({ name }) => name),
  ).toEqual([]);
});

/** As GitHub makes them. */
function anchorsOf({ text }: Page): Set<string> {
  const headings = [...withoutCode(text).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function withoutCode(text: string): string {
  return text.replace(/^```.*?^```$/gms, '');
}
