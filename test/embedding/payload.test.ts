import { expect, test } from '@jest/globals';

import type { ImageRef } from '../../src/embedding/image-ref.ts';
import { payloadOf } from '../../src/embedding/payload.ts';

const REF: ImageRef = {
  id: 'p_synthetic_0',
  pointId: 'b1702cab-1726-5a37-92e3-eadedb9fa5c4',
  collection: 'products',
  type: 'product',
  url: 'frames/p/frame_0000.png',
  storage: { bucket: 'frames', path: 'frames/p/frame_0000.png' },
  metadata: { source: 'product', product_id: 'p', frame_index: null },
};
const STAMP = { model: 'demo@abc', jobId: 'job', content: 'ff' };

test('a payload is the image, its metadata and the stamp, and nothing else', () => {
  expect(payloadOf(REF, STAMP)).toStrictEqual({
    id: 'p_synthetic_0',
    type: 'product',
    url: 'frames/p/frame_0000.png',
    source: 'product',
    product_id: 'p',
    frame_index: null,
    model: 'demo@abc',
    job_id: 'job',
    content: 'ff',
  });
});

test('metadata cannot pose as the image or the stamp', () => {
  const metadata = {
    id: 'x',
    type: 'x',
    url: 'x',
    model: 'x',
    job_id: 'x',
    content: 'x',
    brand_name: 'Acme',
  };
  expect(payloadOf({ ...REF, metadata }, STAMP)).toStrictEqual({
    id: REF.id,
    type: REF.type,
    url: REF.url,
    model: 'demo@abc',
    job_id: 'job',
    content: 'ff',
    brand_name: 'Acme',
  });
});

test('a password in an address is left out, and nothing else of it', () => {
  const urlOf = (url: string): unknown => payloadOf({ ...REF, url }, STAMP).url;
  expect(urlOf('https://user:secret@host/a@b.png?x=1')).toBe('https://host/a@b.png?x=1');
  expect(urlOf('https://user:p@ss@host/1.png')).toBe('https://host/1.png');
  expect(urlOf(' http:\\\\user:secret@host\\1.png')).toBe(' http:\\\\host\\1.png');
  expect(urlOf('https:user@host/1.png')).toBe('https:host/1.png');
  for (const url of [
    'https://host/a@b.png',
    'https://host?a@b',
    'folder/user:x@y.png',
    'data:image/png;base64,AA@=',
  ]) {
    expect(urlOf(url)).toBe(url);
  }
});
