import { defineCommand } from '../command.ts';

const FOLDER = '.local';

export const local = defineCommand({
  name: 'local',
  summary: 'The whole cloud on this machine, with a sample shelf, until SIGINT or SIGTERM',
  details:
    'Supabase, Qdrant and an image server. It needs @supabase/lite, @electric-sql/pglite and @electric-sql/pglite-pgvector installed beside this package.',
  options: {
    folder: { kind: 'text', value: 'FOLDER', about: `Where its data are kept. Default: ${FOLDER}.` },
  },
  async run({ options: { folder = FOLDER }, io, signal }) {
    const { serveLocal } = await import('../serve-local.ts');
    await serveLocal(folder, io, signal);
    return undefined;
  },
});
