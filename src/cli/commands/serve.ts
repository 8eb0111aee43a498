import { defineCommand } from '../command.ts';

export const serve = defineCommand({
  name: 'serve',
  summary: "An image's handler as a program: a worker, an endpoint on this machine, or one job",
  details:
    "With RUNPOD_WEBHOOK_GET_JOB set it is RunPod's worker; with --rp_serve_api an endpoint with RunPod's own API on this machine; with neither it runs one job. Its output is JSON in any case; docs/worker.md has more.",
  positionals: { handler: { about: 'Which image.', values: ['embedding', 'cls'] } },
  options: {
    rp_serve_api: { kind: 'flag', about: "Serve RunPod's API on this machine." },
    rp_api_host: { kind: 'text', value: 'HOST', about: 'Where it listens. Default: localhost.' },
    rp_api_port: { kind: 'text', value: 'PORT', about: '0: any that is free. Default: 8000.' },
    rp_api_concurrency: { kind: 'text', value: 'NUMBER', about: 'Jobs at once. Default: 1.' },
    rp_log_level: { kind: 'text', value: 'LEVEL', about: 'debug, info, warn or error. Default: info.' },
    test_input: {
      kind: 'text',
      value: 'JSON',
      about: 'The one job: {"input": {...}}. Default: test_input.json in the working folder.',
    },
  },
  examples: ['serve embedding --rp_serve_api', `serve embedding --test_input '{"input": {...}}'`],
  ownSignals: true,
  async run({ args: { handler: name }, options }) {
    const { serveHandler } = await import('../handlers.ts');
    const argv = Object.entries(options).flatMap(([option, value]) =>
      value === undefined || value === false ? [] : [`--${option}${value === true ? '' : `=${value}`}`],
    );
    return serveHandler(name, argv);
  },
});
