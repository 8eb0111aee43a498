/** Boxes of an ISO media file that hold boxes, and how many bytes stand before those. */
const CONTAINERS: Readonly<Record<string, number>> = { meta: 4, iprp: 0, ipco: 0, iinf: 6 };

export interface Box {
  type: string;
  from: number;
  to: number;
}

/** Every box of the file, inner ones behind the one they stand in. */
export function boxes(bytes: Uint8Array, from = 0, to = bytes.length): Box[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Box[] = [];
  for (let at = from; at + 8 <= to;) {
    const size = view.readUInt32BE(at);
    const end = size < 8 ? to : Math.min(to, at + size);
    const type = view.toString('latin1', at + 4, at + 8);
    found.push({ type, from: at, to: end });
    const skip = CONTAINERS[type];
    if (skip !== undefined) found.push(...boxes(bytes, at + 8 + skip, end));
    at = end;
  }
  return found;
}

/** The AVIF with another size in its properties (`ispe`); what is coded stays as it is. */
export function withAvifSize(bytes: Uint8Array, width: number, height: number): Buffer {
  const out = Buffer.from(bytes);
  for (const { type, from } of boxes(bytes)) {
    if (type !== 'ispe') continue;
    out.writeUInt32BE(width, from + 12);
    out.writeUInt32BE(height, from + 16);
  }
  return out;
}

function box(type: string, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length, 0);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1');

function numbers(...values: readonly (readonly [bytes: 1 | 2 | 4, value: number])[]): Buffer {
  const out = Buffer.alloc(values.reduce((sum, [bytes]) => sum + bytes, 0));
  let at = 0;
  for (const [bytes, value] of values) at = out.writeUIntBE(value, at, bytes);
  return out;
}

export interface AvifGrid {
  rows: number;
  columns: number;
  width: number;
  height: number;
}

/** An AVIF whose picture is a grid of one tile that is named for every place of it; the tile comes from a plain AVIF. */
export function avifGrid(tile: Uint8Array, grid: AvifGrid): Buffer {
  const all = boxes(tile);
  const part = (type: string): Buffer => {
    const found = all.find((b) => b.type === type);
    if (found === undefined) throw new TypeError(`the AVIF has no ${type}`);
    return Buffer.from(tile.subarray(found.from, found.to));
  };
  const coded = part('mdat').subarray(8);
  const tiles = grid.rows * grid.columns;
  const large = [4, 4] as const;
  const gridItem = numbers(
    [1, 0],
    [1, 1],
    [1, grid.rows - 1],
    [1, grid.columns - 1],
    [large[0], grid.width],
    [large[1], grid.height],
  );
  const ids = Array.from({ length: tiles }, (_, i) => i + 2);
  const info = (id: number, type: string): Buffer =>
    box('infe', numbers([4, 0x02000000], [2, id], [2, 0]), text(`${type}\0`));
  const size = box('ispe', numbers([4, 0], [4, grid.width], [4, grid.height]));
  const properties = box(
    'iprp',
    box('ipco', size, part('ispe'), part('pixi'), part('av1C')),
    box(
      'ipma',
      numbers([4, 0], [4, tiles + 1], [2, 1], [1, 2], [1, 1], [1, 3]),
      ...ids.map((id) => numbers([2, id], [1, 3], [1, 2], [1, 3], [1, 0x84])),
    ),
  );
  const makeMeta = (dataAt: number): Buffer =>
    box(
      'meta',
      numbers([4, 0]),
      box('hdlr', numbers([4, 0], [4, 0]), text('pict'), Buffer.alloc(13)),
      box('pitm', numbers([4, 0], [2, 1])),
      box(
        'iloc',
        numbers([4, 0], [1, 0x44], [1, 0], [2, tiles + 1]),
        numbers([2, 1], [2, 0], [2, 1], [4, dataAt], [4, gridItem.length]),
        ...ids.map((id) =>
          numbers([2, id], [2, 0], [2, 1], [4, dataAt + gridItem.length], [4, coded.length]),
        ),
      ),
      box('iinf', numbers([4, 0], [2, tiles + 1]), info(1, 'grid'), ...ids.map((id) => info(id, 'av01'))),
      box(
        'iref',
        numbers([4, 0]),
        box('dimg', numbers([2, 1], [2, tiles], ...ids.map((id) => [2, id] as const))),
      ),
      properties,
    );
  const head = box('ftyp', text('avif'), numbers([4, 0]), text('avifmif1miaf'));
  const meta = makeMeta(head.length + makeMeta(0).length + 8);
  return Buffer.concat([head, meta, box('mdat', gridItem, coded)]);
}
