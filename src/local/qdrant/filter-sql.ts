import { badBody, unsupported } from './fault.ts';
import { storableText, toStored } from './json.ts';
import { parsePayloadPath, type PayloadPath } from './payload-path.ts';
import { toPointKey } from './point-key.ts';

/** Values for `$1`, `$2`, ... of one statement. */
export interface Parameters {
  values: unknown[];
  /** Takes a value in; returns its placeholder. */
  add(value: unknown): string;
}

export function createParameters(): Parameters {
  const values: unknown[] = [];
  return { values, add: (value) => `$${String(values.push(value))}` };
}

type Fields = Record<string, unknown>;

/**
 * A filter as an SQL condition on `id` and `payload`, true or false and never null, with Qdrant's meaning: a list
 * matches where one of its elements does; a missing key matches nothing but `is_empty`.
 * @throws Fault 400 that names what this server does not know
 */
export function filterToSql(filter: unknown, parameters: Parameters): string {
  if (filter === undefined || filter === null) return 'true';
  const { must, should, must_not: mustNot, ...others } = fields(filter, 'filter');
  refuseOthers(others, 'filter');
  const all = conditions(must, 'must', parameters);
  const some = conditions(should, 'should', parameters);
  const none = conditions(mustNot, 'must_not', parameters);
  const parts = [
    ...all,
    ...(some.length === 0 ? [] : [`(${some.join(' OR ')})`]),
    ...none.map((c) => `NOT ${c}`),
  ];
  return parts.length === 0 ? 'true' : `(${parts.join(' AND ')})`;
}

/** A clause may be one condition or a list of them. */
function conditions(clause: unknown, name: string, parameters: Parameters): string[] {
  if (clause === undefined || clause === null) return [];
  const list: unknown[] = Array.isArray(clause) ? clause : [clause];
  return list.map((condition) => conditionToSql(fields(condition, name), parameters));
}

function conditionToSql(condition: Fields, parameters: Parameters): string {
  if ('has_id' in condition) {
    const { has_id: ids, ...others } = condition;
    refuseOthers(others, 'has_id');
    if (!Array.isArray(ids)) throw badBody('has_id: expected a list of point ids');
    return `(id = ANY(${parameters.add(ids.map(toPointKey))}::text[]))`;
  }
  if ('is_empty' in condition || 'is_null' in condition) return emptyToSql(condition, parameters);
  if ('key' in condition) return fieldToSql(condition, parameters);
  if (['must', 'should', 'must_not'].some((k) => k in condition)) return filterToSql(condition, parameters);
  throw unsupported(`filter condition with ${names(condition)}`);
}

function emptyToSql(condition: Fields, parameters: Parameters): string {
  const { is_empty: isEmpty, is_null: isNull, ...others } = condition;
  refuseOthers(others, 'is_empty or is_null');
  const { key, ...rest } = fields(isEmpty ?? isNull, 'is_empty or is_null');
  refuseOthers(rest, 'is_empty or is_null');
  const path = pathOf(key);
  if (path.some((segment) => segment.each)) throw unsupported('is_empty and is_null inside of lists');
  const value = plainValue(path, parameters);
  if (isEmpty === undefined) return `COALESCE(${value} = 'null', false)`;
  return `(${value} IS NULL OR ${value} IN ('null', '[]'))`;
}

function fieldToSql(condition: Fields, parameters: Parameters): string {
  const { key, match, range, ...others } = condition;
  refuseOthers(others, `condition on ${JSON.stringify(key)}`);
  const [hasMatch, hasRange] = [match, range].map((test) => test !== undefined && test !== null);
  // Of two tests in one condition Qdrant takes either; whoever writes that means both.
  if (hasMatch === hasRange) throw unsupported('a condition with other than one of match and range');
  const test = hasMatch ? matchTest(match, parameters) : rangeTest(range, parameters);
  return someValue(pathOf(key), parameters, test);
}

/** A test of one value, `v`, which is no list. */
type Test = string;

function matchTest(match: unknown, parameters: Parameters): Test {
  const { value, any, except, text, ...others } = fields(match, 'match');
  refuseOthers(others, 'match');
  if ([value, any, except, text].filter((m) => m !== undefined).length !== 1) {
    throw badBody('match: expected one of value, any, except, text');
  }
  if (value !== undefined) return `v = ${parameters.add(scalar(value))}::text::jsonb`;
  if (any !== undefined) return isIn(list(any), parameters);
  if (except !== undefined) return `(v <> 'null' AND NOT ${isIn(list(except), parameters)})`;
  if (typeof text !== 'string') throw badBody('match.text: expected a text');
  // Without a full-text index, which this server does not offer, Qdrant looks for the text as it is.
  return `(jsonb_typeof(v) = 'string' AND strpos(v #>> '{}', ${parameters.add(storableText(text))}) > 0)`;
}

function isIn(values: readonly string[], parameters: Parameters): Test {
  return `v = ANY(ARRAY(SELECT jsonb_array_elements(${parameters.add(`[${values.join(',')}]`)}::text::jsonb)))`;
}

const BOUNDS: Readonly<Record<string, string>> = { gt: '>', gte: '>=', lt: '<', lte: '<=' };

function rangeTest(range: unknown, parameters: Parameters): Test {
  const tests = Object.entries(fields(range, 'range')).flatMap(([name, bound]) => {
    const operator = BOUNDS[name];
    if (operator === undefined) throw unsupported(`range.${name}`);
    if (bound === undefined || bound === null) return [];
    if (typeof bound === 'string') throw unsupported('range over dates');
    if (typeof bound !== 'number' && typeof bound !== 'bigint')
      throw badBody(`range.${name}: expected a number`);
    return [`(v #>> '{}')::numeric ${operator} ${parameters.add(String(bound))}::text::numeric`];
  });
  // CASE, because AND may be computed in any order, and the cast fails for texts.
  return `CASE WHEN jsonb_typeof(v) = 'number' THEN ${['true', ...tests].join(' AND ')} ELSE false END`;
}

/** True where the path leads to a value, or to a list with an element, that passes the test. */
function someValue(path: PayloadPath, parameters: Parameters, test: Test): string {
  const source = path.some((segment) => segment.each)
    ? `jsonb_path_query(payload, ${parameters.add(jsonPath(path))}::text::jsonpath, '{}', true) AS source(found)`
    : `(SELECT ${plainValue(path, parameters)}) AS source(found)`;
  // lax [*] opens a list and takes anything else as a list of one.
  return `EXISTS (SELECT FROM ${source}, jsonb_path_query(found, 'lax $[*]') AS element(v) WHERE ${test})`;
}

function plainValue(path: PayloadPath, parameters: Parameters): string {
  const [first, ...rest] = path.map((segment) => storableText(segment.key));
  const top = `payload -> ${parameters.add(first)}::text`;
  return rest.length === 0 ? `(${top})` : `((${top}) #> ${parameters.add(rest)}::text[])`;
}

function jsonPath(path: PayloadPath): string {
  const steps = path.map(({ key, each }) => `.${JSON.stringify(storableText(key))}${each ? '[*]' : ''}`);
  return `strict $${steps.join('')}`;
}

function pathOf(key: unknown): PayloadPath {
  if (typeof key !== 'string') throw badBody('key: expected a text');
  return parsePayloadPath(key);
}

/** Qdrant matches texts, integers and booleans; fractions are for ranges. */
function scalar(value: unknown): string {
  const integer = typeof value === 'bigint' || (typeof value === 'number' && Number.isInteger(value));
  if (integer || typeof value === 'string' || typeof value === 'boolean') return toStored(value);
  throw badBody('match: expected a text, an integer or a boolean');
}

function list(values: unknown): string[] {
  if (!Array.isArray(values)) throw badBody('match: expected a list of texts or of integers');
  const kinds = new Set(values.map((v) => (typeof v === 'bigint' ? 'number' : typeof v)));
  if (kinds.size > 1 || kinds.has('boolean')) throw badBody('match: expected a list of texts or of integers');
  return values.map(scalar);
}

function fields(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw badBody(`${name}: expected an object`);
}

function refuseOthers(others: Fields, where: string): void {
  const present = Object.fromEntries(Object.entries(others).filter(([, v]) => v !== null && v !== undefined));
  if (Object.keys(present).length > 0) throw unsupported(`${names(present)} in ${where}`);
}

function names(value: Fields): string {
  return Object.keys(value)
    .map((key) => `\`${key}\``)
    .join(', ');
}
