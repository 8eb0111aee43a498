import { defineCommand } from '../command.ts';

export const api = defineCommand({
  name: 'api',
  summary: 'Serve the HTTP API, and look after runs, until SIGINT or SIGTERM',
  details: 'Its settings are variables whose names begin with API_; docs/api.md has its routes.',
  async run({ io, signal }) {
    const { serveApi } = await import('../serve-api.ts');
    await serveApi(io, signal);
    return undefined;
  },
});
