import { z } from 'zod';

const COLLECTION =
  'expected a collection name: 1 to 255 characters, none of < > : " / \\ | ? * or control characters';

/** What the vector store takes as a name; never one that a url's path would resolve away. */
export const collectionName = () =>
  z
    .string({ error: COLLECTION })
    .max(255, { error: COLLECTION })
    // eslint-disable-next-line no-control-regex -- control characters are what it refuses
    .regex(/^(?!\.{1,2}$)[^<>:"/\\|?*\u0000-\u001f]+$/, { error: COLLECTION });

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
