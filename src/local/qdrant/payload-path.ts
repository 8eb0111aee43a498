import { unsupported } from './fault.ts';
import { parseExact, stringifyExact } from './json.ts';

/** Keys from the outside in; `each` says that the list under the key is entered. */
export type PayloadPath = readonly { key: string; each: boolean }[];

const SEGMENT = /(?:"([^"]*)"|([^."[\]]+))(\[\])?(?:\.|$)/y;

/** Reads `a.b`, `a[].b` and `"a.b"`. */
export function parsePayloadPath(text: string): PayloadPath {
  const path: { key: string; each: boolean }[] = [];
  let at = 0;
  while (at < text.length) {
    SEGMENT.lastIndex = at;
    const match = SEGMENT.exec(text);
    if (match === null) throw unsupported(`payload key ${JSON.stringify(text)}`);
    path.push({ key: match[1] ?? match[2] ?? '', each: match[3] !== undefined });
    at = SEGMENT.lastIndex;
  }
  if (path.length === 0 || text.endsWith('.')) throw unsupported(`payload key ${JSON.stringify(text)}`);
  return path;
}

export type PayloadChoice =
  | { kind: 'all' }
  | { kind: 'none' }
  | { kind: 'include'; paths: readonly PayloadPath[] }
  | { kind: 'exclude'; paths: readonly PayloadPath[] };

/** The wanted part of a payload, JSON text to JSON text. */
export function choosePayload(text: string, choice: PayloadChoice): string {
  if (choice.kind === 'all') return text;
  if (choice.kind === 'none') return '{}';
  const payload = parseExact(text);
  const part = choice.kind === 'include' ? include(payload, choice.paths) : exclude(payload, choice.paths);
  return stringifyExact(part ?? {});
}

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Those paths that go on under the key, without it; `ends` where one of them stops there. */
function under(paths: readonly PayloadPath[], key: string): { rest: PayloadPath[]; ends: boolean } {
  const mine = paths.filter((path) => path[0]?.key === key);
  return {
    rest: mine.filter((path) => path.length > 1).map((path) => path.slice(1)),
    ends: mine.some((path) => path.length === 1),
  };
}

function include(value: unknown, paths: readonly PayloadPath[]): unknown {
  if (Array.isArray(value)) return value.map((v) => include(v, paths)).filter((v) => v !== undefined);
  if (!isFields(value)) return undefined;
  const kept = Object.entries(value).flatMap(([key, v]) => {
    const { rest, ends } = under(paths, key);
    const part = ends ? v : rest.length > 0 ? include(v, rest) : undefined;
    return part === undefined ? [] : [[key, part] as const];
  });
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}

function exclude(value: unknown, paths: readonly PayloadPath[]): unknown {
  if (Array.isArray(value)) return value.map((v) => exclude(v, paths));
  if (!isFields(value)) return value;
  const kept = Object.entries(value).flatMap(([key, v]) => {
    const { rest, ends } = under(paths, key);
    return ends ? [] : [[key, rest.length > 0 ? exclude(v, rest) : v] as const];
  });
  return Object.fromEntries(kept);
}
