import { z } from 'zod';

/** Every field words what it expects itself, so that a message can say it whatever the fault was. */

export const yesOrNo = (): z.ZodBoolean => z.boolean({ error: 'expected true or false' });

export function oneOf<const T extends readonly string[]>(values: T) {
  return z.enum(values, { error: `expected one of ${values.join(', ')}` });
}

export function wholeNumber(min: number, max?: number) {
  const range = max === undefined ? `from ${String(min)}` : `from ${String(min)} to ${String(max)}`;
  const error = `expected a whole number ${range}, without quotes`;
  const number = z.int({ error }).min(min, { error });
  return max === undefined ? number : number.max(max, { error });
}

/** A UUID of any version, in lower case. */
export const uuid = () => z.guid({ error: 'expected a uuid' }).toLowerCase();

/** A list of UUIDs, each once. */
export const uuids = () =>
  z.array(uuid(), { error: 'expected a list of uuids' }).transform((ids) => [...new Set(ids)]);

export const text = (what: string) =>
  z.string({ error: `expected ${what}` }).min(1, { error: `expected ${what}` });

const COLLECTION =
  'expected a collection name: 1 to 255 characters, none of < > : " / \\ | ? * or control characters';

/** What the vector store takes as a name; never one that a url's path would resolve away. */
export const collectionName = () =>
  z
    .string({ error: COLLECTION })
    .max(255, { error: COLLECTION })
    // eslint-disable-next-line no-control-regex -- control characters are what it refuses
    .regex(/^(?!\.{1,2}$)[^<>:"/\\|?*\u0000-\u001f]+$/, { error: COLLECTION });

export const address = () => z.url({ protocol: /^https?$/, error: 'expected an http(s) address' });

/** A key that can stand in a header: a stray line end would make the HTTP client quote it in its error. */
export const secretKey = (pattern = /^[\x21-\x7e]+$/) => {
  const error = 'expected a key, without blanks';
  return z.string({ error }).trim().regex(pattern, { error });
};

/** An address or a storage path, as long as it is there: one that leads nowhere fails its own image, not the job. */
export const imageUrl = () => text('an http(s) address, a data: url, or the path of a stored file');

const CHECKPOINT = 'expected an .onnx file: an http(s) address or the path of a stored file';

/** An `.onnx` file; what torch saved is refused by its name. */
export const checkpointUrl = () =>
  z
    .string({ error: CHECKPOINT })
    .superRefine((value, context) => {
      const fault = checkpointFault(value);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
    })
    .meta({ pattern: '\\.[oO][nN][nN][xX](?:[?#].*)?$' });

function checkpointFault(value: string): string | undefined {
  const path = value.replace(/[?#].*$/s, '');
  const name = path.slice(path.lastIndexOf('/') + 1).slice(-80);
  if (/\.(?:pt|pth|ckpt|bin|safetensors)$/i.test(path)) {
    return (
      `${name} is a torch checkpoint, which this worker cannot run; export the model to ONNX ` +
      '(docs/job-input.md, "Checkpoints", has the command) and give the .onnx file'
    );
  }
  if (/^[a-z][a-z\d+.-]*:/i.test(path) && !/^https?:\/\//i.test(path))
    return `${CHECKPOINT}, found another scheme`;
  return /\.onnx$/i.test(path) ? undefined : `${CHECKPOINT}, found a name that does not end in .onnx`;
}
