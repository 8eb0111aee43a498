/** Paths of a job's input, as in `source_config.filters.product_ids`: objects and what is in them, lists as wholes. */
export type PathOf<T, Before extends string = ''> = {
  [K in keyof T & string]-?: NonNullable<T[K]> extends readonly unknown[]
    ? `${Before}${K}`
    : NonNullable<T[K]> extends object
      ? `${Before}${K}` | PathOf<NonNullable<T[K]>, `${Before}${K}.`>
      : `${Before}${K}`;
}[keyof T & string];

export type Placed<P extends string> = Partial<Record<P, unknown>>;

/** Where each field of a request goes in a job's input. A field without an entry is an error of the compiler. */
export type FieldMap<R, P extends string> = {
  readonly [K in keyof R]-?: (value: Exclude<R[K], undefined>) => Placed<P>;
};

/** As it is, to each of these places. */
export function to<P extends string>(...paths: readonly P[]): (value: unknown) => Placed<P> {
  return (value) => Object.fromEntries(paths.map((path) => [path, value])) as Placed<P>;
}

/** The input that the request means: what every field places, nested. */
export function placeFields<R extends object, P extends string>(
  request: R,
  map: FieldMap<R, P>,
): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const [path, value] of placesOf(request, map).flatMap(({ placed }) => placed)) set(input, path, value);
  return input;
}

/** The field whose value stands at this path of the input, or above it; undefined where it is no field's. */
export function fieldAt<R extends object, P extends string>(
  path: string,
  request: R,
  map: FieldMap<R, P>,
): string | undefined {
  const found = placesOf(request, map).find(({ placed }) =>
    placed.some(([at]) => path === at || path.startsWith(`${at}.`) || path.startsWith(`${at}[`)),
  );
  return found?.field;
}

interface PlacedField {
  field: string;
  placed: [string, unknown][];
}

function placesOf<R extends object, P extends string>(request: R, map: FieldMap<R, P>): PlacedField[] {
  return (Object.keys(map) as (keyof R & string)[]).flatMap((field) => {
    const value = request[field];
    if (value === undefined) return [];
    const placed = Object.entries(map[field](value as Exclude<R[keyof R & string], undefined>));
    return [{ field, placed: placed.filter(([, at]) => at !== undefined) }];
  });
}

function set(input: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop() ?? path;
  let at = input;
  for (const key of keys) {
    const below = at[key] ?? {};
    at[key] = below;
    at = below as Record<string, unknown>;
  }
  at[last] = value;
}
