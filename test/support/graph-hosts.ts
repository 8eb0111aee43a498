import { ModelError } from '../../src/base/errors.ts';
import { createGraphHost, type GraphHost, type RunCall, type Tensors } from '../../src/model/graph-host.ts';
import type { HostOptions } from '../../src/model/graph-host-messages.ts';

type CreateHost = typeof createGraphHost;
type RunResult = Awaited<ReturnType<GraphHost['run']>>;

/** A host whose graphs run as `run` says, given the host's own way. */
function around(
  host: GraphHost,
  run: (call: RunCall, own: (call: RunCall) => Promise<RunResult>) => Promise<RunResult>,
  provider?: GraphHost['provider'],
): GraphHost {
  return {
    get provider() {
      return host.provider && (provider ?? host.provider);
    },
    load: (name, model) => host.load(name, model),
    unload: (name) => host.unload(name),
    run: (call) => run(call, (given) => host.run(given)),
    write: (tensors) => host.write(tensors),
    read: (names) => host.read(names),
    copy: (names) => host.copy(names),
    remove: (names) => host.remove(names),
    close: () => host.close(),
    [Symbol.asyncDispose]: () => host.close(),
  };
}

/** A host that does something before each run. */
export function watched(beforeRun: (call: RunCall) => void): CreateHost {
  return (options) =>
    around(createGraphHost(options), async (call, own) => {
      beforeRun(call);
      return own(call);
    });
}

/** Runs of more pictures than there is room for fail as they do where memory runs out. */
export const cramped = (room: { rows: number }): CreateHost =>
  watched(({ feeds }) => {
    const pictures = Object.values(feeds).find(({ dims }) => dims.length === 4);
    if ((pictures?.dims[0] ?? 0) <= room.rows) return;
    throw new ModelError('out_of_memory', 'no room', { retryable: true });
  });

/**
 * Hosts that are told to use a GPU run on the CPU and say that they are one; what they give has fewer bits, as where
 * products are rounded. `made`: for each host, the providers that were asked for.
 */
export function rounding(made: HostOptions['providers'][]): CreateHost {
  return (options) => {
    made.push(options.providers);
    if (!options.providers.includes('cuda')) return createGraphHost(options);
    const host = createGraphHost({ ...options, providers: ['cpu'] });
    return around(host, async (call, own) => rounded(await own(call)), 'cuda');
  };
}

function rounded(tensors: Tensors): RunResult {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { data, dims }]) => {
      const fewer = data instanceof Float32Array ? data.map((value) => value * (1 + 2 ** -10)) : data;
      return [name, { data: fewer, dims }];
    }),
  );
}
