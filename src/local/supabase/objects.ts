import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { App } from '@supabase/lite';

export type StorageAdapter = NonNullable<App['_storageAdapter']>;

interface Described {
  mimetype: string;
  cacheControl: string;
  eTag: string;
}

/**
 * Objects as files of a folder, named by a hash of bucket and path, so that no path leads out of it; the content type
 * beside each. What exists, and who may see it, is for the database to say.
 */
export async function createObjectFiles(folder: string): Promise<StorageAdapter> {
  await mkdir(folder, { recursive: true });
  const fileOf = (bucket: string, key: string): string =>
    join(folder, createHash('sha256').update(`${bucket}/${key}`).digest('hex'));

  const describe = async (file: string) => {
    const [{ size, mtime }, text] = await Promise.all([stat(file), readFile(`${file}.json`, 'utf8')]);
    const described = JSON.parse(text) as Described;
    return { ...described, size, contentLength: size, lastModified: mtime, httpStatusCode: 200 };
  };
  const remove = async (bucket: string, key: string): Promise<void> => {
    const file = fileOf(bucket, key);
    await Promise.all([rm(file, { force: true }), rm(`${file}.json`, { force: true })]);
  };

  return {
    driver: null,
    async uploadObject(bucket, key, _version, body, contentType, cacheControl) {
      const bytes = new Uint8Array(
        await new Response(body as ConstructorParameters<typeof Response>[0]).arrayBuffer(),
      );
      const file = fileOf(bucket, key);
      const eTag = `"${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}"`;
      const described: Described = { mimetype: contentType, cacheControl, eTag };
      await Promise.all([writeFile(file, bytes), writeFile(`${file}.json`, JSON.stringify(described))]);
      return describe(file);
    },
    async getObject(bucket, key) {
      const file = fileOf(bucket, key);
      const [metadata, body] = await Promise.all([describe(file), readFile(file)]);
      return { metadata, body, httpStatusCode: 200 };
    },
    headObject: (bucket, key) => describe(fileOf(bucket, key)),
    deleteObject: remove,
    async deleteObjects(bucket, keys) {
      await Promise.all(keys.map((key) => remove(bucket, key)));
    },
    async copyObject(fromBucket, from, _version, toBucket, to) {
      const [source, target] = [fileOf(fromBucket, from), fileOf(toBucket, to)];
      await Promise.all([copyFile(source, target), copyFile(`${source}.json`, `${target}.json`)]);
      return describe(target);
    },
    privateAssetUrl: (bucket, key) => Promise.resolve(`file://${fileOf(bucket, key)}`),
  };
}
